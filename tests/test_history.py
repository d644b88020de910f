"""What has ended: found in whatever journal it stands, chosen, and shown."""

import csv
import io
import json
import os
import random
import re
import statistics
import time

import pytest
from support import accounts as made
from support import jars, processes, programs, workers
from support.accounts import end, failed, journal, repeated

from jobjar import accounting, accounts, archive, history, layout, node, selection
from jobjar.history import Wanted

ME = node.myself("rain")


def names(jar, **wanted):
    return [record["n"] for record in history.records(jar, Wanted(**wanted))]


def run(jar, *words, code=0):
    """What `jobjar history` prints."""
    status, out, err = programs.run("jobjar", "history", *words, env=processes.environment(JJ_HOME=jar.home, TZ="UTC"))
    assert status == code, err
    return out if code == 0 else err


def test_records_are_found_in_all_journals_and_in_the_archive_the_newest_last(jar):
    journal(jar, "rain.77", end(3))
    journal(jar, "rain.77", end(1), name="journal.1")
    journal(jar, "rain.77", end(2), name="journal.10")
    journal(jar, "rain.76.old-" + made.NONCE, end(4, a="x-4"))
    archive.write(jar, ME, [end(0)])
    assert names(jar) == ["job0", "job1", "job2", "job3", "job4"]


def test_an_attempt_that_stands_in_several_places_counts_once_and_with_all_that_is_known(jar):
    journal(jar, "rain.77", end(1), end(1))
    archive.write(jar, ME, [end(1, size=77)])
    (record,) = history.records(jar, Wanted())
    assert record["size"] == 77


def test_filters_choose_and_each_of_them_may_choose_nothing(jar):
    journal(jar, "rain.77", end(1), failed(2, user="bob"), end(3, c="sim"), end(4, state="TIMEOUT", node="snow"))
    assert names(jar, users=["bob"]) == ["job2"]
    assert names(jar, states=["FAILED", "TIMEOUT"]) == ["job2", "job4"]
    assert names(jar, categories=["sim"]) == ["job3"]
    assert names(jar, nodes=["snow", "rain"], categories=[None]) == ["job1", "job2", "job4"]
    assert names(jar, nodes=["snow"]) == ["job4"]
    assert names(jar, since=made.T + 20, until=made.T + 30) == ["job2", "job3"]
    assert names(jar, named=lambda name: name.endswith("4")) == ["job4"]
    assert names(jar, grep=re.compile("[13]$")) == ["job1", "job3"]
    assert names(jar, users=["bob"], states=["COMPLETED"]) == names(jar, nodes=["bob"]) == names(jar, categories=["x"]) == []


def test_the_newest_are_chosen_among_those_that_are_wanted(jar):
    journal(jar, "rain.77", *(end(n, user="bob" if n < 5 else "ada") for n in range(3000)))
    assert names(jar, limit=2) == ["job2998", "job2999"]
    assert names(jar, users=["bob"], limit=2) == ["job3", "job4"]
    assert names(jar, grep=re.compile("^job1.$"), limit=2) == ["job18", "job19"]


def test_a_value_in_the_wrong_place_is_not_taken_for_the_one_that_is_wanted(jar):
    journal(jar, "rain.77", end(1, c="bob"), end(2, why="FAILED", node="bob"), *(end(n, c="bob") for n in range(3, 1500)))
    journal(jar, "rain.78", end(0, user="bob", a="x"))
    assert names(jar, users=["bob"], limit=1) == ["job0"]
    assert names(jar, states=["FAILED"]) == []


def test_names_and_users_with_unusual_characters_are_found(jar):
    journal(jar, "rain.77", end(1, 'a"b\\c'), end(2, "große", user="jörg"), end(3, "\udcff", c="größe"))
    journal(jar, "rain.77", json.dumps(end(4, "ä", user="jörg"), ensure_ascii=False).encode())
    assert names(jar, users=["jörg"]) == ["große", "ä"]
    assert names(jar, categories=["größe"]) == ["\udcff"]
    assert names(jar, named=selection.meaning('a"b\\c')) == ['a"b\\c']


