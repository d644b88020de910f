"""`import jobjar`: every function that the manual names or implies, with its arguments in the manual's order."""

import inspect
import os
import subprocess
import sys

import pytest
from support import jars, processes
from test_orders import leave, markers, register

import jobjar
from jobjar import directives, jobname, submission

COMMAND = "/usr/local/bin/big_computation /data/infile.tmp 104.1 30"


@pytest.fixture(autouse=True)
def home(jar, monkeypatch):
    """The library works with a jar of the test's own, and forgets what its setters were given."""
    monkeypatch.setattr(jobjar, "_given", {"JJ_HOME": jar.home})
    return jar.home


@pytest.fixture
def program(tmp_path):
    return jars.write(str(tmp_path / "standalone_job"), "#!/bin/sh\necho hello\n")


def text(job):
    return jars.read(job.path)


def test_the_arguments_have_the_manuals_order():
    order = ["priority", "category", "id"]
    assert list(inspect.signature(jobjar.submit_job).parameters) == ["command", *order, "options"]
    assert list(inspect.signature(jobjar.submit_job_file).parameters) == ["path", *order, "options"]
    assert list(inspect.signature(jobjar.unique_job_name).parameters) == ["priority", "id"]


def test_the_manuals_three_submissions(program, jar):
    plain = jobjar.submit_job(COMMAND)
    low = jobjar.submit_job_file(program, -3, id="test_run")
    linux = jobjar.submit_job_file(program, category="LINUX")
    assert text(plain) == f"#!/bin/sh -f\n{COMMAND}\n" and plain.path.startswith(jar.unclaimed + "/2")
    assert low.name.endswith("-test_run.-3") and text(low) == jars.read(program)
    assert linux.path == f"{jar.unclaimed}/LINUX/{linux.name}" and linux.category == "LINUX"
    assert plain.name < low.name < linux.name


def test_words_are_joined_by_single_spaces_and_a_path_may_be_a_pathlib_one(program, tmp_path):
    assert text(jobjar.submit_job(["ls", "-l", "x"])) == "#!/bin/sh -f\nls -l x\n"
    assert text(jobjar.submit_job_file(tmp_path / "standalone_job")) == jars.read(program)


def test_many_jobs_in_the_forms_that_submit_jobs_takes(program, monkeypatch):
    bulk = []
    many = submission.submit_many
    monkeypatch.setattr(submission, "submit_many", lambda jar, jobs: bulk.append(len(jobs)) or many(jar, jobs))
    jobs = jobjar.submit_jobs(iter(["ls", {"command": ["ls", "-l"], "priority": 2, "id": "x"},
                                    {"file": program, "category": "LINUX"}, ["ls", "-a"]]))
    assert [text(job) for job in jobs] == ["#!/bin/sh -f\nls\n", "#!/bin/sh -f\nls -l\n", jars.read(program),
                                           "#!/bin/sh -f\nls -a\n"]
    assert jobs[1].name.endswith("-x.2") and jobs[2].category == "LINUX" and bulk == [4]
    assert jobjar.submit_jobs([]) == []


@pytest.mark.parametrize("option", [option for option in directives.OPTIONS.values() if option.kind != directives.OWN],
                         ids=lambda option: option.name)
def test_a_bad_value_of_each_option_is_refused_and_nothing_is_submitted(jar, option):
    before = jars.tree(jar)
    for wrong in ("" if not option.is_flag else "yes", object(), [object()], b"1"):
        with pytest.raises(jobjar.UsageError, match=f"{option.key}|{option.name}"):
            jobjar.submit_jobs(["true", {"command": "true", option.key: wrong}])
        assert jars.tree(jar) == before


@pytest.mark.parametrize("wrong", ["", "a\nb", {"file": "/nowhere"}, {"command": "a", "file": "b"}, {},
                                   {"command": "a", "priority": "x"}, {"cmd": "a"}, {"command": "a", 5: "b"}, 5, None,
                                   b"ls", ["ls", 5], {"command": {"command": "a"}}, {"file": 5},
                                   {"command": "a", "category": 5}, {"command": "a", "id": 5}, "x\ud800"])
