"""Changing what a job asks for: it is taken first, changed by a copy, and put back; or it is as it was."""

import os
import pty
import stat

import pytest
from support import jars, processes, workers
from test_directives import EXAMPLES

from jobjar import cancelling, census, changing, claiming, directives, editing, entries, fsops, jobname, layout
from jobjar import leftovers, moves, node, notes, reasons, reservation, retrying, states
from jobjar.errors import UsageError
from jobjar.layout import Place

SCRIPT = b"#!/bin/sh\n# a script\necho hello\n"


@pytest.fixture
def change(jar):
    return changing.Change(jar, workers.NODE)


def _put(jar, name="a.0", data=SCRIPT, category=None, state=states.UNCLAIMED, mode=0o700):
    path = workers.put(jar, name, data, category, mode)
    place = Place(state, category, name)
    if state != states.UNCLAIMED:
        jar.queue(state, category)
        os.rename(path, jar.path(place))
    return place


def _asked(jar, place):
    return claiming.request(jar.path(place))


def _files(jar):
    return sorted(path for path, text in jars.tree(jar).items()
                  if text is not None and path.startswith((*states.QUEUES, "limbo", "failed", "completed")))


def _wishes(*found):
    request = {}
    directives.take(request, list(found))
    return request


@pytest.mark.parametrize("state", states.QUEUES)
def test_what_a_job_asks_for_is_changed_and_the_job_is_where_it_was(jar, change, state):
    place = _put(jar, category="C", state=state)
    os.utime(jar.path(place), (1000, 2000))
    editing.edit(change, [place], _wishes("--mem=3G", "--tag=x"))
    assert change.done == ["a is changed: --tag=x --mem=3G"] and change.left == []
    assert _files(jar) == [f"{state}/C/a.0"]
    assert {key: _asked(jar, place)[key] for key in ("mem", "tag")} == {"mem": 3 * 2**30, "tag": ["x"]}
    found = os.stat(jar.path(place))
    assert (stat.S_IMODE(found.st_mode), found.st_mtime) == (0o700, 2000.0)
    assert jars.read(jar.path(place)).endswith("echo hello\n")


def test_a_value_takes_the_place_of_the_one_before(jar, change):
    place = _put(jar, data=b"#!/bin/sh\n#JJ --mem=1G --tag=x\n#JJ --tag=y --comment=z\n")
    editing.edit(change, [place], _wishes("--mem=3G", "--tag=w"))
    assert _asked(jar, place) == {"mem": 3 * 2**30, "tag": ["w"], "comment": "z"}


def test_where_a_job_was_submitted_stays_and_paths_count_from_here(jar, change, tmp_path, monkeypatch):
    place = _put(jar, data=b"#!/bin/sh\n#JJ --submit-dir=/there --submit-host=snow\n")
    monkeypatch.chdir(tmp_path)
    editing.edit(change, [place], _wishes("--chdir=sub", "--output=log"))
    asked = _asked(jar, place)
    assert (asked["submit_dir"], asked["submit_host"]) == ("/there", "snow")
    assert (asked["chdir"], asked["output"]) == (f"{tmp_path}/sub", f"{tmp_path}/sub/log")


def test_exported_variables_take_the_place_of_those_before(jar, change, monkeypatch):
    place = _put(jar, data=b"#!/bin/sh\n#JJ --env=A=1 --env=B=2\n")
    monkeypatch.setenv("C", "3")
    editing.edit(change, [place], _wishes("--export=C"))
    assert _asked(jar, place)["env"] == ["C=3"]


def test_priority_and_category_change_together_with_what_it_asks_for(jar, change):
    place = _put(jar, category="C")
    notes.count(jar, "there.1", "a.0", "C", "earlier-1", "its worker died")
    editing.edit(change, [place], _wishes("--mem=3G", "--priority=5", "--category=D"))
    assert _files(jar) == ["unclaimed/D/a.5"]
    assert notes.open_attempts(jar, "a.5", "D") == {"earlier-1"}


def test_a_job_that_is_to_begin_later_waits_after_that(jar, change):
    place = _put(jar)
    editing.edit(change, [place], _wishes("--begin=now+1h"))
    assert _files(jar) == ["waiting/a.0"]