def test_attempts_that_were_repeated_are_shown_when_they_are_asked_for_and_ran(jar):
    quick = {key: repeated(2)[key] for key in ("e", "a", "c", "n", "t", "why")}
    journal(jar, "rain.77", repeated(1, "x"), quick, end(3, "x"))
    assert names(jar) == ["x"]
    assert [record["a"][-1] for record in history.records(jar, Wanted(attempts=True))] == ["1", "3"]


GARBAGE = (b"{", b"", b"[1, 2]", b"7", b'{"e": "end"}', b'\xff\xfe{"e": "end"', b'"end"', b"null",
           json.dumps(end(91))[:70].encode(), b'{"e": "end", "a": "x", "c": null, "n": "half", "t": 17',
           b'{"e": "end", "a": "x", "c": null, "n": "dots", "t": 1.2.3, "state": "FAILED"}',
           b'{"e": "end", "a": "x", "c": null, "n": "torn", "t": 5.0, "user": [1',
           b'2], "t": 1}', json.dumps(end(92, t="soon")).encode(), json.dumps(end(93, t=True)).encode(),
           json.dumps(end(94, t=float("nan"))).encode(), json.dumps({**end(95), "n": 5}).encode())


def test_lines_that_cannot_be_read_hide_no_others(jar):
    journal(jar, "rain.77", end(1), *GARBAGE, end(2), b'{"e": "end", "a": "y", "c": null, "n": "last", "t": 9')
    assert names(jar) == names(jar, limit=5) == names(jar, users=["ada"]) == ["job1", "job2"]


WRONG = ("x", None, True, -1, 1e300, float("nan"), [1], {"a": 2})


@pytest.mark.parametrize("wrong", WRONG, ids=repr)
def test_values_of_wrong_types_break_no_form_of_the_answer(jar, wrong):
    keys = set(end(0)) - {"e", "n", "t"}
    journal(jar, "rain.77", *(end(n, **{key: wrong}) for n, key in enumerate(sorted(keys))),
            {**end(50), "req": wrong, "why": wrong, "command": wrong, "as": wrong})
    everything = ",".join(accounting.FIELDS)
    number = len(history.records(jar, Wanted()))
    assert run(jar, "--limit", "0", "--columns", everything).count("\n") == number + 1
    document = json.loads(run(jar, "--limit", "0", "--json"), parse_constant=lambda word: pytest.fail(word))
    assert len(document["records"]) == number
    assert len(list(csv.reader(io.StringIO(run(jar, "--limit", "0", "--csv"))))) == number + 1
    assert run(jar, "--totals").startswith("USER") and number >= 18


def test_a_clock_that_was_set_back_makes_no_negative_times(jar):
    journal(jar, "rain.77", end(1, start=made.T + 500, submit=made.T + 900))
    (record,) = history.records(jar, Wanted())
    assert (accounting.elapsed(record), accounting.waited(record)) == (0.0, 0.0)


def test_a_record_without_its_submission_has_that_of_its_name(jar):
    line = end(1, "20261121-120000-ada-250000123.0", start=1795262401.0)
    del line["submit"]
    journal(jar, "rain.77", line)
    (record,) = history.records(jar, Wanted())
    assert accounting.submitted(record) == 1795262400.25
    assert accounting.waited(record) == 0.75