def test_when_one_of_many_is_wrong_none_is_submitted(wrong):
    with pytest.raises(jobjar.UsageError):
        jobjar.submit_jobs(["good", wrong, "good"])
    assert jobjar.unclaimed_jobs() == []


@pytest.mark.parametrize("wrong", ["ab", b"ab", {"command": "a"}, 5, None])
def test_what_is_no_list_of_jobs_is_refused_and_not_taken_apart(wrong):
    with pytest.raises(jobjar.UsageError, match="list"):
        jobjar.submit_jobs(wrong)
    assert jobjar.unclaimed_jobs() == []


def test_a_key_that_a_job_has_not_is_named_with_those_it_has():
    with pytest.raises(jobjar.UsageError, match="no 'cmd': .*command"):
        jobjar.submit_jobs([{"cmd": "ls"}])


def test_unique_job_name_is_a_path_in_limbo_that_is_not_there(jar):
    path = jobjar.unique_job_name(15, "x")
    assert os.path.dirname(path) == jar.limbo and path.endswith("-x.15") and not os.path.exists(path)
    with pytest.raises(jobjar.UsageError):
        jobjar.unique_job_name("high")


def test_errors_and_the_handle_have_one_name_here_and_inside():
    from jobjar import errors, job
    assert jobjar.Job is job.Job and jobjar.TryAgain is errors.TryAgain
    assert all(getattr(jobjar, name) is not None for name in jobjar.__all__)
    with pytest.raises(AttributeError):
        jobjar.no_such_name


def test_no_submodule_hides_a_function_of_the_library():
    import jobjar.status  # noqa: F401
    modules = {name.removesuffix(".py") for name in os.listdir(os.path.dirname(jobjar.__file__))}
    assert modules.isdisjoint(jobjar.__all__)


@pytest.fixture
def staff(jar):
    for name in ("rain.7", "rain.80", "meadow.3"):
        register(jar, name)
    leave(jar, "rain.5")
    return jar


@pytest.mark.parametrize("verb, made", [("stop", "STOP"), ("pause", "PAUSE")])
@pytest.mark.parametrize("whom, target, reached", [
    ("worker", ["rain.7"], ["rain.7"]), ("node", ["rain"], ["rain.7", "rain.80"]),
    ("all", [], ["meadow.3", "rain.7", "rain.80"]), ("worker", ["rain.5"], [])])
def test_workers_are_stopped_and_paused_one_by_one_by_node_and_all(staff, verb, made, whom, target, reached):
    assert sorted(getattr(jobjar, f"{verb}_{whom}")(*target)) == reached
    assert markers(staff) == [f"{name}/{made}" for name in reached]


@pytest.mark.parametrize("whom, target, left", [("worker", ["rain.7"], ["meadow.3/PAUSE", "rain.80/PAUSE"]),
                                                ("node", ["rain"], ["meadow.3/PAUSE"]), ("all", [], [])])
def test_unpausing_takes_pausing_back(staff, whom, target, left):
    jobjar.pause_all()
    getattr(jobjar, f"unpause_{whom}")(*target)
    assert markers(staff) == left


def test_an_unknown_worker_is_no_such_job(staff):
    with pytest.raises(jobjar.NoSuchJob):
        jobjar.stop_worker("snow.1")