def test_a_program_that_takes_no_comments_is_carried_by_a_script(jar, change):
    with open("/bin/true", "rb") as file:
        place = _put(jar, data=file.read())
    editing.edit(change, [place], _wishes("--comment=hello"))
    assert _asked(jar, place)["comment"] == "hello"
    workers.drain(jar)
    assert _files(jar) == ["completed/a.0"]


def test_one_task_of_an_array_gets_a_file_of_its_own_with_its_entries(jar, change):
    head = b"#!/bin/sh\n#JJ --array=1-2 --submit-dir=/ --entries=2\necho \"$JJ_ARRAY_TASK_ID $JJ_ENTRY\"\n"
    data = head + entries.block([b"one", b"two"], len(head))
    base = "20261121-101500-me-000001000"
    first = _put(jar, f"{base}_1.0", data)
    second = Place(states.UNCLAIMED, None, f"{base}_2.0")
    os.link(jar.path(first), jar.path(second))
    editing.edit(change, [second], _wishes("--comment=changed"))
    assert jars.read(jar.path(first)).encode() == data
    assert "comment" in _asked(jar, second) and os.stat(jar.path(first)).st_nlink == 1
    workers.drain(jar)
    assert jars.read(jar.log(second.name)) == "2 two\n" and jars.read(jar.log(first.name)) == "1 one\n"


# What each option needs beside it to mean anything.
COMPANIONS = {"signal": ["--time=1h"], "retry-delay": ["--retries=1"], "open-mode": ["--output=/tmp/x"]}
# What is worked out at the submission, for all tasks together or from files as they are then.
FIXED = {"id", "hold", "array", "each-line", "from-json", "per-job", "snapshot", "stage-in"}
TYPED = [option for option in directives.OPTIONS.values() if option.kind != directives.OWN]


# What stands in the file when it is not what was typed.
TEXTS = {"export": "A=1", "output": "/tmp/%j"}
PLACES = {"priority": "unclaimed/a.5", "category": "unclaimed/LINUX/a.0"}


@pytest.mark.parametrize("option", TYPED, ids=lambda option: option.name)
def test_each_option_is_changed_or_refused_with_the_reason(jar, change, option):
    place = _put(jar)
    word = f"--{option.name}" + ("" if option.is_flag else f"={TEXTS.get(option.name) or EXAMPLES[option.name][0]}")
    wishes = _wishes(word, *COMPANIONS.get(option.name, []))
    if option.name in FIXED:
        with pytest.raises(UsageError, match=f"--{option.name} does its work at the submission"):
            editing.edit(change, [place], wishes)
    else:
        editing.edit(change, [place], wishes)
    path, = _files(jar)
    found = directives.read(jars.read(os.path.join(jar.home, path)).encode())
    if option.name in FIXED or option.name == "max-fails":
        assert (path, found, change.done) == ("unclaimed/a.0", {}, [])
        assert option.name in FIXED or "means nothing without" in change.left[0]
    elif option.name in PLACES:
        assert (path, change.left) == (PLACES[option.name], [])
    else:
        key, value = ("env", ["A=1"]) if option.name == "export" else (option.key, wishes[option.key])
        assert found[key] == value and change.left == [] and len(change.done) == 1


@pytest.mark.parametrize("word", ["--array=1-3", "--hold", "--id=x", "--snapshot=/tmp", "--stage-in=/etc/passwd"])
def test_what_does_its_work_at_the_submission_cannot_be_changed(jar, change, word):
    place = _put(jar)
    before = jars.tree(jar)
    with pytest.raises(UsageError, match="cancel the job"):
        editing.edit(change, [place], _wishes(word))
    assert jars.tree(jar) == before


def test_what_contradicts_the_rest_is_refused_and_the_job_is_as_it_was(jar, change):
    place = _put(jar, data=b"#!/bin/sh\n#JJ --no-requeue\n", category="C")
    editing.edit(change, [place], _wishes("--retries=3"))
    assert change.done == [] and "contradict" in change.left[0] and change.left[0].endswith(": it is as it was")
    assert _files(jar) == ["unclaimed/C/a.0"] and _asked(jar, place) == {"no_requeue": True}


