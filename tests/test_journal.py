"""What a worker meant to do and what came of it."""

import errno
import os

import pytest
from support import faults, jars

from jobjar import fsops, journal
from jobjar.journal import History, Journal


@pytest.fixture
def book(tmp_path):
    opened = Journal(str(tmp_path))
    yield opened
    opened.close()


def _syncs(act, tmp_path):
    return sum(line.startswith("fsync") for line in faults.count(act, str(tmp_path)))


def test_a_new_journals_name_is_on_the_disk_before_anything_is_written_into_it(tmp_path):
    def begin():
        Journal(str(tmp_path)).close()
    assert f"fsync {tmp_path}" in faults.count(begin, str(tmp_path))
    assert f"fsync {tmp_path}" in faults.count(begin, str(tmp_path)), "nothing was written into it"
    book = Journal(str(tmp_path))
    book.intend("n-1", "C", "a.0")
    book.close()
    assert f"fsync {tmp_path}" not in faults.count(begin, str(tmp_path))


def test_the_end_of_the_last_intent_is_believed(book, tmp_path):
    book.intend("n-1", "C", "a.0")
    book.end("n-1", "C", "a.0", state="COMPLETED", exit=0)
    history = History(str(tmp_path))
    assert history.attempt("C", "a.0") == "n-1"
    assert history.end("n-1")["exit"] == 0


def test_an_end_line_answers_one_intent_only(book, tmp_path):
    book.intend("n-1", None, "a.0")
    book.end("n-1", None, "a.0", state="COMPLETED")
    book.intend("n-2", None, "a.0")
    history = History(str(tmp_path))
    assert history.attempt(None, "a.0") == "n-2"
    assert history.end("n-2") is None


def test_intents_are_per_category_and_name(book, tmp_path):
    book.intend("n-1", None, "a.0")
    book.intend("n-2", "C", "a.0")
    history = History(str(tmp_path))
    assert (history.attempt(None, "a.0"), history.attempt("C", "a.0")) == ("n-1", "n-2")
    assert history.attempt("D", "a.0") is None


def test_the_target_of_an_attempt_is_remembered(book, tmp_path):
    book.target("n-1", "a~2.0")
    book.target("n-1", "a~3.0")
    assert History(str(tmp_path)).target("n-1") == "a~3.0"
    assert History(str(tmp_path)).target("n-2") is None


def test_lines_whose_words_lead_elsewhere_are_no_data(book, tmp_path):
    book.intend("../n-1", None, "a.0")
    book.target("n-2", "../a~2.0")
    assert History(str(tmp_path)).attempt(None, "a.0") is None
    assert History(str(tmp_path)).target("n-2") is None


def test_an_intent_is_one_write_and_no_sync(book, tmp_path):
    assert [line.split(" ")[0] for line in faults.count(lambda: book.intend("n-1", None, "a.0"), str(tmp_path))] == ["write"]


def test_an_intent_is_synced_when_this_worker_has_ended_the_name_before(book, tmp_path):
    book.end("n-1", None, "a.0", state="COMPLETED")
    assert _syncs(lambda: book.intend("n-2", "C", "a.0"), tmp_path) == 0
    assert _syncs(lambda: book.intend("n-3", None, "a.0"), tmp_path) == 1


def test_an_intent_is_synced_when_this_worker_has_given_the_name_back_before(book, tmp_path):
    book.say(journal.REQUEUE, "n-1", None, "a.0", "no space")
    assert _syncs(lambda: book.intend("n-2", None, "a.0"), tmp_path) == 1


def test_an_intent_is_synced_when_it_is_asked_for(book, tmp_path):
    assert _syncs(lambda: book.intend("n-1", None, "a.0", sync=True), tmp_path) == 1


@pytest.mark.parametrize("state, syncs", [("COMPLETED", 0), ("FAILED", 1), ("CANCELLED", 1)])
def test_a_bad_end_is_synced_at_once(book, tmp_path, state, syncs):
    assert _syncs(lambda: book.end("n-1", None, "a.0", state=state), tmp_path) == syncs


def test_lines_are_due_within_a_second(book):
    assert book.due() is None
    book.intend("n-1", None, "a.0")
    assert 0.0 <= book.due() <= 1.0
    book.sync()
    assert book.due() is None


def test_what_came_to_nothing_is_said_and_synced(book, tmp_path):
    assert _syncs(lambda: book.say(journal.REQUEUE, "n-1", None, "a.0", "no space"), tmp_path) == 1
    assert '"why": "no space"' in jars.read(book.path)