def test_what_real_jobs_used_is_told_in_full(jar):
    workers.submit(jar, "sleep 0.2; dd if=/dev/zero of=x bs=1M count=3 2>/dev/null; exit 3", category="sim", priority=7)
    workers.submit(jar, "kill -9 $$")
    began = time.time()
    worker = workers.drain(jar, "sim")
    first, second = json.loads(run(jar, "--json"))["records"]
    assert (first["state"], first["exitcode"], first["category"], first["priority"]) == ("FAILED", "3:0", "sim", 7)
    assert second["exitcode"] == "0:9" and second["category"] is None
    assert 0.2 <= first["elapsed"] < 20 and first["start"] - 0.001 <= first["end"] - first["elapsed"]
    assert first["submit"] <= first["start"] and began - 0.001 <= first["start"] <= first["end"] <= time.time() + 0.001
    assert first["wait"] == pytest.approx(first["start"] - first["submit"], abs=0.01)
    assert (first["node"], first["worker"], first["tries"]) == ("rain", worker.name, 1)
    assert first["command"] == "sleep 0.2; dd if=/dev/zero of=x bs=1M count=3 2>/dev/null; exit 3"
    assert first["maxrss"] > 2**20 and first["minflt"] > 0 and first["nvcsw"] > 0
    assert 0 < first["totalcpu"] == pytest.approx(first["usercpu"] + first["systemcpu"])
    (line, _) = worker.ends()
    for field, key in {"majflt": "majflt", "inblock": "inblock", "oublock": "oublock", "nivcsw": "nivcsw",
                       "minflt": "minflt", "nvcsw": "nvcsw", "attempt": "a", "user": "user"}.items():
        assert first[field] == line[key]


def test_where_the_journal_does_not_say_the_command_the_jobs_file_does_and_no_other_of_that_name(jar):
    name = workers.submit(jar, "echo needle").name
    worker = workers.drain(jar)
    (line,) = worker.ends()
    os.unlink(worker.path("journal"))
    line = made.earlier(line)
    journal(jar, "snow.9", line, {**line, "a": "other", "t": line["t"] - 60, "ino": line["ino"] + 1})
    assert [record["a"] for record in history.records(jar, Wanted(grep=re.compile("needle")))] == [line["a"]]
    assert json.loads(run(jar, "--grep", "^echo needle$", "--json"))["records"][0]["file"] == name


def test_the_command_is_told_though_the_jobs_file_is_gone_and_of_what_is_no_command_none(jar):
    entries = jars.write(jar.home + "/items", "a\nb\n")
    for words in (["echo $JJ_ENTRY", "--each-line", entries], ["true " + "x" * 990], ["true " + "x" * 1000],
                  ["echo two; echo commands", "--tag=t"]):
        programs.run("submit_job", "--home", jar.home, *words[1:], words[0])
    workers.place(jar, "script.sh", "echo one\necho two")
    worker = workers.drain(jar)
    for name in os.listdir(jar.completed):
        os.unlink(os.path.join(jar.completed, name))
    assert sorted(len(line.get("command") or "") for line in worker.ends()) == [0, 0, 14, 14, 23, 995]
    assert [line["n"] for line in worker.ends() if line.get("command", "") is None] == ["script.sh"]
    found = json.loads(run(jar, "--json"))["records"]
    assert [record["command"] for record in found].count("echo $JJ_ENTRY") == 2
    assert run(jar, "--grep", "commands", "--format", "%command") == "echo two; echo commands\n"


def test_a_job_of_which_no_journal_tells_is_shown_with_what_is_known_of_it(jar):
    for command in ("true", "exit 3", "echo lost", "echo lost; exit 4"):
        workers.submit(jar, command)
    for _ in range(2):
        workers.place(jar, 'by "hand".7', "true")
        workers.drain(jar)
    assert len(json.loads(run(jar, "--json"))["records"]) == 6
    for worker in os.listdir(jar.workers):
        path = os.path.join(jar.worker(worker), "journal")
        # As when the last lines did not reach the disk before a power cut.
        kept = [line for line in jars.read(path).splitlines() if not ('"e": "end"' in line and "lost" in line)]
        os.unlink(path)
        jars.write(path, "\n".join(kept) + "\n")
    os.symlink("reserved:rain.1:x-1", os.path.join(jar.completed, "nothing.0"))
    found = {record["command"]: record for record in json.loads(run(jar, "--json"))["records"]}
    assert len(json.loads(run(jar, "--json"))["records"]) == 6
    assert (found["echo lost"]["state"], found["echo lost; exit 4"]["state"]) == ("COMPLETED", "FAILED")
    assert found["echo lost"]["exitcode"] is None and abs(found["echo lost"]["end"] - time.time()) < 600
    assert run(jar, "--state", "FAILED", "--format", "%command") in ("exit 3\necho lost; exit 4\n",
                                                                     "echo lost; exit 4\nexit 3\n")
    assert run(jar, "--limit", "2", "--format", "%command", "--grep", "lost").splitlines() == \
        ["echo lost", "echo lost; exit 4"]


