"""Names of output files with places to be filled in."""

import pytest
from jobjar import patterns
from jobjar.errors import UsageError

VALUES = {"j": "id_7", "A": "id", "a": "7", "x": "word", "u": "ann", "N": "rain"}


@pytest.mark.parametrize("pattern, path", [
    ("/plain", "/plain"), ("%j", "id_7"), ("/d/%A_%a.%x.%u.%N", "/d/id_7.word.ann.rain"), ("%%j%%", "%j%"),
    ("%4a", "0007"), ("%10a", "0000000007"), ("%0a", "7"), ("%4j-%3N", "id_7-rain"), ("%%%a", "%7")])
def test_each_letter_stands_for_its_value(pattern, path):
    assert patterns.expand(pattern, VALUES.get) == path


def test_an_index_that_a_job_has_not_got_is_nothing_however_wide():
    assert patterns.expand("x%4a", {"a": ""}.get) == "x"


@pytest.mark.parametrize("pattern, reason", [
    ("out%", "holds '%'"), ("%t", "holds '%t': there are %j (the job's id)"), ("%4%", "holds '%4%'"),
    ("%11a", "more than 10 digits"), ("%999999999999a", "more than 10 digits"), ("%é", "holds '%é'"),
    ("", "cannot be a path"), ("a\0b", "cannot be a path")])
def test_what_cannot_be_filled_in_is_refused_when_it_is_asked_for(pattern, reason):
    with pytest.raises(UsageError) as caught:
        patterns.check(pattern)
    assert reason in str(caught.value)


def test_a_pattern_that_can_be_filled_in_is_taken_as_it_is():
    assert patterns.check("/d/%A_%4a.out") == "/d/%A_%4a.out"
