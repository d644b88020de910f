"""The table of a job's life."""

import os
import re

import pytest
from support import jars
from support.processes import TOP

from jobjar import states
from jobjar.errors import UsageError

STATES = {states.LIMBO, states.UNCLAIMED, states.HELD, states.WAITING, states.CLAIMS, states.COMPLETED, states.FAILED,
          states.GONE}


def test_the_page_shows_the_table():
    page = jars.read(os.path.join(TOP, "docs", "PROTOCOL.md"))
    shown = re.search(r"<!-- states:[^\n]*-->\n(.*?)<!-- /states -->", page, re.S)[1]
    assert shown == states.table()


def test_every_event_has_known_states_and_a_name_of_its_own():
    assert len({event.name for event in states.EVENTS}) == len(states.EVENTS) == 18
    for event in states.EVENTS:
        assert event.sources and event.targets and event.actor and event.when
        assert STATES.issuperset(event.sources + event.targets)


def test_every_state_but_the_first_and_the_last_is_entered_and_left():
    entered = {state for event in states.EVENTS for state in event.targets}
    left = {state for event in states.EVENTS for state in event.sources}
    assert entered == STATES - {states.LIMBO}
    assert left == STATES - {states.GONE}


def test_only_claim_leads_into_claims():
    assert [event.name for event in states.EVENTS if states.CLAIMS in event.targets] == ["claim"]


@pytest.mark.parametrize("event", states.EVENTS, ids=lambda event: event.name)
def test_require_allows_exactly_what_the_table_says(event):
    for source in STATES:
        for target in STATES:
            legal = source in event.sources and target in event.targets and (event.name != "alter" or source == target)
            if legal:
                states.require(event.name, source, target)
            else:
                with pytest.raises(UsageError, match=source):
                    states.require(event.name, source, target)
