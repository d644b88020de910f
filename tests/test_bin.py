"""The programs in bin/ wherever they are called from, with whatever Python, and after `pip install`."""

import ast
import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys

import pytest
from support import processes, programs

import jobjar
from jobjar import cli

NAMES = sorted([*cli.PROGRAMS, "jobjar"])
# Without the interpreter's own site-packages: what cron's python3 often is.
BARE = (sys.executable, "-S")


def run(*command, cwd="/", **more):
    """Without PYTHONPATH, which would bring packages in by the back door."""
    env = {key: value for key, value in processes.environment(**more).items() if key != "PYTHONPATH"}
    return processes.finish(processes.spawn(*command, env=env, cwd=cwd))


@pytest.fixture
def path(tmp_path):
    """A search path like cron's, on which python3 is the interpreter that runs the tests."""
    directory = tmp_path / "python"
    directory.mkdir()
    (directory / "python3").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (directory / "python3").chmod(0o755)
    return f"{directory}:/usr/bin:/bin"


@pytest.fixture
def checkout(tmp_path):
    """The top of a copy of what is needed to work from a checkout; it has no .venv."""
    top = tmp_path / "checkout"
    for name in ("bin", "jobjar"):
        shutil.copytree(os.path.join(processes.TOP, name), top / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.cfg", "pyproject.toml", "LICENSE"):
        shutil.copy(os.path.join(processes.TOP, name), top)
    return top


def source(name):
    with open(os.path.join(programs.BIN, name), encoding="ascii") as file:
        return file.read()


def test_bin_holds_these_programs_and_no_others():
    assert sorted(os.listdir(programs.BIN)) == NAMES
    assert all(os.access(os.path.join(programs.BIN, name), os.X_OK) for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_the_programs_differ_in_name_and_first_words_only(name):
    def common(name):
        return [line for line in source(name).splitlines() if '"""' not in line and not line.startswith("PROGRAM")]

    assert common(name) == common("jobjar") and len(common(name)) <= 20
    assert f'\nPROGRAM = "{name}"\n' in source(name)


@pytest.mark.parametrize("name", NAMES)
def test_the_programs_work_with_crons_environment_from_anywhere_through_links(name, path, tmp_path):
    # A link to a link, one of them relative.
    os.symlink(os.path.join(programs.BIN, name), tmp_path / "first")
    os.symlink("first", tmp_path / name)
    for program in (os.path.join(programs.BIN, name), str(tmp_path / name)):
        status, out, err = run("/usr/bin/env", "-i", f"PATH={path}", program, "--help")
        assert (status, err) == (0, "") and out.startswith(f"usage: {name} ") and "exit status:" in out


def test_a_job_is_submitted_with_crons_environment(path, tmp_path, jar):
    program = os.path.join(programs.BIN, "submit_job")
    status, out, err = run("/usr/bin/env", "-i", f"PATH={path}", program, "--home", jar.home, "ls")
    assert (status, err) == (0, "") and os.listdir(jar.unclaimed) == [out.strip() + ".0"]


def test_in_a_checkout_the_default_home_is_its_top(checkout):
    status, _, err = run(sys.executable, str(checkout / "bin/submit_job"), "ls")
    assert (status, err) == (0, "") and len(os.listdir(checkout / "unclaimed")) == 1


# Python and packages.

@pytest.mark.parametrize("name", NAMES)
def test_the_programs_can_be_read_by_an_old_python(name):
    ast.parse(source(name), feature_version=(3, 4))


def test_too_old_a_python_is_one_sentence_with_the_remedy():
    script = ("import sys, runpy; sys.version_info = (3, 4, 10, 'final', 0);"
              f"runpy.run_path({os.path.join(programs.BIN, 'submit_job')!r}, run_name='__main__')")
    status, out, err = run(sys.executable, "-c", script)
    assert (status, out) == (1, "") and err.count("\n") == 1
    assert err.startswith(f"submit_job: {sys.executable} is Python 3.4.10, but 3.11") and "PATH" in err


def check_workers(checkout, jar, *interpreter, cwd="/"):
    """check_workers, which needs filelock, with nothing to start."""
    command = (*(interpreter or BARE), str(checkout / "bin/check_workers"), "--home", jar.home)
    return run(*command, cwd=cwd, JJ_MAX_WORKERS="0")


def give(directory, **modules):
    os.makedirs(directory, exist_ok=True)
    for name, text in modules.items():
        with open(os.path.join(directory, name + ".py"), "w", encoding="ascii") as file:
            file.write(text)


def site(checkout, version=f"python3.{sys.version_info.minor}"):
    return str(checkout / ".venv/lib" / version / "site-packages")


def _parent(path):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    return path


def packages():
    """Where the packages of the interpreter that runs the tests are."""
    return os.path.dirname(os.path.dirname(importlib.util.find_spec("filelock").origin))


def test_a_missing_package_is_one_sentence_with_the_remedy(checkout, jar):
    status, out, err = check_workers(checkout, jar)
    assert (status, out) == (1, "") and err.count("\n") == 1
    assert err.startswith("check_workers: ") and "filelock" in err and "`make`" in err and "pip install" in err


def test_too_old_a_package_is_one_sentence_with_the_remedy(checkout, jar):
    give(site(checkout), filelock="__version__ = '3.20.2'")
    status, out, err = check_workers(checkout, jar)
    assert (status, out) == (1, "") and err.count("\n") == 1 and "3.20.2 is older than 3.20.3" in err


@pytest.mark.parametrize("version", [f"python3.{sys.version_info.minor}", "python3.99"])
def test_the_packages_of_the_checkouts_venv_are_used(checkout, jar, version):
    os.symlink(packages(), _parent(site(checkout, version)))
    assert check_workers(checkout, jar) == (0, "", "")


def test_the_venvs_packages_come_before_the_interpreters_own(checkout, jar):
    give(site(checkout), filelock="__version__ = '0.0.1'")
    assert "0.0.1 is older" in check_workers(checkout, jar, sys.executable)[2]


def test_the_venv_of_the_running_version_is_preferred(checkout, jar):
    os.symlink(packages(), _parent(site(checkout)))
    give(site(checkout, "python3.0"), filelock="__version__ = '0.0.1'")
    assert check_workers(checkout, jar) == (0, "", "")


def test_no_second_interpreter_is_started(checkout, jar):
    give(str(checkout / ".venv/bin"))
    os.symlink(packages(), _parent(site(checkout)))
    script = ("import sys; sys.addaudithook(lambda event, a: event in ('os.exec', 'os.posix_spawn', 'subprocess.Popen')"
              " and print(event, a)); sys.argv[:] = sys.argv[1:];"
              "import runpy; sys.path[0] = 'x'; runpy.run_path(sys.argv[0], run_name='__main__')")
    assert check_workers(checkout, jar, *BARE, "-c", script) == (0, "", "")


def test_stray_modules_beside_the_program_and_where_one_stands_are_not_imported(checkout, jar, tmp_path):
    strays = dict.fromkeys(("filelock", "psutil", "errno", "collections", "jobjar"), "raise SystemExit('a stray')")
    give(str(checkout / "bin"), **strays)
    give(str(tmp_path / "here"), **strays)
    os.symlink(packages(), _parent(site(checkout)))
    assert check_workers(checkout, jar, sys.executable, cwd=str(tmp_path / "here")) == (0, "", "")


# The installation.

def installer():
    """pip and what it needs to build without a network, else the reason why not."""
    if not importlib.util.find_spec("pip"):
        return "this interpreter has no pip"
    if importlib.util.find_spec("wheel"):
        return None
    try:
        version = tuple(map(int, importlib.metadata.version("setuptools").split(".")[:2]))
    except importlib.metadata.PackageNotFoundError:
        return "this interpreter has no setuptools: install setuptools>=70.1 to test `pip install`"
    return None if version >= (70, 1) else "setuptools is too old to build alone: install setuptools>=70.1 or wheel"


def pip(command, *words, before=()):
    quiet = ("--quiet", "--disable-pip-version-check", "--no-deps", "--no-index")
    process = processes.spawn(sys.executable, "-m", "pip", *before, command, *quiet, *words)
    status, out, err = processes.finish(process, 120)
    assert status == 0, out + err


@pytest.fixture(scope="module")
def installation(tmp_path_factory):
    """A fresh virtual environment with the project installed by pip; its top."""
    if installer():
        pytest.skip(installer())
    tmp = tmp_path_factory.mktemp("installation")
    copy = tmp / "source"
    # pip leaves build/ and an egg-info behind, so it works on a copy.
    shutil.copytree(processes.TOP, copy, ignore=lambda top, names: [
        name for name in names if top == processes.TOP
        and name not in ("jobjar", "setup.cfg", "pyproject.toml", "LICENSE", "README.md")])
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp / "venv"], check=True)
    pip("wheel", "--no-build-isolation", "--wheel-dir", str(tmp), str(copy))
    [wheel] = tmp.glob("jobjar-*.whl")
    pip("install", str(wheel), before=["--python", str(tmp / "venv/bin/python")])
    return tmp / "venv"


