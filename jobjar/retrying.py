"""Jobs that have ended are put back by a person, to be run again."""

from collections.abc import Iterable

from jobjar import ends, fslook, jobname, moves, notes
from jobjar.changing import Change, Verb, queue_for
from jobjar.layout import Jar, Place
from jobjar.states import CLAIMS, COMPLETED, FAILED, QUEUES


def retry(change: Change, places: Iterable[Place]) -> None:
    """Put jobs that have ended back under their ids; their attempts count anew."""
    places = list(places)
    known = ends.end_lines(change.jar, [place.name for place in places if place.state == COMPLETED])
    noted = set(fslook.names(change.jar.notes))
    last = {place: known.get(place.name) or _last_note(change.jar, place) for place in places}

    def line(place: Place) -> list[notes.Line]:
        if place not in last:
            # RACE: somebody else has retried it meanwhile, and it has ended once more, perhaps under another name.
            last[place] = ends.end_lines(change.jar, [place.name]).get(place.name) or _last_note(change.jar, place)
            noted.add(jobname.split(place.name)[0])
        category = jobname.noted_category(last[place].get("c"))
        closing = notes.closing(change.jar, place.name, category) if jobname.split(place.name)[0] in noted else []
        return [(place.name, category, "retry", {}), *closing]

    def move(place: Place) -> Place | None:
        # Anybody may have written that line.
        category, attempt = jobname.noted_category(last[place].get("c")), last[place].get("a")
        return moves.retry(change.jar, place, change.mine, category,
                           attempt if jobname.is_part(attempt) else change.token, queue_for(change.jar, place))
    change.apply(places, Verb((COMPLETED, FAILED), change.refusing(
        {CLAIMS: "is running: only a job that has ended can be retried",
         **dict.fromkeys(QUEUES, "has not begun yet: only a job that has ended can be retried")}),
        line, move, lambda place: "is to be run again"))


def _last_note(jar: Jar, place: Place) -> dict:
    """The last line about a job whose end no journal knows, without its attempt; an empty one when there is none."""
    lines = notes.in_order([line for line in notes.read(jar, place.name) if line.get("n") == place.name])
    return {"c": lines[-1].get("c")} if lines else {}
