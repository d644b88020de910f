"""Which jobs a word means: ids, names, fragments, globs, numbers, arrays, last; also while jobs move."""

import os

import pytest
from support import jars, workers

from jobjar import fslook, jobname, selection, states
from jobjar.errors import NoSuchJob, UsageError
from jobjar.layout import Place

ONE = "20261121-100000-ann-123456001"
TWO = "20261121-100000-ann-123456002-mine"
ARRAY = "20261121-100500-ann-123456003-sweep"


def put(jar, state, name, category=None):
    return jars.put(jar, Place(state, category, name))


def names(jar, *words, **more):
    return [place.name for place in selection.jobs(jar, words, **more)]


@pytest.fixture
def array(jar):
    """Five tasks, one in each place that tasks come through."""
    jars.worker(jar, "rain.7")
    return [put(jar, "completed", f"{ARRAY}_1.0"),
            jars.put(jar, Place("claims", None, f"{ARRAY}_2.0", jar.claims("rain.7"))),
            put(jar, "unclaimed", f"{ARRAY}_3.0"), put(jar, "waiting", f"{ARRAY}_10.0"),
            put(jar, "waiting", f"{ARRAY}_11.0")]


@pytest.mark.parametrize("state, category", [("unclaimed", None), ("unclaimed", "C"), ("held", "C"), ("waiting", None),
                                             ("completed", None), ("failed", None)])
@pytest.mark.parametrize("priority", [0, -3])
def test_an_id_and_a_file_name_mean_the_job_wherever_it_is(jar, state, category, priority):
    place = put(jar, state, f"{ONE}.{priority}", category)
    put(jar, "unclaimed", f"{TWO}.0")
    assert selection.jobs(jar, [ONE]) == selection.jobs(jar, [place.name]) == [place]


@pytest.mark.parametrize("category", [None, "C"])
@pytest.mark.parametrize("is_shown", [True, False])
def test_an_id_means_a_running_job_with_and_without_its_link_in_claimed(jar, category, is_shown):
    jars.worker(jar, "rain.7", "C")
    place = jars.put(jar, Place("claims", category, f"{ONE}.0", jar.claims("rain.7")))
    if is_shown:
        text = os.path.join(jar.view("rain.7"), category or "", place.name)
        os.symlink(text, os.path.join(jar.claimed, place.name))
    assert selection.jobs(jar, [ONE]) == [place]


def test_the_link_in_claimed_is_no_evidence(jar):
    jars.worker(jar, "rain.7")
    place = put(jar, "completed", f"{ONE}.0")
    os.symlink(os.path.join(jar.view("rain.7"), place.name), os.path.join(jar.claimed, place.name))
    assert selection.jobs(jar, [ONE]) == [place]


def test_an_id_of_ours_is_found_without_listing_a_long_completed(jar, monkeypatch):
    done, queued = put(jar, "completed", f"{ONE}.0"), put(jar, "unclaimed", f"{TWO}.7", "C")
    entries = fslook.entries
    monkeypatch.setattr(fslook, "entries", lambda directory, troubles: entries(directory, troubles)
                        if directory != jar.completed else pytest.fail("listed"))
    assert selection.jobs(jar, [ONE, TWO]) == [done, queued]


def test_a_reservation_is_no_job(jar):
    os.symlink("reserved:rain.7:x", os.path.join(jar.completed, f"{ONE}.0"))
    with pytest.raises(NoSuchJob):
        selection.jobs(jar, [ONE])


@pytest.mark.parametrize("there, word", [("~2", ""), ("~3", "~2"), ("", "~2")])
def test_a_job_that_was_put_back_under_another_name_is_found_by_its_ids(jar, there, word):
    place = put(jar, "unclaimed", f"{ONE}{there}.0", "C")
    assert selection.jobs(jar, [ONE + word]) == [place]


