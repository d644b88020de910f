"""Which jobs the words of a command line mean: ids, names, fragments, globs, numbers, arrays, `last`.

Places are looked at in the order of a job's life, so a job that moves on meanwhile may be seen twice but is not missed;
of one job seen twice the later place counts. All of it is a hint: a rename decides.
"""

import fnmatch
import os
import stat
from collections.abc import Callable, Iterable, Iterator

from jobjar import census, fslook, jobname, notes, parameters
from jobjar.errors import NoSuchJob, UsageError
from jobjar.layout import Jar, Place
from jobjar.states import CLAIMS, COMPLETED, FAILED, HELD, QUEUES, UNCLAIMED, WAITING

# In the order of a job's life.
PLACES = (WAITING, HELD, UNCLAIMED, CLAIMS, COMPLETED, FAILED)
LAST = "last"
# What --help says of a word.
HELP = "an id, a fragment of one, a glob, an array, ID_[1-10], last"
# So many candidates are named where a word could mean several jobs.
SHOWN = 10
# A job that is put back while it is looked for may be missed once.
LOOKS = 2


def jobs(jar: Jar, words: Iterable[str], states: Iterable[str] | None = None) -> list[Place]:
    """Where the jobs are that the words mean, in the order of the words, each once.

    A word: an id, a file name, STATE/[CATEGORY/]NAME as places are shown, `last` (what this user has submitted last),
    the 23 digits of a number, a glob (*?[), the word of -i, or a fragment that names one job. The id of an array means
    all its tasks, ID_7 one and ID_[1-10,15] some of them; so do its number, its word and a fragment of it. A job that
    was put back as ID~2 is found by ID. A finished job's category is None. `states`: the directories to look into
    (states.HELD …; None: all).
    NoSuchJob: a word means none there. UsageError: a fragment, or a name made by hand, means several.
    """
    wanted = tuple(state for state in PLACES if states is None or state in states)
    listing = Listing(jar)
    found: dict[tuple, Place] = {}
    for word in words:
        for place in _meant(listing, word, wanted):
            found.setdefault((place.state, place.category, place.name, place.holder), place)
    return list(found.values())


class Listing:
    """What lies in the directories of a jar, each listed once and when it is first asked for."""

    def __init__(self, jar: Jar) -> None:
        self.jar = jar
        # Sentences about what could not be looked into.
        self.troubles: list[str] = []
        self._listed: dict[str, list[Place]] = {}

    def places(self, states: Iterable[str]) -> Iterator[Place]:
        """The jobs in the directories of these states, in the order of the states."""
        for state in states:
            if state not in self._listed:
                self._listed[state] = list(self._list(state))
            yield from self._listed[state]

    def _list(self, state: str) -> Iterator[Place]:
        if state == CLAIMS:
            yield from census.claimed(self.jar)
            return
        # No file is looked at: of 100,000 jobs only the names are asked for.
        for entry in fslook.entries(self.jar.directory(state), self.troubles):
            if fslook.is_file_entry(entry):
                yield Place(state, None, entry.name)
            elif state in QUEUES and entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
                for inner in filter(fslook.is_file_entry, fslook.entries(entry.path, self.troubles)):
                    yield Place(state, entry.name, inner.name)


def _meant(listing: Listing, word: str, wanted: tuple[str, ...]) -> list[Place]:
    # Every name contains the empty one.
    for look in range(LOOKS if word else 0):
        found = _find(Listing(listing.jar) if look else listing, word, wanted)
        if found:
            return found
    raise NoSuchJob(_none(listing, word, wanted))


def _none(listing: Listing, word: str, wanted: tuple[str, ...]) -> str:
    elsewhere = tuple(state for state in PLACES if state not in wanted)
    found = _find(listing, word, elsewhere) if word and elsewhere else []
    if found:
        return f"{word!r} is not in {_or(wanted)} but in {show(found[0])}"
    trouble = "".join(f"; {sentence}" for sentence in listing.troubles)
    array, _, tasks = word.rpartition("_")
    if array and any(c in ",-:" for c in tasks) and _split_indices(f"{array}_[{tasks}]")[1] is not None:
        return f"{word!r} names no job in {listing.jar.home}: tasks of an array are {array}_[{tasks}]{trouble}"
    return f"{word!r} names no job in {listing.jar.home}: `jobjar list --all` shows those that are there{trouble}"


