"""The settings: which layer decides, what is refused, and what each complaint names."""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from jobjar import config
from jobjar.commands import config as command
from jobjar.errors import UsageError
from test_inifile import SAMPLE

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


@pytest.fixture(autouse=True)
def installed(monkeypatch, tmp_path):
    """Make the package look installed, so that no test depends on the checkout it stands in."""
    monkeypatch.setattr(config, "__file__", str(tmp_path / "site-packages/jobjar/config.py"))


@pytest.fixture
def checkout(monkeypatch, tmp_path):
    """A checkout around the package; its top."""
    top = tmp_path / "checkout"
    (top / "bin").mkdir(parents=True)
    write(top / "config.ini")
    monkeypatch.setattr(config, "__file__", str(top / "jobjar/config.py"))
    return top


@pytest.fixture
def jar(tmp_path):
    (tmp_path / "jar").mkdir()
    return tmp_path / "jar"


def write(path, *lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["[Job Jar]", *lines, ""]))
    return str(path)


def personal(tmp_path, *lines):
    return write(tmp_path / "me/.jobjar/config.ini", *lines)


def read(tmp_path, overrides=None, strict=True, warn=pytest.fail, **environ):
    return config.read(overrides, {"HOME": f"{tmp_path}/me", "JJ_NODE": "rain", **environ}, strict, warn)


def complaint(*arguments, **keywords):
    with pytest.raises(UsageError) as caught:
        read(*arguments, **keywords)
    return str(caught.value)


def test_the_defaults_are_those_of_the_manual(tmp_path):
    settings = config.read({"JJ_HOME": "/jar"}, {"HOME": str(tmp_path)})
    assert (settings.pause_time, settings.max_workers, settings.worker_home) == (60, 4, "/jar/workers")
    assert (settings.categories, settings.trusted_users, settings.allow_root) == ((), (), False)
    assert (settings.max_attempts, settings.order_time, settings.max_log) == (3, 5, 2**30)
    assert settings.min_free == (100 * 2**20, 1000)
    assert settings.node == os.uname().nodename
    assert {settings.source(key) for key in config.KEYS if key != "JJ_HOME"} == {config.DEFAULT}


def test_the_sample_of_the_manual_is_read(tmp_path):
    file = tmp_path / "me/.jobjar/config.ini"
    file.parent.mkdir(parents=True)
    file.write_text(SAMPLE)
    settings = read(tmp_path)
    assert (settings.home, settings.worker_home) == ("/opt/jobjar-1.0.0", "/opt/jobjar_workers")
    assert (settings.pause_time, settings.max_workers, settings.categories) == (300, 4, ("LINUX",))
    assert settings.source("JJ_PAUSE_TIME") == f"{file} line 6"


def test_each_layer_outranks_those_below_it(tmp_path, checkout, jar):
    files = [write(checkout / "config.ini", "JJ_PAUSE_TIME: 1"), write(jar / "config.ini", "JJ_PAUSE_TIME: 2"),
             personal(tmp_path, "JJ_PAUSE_TIME: 3")]
    given = {"JJ_HOME": str(jar), "JJ_PAUSE_TIME": "5"}

    def now(overrides, **environ):
        settings = read(tmp_path, overrides, **environ)
        return settings.pause_time, settings.source("JJ_PAUSE_TIME")

    assert now(given, JJ_PAUSE_TIME="4") == (5, config.GIVEN)
    assert now({"JJ_HOME": str(jar)}, JJ_PAUSE_TIME="4") == (4, config.ENVIRONMENT)
    for number in (3, 2, 1):
        assert now({"JJ_HOME": str(jar)}) == (number, f"{files[number - 1]} line 2")
        os.remove(files[number - 1])
    assert now({"JJ_HOME": str(jar)}) == (60, config.DEFAULT)