def test_a_name_made_by_hand_that_several_have_is_refused_with_their_places(jar):
    first, second = put(jar, "unclaimed", "run.sh", "C"), put(jar, "completed", "run.sh.5")
    with pytest.raises(UsageError) as refusal:
        selection.jobs(jar, ["run.sh"])
    assert "unclaimed/C/run.sh" in str(refusal.value) and "completed/run.sh.5" in str(refusal.value)
    assert selection.jobs(jar, ["completed/run.sh.5", "unclaimed/C/run.sh"]) == [second, first]
    assert selection.jobs(jar, ["run.sh"], states.QUEUES) == [first]


def test_a_name_made_by_hand_is_not_taken_for_that_of_another_job(jar):
    put(jar, "completed", "a.1")
    place = put(jar, "completed", "a~2.1")
    assert selection.jobs(jar, ["a~2"]) == [place]


def test_a_fragment_means_the_one_job_that_has_it(jar):
    put(jar, "unclaimed", f"{ONE}.0")
    place = put(jar, "held", f"{TWO}.0")
    assert selection.jobs(jar, ["min"]) == selection.jobs(jar, ["456002"]) == [place]
    with pytest.raises(UsageError, match=f"2 jobs.*unclaimed/{ONE}.*held/{TWO}"):
        selection.jobs(jar, ["ann-1234"])


def test_the_word_of_i_means_its_job_although_longer_words_contain_it(jar, array):
    put(jar, "completed", f"{TWO}2.0")
    put(jar, "unclaimed", f"{TWO}.0")
    put(jar, "waiting", f"{ARRAY}s_1.0")
    put(jar, "waiting", f"{ARRAY[:-6]}-re{ARRAY[-5:]}_1.0")
    assert names(jar, "mine") == [f"{TWO}.0"]
    assert names(jar, "sweep") == [place.name for place in array]
    assert names(jar, "sweep_1") == names(jar, "sweep_[1-2]")[:1] == [f"{ARRAY}_1.0"]
    put(jar, "held", f"{ONE}-mine.0")
    with pytest.raises(UsageError, match="could be any of 2 jobs"):
        names(jar, "mine")


def test_of_many_candidates_some_are_named_and_the_others_counted(jar):
    for number in range(13):
        put(jar, "unclaimed", f"work{number}.sh")
    with pytest.raises(UsageError, match="13 jobs.* and 3 more"):
        selection.jobs(jar, ["work"])


def test_a_glob_means_all_that_match_oldest_first(jar):
    put(jar, "unclaimed", f"{TWO}.9")
    put(jar, "completed", f"{ONE}.0")
    assert names(jar, "*-ann-*") == [f"{ONE}.0", f"{TWO}.9"]
    assert names(jar, "*00[2-9]-mine") == [f"{TWO}.9"]


def test_words_may_mean_the_same_job_and_it_comes_once(jar):
    put(jar, "unclaimed", f"{TWO}.0")
    assert names(jar, "mine", TWO, "*mine*") == [f"{TWO}.0"]


def test_the_number_means_the_job(jar):
    put(jar, "unclaimed", f"{ONE}.0")
    put(jar, "unclaimed", f"{TWO}.0")
    assert names(jar, jobname.number(TWO)) == [f"{TWO}.0"]


def test_the_id_of_an_array_its_number_and_its_fragments_mean_all_tasks_by_index(jar, array):
    put(jar, "unclaimed", f"{ONE}.0")
    for word in (ARRAY, jobname.number(ARRAY), "sweep", "sweep_", ARRAY + "_*"):
        assert [place.name for place in array] == names(jar, word)


def test_a_task_is_meant_by_its_whole_index(jar, array):
    for word in (f"{ARRAY}_1", f"{jobname.number(ARRAY)}_1", "sweep_1", "p_1", f"{ARRAY}_[1]"):
        assert names(jar, word) == [f"{ARRAY}_1.0"]
    with pytest.raises(NoSuchJob):
        selection.jobs(jar, ["sweep_4"])


def test_a_piece_of_an_index_means_nothing(jar):
    put(jar, "unclaimed", f"{ARRAY}_87.0")
    for word in ("7", "87"):
        with pytest.raises(NoSuchJob):
            selection.jobs(jar, [word])


