"""Jobs that are in the jar no more: what has become of them is said to whoever asks for them."""

from collections.abc import Iterable

from jobjar import history, selection
from jobjar.errors import NoSuchJob
from jobjar.layout import Jar, Place


def find(jar: Jar, words: Iterable[str]) -> list[Place]:
    """As `selection.jobs`; NoSuchJob says of a job that has ended and is not there any more where its record is."""
    words = list(words)
    try:
        return selection.jobs(jar, words)
    except NoSuchJob:
        for word in words:
            _require_there(jar, word)
        raise


def _require_there(jar: Jar, word: str) -> None:
    try:
        selection.jobs(jar, [word])
    except NoSuchJob as error:
        records = history.records(jar, history.Wanted(named=selection.meaning(word)))
        if not records or word in ("", selection.LAST):
            raise
        how = "was cleaned away" if any("cleaned" in record for record in records) else "has been removed"
        raise NoSuchJob(f"{word!r} is not in {jar.home} any more, it {how}: `jobjar history {word}` has its"
                        " record") from error