def test_every_setting_may_stand_in_a_file_or_in_the_environment(tmp_path):
    text = {"JJ_HOME": "/j", "JJ_WORKER_HOME": "/w", "JJ_CATEGORIES": "A B", "JJ_PAUSE_TIME": "5m",
            "JJ_MAX_WORKERS": "0", "JJ_NODE": "flower", "JJ_MAX_ATTEMPTS": "1", "JJ_ORDER_TIME": "1.5",
            "JJ_MAX_LOG": "4K", "JJ_LIMIT_FACTOR": "2.5", "JJ_MIN_FREE": "1G 50", "JJ_TRUSTED_USERS": "ann",
            "JJ_ALLOW_ROOT": "yes"}
    values = ["/j", "/w", ("A", "B"), 300, 0, "flower", 1, 1.5, 4096, 2.5, (2**30, 50), ("ann",), True]
    personal(tmp_path, *(f"{key}={value}" for key, value in text.items()))
    for environ in ({"HOME": f"{tmp_path}/me"}, {"HOME": "/nobody", **text}):
        settings = config.read(environ=environ)
        assert [getattr(settings, row.attribute) for row in config.KEYS.values()] == values


def test_an_empty_variable_and_one_that_is_no_setting_count_for_nothing(tmp_path):
    settings = read(tmp_path, {"JJ_HOME": "/j"}, JJ_PAUSE_TIME="", JJ_JOB_ID="x", JJ_CONFIG_FILE="")
    assert settings.source("JJ_PAUSE_TIME") == config.DEFAULT


def test_an_empty_list_takes_back_what_a_lower_layer_says(tmp_path, jar):
    write(jar / "config.ini", "JJ_CATEGORIES: LINUX")
    personal(tmp_path, "JJ_CATEGORIES:")
    assert read(tmp_path, JJ_HOME=str(jar)).categories == ()


def test_any_other_empty_value_is_refused(tmp_path):
    file = personal(tmp_path, "JJ_HOME: /j", "JJ_NODE:")
    with pytest.raises(UsageError) as caught:
        config.read(environ={"HOME": f"{tmp_path}/me"})
    assert str(caught.value) == f"JJ_NODE ({file} line 3) is empty: give it a value or remove it"


def test_categories_are_separated_by_blanks_and_commas_and_keep_their_order(tmp_path):
    assert read(tmp_path, {"JJ_HOME": "/j"}, JJ_CATEGORIES=" b, a,,b\tc ").categories == ("b", "a", "c")


@pytest.mark.parametrize("text, value", [("1G", (2**30, 1000)), ("1G, 0", (2**30, 0)), ("0 7", (0, 7)), ("0", (0, 0))])
def test_inodes_need_not_be_named_and_nought_asks_for_nothing(tmp_path, text, value):
    assert read(tmp_path, {"JJ_HOME": "/j"}, JJ_MIN_FREE=text).min_free == value
    shown = config.KEYS["JJ_MIN_FREE"].show(value)
    assert read(tmp_path, {"JJ_HOME": "/j"}, JJ_MIN_FREE=shown).min_free == value


def test_without_a_home_the_remedy_is_named(tmp_path):
    assert complaint(tmp_path) == (
        "JJ_HOME is not set, so there is no jar to work with: make one with 'jobjar init' or set JJ_HOME")


def test_paths_are_tidied_but_never_resolved(tmp_path):
    assert read(tmp_path, {"JJ_HOME": "//a/./b/../c//"}).home == "/a/b/../c"
    assert read(tmp_path, {"JJ_HOME": "/"}).home == "/"


def test_nothing_is_made_and_nothing_need_exist(tmp_path):
    read(tmp_path, {"JJ_HOME": f"{tmp_path}/none"})
    assert os.listdir(tmp_path) == []


