"""From made-up measurements and mounts of every kind to a verdict."""

import copy
import errno

import pytest

from jobjar import fsadvice, fsmerge, fsreport, fsverdict
from jobjar.fsadvice import NOTE, UNFIT, WEAK

GOOD_NFS = {"rw": "", "vers": "4.2", "hard": "", "lookupcache": "positive", "acdirmin": "1", "acdirmax": "5"}
EVENTS = [f"{kind} {k}" for kind in fsmerge.DELAYS for k in range(3)]


def account(node, first, **more):
    """What one of two nodes tells of a file system where all is well; `first` has won the even names."""
    names = [str(k) for k in range(10)]
    won = [name for name in names if (int(name) % 2 == 0) == first]
    tries = {name: 0 if name in won else errno.ENOENT for name in names}
    return {"node": node, "boot": node, "clock": 0.01, "made": dict.fromkeys(EVENTS, 100.0),
            "seen": dict.fromkeys(EVENTS, 100.5), "racy": {"trials": 30, "stale": 0, "uncured": 0},
            "race": {"tries": tries, "held": won, "left": []}, "flock": "locked" if first else "busy",
            "exclusive": {kind: {"won": [int(name) for name in won], "odd": {}}
                          for kind in ("symlink", "mkdir", "create")}, **more}


def merged(change=lambda mine, theirs: None):
    mine, theirs = copy.deepcopy((account("rain", True), account("snow", False)))
    change(mine, theirs)
    return fsmerge.merge(mine, theirs)


def facts(kind="nfs4", options=GOOD_NFS, together=None, **more):
    """What is measured where all is well."""
    return {"mount": {"point": "/net", "kind": kind, "source": "srv:/net", "options": options}, "apart": [],
            "traits": dict.fromkeys(fsverdict.TRAITS, ""), "room": {"bytes": 2**40, "files": 10**6}, "clock": 0.0,
            "tick": 0.004, "rename": 0.001, "sync": 0.01, "together": together or merged(), **more}


def remarks(*levels, **found):
    return [remark for remark in fsverdict.judge(facts(**found)) if remark.level in levels]


def subjects(*levels, **found):
    return {remark.subject for remark in remarks(*levels, **found)}


def judged(**found):
    return fsverdict.verdict(fsverdict.judge(facts(**found)))


def test_nfs_as_recommended_is_good():
    assert judged() == "good" and subjects(NOTE) == {"export"}


@pytest.mark.parametrize("kind, options, verdict, word", [
    ("ext4", {"rw": ""}, "good", "only this computer"),
    ("xfs", {"noexec": ""}, UNFIT, "mount it with exec"),
    ("ext4", {"ro": ""}, UNFIT, "mount it with rw"),
    ("nfs", {**GOOD_NFS, "vers": "3"}, "good", "vers=4.1"),
    ("nfs4", {**GOOD_NFS, "vers": "4.0"}, "good", "vers=4.1"),
    ("nfs4", {**GOOD_NFS, "soft": ""}, WEAK, "mount it with hard"),
    ("nfs4", {**GOOD_NFS, "softerr": ""}, WEAK, "mount it with hard"),
    ("nfs4", {"vers": "4.2", "hard": ""}, "good", "60 s"),
    ("nfs4", {**GOOD_NFS, "acdirmax": "30"}, "good", "30 s"),
    ("nfs4", {**GOOD_NFS, "noac": ""}, "good", "slow"),
    ("nfs4", {**GOOD_NFS, "sync": ""}, "good", "leave it out"),
    ("nfs", {**GOOD_NFS, "nolock": ""}, "good", "local to each node"),
    ("nfs", {**GOOD_NFS, "local_lock": "flock"}, "good", "local to each node"),
    ("fuse.sshfs", {}, WEAK, "dir_cache=no"),
    ("fuse.glusterfs", {}, "good", "for many nodes"),
    ("lustre", {}, "good", "no option for locks"),
    ("gpfs", {}, "good", "for many nodes"),
    ("beegfs", {}, "good", "for many nodes"),
    ("cifs", {}, WEAK, "mfsymlinks"),
    ("cifs", {"cache": "loose"}, WEAK, "cache=strict"),
    ("overlay", {}, WEAK, "volume"),
    ("tmpfs", {}, WEAK, "gone at a reboot"),
    ("vfat", {}, WEAK, "file system of Linux"),
    ("9p", {"cache": "loose"}, WEAK, "cache=none"),
    ("9p", {}, "good", "nothing is known"),
    ("fuse.s3fs", {}, UNFIT, "object store"),
    ("fuse.bindfs", {}, "good", "attr_timeout"),
    ("somefs", {}, "good", "nothing is known here of somefs"),
])
def test_a_kind_of_mount_has_its_verdict_and_its_advice(kind, options, verdict, word):
    assert judged(kind=kind, options=options) == verdict
    said = [remark for remark in fsverdict.judge(facts(kind, options)) if word in remark.text]
    assert said and (verdict == "good" or said[0].level == verdict)