@pytest.mark.parametrize("head, is_whole, expected", [
    (b"#!/bin/sh -f\nls -l\n", True, "ls -l"), (b"#!/bin/sh -f\nls -l\n", False, None),
    (b"#!/bin/sh -f\nls -l", False, None), (b"#!/bin/sh -f\nls -l", True, None),
    (b"#!/bin/sh -f\n#JJ --tag=x\nls\n\nexit\n#:a", False, "ls"), (b"#!/bin/sh -f\nls\nexit\nls\n", True, None),
    (b"#!/bin/sh -f\nls\n# more\n", True, "ls"), (b"#!/bin/sh -f\nls\n# more\n", False, None),
    (b"#!/bin/sh\nls\n", True, None), (b"", True, None),
    (b"#!/bin/sh\n#JJ --chdir=/\n#JJ --output=/j/limbo/.run.a.1.2/out\nls\n", True, "ls"),
    (b"#!/bin/sh\n#JJ --chdir=/\n#JJ --output=/j/limbo/.run.a.1.2/out\nls\npwd\n", True, None),
    (b"#!/bin/sh\n#JJ --chdir=/\nls\n", True, None)])
def test_a_command_is_told_from_a_script_by_what_is_there_of_it(head, is_whole, expected):
    assert accounting.command(head, is_whole) == expected
    assert accounting.SPOOL == f"/limbo/{layout.RUN}"


def test_a_job_that_was_completed_under_another_name_is_shown_with_that(jar):
    for _ in range(2):
        workers.place(jar, "twice", "true")
        workers.drain(jar)
    found = json.loads(run(jar, "--json"))["records"]
    assert [record["file"] for record in found] == ["twice", "twice~2"]


def test_a_format_is_gruns_and_never_runs_anything(jar):
    journal(jar, "rain.77", end(1, c=None), end(2, c="a b", start=made.T + 19.5, submit=made.T + 16))
    assert run(jar, "--format", r"%jobid|%s:user|%-9.3f:wait|%3d:exit|%category\t%%\n") == \
        "job1|ada|2.500    |  0|\t%\njob2|ada|3.500    |  0|a b\t%\n"
    assert run(jar, "--format", "%elapsed", "job1") == "1.5s\n"
    assert run(jar, "--format", "%8s:state|%-4s:user|%.2s:node", "job1") == "COMPLETED|ada |ra\n"
    for wrong, said in (("%{1+1}", "not supported"), ("%", "single %"), ("%jobidd", "did you mean jobid"),
                        ("%d:user", "no number"), ("%x:exit", "no conversion"), ("%9999d:exit", "wider")):
        assert said in run(jar, "--format", wrong, code=2)


def test_a_name_that_would_steer_a_terminal_is_shown_as_text(jar):
    journal(jar, "rain.77", end(1, "\x1b[2J\n\udcff", user="\x1b[31m"))
    for form in ([], ["--format", "%jobid %user"], ["--totals"]):
        out = run(jar, *form)
        assert "\x1b" not in out and "\\x1b" in out
    assert json.loads(run(jar, "--json"))["records"][0]["jobid"] == "\x1b[2J\n\udcff"
    assert len(list(csv.reader(io.StringIO(run(jar, "--csv"))))) == 2


def test_columns_come_in_their_order_and_values_for_programs_are_plain(jar):
    journal(jar, "rain.77", end(1, maxrss=80 * 1024))
    assert run(jar, "--columns", "maxrss,jobid,end").split() == ["MAXRSS", "JOBID", "END", "80.0M", "job1",
                                                                 "2026-11-18T11:06:50"]
    assert list(csv.DictReader(io.StringIO(run(jar, "--csv", "--columns", "maxrss,end,elapsed,category")))) == [
        {"maxrss": "83886080", "end": "2026-11-18T11:06:50Z", "elapsed": "1.5", "category": ""}]


