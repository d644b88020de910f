"""What tests of several commands use."""

import pytest

from jobjar import cli


@pytest.fixture
def submit(jar, capsys):
    """Run submit_job with some words; (exit status, stdout, stderr)."""
    def run(*words):
        status = cli.main("submit_job", ["--home", jar.home, *words])
        return status, *capsys.readouterr()
    return run
