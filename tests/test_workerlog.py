"""The worker's own log: a line is a line, it rotates, and it never harms the worker."""

import os
import re

from jobjar import workerlog
from support import jars


def test_each_line_has_the_time(tmp_path):
    workerlog.WorkerLog(str(tmp_path)).say("hello")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ hello\n", (tmp_path / "log").read_text())


def test_whatever_a_name_contains_a_line_stays_one_line_of_plain_text(tmp_path):
    log = workerlog.WorkerLog(str(tmp_path))
    log.say("two\nlines \x1b[31m caf\udce9 \u202e")
    text = (tmp_path / "log").read_text()
    assert text.count("\n") == 1 and text.isascii() and "\x1b" not in text


def test_a_log_that_has_grown_large_is_begun_anew_and_the_old_one_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(workerlog, "ROTATE_AT", 200)
    log = workerlog.WorkerLog(str(tmp_path))
    for number in range(12):
        log.say(f"line {number}")
    assert sorted(os.listdir(tmp_path)) == ["log", "log.1"]
    kept = jars.read(str(tmp_path / "log.1")) + jars.read(str(tmp_path / "log"))
    assert "line 11\n" in kept and kept.splitlines()[-1].endswith("line 11")


def test_a_log_that_cannot_be_written_ends_nobody(tmp_path):
    log = workerlog.WorkerLog(str(tmp_path / "gone"))
    log.say("nobody hears this")
    (tmp_path / "log").mkdir()
    workerlog.WorkerLog(str(tmp_path)).say("nor this")


def test_a_link_in_place_of_the_log_is_not_followed(tmp_path):
    (tmp_path / "kept").write_text("kept")
    (tmp_path / "log").symlink_to("kept")
    workerlog.WorkerLog(str(tmp_path)).say("x")
    assert (tmp_path / "kept").read_text() == "kept"