def test_totals_are_told_for_each_user_and_each_category(jar):
    journal(jar, "rain.77", end(1), failed(2, c="sim"), end(3, user="bob", c="sim"), repeated(4))
    found = json.loads(run(jar, "--totals", "--json"))
    one = {"jobs": 1, "failed": 0, "elapsed": 1.5, "totalcpu": 0.3, "wait": 2.5}
    assert found["user"] == {"ada": {"jobs": 2, "failed": 1, "elapsed": 3.0, "totalcpu": 0.6, "wait": 5.0}, "bob": one}
    assert found["category"]["-"] == one and found["category"]["sim"]["jobs"] == 2
    assert found["all"]["jobs"] == 3
    assert json.loads(run(jar, "--totals", "--json", "--attempts"))["all"]["elapsed"] == 6.0
    rows = list(csv.reader(io.StringIO(run(jar, "--totals", "--csv"))))
    assert rows[0][:3] == ["of", "which", "jobs"] and rows[-1] == ["all", "", "3", "1", "4.5", "0.9", "7.5"]
    assert run(jar, "--totals").splitlines()[1].split() == ["ada", "2", "1", "3s", "0.6s", "5s"]


def test_only_the_newest_ten_are_shown_unless_more_are_asked_for_and_that_is_said(jar):
    env = processes.environment(JJ_HOME=jar.home)
    journal(jar, "rain.77", *map(end, range(10)))
    assert programs.run("jobjar", "history", env=env)[2] == ""
    journal(jar, "rain.77", *map(end, range(10, 12)))
    assert programs.run("jobjar", "history", "--json", env=env)[2] == \
        "jobjar history: these are the newest 10: --limit 0 shows all\n"
    for words in (["--limit", "10"], ["--totals"], ["--limit", "0"], ["job1"], ["--until", "2026-11-18T11:07:50"]):
        assert programs.run("jobjar", "history", *words, env={**env, "TZ": "UTC"})[2] == "", words
    assert run(jar, "--format", "%file").split() == [f"job{n}" for n in range(2, 12)]
    assert len(run(jar, "--format", "%file", "--limit", "0").split()) == 12
    assert json.loads(run(jar, "--totals", "--json"))["all"]["jobs"] == 12


def test_jobs_are_named_by_id_name_fragment_glob_and_as_tasks(jar):
    base = "20261121-120000-ada-250000123"
    tasks = [f"{base}_{index}.0" for index in (1, 7, 70)]
    journal(jar, "rain.77", *(end(n, name) for n, name in enumerate([*tasks, "run.sh.5", "run.py"])))
    for word, expected in ((base, tasks), (f"{base}_7", tasks[1:2]), (f"{base}_[1-10]", tasks[:2]),
                           ("250000123_70", tasks[2:]), ("run.sh", ["run.sh.5"]), ("run.sh.5", ["run.sh.5"]),
                           ("run.*", ["run.sh.5", "run.py"]), ("un.p", ["run.py"]),
                           ("20261121120000250000123", tasks)):
        assert run(jar, "--format", "%file", word).split() == expected, word


def test_nothing_found_is_said_by_the_exit_status(jar):
    assert run(jar, code=1) == ""
    journal(jar, "rain.77", end(1))
    assert run(jar, "--since", "2099-01-01", code=1) == ""


def test_a_job_that_is_not_among_them_is_an_error_and_one_that_is_not_so_is_none(jar):
    journal(jar, "rain.77", end(1))
    assert run(jar, "nosuch", "job7", code=3) == ("jobjar history: 'nosuch', 'job7': no job that has ended is called so:"
                                                  " `jobjar list` shows those that have not\n")
    assert run(jar, "job1", "--state", "FAILED", code=1) == ""
    assert run(jar, "job1", "nosuch", "--format", "%jobid") == "job1\n"


