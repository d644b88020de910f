"""What README.md and docs/ say is true: their commands are typed in as a newcomer would, and their tables compared."""

import os
import re
import shutil

import pytest

from support import documents, processes, programs

import jobjar
from jobjar import accounting, cli, columns, config, directives, reasons, waits

TOP = processes.TOP
GUIDE = os.path.join(TOP, "docs", "guide.md")
README = os.path.join(TOP, "README.md")

# Command → why it is not typed in, and what tests it instead.
NOT_TYPED = {
    "make test": "this test is part of it",
    "python3 -m venv ~/venv": "tests/test_bin.py installs the package, without the network",
    "~/venv/bin/pip install ~/jobjar": "as the line above it",
    "~/venv/bin/jobjar init ~/jar": "as the line above it",
    "crontab -l | cat - ~/worker.cron ~/recover.cron | crontab -": "tests/test_cron.py does it where it may",
}


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


@pytest.fixture
def shell(tmp_path):
    """A shell of somebody who has just put a checkout into the home directory."""
    home = tmp_path / "home"
    home.mkdir()
    documents.check_out(str(home / "jobjar"))
    root = {"JJ_ALLOW_ROOT": "1"} if os.geteuid() == 0 else {}
    shell = documents.Shell(str(home), JJ_NODE="rain", **root)
    yield shell
    shell.close()
    processes.kill(processes.children())


@pytest.mark.slow
def test_a_newcomer_who_follows_the_guide_meets_no_surprise(shell):
    wrong = documents.follow(read(GUIDE), shell, NOT_TYPED)
    assert not wrong, "\n\n".join(wrong)


@pytest.mark.slow
def test_the_readme_keeps_its_promises(shell):
    shell.type("cd ~/jobjar")
    wrong = documents.follow(read(README), shell, NOT_TYPED)
    assert not wrong, "\n\n".join(wrong)


def test_nothing_is_exempt_that_does_not_stand_in_a_document():
    commands = {step.command for path in (README, GUIDE) for step in documents.steps(read(path))}
    assert commands.issuperset(NOT_TYPED)


def test_every_block_in_a_document_is_of_a_kind_that_is_tested():
    kinds = {language for path in (README, GUIDE) for language, _, _ in documents.blocks(read(path))}
    assert kinds == {"console", "python", "ini"}


def test_the_sample_configuration_is_read_as_printed(tmp_path):
    (sample,) = [lines for language, _, lines in documents.blocks(read(GUIDE)) if language == "ini"]
    file = tmp_path / "config.ini"
    file.write_text("\n".join(sample))
    settings = config.read(environ={"JJ_CONFIG_FILE": str(file), "HOME": "/nowhere"})
    assert (settings.pause_time, settings.max_workers, settings.categories) == (300, 4, ("LINUX",))
    assert (settings.home, settings.worker_home) == ("/opt/jobjar-1.0.0", "/opt/jobjar_workers")


def rows(heading):
    """The cells of the table in the guide whose first heading this is, without the backquotes."""
    lines = iter(read(GUIDE).splitlines())
    for line in lines:
        if line.startswith(f"| {heading} |"):
            next(lines)
            break
    found = []
    for line in lines:
        if not line.startswith("|"):
            return found
        found.append([cell.strip().replace("`", "") for cell in line.strip("|").split("|")])
    raise AssertionError(f"the guide has no table {heading!r}")


def test_the_settings_in_the_guide_are_those_of_the_program_with_their_defaults():
    worked_out = {"JJ_HOME": "the top of the checkout", "JJ_WORKER_HOME": "workers in the jar",
                  "JJ_NODE": "as uname -n says"}
    expected = [[name, worked_out.get(name) or key.default or "none", key.unit, key.meaning]
                for name, key in config.KEYS.items()]
    assert rows("setting") == expected


def test_a_job_finds_the_variables_of_the_guide_and_no_others(jar):
    said = {name for row in rows("variable") for name in row[0].split(", ")}
    env = processes.environment(JJ_HOME=jar.home, TZ="UTC", SOMETHING="else")
    code, name, _ = programs.run("submit_job", "-f", shutil.which("env"), env=env)
    assert code == 0
    assert programs.run("start_worker", "--foreground", "--idle-exit", "0.1", env=env)[0] == 0
    found = {line.partition("=")[0] for line in read(jar.log(f"{name.strip()}.0")).splitlines()}
    assert found == said


