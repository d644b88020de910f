"""Each rule of a network file system stands in the program where it is kept, and a test fails without it."""

import ast
import os
import re

from support import jars
from support.processes import TOP

PACKAGE = os.path.join(TOP, "jobjar")
FAULTS, GLANCE, WORKER = "test_nfs_faults", "test_glance", "test_worker"

# (module, how its `# NFS:` comment begins) → the tests that fail without what stands there.
RULES = {
    ("again", "no inotify wakes it up"):
        "test_again::test_a_job_that_has_failed_is_left_to_a_free_worker_of_another_node_until_that_must_have_looked",
    ("arrays", "a lost reply makes the client ask twice. Nobody else"):
        f"{FAULTS}::test_the_task_whose_making_lost_its_reply_is_there_once_and_the_others_follow",
    ("arrays", "a server that was restarted"):
        f"{FAULTS}::test_a_task_that_was_claimed_before_the_server_carried_everything_out_once_more_is_there_once",
    ("awaiting", "the server exports the jar anew"):
        f"{FAULTS}::test_many_jobs_are_waited_for_although_a_handle_is_stale_for_a_while",
    ("awaiting", "completed/ first"):
        f"{FAULTS}::test_a_job_that_ends_badly_between_two_listings_is_never_called_successful",
    ("departures", "what does not change has been told"):
        "test_attempts::test_where_others_may_write_the_record_of_a_job_says_which_file_it_was",
    ("departures", "a server that does not answer"): f"{FAULTS}::test_a_server_that_does_not_answer_fences_nobody",
    ("attempts", "where another node can have changed a file"):
        f"{FAULTS}::test_a_job_that_was_changed_on_another_node_before_its_claim_is_read_anew",
    ("attempts", "opened before, it would have to"):
        f"{FAULTS}::test_where_others_may_write_a_job_is_opened_when_it_has_been_won",
    ("beat", "since an earlier beat"): f"{GLANCE}::test_the_servers_clock_is_asked_before_a_listing_is_judged_by_it",
    ("beat", "a lost reply says"): f"{FAULTS}::test_the_servers_clock_is_told_although_the_reply_was_lost",
    ("beat", "and FUSE: setting a file's times"): f"{FAULTS}::test_the_servers_clock_is_that_of_a_file_just_made",
    ("blame", "a claim whose reply was lost"):
        f"{FAULTS}::test_a_job_that_the_cache_denies_for_long_is_given_back_and_not_refused",
    ("cancelling", "what the worker has written"):
        f"{FAULTS}::test_a_job_whose_intent_is_seen_late_and_then_not_is_cancelled_by_one_order",
    ("claiming", "the listing says what it is"):
        f"{FAULTS}::test_what_lies_in_claims_is_a_job_although_its_name_is_remembered_as_absent",
    ("claiming", "opening asks the server"): f"{FAULTS}::test_a_candidate_that_only_a_cache_still_knows_is_left",
    ("feeding", "made before anybody looks"):
        f"{FAULTS}::test_what_is_fed_to_a_job_is_on_the_server_before_it_is_told",
    ("departures", "there a job's way into completed"): "test_attempts::test_a_silent_job_of_a_name_of_ours_goes_to_completed_in"
    "_one_step_where_no_other_computer_may_write",
    ("feeding", "else the job's node sees it"):
        f"{FAULTS}::test_what_is_fed_to_a_job_is_on_the_server_before_it_is_told",
    ("feeding", "closed before the end is told"):
        f"{FAULTS}::test_what_is_fed_to_a_job_is_on_the_server_before_it_is_told",
    ("fetching", 'a lost reply says "exists"'):
        f"{FAULTS}::test_what_is_brought_home_and_whose_making_lost_its_reply_is_in_its_place",
    ("fslook", "the directory was removed and made again"):
        f"{FAULTS}::test_a_stale_handle_is_asked_once_more_from_the_top",
    ("fslook", "opening a directory revalidates"): f"{FAULTS}::test_every_listing_opens_the_directory_anew",
    ("fslook", "a lookup through a directory"):
        f"{FAULTS}::test_a_question_about_a_name_is_asked_of_the_freshly_opened_directory",
    ("glance", "what is remembered of its names"):
        f"{FAULTS}::test_what_was_remembered_is_not_believed_of_a_directory_that_was_not_opened_within_the_last_second",
    ("fslook", "that it was not there a while ago"):
        f"{FAULTS}::test_a_directory_that_another_made_is_not_in_its_own_way",
    ("fslook", 'a lookup may answer "no"'): f"{FAULTS}::test_where_no_rename_decides_a_listing_goes_past_the_cache",
    ("fslook", "whoever only looks has no clock"):
        f"{FAULTS}::test_where_no_rename_decides_a_listing_goes_past_the_cache",
    ("fslook", "the listing does not say what it is"):
        f"{FAULTS}::test_a_listed_name_of_which_nothing_else_is_known_may_be_a_job",
    ("fslook", "two changes within one tick"): f"{FAULTS}::test_where_no_rename_decides_a_listing_goes_past_the_cache",
    ("fsmeet", "what it holds open stays"): "test_fsmeet::test_a_room_that_is_still_being_used_is_removed_in_the_end",
    ("fsmeet", "what is said in the tick"): "test_fsmeet::test_what_one_says_the_other_hears",
    ("fsops", "the reply may have been lost after"): "test_fsops::test_a_move_whose_reply_was_lost_has_happened",
    ("fsops", "of a request that was not refused"):
        f"{FAULTS}::test_a_name_stays_held_as_long_as_a_rename_may_come_late",
    ("fsops", "whatever the error says"): "test_fsops::test_a_claim_whose_reply_was_lost_is_won",
    ("fsops", "a lost reply makes the client ask twice"): "test_fsops::test_a_link_whose_reply_was_lost_is_mine",
    ("fsops", "or the reply was lost, and it lies aside"):
        f"{FAULTS}::test_a_reservation_whose_withdrawal_was_answered_from_a_cache_is_gone_all_the_same",
    ("fsops", 'a lost reply says "exists"'):
        f"{FAULTS}::test_a_directory_whose_making_lost_its_reply_is_there",
    ("fsops", "a full disk may show up only here"):
        "test_fsops::test_a_new_file_that_cannot_be_finished_is_not_left_behind",
    ("fsops", "or of this one, whose first reply"):
        f"{FAULTS}::test_a_draft_whose_making_lost_its_reply_is_used_under_another_name",
    ("glance", "two changes in one tick"): f"{GLANCE}::test_the_second_listing_goes_past_the_cache",
    ("glance", "where the cache takes no advice"):
        f"{GLANCE}::test_where_the_cache_takes_no_advice_the_directory_is_changed_once_and_looks_no_younger",
    ("inventory", "a file that was removed while open"):
        f"{FAULTS}::test_a_removed_file_that_is_still_open_is_nothing_to_report",
    ("job", "the server exports the jar anew"): f"{FAULTS}::test_whoever_waits_for_a_job_survives_a_stale_handle",
    ("job", "the listing's word is taken"):
        f"{FAULTS}::test_a_job_that_has_ended_is_found_although_its_name_is_remembered_as_absent",
    ("job", "a lookup's \"no\" may be older"):
        f"{FAULTS}::test_a_failed_job_is_never_called_successful_whatever_is_remembered",
    ("job", "that it was not there when somebody"):
        f"{FAULTS}::test_what_a_job_has_printed_is_read_although_there_was_nothing_a_while_ago",
    ("journal", "a sync that has failed"): f"{FAULTS}::test_what_a_sync_that_failed_has_lost_is_written_again",
    ("journal", "the server exports it anew"):
        f"{FAULTS}::test_a_journal_whose_handle_is_stale_goes_on_in_the_file_of_that_name",
    ("launch", "that something was not there a while ago"):
        f"{FAULTS}::test_a_job_finds_its_directory_and_files_although_their_names_are_remembered_as_absent",
    ("leftovers", "what cannot be read just now"):
        "faults/test_crash_life::test_an_error_of_any_system_call_of_a_recovery_is_told_and_mended_by_the_next",
    ("reservation", "a rename that was not refused"):
        f"{FAULTS}::test_a_name_stays_held_as_long_as_a_rename_may_come_late",
    ("notes", "recovery on another node"):
        f"{FAULTS}::test_a_note_of_another_node_is_found_although_this_one_has_looked_in_vain",
    ("orders", "a lookup of one name"): "test_orders::test_markers_are_listed_and_never_looked_up",
    ("orders", "a name can be listed while"): f"{FAULTS}::test_a_marker_whose_removal_a_cache_denies_is_removed",
    ("recovery", "an error may pass"):
        "faults/test_crash_life::test_an_error_of_any_system_call_of_a_recovery_is_told_and_mended_by_the_next",
    ("recovery", "a file that was removed while open"):
        f"{FAULTS}::test_recovery_comes_to_its_end_with_a_removed_file_that_is_still_open_in_claims",
    ("registration", "the reply may have been lost; my own nonce"):
        f"{FAULTS}::test_the_registration_whose_reply_was_lost_is_known_although_its_name_is_remembered_as_absent",
    ("resync", "that a directory was made or replaced"):
        "test_resync::test_a_directory_that_was_made_elsewhere_is_found_although_its_name_is_remembered_as_absent",
    ("resync", "opening asks whether"):
        f"{FAULTS}::test_what_a_job_has_written_elsewhere_is_as_long_as_it_is_by_now",
    ("runner", "what another node has made there"): 
        "test_runner::test_a_directory_that_looks_as_it_was_made_is_listed_only_where_another_computer_may_have_written",
    ("runner", "what other nodes have written for it"):
        "test_resync::test_a_worker_asks_before_the_start_and_after_the_end",
    ("runner", "what it has had written on other nodes"):
        "test_resync::test_a_worker_asks_before_the_start_and_after_the_end",
    ("runner", "looking for it renews"):
        f"{FAULTS}::test_a_job_that_the_cache_denies_is_started_as_soon_as_the_cache_forgets",
    ("runner", "a file still open somewhere"):
        f"{FAULTS}::test_a_scratch_directory_that_an_open_file_keeps_is_set_aside_for_a_fresh_one",
    ("streaming", "opening asks the server"): f"{FAULTS}::test_what_grows_is_opened_for_each_look_at_it",
    ("streaming", "a client writes pages in any order"):
        "test_spool::test_what_another_computer_has_not_written_yet_is_read_as_zeros_up_to_the_end_of_a_page",
    ("shelf", "many a listing does not say"): f"{FAULTS}::test_of_names_of_our_making_a_listing_asks_nothing_more",
    ("waiting", "many a listing does not say"): f"{FAULTS}::test_of_names_of_our_making_a_listing_asks_nothing_more",
    ("worker", '"gone" may be a cached answer'):
        f"{FAULTS}::test_a_claim_that_a_cache_denies_is_tried_again",
    ("worker", "the rename came late"): f"{WORKER}::test_a_claim_that_succeeds_late_is_found_and_run",
    ("worker", "what another node asked for meanwhile"):
        f"{FAULTS}::test_a_marker_that_came_during_a_job_is_looked_for_before_the_next",
}