@pytest.mark.parametrize("head", [ARRAY, jobname.number(ARRAY), "sweep"])
def test_indices_in_brackets_mean_those_tasks(jar, array, head):
    assert names(jar, head + "_[2-10,15]") == [f"{ARRAY}_{index}.0" for index in (2, 3, 10)]
    assert names(jar, head + "_[1-11:5]") == [f"{ARRAY}_{index}.0" for index in (1, 11)]
    with pytest.raises(UsageError, match="counts nothing"):
        selection.jobs(jar, [head + "_[9-2]"])


def test_a_glob_that_is_like_the_id_of_an_array_means_all_its_tasks(jar, array):
    put(jar, "unclaimed", f"{TWO}.0")
    assert names(jar, "*-sweep") == [place.name for place in array]
    assert selection.meaning("*-sweep")(array[0].name) and not selection.meaning("*-sweep")(f"{TWO}.0")


@pytest.mark.parametrize("tasks", ["3,5", "3,5,9-11", "2-10", "1-11:5"])
def test_indices_without_brackets_are_told_how_they_are_written(jar, array, tasks):
    with pytest.raises(NoSuchJob, match=rf"tasks of an array are sweep_\[{tasks}\]"):
        selection.jobs(jar, [f"sweep_{tasks}"])


def test_last_is_what_this_user_submitted_last(jar):
    workers.submit(jar, "true")
    put(jar, "unclaimed", "29991231-235959-someoneelse-000000000.0")
    put(jar, "unclaimed", "zzz")
    place = workers.submit(jar, "true", id="b", category="C")
    assert selection.jobs(jar, ["last"]) == [place]


def test_last_is_a_whole_array(jar, monkeypatch, array):
    put(jar, "unclaimed", f"{ONE}.0")
    monkeypatch.setattr(selection.notes, "login", lambda: "ann")
    assert selection.jobs(jar, ["last"]) == array


@pytest.mark.parametrize("word", ["nothing", ONE, ARRAY + "_[1-3]", "*none*", "last", "20261121100000123456001", ""])
def test_a_word_that_means_nothing_is_refused(jar, word):
    put(jar, "unclaimed", f"{TWO}.0")
    with pytest.raises(NoSuchJob, match="jobjar list"):
        selection.jobs(jar, [word])


def test_a_job_that_is_not_where_it_is_looked_for_is_refused_with_its_place(jar):
    put(jar, "completed", f"{ONE}.0")
    with pytest.raises(NoSuchJob, match=f"not in waiting/ or held/ or unclaimed/ but in completed/{ONE}.0"):
        selection.jobs(jar, [ONE], states.QUEUES)


def moving(monkeypatch, after, move):
    """Do `move()` when the directory `after` has been listed."""
    entries = fslook.entries

    def listed(directory, troubles):
        found = entries(directory, troubles)
        if directory == after:
            move()
        return found
    monkeypatch.setattr(fslook, "entries", listed)


def test_of_a_job_seen_twice_while_it_moves_the_later_place_counts(jar, monkeypatch):
    path = jar.path(put(jar, "unclaimed", "run.sh"))
    moving(monkeypatch, jar.unclaimed, lambda: os.path.exists(path) and os.rename(path, f"{jar.completed}/run.sh~2"))
    assert selection.jobs(jar, ["*run*"]) == [Place("completed", None, "run.sh~2")]


def test_a_job_that_is_put_back_while_it_is_looked_for_is_found_in_a_second_look(jar, monkeypatch):
    jars.worker(jar, "rain.7")
    path = jar.path(jars.put(jar, Place("claims", None, "run.sh", jar.claims("rain.7"))))
    moving(monkeypatch, jar.unclaimed, lambda: os.path.exists(path) and os.rename(path, f"{jar.unclaimed}/run.sh"))
    assert selection.jobs(jar, ["run.sh"]) == [Place("unclaimed", None, "run.sh")]