# The value, and what the complaint says behind "KEY (where): ".
REFUSED = [
    ("JJ_HOME", "jar", "'jar' is not an absolute path: write it out from the first '/'"),
    ("JJ_HOME", "~/jar", "'~/jar' is not an absolute path: write it out from the first '/'"),
    ("JJ_WORKER_HOME", "w", "'w' is not an absolute path: write it out from the first '/'"),
    ("JJ_WORKER_HOME", "/a\x1bb", r"'/a\x1bb' contains a control character: use a directory of another name"),
    ("JJ_CATEGORIES", "A .b", "category '.b' begins with '.': begin it with a letter or a digit"),
    ("JJ_CATEGORIES", "a/b", "category 'a/b' contains '/' or '..': use a plain word"),
    ("JJ_PAUSE_TIME", "soon", "'soon' is not a duration: write seconds, or 90s, 5m, 1h30m, 2d"),
    ("JJ_PAUSE_TIME", "0", "'0' is no time at all: write a duration above 0"),
    ("JJ_ORDER_TIME", "0s", "'0s' is no time at all: write a duration above 0"),
    ("JJ_MAX_WORKERS", "-1", "'-1' is not a whole number from 0 to 999999999: write one in digits"),
    ("JJ_MAX_ATTEMPTS", "0", "'0' is not a whole number from 1 to 999999999: write one in digits"),
    ("JJ_MAX_LOG", "big", "'big' is not a size: write bytes, or 100K, 1.5M, 2G (powers of 1024)"),
    ("JJ_LIMIT_FACTOR", "0.9", "'0.9' is no factor: write a number from 1 to 1000, as 1.5"),
    ("JJ_LIMIT_FACTOR", "1e3", "'1e3' is no factor: write a number from 1 to 1000, as 1.5"),
    ("JJ_MAX_LOG", "4095", "'4095' is too small for a log: write at least 4K"),
    ("JJ_MIN_FREE", "some", "'some' is not a size: write bytes, or 100K, 1.5M, 2G (powers of 1024)"),
    ("JJ_MIN_FREE", "1G few", "'few' is not a whole number from 0 to 999999999: write one in digits"),
    ("JJ_MIN_FREE", "1 2 3", "'1 2 3' is not a size with a number of inodes: write 100M, or 100M 1000, or 0 for neither"),
    ("JJ_TRUSTED_USERS", "ann bob:x", "'bob:x' is not a login: name users as 'id -un' prints them"),
    ("JJ_ALLOW_ROOT", "maybe", "'maybe' is neither yes nor no: write one of 1, yes, true, on, 0, no, false, off"),
    ("JJ_NODE", "n" * 201, f"'{'n' * 20}'… is longer than 200 bytes: use a shorter name for the node"),
]
REFUSED += [("JJ_NODE", name, f"{name!r} cannot name a node:"
             " leave out blanks, '/', ':' and a '.' or '-' at the beginning")
            for name in ("a/b", "a b", "a\tb", "a:b", ".a", "-a", "a\x7fb", "a\u00a0b")]


@pytest.mark.parametrize("key, text, problem", REFUSED)
def test_a_bad_value_is_refused_and_its_place_named(tmp_path, key, text, problem):
    jar = {} if key == "JJ_HOME" else {"JJ_HOME": "/j"}
    assert complaint(tmp_path, jar, **{key: text}) == f"{key} (environment): {problem}"
    assert complaint(tmp_path, {**jar, key: text}) == f"{key} (set in Python or on the command line): {problem}"
    file = personal(tmp_path, "# a comment", f"{key}: {text}")
    with pytest.raises(UsageError) as caught:
        config.read(jar, {"HOME": f"{tmp_path}/me"}, strict=False)
    assert str(caught.value) == f"{key} ({file} line 3): {problem}"


@pytest.mark.parametrize("name", ["localhost", "localhost.localdomain", "(none)"])
def test_a_computer_without_a_name_of_its_own_must_be_given_one(tmp_path, monkeypatch, name):
    monkeypatch.setattr(os, "uname", lambda: argparse.Namespace(nodename=name))
    with pytest.raises(UsageError, match="as others are: set JJ_NODE to a name of its own"):
        config.read({"JJ_HOME": "/j"}, {"HOME": "/nobody"})
    assert read(tmp_path, {"JJ_HOME": "/j"}).node == "rain"


