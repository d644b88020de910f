"""start_worker, as a shell meets it."""

import os

import pytest
from support import jars, nodes, processes
from support.nodes import Site

from jobjar import registration


@pytest.fixture
def site(jar):
    yield Site(jar)
    nodes.end_all()


def categories(site, worker):
    return registration.read(site.jar, worker).extra["categories"]


def test_it_prints_the_workers_name_alone(site):
    status, out, err = site.run("start_worker")
    assert (status, out.splitlines(), err) == (0, site.living(), "")


def test_the_subcommand_does_the_same(site):
    assert site.run("jobjar", "start-worker")[1].splitlines() == site.living()


def test_its_arguments_replace_the_settings_categories(site):
    site.variables["JJ_CATEGORIES"] = "C1 C2"
    assert categories(site, site.start("C3", "C4")) == ["C3", "C4"]
    assert categories(site, site.start()) == ["C1", "C2"]


def test_a_category_that_cannot_be_is_refused(site):
    status, out, err = site.run("start_worker", "a/b")
    assert (status, out) == (2, "") and "'a/b'" in err and len(err.splitlines()) == 1 and site.living() == []


def test_it_does_not_start_on_a_drained_node(site):
    jars.write(f"{site.jar.workers}/DRAIN.rain", "new disks\n")
    status, out, err = site.run("start_worker")
    assert (status, out) == (1, "") and "drained (new disks)" in err and "undrain rain" in err
    assert site.living() == []


def test_it_says_when_the_worker_will_end_at_once(site):
    jars.write(f"{site.jar.workers}/STOP_ALL", "")
    status, out, err = site.run("start_worker")
    assert status == 0 and "STOP_ALL" in err and "ends at once" in err
    processes.until(lambda: site.gone(out.strip()))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root is refused for being root")
def test_root_is_refused_with_a_sentence(site):
    status, out, err = site.run("start_worker", env={**site.environment, "JJ_ALLOW_ROOT": "no"})
    assert (status, out) == (2, "") and "JJ_ALLOW_ROOT" in err and len(err.splitlines()) == 1


def test_an_insecure_jar_is_refused_with_a_sentence(site):
    os.chmod(site.jar.unclaimed, 0o777)
    status, out, err = site.run("start_worker")
    assert (status, out) == (2, "") and f"chmod o-w {site.jar.unclaimed}" in err and len(err.splitlines()) == 1


def test_an_unknown_setting_is_a_warning_for_a_worker(site):
    jars.write(f"{site.jar.home}/config.ini", "[Job Jar]\nJJ_CATEGORYS = C1\n")
    status, out, err = site.run("start_worker")
    assert status == 0 and out.splitlines() == site.living() and "JJ_CATEGORYS" in err


@pytest.mark.parametrize("words", [("--idle-exit", "soon"), ("--idle-exit",), ("--nonsense",)])
def test_wrong_use_is_one_sentence(site, words):
    status, out, err = site.run("start_worker", *words)
    assert (status, out) == (2, "") and "Traceback" not in err and site.living() == []