def test_an_attempt_that_was_given_back_is_known(book, tmp_path):
    book.say(journal.REQUEUE, "n-1", None, "a.0", "no space")
    assert History(str(tmp_path)).is_given_back("n-1") and not History(str(tmp_path)).is_given_back("n-2")


def test_rotation_keeps_every_line(book, tmp_path, monkeypatch):
    monkeypatch.setattr(journal, "ROTATE_AT", 10)
    for number in (1, 2):
        book.end(f"n-{number}", None, "a.0", state="COMPLETED")
        book.rotate()
    assert sorted(os.listdir(tmp_path)) == ["journal", "journal.1", "journal.2"]
    assert '"n-2"' in jars.read(str(tmp_path / "journal.2"))
    book.intend("n-3", None, "a.0")
    history = History(str(tmp_path))
    assert history.attempt(None, "a.0") == "n-3" and history.end("n-2") is None


def test_a_small_journal_is_not_rotated(book, tmp_path):
    book.intend("n-1", None, "a.0")
    book.rotate()
    assert os.listdir(tmp_path) == ["journal"]


def _failing(monkeypatch, name, code=errno.EIO):
    def fail(*_):
        raise OSError(code, os.strerror(code))
    monkeypatch.setattr(fsops, name, fail)


def test_lines_that_are_written_again_and_cut_off_bring_no_earlier_attempt_back(book, tmp_path, monkeypatch):
    book.intend("n-9", None, "a.0")
    book.intend("n-10", None, "a.0")
    book.end("n-10", None, "a.0", state="COMPLETED")

    def write_one_line(handle, data):
        os.write(handle, bytes(data)[:bytes(data).index(b"\n") + 9])
        raise OSError(errno.ENOSPC, "no space")
    with monkeypatch.context() as patch:
        _failing(patch, "_fsync")
        pytest.raises(OSError, book.sync)
        patch.setattr(fsops, "_write", write_one_line)
        pytest.raises(OSError, book.sync)
    assert jars.read(book.path).count('"n-9"') == 2 and '"n-10"' not in jars.read(book.path).splitlines()[-1]
    assert History(str(tmp_path)).attempt(None, "a.0") == "n-10"


def test_a_sync_that_fails_is_tried_again_ever_later(book, monkeypatch):
    book.intend("n-1", None, "a.0")
    with monkeypatch.context() as patch:
        _failing(patch, "_fsync")
        dues = []
        for _ in range(9):
            pytest.raises(OSError, book.sync)
            dues.append(book.due())
    assert 0.5 < dues[0] <= 1.0 and 1.5 < dues[1] <= 2.0 and 59.0 < dues[-1] <= 60.0
    book.sync()
    book.intend("n-2", None, "a.0")
    assert book.due() <= 1.0


def test_no_job_follows_while_the_lines_of_the_last_ones_cannot_be_synced(book, monkeypatch):
    book.end("n-1", None, "a.0", state="COMPLETED")
    book.rotate()
    with monkeypatch.context() as patch:
        _failing(patch, "_fsync")
        pytest.raises(OSError, book.sync)
        pytest.raises(OSError, book.rotate)
    book.rotate()
    assert book.due() is None


def test_a_rotation_without_a_new_file_goes_on_in_the_old_one_and_ends_at_the_next(book, tmp_path, monkeypatch):
    monkeypatch.setattr(journal, "ROTATE_AT", 10)
    book.end("n-1", None, "a.0", state="COMPLETED")
    with monkeypatch.context() as patch:
        _failing(patch, "open_append", errno.EMFILE)
        pytest.raises(OSError, book.rotate)
    assert os.listdir(tmp_path) == ["journal.1"] and book.path == journal.current(str(tmp_path))
    book.intend("n-2", None, "b.0", sync=True)
    assert History(str(tmp_path)).attempt(None, "b.0") == "n-2"
    book.rotate()
    assert sorted(os.listdir(tmp_path)) == ["journal", "journal.1"] and book.path == str(tmp_path / "journal")


def test_lines_that_make_no_sense_are_skipped(tmp_path):
    jars.write(str(tmp_path / "journal"), '{"e": "claim"}\n[1]\nnonsense\n{"e": "claim", "a": "n-1", "c": null, "n": "a.0"}\n'
               '{"e": "target", "a": "n-1", "as": 7}\n{"e": "end", "a": 5}\n{"e": "end", "a": "n-1"', 0o600)
    history = History(str(tmp_path))
    assert history.attempt(None, "a.0") == "n-1"
    assert history.end("n-1") is history.target("n-1") is None


def test_a_worker_without_a_journal_has_no_history(tmp_path):
    assert History(str(tmp_path)).attempt(None, "a.0") is None