def test_good_nfs_needs_no_advice_about_caches():
    assert "caches" not in subjects(NOTE) and "version" not in subjects(NOTE)


@pytest.mark.parametrize("trait", fsverdict.TRAITS)
def test_a_missing_trait_counts_as_its_level_says(trait):
    found = {"traits": {**dict.fromkeys(fsverdict.TRAITS, ""), trait: "it was not so"}}
    level = fsverdict.TRAITS[trait][0]
    assert judged(**found) == ("good" if level == NOTE else level)
    assert any("it was not so: " in remark.text for remark in remarks(level, **found) if remark.subject == trait)


@pytest.mark.parametrize("more, subject", [
    ({"room": {"bytes": 10 * 2**20, "files": None}}, "space"), ({"room": {"bytes": 2**40, "files": 7}}, "inodes"),
    ({"rename": 0.2}, "speed"), ({"sync": 3.0}, "speed"),
])
def test_what_is_scarce_or_slow_makes_it_weak(more, subject):
    assert judged(**more) == WEAK and subject in subjects(WEAK, **more)


def test_a_file_system_without_a_limit_of_files_is_not_short_of_them():
    assert judged(room={"bytes": 2**40, "files": None}) == "good"
    # A tmpfs without limits.
    assert judged(room={"bytes": None, "files": None}) == "good"


def test_a_directory_elsewhere_makes_it_unfit():
    (remark,) = remarks(UNFIT, apart=["/jar/workers"])
    assert "/jar/workers" in remark.text and "JJ_WORKER_HOME" in remark.text


def spoil(key, value, side=0):
    """A change of both accounts: in one of them `key`, a path with slashes, becomes `value`."""
    def change(*accounts):
        place = accounts[side]
        *path, last = key.split("/")
        for part in path:
            place = place[part]
        place[last] = value
    return change


@pytest.mark.parametrize("change, level, subject", [
    (spoil("race/tries/1", 0), UNFIT, "rename"),
    (spoil("race/held", [str(k) for k in range(10)]), UNFIT, "rename"),
    (spoil("race/held", ["0", "2", "4", "6"]), UNFIT, "rename"),
    (spoil("race/tries/0", errno.ENOENT), NOTE, "rename"),
    (spoil("race/tries/1", errno.EIO), NOTE, "rename"),
    (spoil("exclusive/symlink/won", list(range(10))), UNFIT, "symlink"),
    (spoil("exclusive/mkdir/won", [0, 1]), UNFIT, "mkdir"),
    (spoil("exclusive/create/won", [1, 2], side=1), UNFIT, "create"),
    (spoil("exclusive/create/odd", {"EPERM": 3}), NOTE, "create"),
    (spoil("flock", "locked", side=1), NOTE, "flock"),
    (spoil("flock", "Function not implemented", side=1), NOTE, "flock"),
    (spoil("boot", "snow"), NOTE, "one computer"),
    (spoil("clock", -7.0, side=1), WEAK, "clock"),
    (spoil("racy/stale", 9), NOTE, "stale listings"),
    (spoil("racy", {"trials": 30, "stale": 9, "uncured": 2}), WEAK, "stale listings"),
    (spoil("seen/listed 1", 131.5), WEAK, "late"),
    (spoil("seen/unlisted 1", 131.5, side=1), WEAK, "late"),
    (spoil("seen/stamp 1", 131.5), WEAK, "late"),
    (spoil("seen/named 1", 131.5), NOTE, "names"),
    (spoil("seen/unnamed 1", 131.5), NOTE, "names"),
    (spoil("seen", {}), WEAK, "late"),
])
def test_what_two_nodes_saw_counts_as_it_should(change, level, subject):
    found = fsverdict.judge(facts(together=merged(change)))
    assert [remark.level for remark in found if remark.subject == subject][:1] == [level]
    assert fsverdict.verdict(found) == ("good" if level == NOTE else level)