@pytest.mark.parametrize("words, said", [
    (["--state", "SLEEPING"], "no state"), (["--grep", "("], "no regular expression"), (["--since", "soon"], "no time"),
    (["--limit", "-1"], "whole number"), (["--columns", "jobid,nonsense"], "no field"), (["--json", "--csv"], "two forms"),
    (["--format", "%jobid", "--columns", "jobid"], "leave one of them out"), (["--resubmit"], "name it"),
    (["--totals", "--format", "%jobid"], "leave out --format")])
def test_what_cannot_be_meant_is_refused_in_a_sentence(jar, words, said):
    assert said in run(jar, *words, code=2)


def test_a_job_is_submitted_once_more_with_category_priority_and_word(jar):
    first = workers.submit(jar, "echo again", category="sim", priority=4, id="word")
    workers.drain(jar, "sim")
    fresh = run(jar, "--resubmit", first.name).strip()
    assert fresh.endswith("-word") and fresh != first.name[:-2]
    place = layout.Place("unclaimed", "sim", fresh + ".4")
    assert jars.read(jar.path(place)) == jars.read(os.path.join(jar.completed, first.name))
    assert os.path.exists(os.path.join(jar.completed, first.name))


def test_a_job_whose_file_is_gone_is_submitted_from_the_archive_or_refused(jar):
    archive.write(jar, ME, [end(1, "kept.2", command="echo kept", c="sim"), end(2, "asked", command="true",
                                        script="#!/bin/sh -f\n#JJ --mem=1G\ntrue\n"), end(3, "lost.sh", command=None),
                            end(4, "long", req=["--mem=1G"]), made.earlier(end(5, "older.sh"))])
    run(jar, "--resubmit", "kept")
    (name,) = os.listdir(os.path.join(jar.unclaimed, "sim"))
    assert name.endswith(".2")
    assert jars.read(os.path.join(jar.unclaimed, "sim", name)) == "#!/bin/sh -f\necho kept\n"
    fresh = run(jar, "--resubmit", "asked").strip()
    assert "--mem=1G" in jars.read(os.path.join(jar.unclaimed, fresh + ".0"))
    before = jars.tree(jar)
    for name in ("lost.sh", "long", "older.sh"):
        assert "submit it as it was" in run(jar, "--resubmit", "kept", name, code=2)
    archive.write(jar, ME, [end(6, "elsewhere", command="true", c="../a")])
    assert os.path.exists(os.path.join(jar.unclaimed, run(jar, "--resubmit", "elsewhere").strip() + ".0"))
    before = jars.tree(jar)
    assert "names no job" in run(jar, "--resubmit", "nothing", code=3)
    assert "could be any of" in run(jar, "--resubmit", "s", code=2)
    assert jars.tree(jar) == before


def test_what_a_job_asked_for_is_told_with_it(jar):
    asked = ["--tag=a", "--tag=b", "--comment=two words", "--mem=3G", "--time=1h30m"]
    journal(jar, "rain.77", end(1, "20261121-120000-ada-250000123-word.0", req=asked))
    assert run(jar, "--format", "%name|%tag|%comment|%mem|%limit|%cpus|%request") == \
        'word|a b|two words|3G|1h30m||--tag=a --tag=b "--comment=two words" --mem=3G --time=1h30m\n'


def test_a_backslash_of_a_command_is_shown_as_it_is_and_steers_no_terminal(jar):
    journal(jar, "rain.77", end(1, command="echo \\{}\n\x1b[2J", req=["--comment=a\\b"]))
    assert run(jar, "--columns", "command,comment") == "COMMAND              COMMENT\n" \
        "echo \\{}\\x0a\\x1b[2J  a\\b\n"
    assert run(jar, "--format", "%command|%-5s:comment|") == "echo \\{}\\x0a\\x1b[2J|a\\b  |\n"
    assert json.loads(run(jar, "--json"))["records"][0]["command"] == "echo \\{}\n\x1b[2J"