# Function → why it may ask about a path without opening the directory first, or list it itself.
ANSWERS = "it explains an error, and decides nothing"
OWN = "what is asked for is this process's own, made by this node"
LOCAL = "it lies on this computer, not in the jar"
FIXED = "it was there before the jar was used, and nobody changes it meanwhile"
HINT = "only a hint: the rename decides"
MAY_ASK = {
    "glance.Recent.status": "of a directory that was opened a moment ago",
    "departures._status": OWN, "beat.Beat.touch": OWN, "moves._is_something": OWN, "capture": OWN,
    "runner.Runner._is_fresh": OWN, "runner._looks": OWN, "salvage.Salvage.job": OWN,
    "blame.is_hidden": "what the cache says is the question", "errors.at_fault": ANSWERS,
    "cli": LOCAL, "config": LOCAL, "process": LOCAL, "node": LOCAL, "holders": LOCAL,
    "commands.init": LOCAL, "commands.edit": LOCAL, "layout": FIXED, "trust": FIXED, "premises": FIXED,
    "leftovers._sparingly": FIXED,
    "shelf._number_of_file": HINT, "leftovers._queues": "categories of the reservations to be withdrawn, next time",
    "leftovers._sparingly": FIXED,
    "ends": "of a worker whose directory was listed just now", "turns._version": "workers/ was listed just now",
    "feeding._close_all_but": LOCAL, "arrays._Work._link": OWN, "spool.Spool.fill": OWN,
    "arrays._Work._has_second_name": OWN, "editing._Editing._replace": OWN, "store._make_directories": FIXED,
    "fetching": "the directories of the job and of the submitter, who says what is there",
    "commands.submit._warn_of_relative_path": ANSWERS, "cron": LOCAL, "family": LOCAL, "terms._value": OWN,
    "doubts": "what the submitter names, as the submitter sees it",
    "harvest": "the directories of the job and of the submitter, who says what is there", "resync": HINT,
    "history.is_of": HINT, "staging": "what the submitter names, as the submitter sees it",
    "inventory": ANSWERS,
    "fsmeasure": "how the file system answers is the question", "fspair": "how the file system answers is the question",
    "whereabouts": "`jobjar check` looks again before it says anything",
}
QUESTIONS = {f"os.path.{name}" for name in ("exists", "lexists", "isfile", "isdir", "islink", "getmtime", "getsize",
                                            "samefile", "ismount")} \
    | {f"os.{name}" for name in ("stat", "lstat", "access", "listdir", "scandir", "walk")}