def test_every_program_is_installed_and_works_from_anywhere(installation, tmp_path):
    for name in NAMES:
        os.symlink(installation / "bin" / name, tmp_path / ("my_" + name))
        for program in (str(installation / "bin" / name), str(tmp_path / ("my_" + name))):
            status, out, err = run(program, "--help")
            assert (status, err) == (0, "") and out.startswith(f"usage: {name} ")


def test_the_installed_version_is_the_librarys(installation):
    assert run(str(installation / "bin/jobjar"), "--version") == (0, f"jobjar {jobjar.__version__}\n", "")
    script = "import importlib.metadata as m; d = m.metadata('jobjar'); print(d['Version'], d['Requires-Python']);" \
             "print(*sorted(m.requires('jobjar')))"
    out = run(str(installation / "bin/python"), "-c", script)[1]
    # Some setuptools write "filelock (>=3.20.3)".
    words = out.replace(" (", "").replace(")", "").split()
    assert words[:2] == [jobjar.__version__, ">=3.11"] and "filelock>=3.20.3" in words and "psutil" in words


def test_an_installation_must_be_told_where_the_jar_is_and_init_tells_it(installation):
    submit = str(installation / "bin/submit_job")
    status, out, err = run(submit, "ls")
    assert (status, out) == (2, "") and "jobjar init" in err
    assert run(str(installation / "bin/jobjar"), "init")[0] == 0
    assert run(submit, "ls")[0] == 0


def test_an_installation_without_its_packages_says_so(installation, jar):
    status, _, err = run(str(installation / "bin/check_workers"), "--home", jar.home, JJ_MAX_WORKERS="0")
    assert status == 1 and "filelock" in err and err.count("\n") == 1