def test_the_jobs_of_each_state_are_listed_as_handles(staff):
    jobs = jobjar.submit_jobs(["a", {"command": "b", "category": "C"}, "c", "d", "e"])
    claims = staff.claims("rain.7")
    os.rename(jobs[1].path, f"{claims}/{jobs[1].name}")
    for job in jobs[2:4]:
        os.rename(job.path, f"{staff.completed}/{job.name}")
    os.symlink(f"../completed/{jobs[3].name}", f"{staff.failed}/{jobs[3].name}")
    os.rename(jobs[4].path, f"{staff.failed}/{jobs[4].name}")

    def ids(handles):
        return sorted(job.id for job in handles)

    assert ids(jobjar.unclaimed_jobs()) == ids(jobs[:1])
    assert ids(jobjar.claimed_jobs()) == ids(jobs[1:2])
    assert ids(jobjar.completed_jobs()) == ids(jobs[2:4])
    assert ids(jobjar.failed_jobs()) == ids(jobs[3:])
    assert {job.state for job in jobjar.failed_jobs()} == {"FAILED"}
    assert [job.state for job in jobjar.claimed_jobs()] == ["RUNNING"]


def test_workers_and_the_summary_are_those_of_the_status(staff):
    assert [worker.name for worker in jobjar.workers()] == ["meadow.3", "rain.5", "rain.7", "rain.80"]
    assert {worker["name"] for worker in jobjar.system_status()["workers"]} == {w.name for w in jobjar.workers()}


def test_settings_are_set_and_inspected(tmp_path):
    jobjar.set_home("/opt/jobjar-1.0.0")
    jobjar.set_worker_home(tmp_path / "workers")
    jobjar.set_pause_time(500)
    jobjar.set_categories(["LINUX", "FAST"])
    assert jobjar.get_home() == "/opt/jobjar-1.0.0" and jobjar.get_worker_home() == f"{tmp_path}/workers"
    assert jobjar.get_pause_time() == 500 and jobjar.get_categories() == ["LINUX", "FAST"]
    jobjar.set_categories("FAST LINUX")
    assert jobjar.get_categories() == ["FAST", "LINUX"]


def test_setters_come_before_environment_and_files(monkeypatch, home):
    monkeypatch.setenv("JJ_HOME", "/elsewhere")
    monkeypatch.setenv("JJ_PAUSE_TIME", "7")
    assert jobjar.get_home() == home and jobjar.get_pause_time() == 7
    jobjar.set_pause_time(8)
    assert jobjar.get_pause_time() == 8


@pytest.mark.parametrize("setter, value", [("set_home", "relative"), ("set_worker_home", ""), ("set_pause_time", -1),
                                           ("set_pause_time", "soon"), ("set_categories", ["a/b"]),
                                           ("set_home", None), ("set_worker_home", 7), ("set_categories", None),
                                           ("set_categories", ["é", "a b"]), ("set_categories", ["a,b"]),
                                           ("set_categories", ["a", 1])])
def test_a_wrong_value_is_refused_by_its_setter_and_the_old_one_stays(setter, value):
    before = dict(jobjar._given)
    with pytest.raises(jobjar.UsageError):
        getattr(jobjar, setter)(value)
    assert jobjar._given == before


def test_an_installed_library_that_was_not_told_where_the_jar_is_says_how(monkeypatch, tmp_path):
    from jobjar import config
    monkeypatch.setattr(jobjar, "_given", {})
    monkeypatch.setattr(config, "__file__", str(tmp_path / "site-packages/jobjar/config.py"))
    with pytest.raises(jobjar.UsageError, match="jobjar init"):
        jobjar.submit_job("ls")


def test_a_checkout_knows_its_own_jar(monkeypatch):
    monkeypatch.setattr(jobjar, "_given", {})
    assert jobjar.get_home() == processes.TOP


def test_importing_the_library_imports_nothing_else():
    lines = subprocess.run([sys.executable, "-X", "importtime", "-c", "import jobjar"], cwd=processes.TOP, check=True,
                           stderr=subprocess.PIPE, text=True).stderr.splitlines()
    assert [name for line in lines if (name := line.rpartition("|")[2].strip()).startswith("jobjar")] == ["jobjar"]


def test_names_of_the_library_and_of_submit_job_are_of_one_kind():
    job = jobjar.submit_job("ls", 4, "C", "x")
    assert jobname.number(job.name) and jobname.split(job.name) == (job.id, 4)