@pytest.mark.parametrize("key", [key for key, row in config.KEYS.items() if row.default != ""])
def test_nothing_at_all_is_refused_by_every_parser_but_those_of_lists(key):
    with pytest.raises(UsageError, match="^''"):
        config.KEYS[key].parse("")


def test_an_unknown_key_is_refused_with_the_nearest_one(tmp_path):
    file = personal(tmp_path, "", "jj_pausetime: 3")
    assert complaint(tmp_path) == f"{file} line 3: jj_pausetime is no setting: did you mean JJ_PAUSE_TIME?"


def test_an_unknown_key_that_resembles_none_is_refused_with_all(tmp_path):
    file = personal(tmp_path, "colour: red")
    assert complaint(tmp_path) == (
        f"{file} line 2: colour is no setting: remove it, or write one of {', '.join(config.KEYS)}")


@pytest.mark.parametrize("place", ["jar", "checkout", "given"])
def test_an_unknown_key_is_refused_wherever_it_stands(tmp_path, jar, checkout, place):
    wheres = {"jar": f"{jar}/config.ini line 2", "checkout": f"{checkout}/config.ini line 2", "given": config.GIVEN}
    overrides = {"JJ_NODES": "x"} if place == "given" else {}
    if place != "given":
        write(tmp_path / place / "config.ini", "JJ_NODES: x")
    said = complaint(tmp_path, overrides, JJ_HOME=str(jar))
    assert said == f"{wheres[place]}: JJ_NODES is no setting: did you mean JJ_NODE?"


def test_workers_go_on_with_a_warning_for_an_unknown_key(tmp_path):
    file = personal(tmp_path, "JJ_HOM: /x", "JJ_HOME: /j")
    warnings = []
    assert read(tmp_path, strict=False, warn=warnings.append).home == "/j"
    assert warnings == [f"{file} line 2: JJ_HOM is no setting: did you mean JJ_HOME?"]


def test_warnings_go_to_stderr_when_nobody_takes_them(tmp_path, capsys):
    personal(tmp_path, "JJ_HOM: /x", "JJ_HOME: /j")
    read(tmp_path, strict=False, warn=None)
    shown = capsys.readouterr()
    assert shown.out == "" and shown.err.startswith("jobjar: warning: ") and "did you mean JJ_HOME?" in shown.err


def test_a_mistake_in_the_grammar_names_file_and_line(tmp_path, jar):
    file = write(jar / "config.ini", "JJ_NODE rain")
    assert complaint(tmp_path, JJ_HOME=str(jar)).startswith(f"{file} line 2 is 'JJ_NODE rain': write it as")


def test_the_personal_file_is_found_through_home_or_else_the_password_file(tmp_path):
    import pwd
    assert config.personal_file({"HOME": "/home/ann/"}) == "/home/ann/.jobjar/config.ini"
    own = pwd.getpwuid(os.getuid()).pw_dir.rstrip("/")
    assert config.personal_file({}) == config.personal_file({"HOME": "odd"}) == f"{own}/.jobjar/config.ini"


def test_a_user_without_a_home_has_no_personal_file_and_no_error(monkeypatch):
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000_000)
    assert config.personal_file({}) == "/.jobjar/config.ini"


def test_another_personal_file_may_be_chosen(tmp_path):
    personal(tmp_path, "JJ_HOME: /not")
    file = write(tmp_path / "other.ini", "JJ_HOME: /this")
    assert read(tmp_path, JJ_CONFIG_FILE=file).home == "/this"


def test_a_chosen_personal_file_must_be_an_absolute_path(tmp_path):
    assert complaint(tmp_path, JJ_CONFIG_FILE="me.ini") == (
        "JJ_CONFIG_FILE (environment): 'me.ini' is not an absolute path: write it out from the first '/'")