def test_a_job_with_wrong_lines_can_be_mended(jar, change):
    place = _put(jar, data=b"#!/bin/sh\n#JJ --nonsense\n", state=states.HELD)
    editing.edit_text(change, [place], lambda data: data.replace(b"nonsense", b"mem=1G"))
    assert change.left == [] and _asked(jar, place) == {"mem": 2**30}


def test_a_job_that_runs_cannot_be_changed(jar, change):
    place = _put(jar)
    claims = jars.worker(jar, "rain.1")
    os.rename(jar.path(place), f"{claims}/a.0")
    editing.edit(change, [place], _wishes("--mem=3G"))
    assert change.left == ["a is running, so it cannot be changed any more"]


# Somebody else meanwhile; and death.

class Stop(Exception):
    pass


def _interrupted(change, place, how=Stop):
    def editor(data):
        raise how
    with pytest.raises(how):
        editing.edit_text(change, [place], editor)


@pytest.mark.parametrize("how", [Stop, KeyboardInterrupt])
@pytest.mark.parametrize("state", states.QUEUES)
def test_an_editor_that_is_interrupted_puts_the_job_back_as_it_was(jar, change, state, how):
    place = _put(jar, category="C", state=state)
    _interrupted(change, place, how)
    assert _files(jar) == [f"{state}/C/a.0"]
    assert jars.read(jar.path(place)).encode() == SCRIPT


def test_while_a_job_is_edited_nobody_else_moves_it(jar, change):
    place = _put(jar)
    other = changing.Change(jar, workers.NODE)

    def editor(data):
        edited = Place(states.HELD, None, "a~edit.0")
        for act in (changing.release, changing.hold):
            act(other, [edited])
        changing.alter(other, [edited], priority=7)
        editing.edit(other, [edited], _wishes("--mem=1G"))
        return data + b"echo more\n"
    editing.edit_text(change, [place], editor)
    # Held neither: it is about to be put back to where it was.
    assert other.done == [] and len(other.left) == 4 and all("in somebody else's hands" in line for line in other.left)
    assert jars.read(jar.path(place)).endswith("hello\necho more\n") and _files(jar) == ["unclaimed/a.0"]


def _die_while_editing(jar, place):
    """What an editor leaves that is killed; his identity."""
    gone = node.myself(workers.NODE)._replace(pid=2**22 + 1)
    text = reservation.text(node.owner(gone), f"{node.nonce(gone)}-1")
    assert moves.hold(jar, place, text, jobname.edited(place.name), is_kept=True)
    jars.write(f"{jar.limbo}/{layout.EDIT}{node.owner(gone)}.{node.nonce(gone)}-1", "half a copy")


def test_what_a_dead_editor_had_stays_in_held_until_a_person_releases_it(jar, change):
    place = _put(jar, category="C")
    _die_while_editing(jar, place)
    edited = Place(states.HELD, "C", "a~edit.0")
    changing.release(change, [edited])
    assert "recover_stranded" in change.left[0]
    leftovers.sweep(jar, node.myself(workers.NODE))
    assert _files(jar) == ["held/C/a~edit.0"]
    changing.release(change, [edited])
    assert change.done == ["a released"] and _files(jar) == ["unclaimed/C/a.0"]


def test_what_a_dead_editor_had_is_held_under_its_own_name_when_a_person_holds_it(jar, change):
    place = _put(jar, category="C")
    _die_while_editing(jar, place)
    leftovers.sweep(jar, node.myself(workers.NODE))
    changing.hold(change, [Place(states.HELD, "C", "a~edit.0")], "not yet")
    assert change.done == ["a held"] and _files(jar) == ["held/C/a.0"]
    changing.hold(change, [place._replace(state=states.HELD)])
    assert change.done[1:] == ["a is held already"]


def test_what_a_dead_editor_had_can_be_edited_by_another(jar, change):
    place = _put(jar)
    _die_while_editing(jar, place)
    leftovers.sweep(jar, node.myself(workers.NODE))
    editing.edit(change, [Place(states.HELD, None, "a~edit.0")], _wishes("--mem=1G"))
    assert change.done == ["a is changed: --mem=1G"] and _files(jar) == ["held/a.0"]