def test_where_jobjar_run_reads_what_its_job_prints_is_not_told_as_asked_for(jar):
    own = [f"--{which}={jar.limbo}/.run.rain.7.n-1/{which[:3]}" for which in ("output", "error")]
    journal(jar, "rain.77", end(1, req=["--mem=1G", *own, "--output=/x"]), end(2, req=own))
    first, second = json.loads(run(jar, "--json"))["records"]
    assert (first["request"], second["request"]) == ("--mem=1G --output=/x", None)


def test_a_task_of_an_array_is_not_submitted_alone(jar):
    archive.write(jar, ME, [end(1, "task", command="true", req=["--array=1-3"])])
    assert "its file is gone, so submit" in run(jar, "--resubmit", "task", code=2)
    path = jar.path(jars.put(jar, layout.Place("completed", None, "other")))
    archive.write(jar, ME, [end(2, "other", req=["--array=1-3"], ino=os.stat(path).st_ino)])
    assert "jobjar retry" in run(jar, "--resubmit", "other", code=2)


LINES, ROUNDS = 10_000, 5
QUESTIONS = {"all": Wanted(), "of a user": Wanted(users=["ada"]), "the newest ten": Wanted(limit=10)}
FORMS = {
    "and their totals": lambda jar, found: accounting.totals(found),
    "as a table": lambda jar, found: accounts.table(jar, found, accounts.COLUMNS),
    "as JSON": lambda jar, found: list(accounts.document(jar, found, None)),
    "as CSV": lambda jar, found: list(accounts.comma_separated(jar, found, None)),
}


@pytest.mark.alone
def test_the_records_of_many_jobs_take_less_than_twice_the_time_of_parsing_them(jar, full, figures):
    count = 10 * LINES if full else LINES
    # The others cost three times, for they are all fields.
    forms = FORMS if full else dict(list(FORMS.items())[:2])
    chance = random.Random(7)
    path = journal(jar, "rain.77", *(
        end(n, f"20261121-120000-ada-{n:09}.0", user="bob" if n % 4 else "ada", start=made.T + 9 * n, utime=chance.random())
        for n in range(count)))
    ratios = {}
    for _ in range(ROUNDS):
        began = time.process_time()
        with open(path, "rb") as file:
            parsed = [json.loads(line) for line in file]
        parsing = time.process_time() - began
        assert len(parsed) == 2 * count
        for question, wanted in QUESTIONS.items():
            for form, make in forms.items():
                began = time.process_time()
                found = history.records(jar, wanted)
                make(jar, found)
                ratios.setdefault((question, form), []).append((time.process_time() - began) / parsing)
                assert len(found) == {"all": count, "of a user": count // 4, "the newest ten": 10}[question]
    best = {which: min(found) for which, found in ratios.items()}
    for question in QUESTIONS:
        said = ", ".join(f"{form} {statistics.median(ratios[question, form]):.2f}" for form in forms)
        figures(f"{count} records, {question}, against json.loads of the same lines: {said}")
    assert best["all", "and their totals"] < 2 and best["of a user", "and their totals"] < 1
    assert best["the newest ten", "as a table"] < 0.5
    # Nearly twice; what opens a file for each record, or is made field by field and not in columns, takes four times.
    assert best["all", "as a table"] < 3.5 and best["of a user", "as a table"] < 1.5


def test_an_attempt_that_was_repeated_and_the_request_are_told_of_a_real_job(jar):
    env = processes.environment(JJ_HOME=jar.home, JJ_NODE="rain")
    # It fails the first time.
    programs.run("submit_job", "--retries=1", "--tag=again", "test $JJ_ATTEMPT -gt 1", env=env)
    workers.drain(jar)
    (last,) = json.loads(run(jar, "--json"))["records"]
    first, second = json.loads(run(jar, "--json", "--attempts"))["records"]
    assert second == last and (first["exitcode"], second["exitcode"]) == ("1:0", "0:0")
    assert (first["tries"], second["tries"]) == (1, 2) and first["attempt"] != second["attempt"]
    assert first["totalcpu"] is not None and first["why"] and first["elapsed"] is not None
    assert "--retries=1" in second["request"] and second["tag"] == "again" and "env" not in second["request"]