def _or(states: tuple[str, ...]) -> str:
    return " or ".join(f"{state}/" for state in states)


def show(place: Place) -> str:
    """The place as a person reads it and a word may say it: unclaimed/C/NAME."""
    return os.path.join(place.state, place.category or "", place.name)


def _find(listing: Listing, word: str, wanted: tuple[str, ...]) -> list[Place]:
    """What the word means, as far as one look shows; empty when nothing."""
    if word == LAST:
        return _newest(listing, wanted)
    if jobname.number(word + ".") and (found := _find_ours(listing, word, wanted)):
        return found
    array, indices = _split_indices(word)
    for rule in (_is_called, _is_task, _has_number, _has_word, _contains):
        found = [place for place in _near(listing, array, wanted) if rule(place, array)]
        if indices is not None:
            tasks = ((place, jobname.array_task(place.name)) for place in found)
            found = [place for place, which in tasks if which and any(which[1] in part for part in indices)]
        if found:
            return one(word, _settled(listing.jar, found))
    if is_glob(word):
        return _settled(listing.jar, [place for place in listing.places(wanted) if _matches(place.name, word)])
    return []


def _near(listing: Listing, word: str, wanted: tuple[str, ...]) -> Iterator[Place]:
    """The places that the word can mean at all: of 100,000 names only few are taken apart."""
    needles = {jobname.stem(os.path.basename(word)), f"{word[:8]}-{word[8:14]}"}
    return (place for place in listing.places(wanted) if any(needle in place.name for needle in needles))


def _find_ours(listing: Listing, word: str, wanted: tuple[str, ...]) -> list[Place]:
    """The one job of this name or id of our own making. It is unique, so the first place will do."""
    name = word if jobname.split(word)[0] != word else jobname.join(word, 0)
    for state in wanted:
        # Most have this name and no category, and completed/ may be long.
        place = _claimed(listing.jar, name) if state == CLAIMS else Place(state, None, name)
        if place and _is_file(listing.jar, place):
            return [place]
    sought = jobname.stem(word)
    for state in wanted:
        found = [place for place in listing.places([state])
                 if sought in place.name and jobname.stem(place.name) == sought]
        if found:
            return one(word, _settled(listing.jar, found))
    return []


def _claimed(jar: Jar, name: str) -> Place | None:
    """Where the link in claimed/ says that the job is, if it says so."""
    text = fslook.link_text(os.path.join(jar.claimed, name))
    worker = text and jar.viewed(text)
    if not worker:
        return None
    holder, *category, last = text.partition(f"{os.sep}{worker}{os.sep}")[2].split(os.sep)
    return Place(CLAIMS, category[0] if category else None, last, os.path.join(jar.worker(worker), holder))


def _is_file(jar: Jar, place: Place) -> bool:
    try:
        return fslook.is_file(*os.path.split(jar.path(place)))
    except NotADirectoryError:
        return False


def _split_indices(word: str) -> tuple[str, list[range] | None]:
    """(word, None), or of ID_[1-10,15] the array and the indices."""
    head, _, tail = word.rpartition("_[")
    body = tail.removesuffix("]")
    if head and body != tail and body and all(c.isdigit() or c in ",-:" for c in body):
        return head, parameters.indices(body)[0]
    return word, None


def _is_called(place: Place, word: str) -> bool:
    return word in (place.name, jobname.split(place.name)[0]) or "/" in word and word == show(place)


def _is_task(place: Place, word: str) -> bool:
    # Of 100,000 names only those that can be it are taken apart.
    which = jobname.array_task(place.name) if place.name.startswith(word) else None
    return which is not None and which[0] == jobname.stem(word)


def _has_number(place: Place, word: str) -> bool:
    if not word[:23].isdigit() or word[:8] != place.name[:8]:
        return False
    digits, _, index = word.partition("_")
    which = jobname.array_task(place.name)
    return jobname.number(place.name) == digits and (not index or which is not None and str(which[1]) == index)


