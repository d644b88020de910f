"""The status as people and programs read it: counts first, then workers, then what needs a person."""

import json
import os

import pytest
from support import jars
from test_census import ME, alive, beat, dead, furnish, give, litter, mark
from test_orders import leave, register

from jobjar import census, fslook, layout, notes, orders, status
from jobjar.layout import Place


def render(jar):
    return status.render(census.look(jar, ME))


def document(jar):
    return json.loads(json.dumps(status.document(census.look(jar, ME))))


def words(jar):
    """The rendered lines, each with single blanks."""
    return [" ".join(line.split()) for line in render(jar).splitlines()]


def section(jar, title):
    """The lines of the section whose title begins so."""
    lines = render(jar).splitlines()
    start = next((i for i, line in enumerate(lines) if line.startswith(title)), len(lines))
    end = next((i for i in range(start, len(lines)) if not lines[i]), len(lines))
    return [" ".join(line.split()) for line in lines[start:end]]


def test_an_empty_jar_says_what_to_do_next(jar):
    assert render(jar) == (
        "STATE      JOBS\n"
        "unclaimed     0\n"
        "held          0\n"
        "waiting       0\n"
        "claimed       0\n"
        "completed     0\n"
        "failed        0\n"
        "\n"
        "no worker is there: `start_worker` starts one\n")


def test_the_summary_counts_each_state_and_category(jar):
    for place in (Place("unclaimed", None, "a"), Place("unclaimed", "LINUX", "b"), Place("unclaimed", "LINUX", "c"),
                  Place("held", "LINUX", "d"), Place("completed", None, "e"), Place("completed", None, "f"),
                  Place("failed", None, "g")):
        jars.put(jar, place)
    os.symlink(layout.failed_link("f"), f"{jar.failed}/f")
    give(jar, alive(jar))
    assert words(jar)[:8] == [
        "STATE CATEGORY JOBS OF THESE", "unclaimed - 1", "unclaimed LINUX 2", "held LINUX 1", "waiting 0", "claimed 1",
        "completed 2 1 ended badly", "failed 2 1 never ran to the end"]


def test_workers_are_shown_with_what_they_do(jar):
    name = alive(jar, categories=["LINUX", "SUN"])
    give(jar, name, "my job")
    mark(jar, f"{name}/PAUSE")
    register(jar, "meadow.7")
    lines = section(jar, "WORKER")
    assert lines[0] == "WORKER STATE JOB FOR LAST SEEN MARKERS CATEGORIES"
    assert lines[1].startswith("meadow.7 IDLE ") and lines[1].endswith(" ago")
    assert lines[2].startswith(f"{name} RUNNING my job ") and lines[2].endswith(" ago PAUSE LINUX SUN")


def test_workers_that_have_left_are_counted(jar):
    for name in ("rain.1", "rain.2"):
        leave(jar, name)
    assert words(jar)[-2:] == ["no worker is there: `start_worker` starts one", "and 2 that have left"]


def test_failed_jobs_are_shown_with_their_reasons_ten_and_a_count(jar):
    for number in range(13):
        jars.put(jar, Place("failed", None, f"job-{number:02}"))
    lines = section(jar, "failed jobs")
    assert lines[0].endswith("(13):")
    assert lines[1] == "job-00 no reason has been noted"
    assert (len(lines), lines[-1]) == (12, "… and 3 more")
    assert len(document(jar)["failed"]) == 13


def test_workers_that_claim_nothing_say_why_and_no_control_character_gets_through(jar, monkeypatch):
    monkeypatch.setattr(fslook, "room", lambda path: (80 * 2**20, None))
    blocked, paused = alive(jar, more={"min_free": [100 * 2**20, 0]}), register(jar, "meadow.7")
    jars.write(f"{jar.worker(paused)}/PAUSE", "no memory,\n\x1b[31mred")
    assert section(jar, "workers that claim nothing") == [
        "workers that claim nothing (2):", f"{paused} PAUSED: no memory,\\x0a\\x1b[31mred",
        f"{blocked} BLOCKED: 80.0M free on {jar.home}, JJ_MIN_FREE is 100M: make room"]
    assert [(worker["state"], worker["reason"][:10]) for worker in document(jar)["workers"]] == [
        ("PAUSED", "no memory,"), ("BLOCKED", "80.0M free")]


def test_a_worker_that_a_person_has_paused_needs_no_explanation(jar):
    mark(jar, f"{alive(jar)}/PAUSE")
    assert section(jar, "workers that claim nothing") == []


def test_stranded_and_unknown_workers_need_a_person(jar):
    name = dead(jar)
    give(jar, name)
    beat(jar, register(jar, "meadow.7"), 7300)
    assert section(jar, "stranded")[1].startswith(f"{name} STRANDED, jobs: 1, last seen ")
    assert section(jar, "workers that cannot be judged")[1:] == ["meadow.7 UNKNOWN, jobs: 0, last seen 2h1m ago"]


