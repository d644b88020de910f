"""The jobs' testimony is believed only if it can accuse: it is tested here without any network."""

import os
import re

import proof
import pytest
from support import jars, processes

from jobjar import node


@pytest.fixture
def court(tmp_path):
    """Runs jobs, and judges them."""
    return Court(str(tmp_path))


class Court:
    def __init__(self, directory):
        self.directory = directory
        proof.make(directory)
        self.job = jars.write(os.path.join(directory, "job"), proof.SCRIPT.format(proof=directory))

    def run(self, name="a"):
        """One attempt of a job, from its beginning to its end."""
        env = {"JJ_JOB_ID": name, "JJ_NODE": "rain", "PATH": os.environ["PATH"]}
        assert processes.finish(processes.spawn(self.job, env=env)) == (0, "", "")

    def crash(self, boot=None):
        """The boot of a node is over; by default the one that this test runs in."""
        jars.write(os.path.join(self.directory, "dead", boot or node.boot_id()), "")

    def forget(self, *names):
        """Remove something that was said, as if it never had been."""
        os.remove(os.path.join(self.directory, *names))

    def verdict(self, *submitted):
        """What is wrong, as the first words that tell it."""
        return [re.sub(r"[0-9a-f-]{36}", "BOOT", sentence) for sentence in
                proof.judge(self.directory, set(submitted or ("a",)))["wrong"]]


def test_jobs_that_ran_once_are_in_order(court):
    court.run("a")
    court.run("b.c")
    assert court.verdict("a", "b.c") == []


def test_a_job_that_never_ran_is_missed_and_one_that_nobody_submitted_too(court):
    court.run("b")
    assert court.verdict("a") == ["a was never begun", "b was never submitted"]


def test_a_job_that_runs_twice_is_seen(court):
    court.run()
    court.run()
    assert court.verdict() == ["a began while another attempt may have lived",
                               "a ran again, but attempt 1 was not of a node that had crashed"]


def test_a_crash_that_comes_only_after_the_second_attempt_excuses_nothing(court):
    court.run()
    court.run()
    court.crash()
    assert court.verdict() == ["a began while another attempt may have lived"]


def test_another_node_s_crash_excuses_nothing(court):
    court.run()
    court.crash("1b4e28ba-2fa1-11d2-883f-0016d3cca427")
    court.run()
    assert len(court.verdict()) == 2


def test_a_job_may_run_again_when_its_node_has_crashed(court):
    court.run()
    court.forget("ended", "a.1")
    court.crash()
    court.run()
    assert court.verdict() == []


def test_an_attempt_that_did_not_come_to_its_end_is_seen(court):
    court.run()
    court.forget("ended", "a.1")
    assert court.verdict() == ["a: attempt 1 did not come to its end"]


@pytest.mark.parametrize("has_crashed", [True, False])
def test_an_attempt_that_did_not_come_to_say_who_it_is_needs_a_crash_to_excuse_it(court, has_crashed):
    jars.write(os.path.join(court.directory, "began", "a.1"), "")
    if has_crashed:
        court.crash()
    court.run()
    assert len(court.verdict()) == (0 if has_crashed else 2)