def _has_word(place: Place, word: str) -> bool:
    """Whether it is the whole word of -i, with an index perhaps: then no longer one is meant that contains it."""
    id = jobname.split(place.name)[0]
    which = jobname.array_task(place.name)
    return word == jobname.word(id) or which is not None and word == jobname.word(which[0])


def _contains(place: Place, word: str) -> bool:
    """Whether the word is a fragment of the name; of an array's task, of the array's or with the whole index."""
    if word not in place.name:
        return False
    which = jobname.array_task(place.name)
    if which is None:
        return True
    array, index = which
    # "9_7" is task 7, and neither 70 nor 17.
    return word in array + "_" or len(word) > len(str(index)) and jobname.stem(place.name).endswith(word)


def meaning(word: str) -> Callable[[str], bool]:
    """Whether the word can mean a job of a given name, wherever that is or has been; it may mean several."""
    word = os.path.basename(word)
    array, indices = _split_indices(word)
    has_wildcard = is_glob(word)
    needle = "" if has_wildcard or word[:23].isdigit() else jobname.stem(array)

    def is_meant(name: str) -> bool:
        # Of 100,000 names only few are taken apart.
        if needle not in name:
            return False
        if has_wildcard and indices is None:
            return _matches(name, word)
        place = Place(COMPLETED, None, name)
        if indices is not None and not ((of := jobname.array_task(name)) and any(of[1] in part for part in indices)):
            return False
        return any(rule(place, array) for rule in (_is_called, _is_task, _has_number, _contains))
    return is_meant


def is_glob(word: str) -> bool:
    """Whether the word may mean several jobs by its wildcards; it may be an array with indices, ID_[1-10], as well."""
    return any(c in word for c in "*?[")


def _matches(name: str, glob: str) -> bool:
    base = jobname.split(name)[0]
    if fnmatch.fnmatchcase(name, glob) or fnmatch.fnmatchcase(base, glob):
        return True
    # Of 100,000 names few are those of tasks.
    task = jobname.array_task(name) if "_" in base else None
    return task is not None and fnmatch.fnmatchcase(task[0], glob)


def _newest(listing: Listing, wanted: tuple[str, ...]) -> list[Place]:
    """What this user has submitted last: a job, or the tasks of an array."""
    mine = f"-{jobname.plain(notes.login())}-"
    places = [place for place in listing.places(wanted) if mine in place.name]
    numbers = [(jobname.number(place.name) or "", place) for place in places if jobname.login(place.name) == mine[1:-1]]
    newest = max((number for number, _ in numbers), default=None)
    return _settled(listing.jar, [place for number, place in numbers if number == newest])


def one(word: str, found: list[Place]) -> list[Place]:
    """`found` when they are one job or one array; else UsageError."""
    arrays = {which[0] if (which := jobname.array_task(place.name)) else place for place in found}
    if len(arrays) == 1 and (len(found) == 1 or len({jobname.array_task(place.name) for place in found}) == len(found)):
        return found
    named = ", ".join(show(place) for place in found[:SHOWN])
    rest = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    raise UsageError(f"{word!r} could be any of {len(found)} jobs, {named}{rest}: write more of the name, or the whole"
                     " of one of these")


def _settled(jar: Jar, found: list[Place]) -> list[Place]:
    """Each job once, by age: of one that was seen twice while it moved, the later place."""
    groups: dict[str, list[Place]] = {}
    for place in found:
        groups.setdefault(jobname.stem(place.name), []).append(place)
    settled = [place for group in groups.values() for place in (distinct(jar, group) if len(group) > 1 else group)]
    return sorted(settled, key=age)


def distinct(jar: Jar, group: list[Place]) -> list[Place]:
    """Those of the places, in the order of a job's life, that hold different files now; the last when none does."""
    files: dict[tuple[int, int], Place] = {}
    for place in group:
        found = fslook.status(*os.path.split(jar.path(place)))
        if found is not None and stat.S_ISREG(found.st_mode):
            # RACE: a file that was renamed between two listings is one job with two names.
            files[found.st_dev, found.st_ino] = place
    return list(files.values()) or group[-1:]


def age(place: Place) -> tuple[str, int, str]:
    """What sorts jobs by age, tasks by index, and names made by hand by name."""
    which = jobname.array_task(place.name)
    return jobname.number(place.name) or "", which[1] if which else 0, place.name