def test_a_chosen_personal_file_must_exist(tmp_path):
    assert complaint(tmp_path, JJ_CONFIG_FILE=f"{tmp_path}/none.ini") == (
        f"JJ_CONFIG_FILE (environment): {tmp_path}/none.ini does not exist: make the file or unset the variable")


def test_a_configuration_file_that_cannot_be_read_is_never_passed_over(tmp_path, jar):
    (jar / "config.ini").mkdir()
    assert complaint(tmp_path, JJ_HOME=str(jar)) == (
        f"{jar}/config.ini cannot be read (Is a directory): make it a file that you may read, or take it away")


def test_a_path_that_is_not_utf8_keeps_its_bytes(tmp_path):
    (tmp_path / "me.ini").write_bytes(b"[Job Jar]\nJJ_HOME: /caf\xe9\n")
    assert os.fsencode(read(tmp_path, JJ_CONFIG_FILE=f"{tmp_path}/me.ini").home) == b"/caf\xe9"


def test_in_a_checkout_its_top_is_the_default_home(tmp_path, checkout):
    settings = read(tmp_path)
    assert (settings.home, settings.source("JJ_HOME")) == (str(checkout), config.DEFAULT)
    assert (config.installation(), settings.worker_home) == (str(checkout), f"{checkout}/workers")


def test_a_checkout_whose_config_was_removed_is_still_one(tmp_path, checkout):
    (checkout / "config.ini").rename(checkout / "setup.cfg")
    assert read(tmp_path).home == str(checkout)


@pytest.mark.parametrize("missing", ["bin", "config.ini"])
def test_a_package_without_its_surroundings_is_no_checkout(checkout, missing):
    (checkout / missing).rename(checkout / "elsewhere")
    assert config.installation() is None


def test_the_file_of_the_installation_may_name_the_home(tmp_path, checkout, jar):
    write(checkout / "config.ini", f"JJ_HOME: {jar}")
    file = write(jar / "config.ini", "JJ_PAUSE_TIME: 7")
    settings = read(tmp_path)
    assert (settings.home, settings.source("JJ_PAUSE_TIME")) == (str(jar), f"{file} line 2")


def test_a_file_that_is_both_the_jars_and_the_installations_is_read_once(tmp_path, checkout):
    (tmp_path / "alias").symlink_to(checkout)
    file = write(checkout / "config.ini", "JJ_HOME: /elsewhere", "JJ_HOM: x")
    warnings = []
    settings = read(tmp_path, strict=False, warn=warnings.append, JJ_HOME=f"{tmp_path}/alias")
    assert settings.home == f"{tmp_path}/alias"
    assert warnings == [f"{file} line 3: JJ_HOM is no setting: did you mean JJ_HOME?"]


@pytest.mark.parametrize("elsewhere", ["/elsewhere", "/not\0even", ""])
def test_a_jar_that_says_it_is_elsewhere_is_not_believed(tmp_path, checkout, jar, elsewhere):
    write(checkout / "config.ini", f"JJ_HOME: {jar}")
    file = write(jar / "config.ini", "JJ_PAUSE_TIME: 7", f"JJ_HOME: {elsewhere}")
    warnings = []
    settings = read(tmp_path, warn=warnings.append)
    assert (settings.home, settings.pause_time) == (str(jar), 7)
    assert warnings == [f"{file} line 3 is ignored: JJ_HOME there is {elsewhere!r},"
                        f" but this is the jar {jar}; remove the line"]


def test_a_jar_may_name_itself_by_any_path(tmp_path, jar):
    (tmp_path / "alias").symlink_to(jar)
    write(jar / "config.ini", f"JJ_HOME: {tmp_path}/alias/")
    assert read(tmp_path, JJ_HOME=str(jar)).home == str(jar)


def test_settings_never_change(tmp_path):
    settings = read(tmp_path, {"JJ_HOME": "/j"})
    with pytest.raises(AttributeError, match="settings never change: read"):
        settings.home = "/other"
    assert settings.home == "/j"