def test_a_job_that_asks_for_all_finds_the_further_variables_of_the_guide_and_no_others(jar):
    env = processes.environment(JJ_HOME=jar.home, TZ="UTC")
    words = ("--cpus=2", "--mem=1G", "--time=1h", shutil.which("env"), ":::", "a", ":::", "b")
    # A command that names a list's items is given them as arguments; env would take them for programs.
    code, _, _ = programs.run("submit_job", *words[:3], f"{words[3]} || : {{}}", *words[4:], env=env)
    assert code == 0
    assert programs.run("start_worker", "--foreground", "--idle-exit", "0.1", env=env)[0] == 0
    (log,) = os.listdir(os.path.join(jar.home, "logs"))
    found = {line.partition("=")[0] for line in read(jar.log(log)).splitlines()}
    plain, more = ({name for row in rows(heading) for name in row[0].split(", ")} for heading in ("variable", "also"))
    # The shell adds the first two.
    assert found - {"PWD", "_", "OLDPWD", "SHLVL"} - plain == more


def test_every_option_of_the_table_has_an_example_in_the_guide_that_is_typed_in():
    typed = [line for step in documents.steps(read(GUIDE)) if step.command not in NOT_TYPED
             for line in step.command.splitlines() if line.startswith(("#JJ ", "submit_job ", "jobjar run ", "printf "))]
    words = {re.split("[= ]", word)[0] for line in typed for word in re.findall(r"(?<=\s)--?[a-z][-a-z]*(?=[=\s])", line)}
    asked = [option for option in directives.OPTIONS.values() if option.kind != directives.OWN]
    assert [option.name for option in asked if not {f"--{option.name}", option.short} & words] == []


def test_the_fields_of_a_record_in_the_guide_are_those_of_the_program():
    assert rows("field") == [[name, field.help.replace("`", "")] for name, field in accounting.FIELDS.items()]


def test_the_reasons_in_the_guide_are_those_that_a_pending_job_can_have():
    source = read(reasons.__file__) + read(waits.__file__)
    assert {row[0] for row in rows("reason")} == set(re.findall(r'(?:Reason\(|return )"([A-Z]\w+)"', source))


def test_the_states_in_the_guide_are_those_of_lists_with_their_letters():
    assert [row[:2] for row in rows("state")] == [list(pair) for pair in columns.CODES.items()]


def test_the_guide_lists_every_command():
    assert {tuple(row[:2]) for row in rows("program")} == {
        (program or "", f"jobjar {name}") for name, (_, program) in cli.COMMANDS.items()}


@pytest.mark.parametrize("name", [*cli.PROGRAMS, "jobjar"])
def test_every_program_has_a_help(name):
    code, out, err = programs.run(name, "--help")
    assert (code, err) == (0, "") and out.startswith(f"usage: {name}")


def test_the_guide_names_every_function_of_the_library():
    said = {word.partition("(")[0] for row in rows("function") for word in row[0].replace("), ", ")|").split("|")}
    classes = {"ArrayJob", "Job", "JobJarError", "NoSuchJob", "TryAgain", "UsageError"}
    assert said == set(jobjar.__all__) - classes


def test_the_exit_statuses_in_the_guide_are_those_that_help_shows():
    assert [row[0] for row in rows("status")] == re.findall(r"\b\d+\b", cli.EXIT_STATUS)


def documents_of_the_project():
    found = [README, os.path.join(TOP, "CHANGELOG.md")]
    for directory, _, names in os.walk(os.path.join(TOP, "docs")):
        found += [os.path.join(directory, name) for name in sorted(names) if name.endswith(".md")]
    return [os.path.relpath(path, TOP) for path in found]


@pytest.mark.parametrize("name", documents_of_the_project())
def test_links_lead_somewhere(name):
    path = os.path.join(TOP, name)
    for target in re.findall(r"\]\(([^)\s]+)\)", read(path)):
        file, _, anchor = target.partition("#")
        there = os.path.normpath(os.path.join(os.path.dirname(path), file)) if file else path
        assert os.path.exists(there), f"{target}: no such file"
        assert not anchor or anchor in anchors(read(there)), f"{target}: no such heading"


def anchors(text):
    """The anchors of the headings, as the usual viewers make them."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", ["worker.cron", "recover.cron"])
def test_crontabs_run_programs_that_exist(name):
    lines = [line for line in read(os.path.join(TOP, "crontabs", name)).splitlines() if '"$JJ"' in line]
    assert len(lines) == 2
    for line in lines:
        program = line.partition('"$JJ"/')[2]
        assert os.access(os.path.join(TOP, program), os.X_OK)