def test_the_note_says_where_the_job_was_also_under_its_name_in_held(jar, change):
    place = _put(jar, category="C")
    said = []

    def editor(data):
        said.extend(notes.read(jar, "a~edit.0"))
        return data
    editing.edit_text(change, [place], editor)
    assert [line["e"] for line in said] == ["edit"] and "unclaimed/C/a.0" in said[0]["why"]


def test_the_changed_copy_is_on_the_disk_before_it_takes_the_place_of_the_job(jar, change, monkeypatch):
    place, order = _put(jar), []
    sync, move = fsops._fsync, fsops.move

    def moving(source, target):
        order.append(("move", os.path.basename(target)))
        return move(source, target)
    monkeypatch.setattr(fsops, "_fsync", lambda handle: (order.append(("sync", os.path.basename(
        os.readlink(f"/proc/self/fd/{handle}")).partition(".rain")[0])), sync(handle))[1])
    monkeypatch.setattr(fsops, "move", moving)
    editing.edit(change, [place], _wishes("--mem=1G"))
    copy, swap = order.index(("sync", ".edit")), order.index(("move", "a~edit.0"), order.index(("sync", ".edit")))
    assert copy < swap < order.index(("sync", "held")) < order.index(("move", "a.0"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away: run the tests as root")
def test_a_changed_job_belongs_to_whom_it_belonged(jar, change):
    place = _put(jar)
    os.chown(jar.path(place), 12345, -1)
    editing.edit(change, [place], _wishes("--mem=1G"))
    assert os.stat(jar.path(place)).st_uid == 12345


def _away(jar, how):
    """What a person does with his own `mv`, or `rm`, to the job that is being changed."""
    path = f"{jar.held}/a~edit.0"
    if how == "mv":
        os.rename(path, f"{jar.unclaimed}/a~edit.0")
    elif how == "rm":
        os.remove(path)
    else:
        os.rename(path, f"{jar.held}/b.0")
        jars.write(path, "another's\n")


@pytest.mark.parametrize("how, left", [("mv", ["unclaimed/a~edit.0"]), ("rm", []),
                                       ("replace", ["held/b.0", "unclaimed/a.0"])])
def test_a_job_that_a_person_takes_away_from_its_editor_is_left_to_him(jar, change, how, left):
    place = _put(jar)

    def editor(data):
        _away(jar, how)
        return data + b"echo more\n"
    editing.edit_text(change, [place], editor)
    assert change.done == [] and ["moved or removed by somebody" in line for line in change.left] == [True]
    assert _files(jar) == left and not any("more" in jars.read(os.path.join(jar.home, path)) for path in left)
    assert not any(text and text.startswith("-> reserved:") for text in jars.tree(jar).values())


def test_a_draft_that_is_taken_away_is_no_change(jar, change, monkeypatch):
    place, move = _put(jar), fsops.move

    def moving(source, target):
        if layout.EDIT in source:
            os.remove(source)
        return move(source, target)
    monkeypatch.setattr(fsops, "move", moving)
    editing.edit(change, [place], _wishes("--mem=1G"))
    assert change.done == [] and len(change.left) == 1
    assert _files(jar) == ["unclaimed/a.0"] and jars.read(jar.path(place)).encode() == SCRIPT


def test_what_a_dead_editor_had_is_cancelled_and_retried_under_its_own_name(jar, change):
    place = _put(jar, category="C")
    _die_while_editing(jar, place)
    leftovers.sweep(jar, node.myself(workers.NODE))
    cancelling.cancel(change, [Place(states.HELD, "C", "a~edit.0")])
    assert _files(jar) == ["failed/a.0"] and notes.burial(jar, "a.0") == "cancel"
    retrying.retry(change, [Place(states.FAILED, None, "a.0")])
    assert _files(jar) == ["unclaimed/C/a.0"]


def test_a_held_job_that_was_not_changed_after_all_is_held_for_the_reason_that_was_given(jar, change):
    place = _put(jar)
    changing.hold(change, [place], "until Monday")
    held = place._replace(state=states.HELD)
    editing.edit_text(change, [held], lambda data: b"#!/bin/sh\n#JJ --nonsense\n")
    assert len(change.left) == 1
    facts = reasons.Facts(jar, census.look(jar, node.myself(workers.NODE)))
    assert reasons.of(facts, held).says == "until Monday"


# The command.

def _start_edit(jar, *words, editor=None, **more):
    more |= {"VISUAL": editor} if editor else {}
    return processes.python("bin/jobjar", "edit", *words, env=processes.environment(
        JJ_HOME=jar.home, JJ_NODE=workers.NODE, **more))


def _edit(jar, *words, **more):
    return processes.finish(_start_edit(jar, *words, **more))


def test_the_command_changes_what_is_asked_for(jar):
    place = _put(jar)
    assert _edit(jar, "a", "--mem=3G", "-p", "-3") == (0, "a is changed: --priority=-3 --mem=3G\n", "")
    assert _asked(jar, place._replace(name="a.-3")) == {"mem": 3 * 2**30}
    assert _edit(jar, "b", "--mem=3G")[0] == 3


@pytest.mark.parametrize("words", [("a",), ("a", "--editor", "--mem=1G"), ("a", "--mem=x"), ("a", "--array=1-3"),
                                   ("a", "--nonsense"), ("--mem=1G",)])
def test_wrong_words_are_refused_with_one_sentence(jar, words):
    _put(jar)
    code, out, err = _edit(jar, *words)
    assert (code, out) == (2, "") and err.count("\n") == 1
    assert _files(jar) == ["unclaimed/a.0"]


def test_the_editor_changes_the_text(jar):
    place = _put(jar, state=states.WAITING)
    assert _edit(jar, "a", "--editor", editor="sed -i s/hello/goodbye/") == (0, "a is changed\n", "")
    assert "echo goodbye" in jars.read(jar.path(place))


@pytest.mark.parametrize("editor, why", [
    ("false", "ended with status 1"), ("rm", "has removed the file"), ("/no/such/editor", "cannot be started"),
    ("'", "cannot be started"), ("truncate -s0", "has lost all of its text"), ("sh -c 'echo >$0'", "all of its text")])
def test_an_editor_that_fails_leaves_the_job_as_it_was(jar, tmp_path, editor, why):
    place = _put(jar)
    code, out, err = _edit(jar, "a", "--editor", editor=editor, TMPDIR=str(tmp_path))
    assert (code, out) == (1, "") and why in err and err.endswith(": it is as it was\n")
    assert _files(jar) == ["unclaimed/a.0"] and jars.read(jar.path(place)).encode() == SCRIPT
    assert [name for name in os.listdir(tmp_path) if "edit" in name] == []


@pytest.mark.parametrize("editor, why", [
    ("sed -i 's/# a script/#JJ --nonsense/'", "#JJ lines will not do"),
    ("sh -c 'echo \"# nonsense\" >>$0; exit 3'", "ended with status 3")])
def test_what_a_person_has_written_is_kept_when_the_job_cannot_have_it(jar, tmp_path, editor, why):
    place = _put(jar)
    code, out, err = _edit(jar, "a", "--editor", editor=editor, TMPDIR=str(tmp_path))
    assert (code, out) == (1, "") and why in err and ": it is as it was\n" in err
    assert _files(jar) == ["unclaimed/a.0"] and jars.read(jar.path(place)).encode() == SCRIPT
    last = err.splitlines()[-1]
    assert last.startswith(f"jobjar edit: what you have written is in {tmp_path}/")
    assert "nonsense" in jars.read(last.rpartition(" ")[2])


@pytest.mark.parametrize("make", ["mkdir", "mkfifo"])
def test_an_editor_that_leaves_no_file_is_refused_and_what_it_has_moved_is_kept(jar, tmp_path, make):
    place = _put(jar)
    editor = f"sh -c 'mv $0 $0.x; {make} $0'"
    code, out, err = _edit(jar, "a", "--editor", editor=editor, TMPDIR=str(tmp_path))
    assert (code, out) == (1, "") and _files(jar) == ["unclaimed/a.0"]
    said, kept = err.splitlines()
    assert said == "a the editor has left something else than a file where its text was: it is as it was"
    assert jars.read(os.path.join(kept.rpartition(" ")[2], "job.x")).encode() == SCRIPT
    assert jars.read(jar.path(place)).encode() == SCRIPT


def test_an_editor_that_changes_nothing_is_said_to_have_changed_nothing(jar):
    _put(jar)
    assert _edit(jar, "a", "--editor", editor="true") == (0, "a is as it was: nothing was changed\n", "")


@pytest.mark.parametrize("line, why", [
    ("--array=1-5", "cancel the job, and submit it anew"), ("--each-line=x", "cancel the job, and submit it anew"),
    ("--id=x", "cancel the job, and submit it anew"), ("--snapshot=/x", "cancel the job, and submit it anew"),
    ("--hold", "`jobjar hold JOB`"), ("-p 9", "`jobjar edit JOB --priority=N`"),
    ("-c XX", "`jobjar edit JOB --category=CATEGORY`")])
def test_what_would_have_no_effect_in_the_text_is_refused_with_what_has(jar, change, line, why):
    submitted = b"#!/bin/sh\n#JJ --submit-dir=/\necho hello\n"
    place = _put(jar, data=submitted)
    editing.edit_text(change, [place], lambda data: data.replace(b"#JJ", f"#JJ {line}\n#JJ".encode()))
    assert change.done == [] and len(change.left) == 1 and why in change.left[0]
    assert jars.read(jar.path(place)).encode() == submitted


def test_what_stood_in_the_text_already_does_not_keep_it_from_being_changed(jar, change):
    place = _put(jar, data=b"#!/bin/sh\n#JJ --submit-dir=/ -p 9\n#JJ --stage-in=x\n#JJ --staged=1 --stage-in=y\n"
                 b"#JJ --nonsense\n#JJ --array=1-5\necho hello\n")
    editing.edit_text(change, [place], lambda data: data.replace(b"--nonsense", b"--mem=1G"))
    assert change.done == ["a is changed"] and change.left == []


def test_an_editor_that_makes_a_program_of_a_text_is_refused(jar, change):
    place = _put(jar)
    editing.edit_text(change, [place], lambda data: b"\x7fELF\0")
    assert change.done == [] and "would be a program and no text" in change.left[0]
    assert jars.read(jar.path(place)).encode() == SCRIPT


def test_two_editors_at_once_change_a_job_one_after_the_other_or_are_refused_and_lose_nothing(jar, tmp_path):
    place = _put(jar)
    both = tmp_path / "both"
    # The first is in the midst of it while the second comes.
    slow = f"sh -c 'echo \"# one\" >>$0; touch {both}; while test -e {both}; do sleep 0.02; done'"
    first = _start_edit(jar, "a", "--editor", editor=slow)
    processes.until(both.exists, "the first editor")
    code, _, err = _edit(jar, "a", "--editor", editor="sh -c 'echo \"# two\" >>$0'")
    assert code == 1 and "in somebody else's hands" in err
    both.unlink()
    assert processes.finish(first)[0] == 0
    assert _edit(jar, "a", "--editor", editor="sh -c 'echo \"# two\" >>$0'")[0] == 0
    assert jars.read(jar.path(place)).encode() == SCRIPT + b"# one\n# two\n" and _files(jar) == ["unclaimed/a.0"]


def test_at_a_terminal_wrong_lines_are_asked_for_again(jar, tmp_path):
    place = _put(jar)
    # The first time it makes nonsense, the second time it mends that.
    editor = jars.write(str(tmp_path / "editor"), "#!/bin/sh\nif grep -q nonsense \"$1\"; then sed -i s/nonsense/mem=1G/"
                        " \"$1\"; else sed -i 's/# a script/#JJ --nonsense/' \"$1\"; fi\n")
    outer, inner = pty.openpty()
    process = processes.subprocess.Popen(
        [processes.sys.executable, "bin/jobjar", "edit", "a", "--editor"], stdin=inner, cwd=processes.TOP, text=True,
        stdout=processes.subprocess.PIPE, stderr=processes.subprocess.PIPE,
        env=processes.environment(JJ_HOME=jar.home, JJ_NODE=workers.NODE, VISUAL=editor))
    try:
        os.write(outer, b"y\n")
        code, out, err = processes.finish(process)
    finally:
        os.close(outer)
        os.close(inner)
    assert code == 0 and "Edit it again?" in out + err and "--nonsense" in err
    assert _asked(jar, place) == {"mem": 2**30}