def test_the_configuration_file_that_we_ship_shows_every_key_at_its_default(tmp_path):
    lines = Path(f"{TOP}/config.ini").read_text(encoding="utf-8").split("\n")
    shown = {line[1:].partition(":")[0]: at for at, line in enumerate(lines) if line.startswith("#JJ_")}
    assert list(shown) == list(config.KEYS)
    for key, at in shown.items():
        row = config.KEYS[key]
        assert lines[at - 1].startswith(f"# {row.meaning[0].upper()}{row.meaning[1:]} ({row.unit}")
        assert row.default is None or lines[at] == f"#{key}: {row.default}".rstrip()


def test_the_configuration_file_that_we_ship_is_accepted_as_it_is_and_with_every_line_in_force(tmp_path):
    text = Path(f"{TOP}/config.ini").read_text(encoding="utf-8")
    (tmp_path / "shipped.ini").write_text(text)
    (tmp_path / "in_force.ini").write_text(text.replace("\n#JJ_", "\nJJ_"))
    plain = read(tmp_path, {"JJ_HOME": "/j"}, JJ_CONFIG_FILE=f"{tmp_path}/shipped.ini")
    forced = read(tmp_path, {"JJ_HOME": "/j"}, JJ_CONFIG_FILE=f"{tmp_path}/in_force.ini")
    for row in config.KEYS.values():
        assert row.attribute == "worker_home" or getattr(plain, row.attribute) == getattr(forced, row.attribute)


def test_every_key_has_its_attribute_and_every_attribute_its_key():
    assert [row.attribute for row in config.KEYS.values()] == list(config.Settings.__annotations__)


def test_reading_the_settings_imports_nothing_slow():
    slow = {"re", "typing", "pathlib", "dataclasses", "enum", "argparse", "json", "difflib", "pwd", "configparser",
            "collections"}
    code = "import sys; from jobjar import config; config.read({'JJ_HOME': '/j'}); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True,
                          cwd=TOP, env={"HOME": "/nobody", "PYTHONPATH": TOP, "JJ_NODE": "rain"})
    assert not slow & set(done.stdout.split())


def output(capsys, settings, **options):
    assert command.run(argparse.Namespace(**options), settings) == 0
    return capsys.readouterr().out


def test_the_command_prints_each_value_and_its_source_in_columns(tmp_path, capsys):
    settings = read(tmp_path, {"JJ_HOME": "/j"}, JJ_CATEGORIES="a,b", JJ_PAUSE_TIME="90", JJ_ALLOW_ROOT="1")
    lines = output(capsys, settings, json=False).splitlines()
    assert [line.split()[0] for line in lines] == [f"{key}:" for key in config.KEYS]
    assert lines[0] == f"JJ_HOME:           /j          {config.GIVEN}"
    assert lines[2] == "JJ_CATEGORIES:     a b         environment"
    assert lines[3] == "JJ_PAUSE_TIME:     1m30s       environment"
    assert lines[-1] == "JJ_ALLOW_ROOT:     yes         environment"
    assert {line[31:] for line in lines} == {config.GIVEN, config.ENVIRONMENT, config.DEFAULT}


def test_the_command_escapes_what_a_terminal_could_not_show(tmp_path, capsys):
    assert "/caf\\udce9" in output(capsys, read(tmp_path, {"JJ_HOME": "/caf\udce9"}), json=False)


def test_the_command_prints_one_json_document(tmp_path, capsys):
    parser = argparse.ArgumentParser()
    command.add_options(parser)
    assert (parser.parse_args([]).json, command.NAME) == (False, "config")
    shown = json.loads(output(capsys, read(tmp_path, {"JJ_HOME": "/j"}), **vars(parser.parse_args(["--json"]))))
    assert list(shown) == list(config.KEYS)
    assert shown["JJ_PAUSE_TIME"] == {"value": 60.0, "source": "default"}
    assert shown["JJ_NODE"] == {"value": "rain", "source": "environment"}
