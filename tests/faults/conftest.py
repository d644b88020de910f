"""What several parts of the fault campaign use."""

import itertools
from types import SimpleNamespace

import pytest

from jobjar import node, notes, process


@pytest.fixture
def alive(monkeypatch):
    """The table of processes: pid → start."""
    table = {}
    monkeypatch.setattr(node, "start_ticks", table.get)
    monkeypatch.setattr(process, "orphans", lambda lock, nonce: (False, []))
    monkeypatch.setattr(process, "lock_path", lambda nonce: "/nonexistent/lock")
    # Of two notes of one millisecond nobody could say which is the later.
    ticks = itertools.count(1)
    monkeypatch.setattr(notes, "time", SimpleNamespace(time=lambda: float(next(ticks))))
    return table