ASKERS = ("fslook", "fsops", "fstree")


def modules():
    """Dotted name without `jobjar.` → its text."""
    found = {}
    for top, _, names in os.walk(PACKAGE):
        for name in sorted(names):
            if name.endswith(".py"):
                path = os.path.join(top, name)
                found[os.path.relpath(path, PACKAGE)[:-3].replace(os.sep, ".")] = jars.read(path)
    return found


def comments():
    """(module, the text behind NFS:) of each such comment."""
    for module, text in modules().items():
        for found in re.finditer(r"^\s*#.*?\bNFS: ?(.*)$", text, re.M):
            yield module, found[1]


def rows(module, text):
    return [key for key in RULES if key[0] == module and text.startswith(key[1])]


def test_every_rule_in_the_program_names_its_test():
    unknown = [found for found in comments() if len(rows(*found)) != 1]
    assert not unknown, "each # NFS: comment has a row in RULES, with a test that fails without what stands there"


def test_no_row_is_about_a_rule_that_has_gone():
    used = {key for found in comments() for key in rows(*found)}
    assert set(RULES) == used


def test_every_test_that_is_named_exists():
    for test in RULES.values():
        path, _, name = test.partition("::")
        assert f"def {name}(" in jars.read(os.path.join(TOP, "tests", path + ".py")), test


def questions():
    """module.function of every question about a path that fslook does not ask."""
    for module, text in modules().items():
        if module not in ASKERS:
            yield from _questions(module, ast.parse(text))


def _questions(where, tree):
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in QUESTIONS:
            yield where
        inner = f"{where}.{node.name}" if isinstance(node, (ast.FunctionDef, ast.ClassDef)) else where
        yield from _questions(inner, node)


def test_only_fslook_asks_about_what_others_change():
    asked = set(questions())
    strange = {asker for asker in asked if not any(f"{asker}.".startswith(f"{name}.") for name in MAY_ASK)}
    assert not strange, "ask fslook: a path that is only looked up may be answered from a cache 60 s old"
    unused = [name for name in MAY_ASK if not any(f"{asker}.".startswith(f"{name}.") for asker in asked)]
    assert not unused