def test_categories_that_nobody_reads_are_shown_with_the_jobs_in_them(jar):
    jars.put(jar, Place("unclaimed", "SUN", "a"))
    jars.put(jar, Place("unclaimed", None, "b"))
    assert section(jar, "categories")[1:] == ["- 1 waiting", "SUN 1 waiting"]
    alive(jar, categories=["SUN"])
    assert section(jar, "categories") == []


def test_drains_are_shown_with_their_reasons(jar):
    orders.drain(jar, "rain", "new fan")
    assert section(jar, "drained nodes")[1:] == ["rain new fan"]


def test_markers_for_all_old_drafts_and_troubles_are_shown(jar):
    mark(jar, "STOP_ALL")
    os.utime(jars.write(f"{jar.limbo}/draft", ""), (1, 1))
    os.rmdir(jar.logs)
    assert section(jar, "markers for all")[1:] == ["STOP_ALL"]
    assert section(jar, "files that have been in limbo")[1].startswith("draft ")


def test_what_could_not_be_looked_at_is_shown(jar):
    seen = census.look(jar, ME)._replace(troubles=("/x cannot be looked into: Permission denied",))
    assert status.render(seen).endswith("(1):\n  /x cannot be looked into: Permission denied\n")


def test_a_jar_in_order_needs_no_person(jar):
    jars.put(jar, Place("unclaimed", None, "a"))
    alive(jar)
    assert render(jar).count("\n\n") == 1


def test_foreign_files_are_all_shown_and_escaped(jar, monkeypatch):
    monkeypatch.setattr(status, "SHOWN", 100)
    litter(jar.unclaimed)
    os.makedirs(f"{jar.unclaimed}/A/B")
    lines = section(jar, "files that will never be claimed")
    assert [line.split(" ")[0] for line in lines[1:]] == [
        "unclaimed/.nfs0000000000000001", "unclaimed/bytes", "unclaimed/dangling", r"unclaimed/esc\x1b[31m",
        "unclaimed/fifo", "unclaimed/loop", "unclaimed/readme", "unclaimed/socket",
        "unclaimed/to-a-job", r"unclaimed/two\x0alines", "unclaimed/A/B"]
    assert r"unclaimed/bytes \xff not executable: make it so with chmod +x" in lines


def test_nothing_that_a_terminal_obeys_is_shown_whatever_is_in_the_jar(jar):
    furnish(jar)
    bad = "x\n\x1b[31m\udcff\u202e"
    os.symlink("nowhere", jar.drain(bad))
    jars.write(jar.drain("meadow2"), "\x1b[31m\u202e")
    worker = register(jar, f"{bad}.7", categories=[bad])
    for place in (Place("claims", bad, bad, jar.claims(worker)), Place("unclaimed", bad, bad), Place("held", bad, bad),
                  Place("failed", None, bad), Place("limbo", None, bad)):
        jars.put(jar, place, "word")
    notes.add(jar, "rain.7", bad, None, "cancel", why=bad)
    os.chmod(f"{jar.held}/{bad}/{bad}", 0o600)
    os.utime(f"{jar.limbo}/{bad}", (1, 1))
    shown = render(jar)
    assert all(line.isprintable() for line in shown.split("\n"))
    shown.encode("utf-8")
    assert r"x\x0a\x1b[31m\xff\xe2\x80\xae" in shown


def test_nothing_is_cut_off(jar):
    jars.put(jar, Place("failed", None, "x" * 250))
    assert "x" * 250 in render(jar)


def test_the_document_has_everything(jar):
    furnish(jar)
    found = document(jar)
    assert found["completed"] == ["bad"]
    assert found["drains"] == {"meadow": "fan"}
    assert found["failed"] == [{"name": "bad", "ran": True, "reason": "it ended badly"},
                               {"name": "never", "ran": False, "reason": "not wanted"}]
    assert {"category": "LINUX", "name": "claimed"} in [job for worker in found["workers"] for job in worker["jobs"]]
    assert {worker["state"] for worker in found["workers"]} == {"RUNNING", "STRANDED"}
    assert len(found["foreign"]) == 20
    assert [draft["name"] for draft in found["drafts"]] == ["draft"]


@pytest.mark.parametrize("targets, reached, out, err", [
    (["rain"], ["rain.7", "rain.8"], "rain.7\nrain.8\n", ""),
    (["flower.5123"], [], "", "flower.5123 has left already\n"),
    (["all"], [], "", "there is no worker\n"),
    (["a\x1b.7", "b\n.7"], ["a\x1b.7"], "a\\x1b.7\n", "b\\x0a.7 has left already\n")])
def test_who_was_reached_goes_to_stdout_and_who_was_not_to_stderr(capsys, targets, reached, out, err):
    status.tell_reached(targets, reached)
    assert capsys.readouterr() == (out, err)
