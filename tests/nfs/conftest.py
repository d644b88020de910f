"""Job Jar on two real nodes and a network file system; without them all of this is one skip."""

import os
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import cluster as clusters  # noqa: E402

# As it was before tests/conftest.py takes every JJ_ variable out of it.
ENVIRON = dict(os.environ)


def pytest_collection_modifyitems(items):
    ours = [item for item in items if item.get_closest_marker("nfs")]
    why = clusters.missing(ENVIRON)
    if ours and why:
        ours[0].add_marker(pytest.mark.skip(reason=why))
        left_out = set(ours[1:])
        items[:] = [item for item in items if item not in left_out]


@pytest.fixture(scope="session")
def cluster():
    """The two nodes."""
    found = clusters.Cluster(ENVIRON)
    found.meet()
    return found


@pytest.fixture
def ground(cluster, request):
    """A directory for one test, seen by both nodes, with a jar in it."""
    made = clusters.Ground(cluster, f"jobjar-test-{os.getpid()}-{abs(hash(request.node.name)) % 10**6}")
    yield made
    made.clear()