def test_an_error_of_a_rename_that_had_happened_is_told_once():
    race = merged(spoil("race/tries/0", errno.EIO))["race"]
    assert race["false"] == 1 and race["odd"] == [] and not race["nobody"]


def test_files_that_neither_could_take_make_it_weak():
    def change(mine, theirs):
        mine["race"]["held"].remove("0")
        mine["race"]["tries"]["0"] = errno.EIO
        mine["race"]["left"] = theirs["race"]["left"] = ["0"]
    assert "rename" in subjects(WEAK, together=merged(change))


def test_a_race_in_which_the_two_did_not_meet_is_told():
    def change(mine, theirs):
        mine["race"] = {"tries": dict.fromkeys("0123456789", 0), "held": list("0123456789"), "left": []}
        theirs["race"] = {"tries": dict.fromkeys("0123456789", errno.ENOENT), "held": [], "left": []}
    (remark,) = [one for one in remarks(NOTE, together=merged(change)) if one.subject == "rename"]
    assert "hardly met" in remark.text and judged(together=merged(change)) == "good"


def test_a_delay_is_told_with_the_remedy_for_the_kind():
    late = merged(spoil("seen/stamp 1", 131.5))
    for kind, remedy in (("nfs4", fsadvice.NFS_OPTIONS), ("fuse.sshfs", "dir_cache=no"), ("fuse.x", "entry_timeout=1"),
                         ("cifs", "actimeo=1"), ("gpfs", "shorten")):
        (said,) = [remark.text for remark in remarks(WEAK, kind=kind, together=late) if remark.subject == "late"]
        assert remedy in said and "31.5s" in said


def test_delays_are_those_of_both_directions():
    late = merged(spoil("seen/listed 1", 104.0, side=1))["delays"]["listed"]
    assert late == {"median": 0.5, "worst": 4.0, "unseen": 0}


def test_a_clock_that_is_wrong_is_named_by_its_node():
    (remark,) = remarks(WEAK, together=merged(spoil("clock", 62.0, side=1)))
    assert "snow is 1m2s ahead" in remark.text


def test_the_gravest_comes_first():
    levels = [remark.level for remark in fsverdict.judge(facts("fuse.sshfs", {"noexec": ""}, rename=1.0))]
    assert levels == sorted(levels, key=(UNFIT, WEAK, NOTE).index) and set(levels) >= {UNFIT, WEAK}


def document(**found):
    known = facts(**found)
    said = fsverdict.judge(known)
    return {"home": "/net/jar", "node": "rain", "verdict": fsverdict.verdict(said), "facts": known,
            "remarks": [remark._asdict() for remark in said],
            "unmeasured": None if known["together"] else "nothing between two nodes"}


@pytest.mark.parametrize("found, last", [
    ({}, "good for a jar"),
    ({"options": {**GOOD_NFS, "soft": ""}, "rename": 1.0}, "works, but: soft, speed"),
    ({"options": {"ro": "", "noexec": ""}, "rename": 1.0}, "not fit for a jar: read-only, noexec"),
])
def test_the_last_line_is_the_verdict_with_its_reasons(found, last):
    assert fsreport.render(document(**found)).splitlines()[-1] == last


def test_the_report_shows_each_figure():
    def change(mine, theirs):
        mine["seen"], mine["racy"]["trials"], theirs["racy"]["trials"] = {"listed 1": 131.5}, 0, 0
        theirs["seen"] = {}
    text = fsreport.render(document(together=merged(change)))
    for part in ("rain won 5, snow won 5", "31.5 s", "not seen while it was watched", "exclusive", "where all are late"):
        assert part in text


def test_stale_listings_are_counted_in_the_report():
    racy = {"trials": 30, "stale": 9, "uncured": 2}
    assert "9 of 60, 2 when asked afresh" in fsreport.render(document(together=merged(spoil("racy", racy))))


def test_a_report_of_one_node_says_what_is_missing():
    known = document()
    known["facts"]["together"], known["unmeasured"] = None, "nothing between two nodes"
    text = fsreport.render(known)
    assert "not measured: nothing between two nodes\n" in text
    assert text.endswith("good for a jar, as far as one node can tell\n")


def test_no_name_steers_the_terminal():
    known = document()
    known["facts"]["mount"]["point"] = "/net\x1b[2J"
    assert "\x1b" not in fsreport.render(known)
