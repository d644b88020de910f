"""What may be written as the value of a setting: text → value, or a UsageError that says how to mend it.

Pure. config.KEYS says which of these belongs to which setting; plain numbers and durations are in `quantities`.
"""

import os

from jobjar import jobname, quantities
from jobjar.errors import UsageError

NODE_MAX = 200
# What is asked for where a person names no number of inodes.
INODES = 1000


def given(key: str, value: object) -> str:
    """The text that a program gives as the value of a setting; UsageError if it is none."""
    if not isinstance(value, (str, bytes, os.PathLike)):
        raise UsageError(f"{key}={value!r} will not do: give it as a text")
    return os.fsdecode(value)


def path(text: str) -> str:
    """An absolute path, without what means nothing in it; nothing is resolved."""
    if not text.startswith("/"):
        raise UsageError(f"{text!r} is not an absolute path: write it out from the first '/'")
    if any(ord(c) < 32 or ord(c) == 127 for c in text):
        raise UsageError(f"{text!r} contains a control character: use a directory of another name")
    # Not normpath: ".." behind a symbolic link means something else than it looks like.
    return "/" + "/".join(part for part in text.split("/") if part not in ("", "."))


def _words(text: str) -> list[str]:
    return text.replace(",", " ").split()


def categories(text: str) -> tuple[str, ...]:
    """Names of categories in their order."""
    # dict: a category named twice is read once, at its first place.
    return tuple(dict.fromkeys(jobname.check_category(word) for word in _words(text)))


def joined_categories(names: object) -> str:
    """The text that `categories` reads as these names, each a text; UsageError if one of them is none."""
    found = list(names) if hasattr(names, "__iter__") else [names]
    if not all(isinstance(name, str) for name in found):
        raise UsageError(f"{names!r} is no list of categories: give their names, each as a text")
    return " ".join(map(jobname.check_category, found))


def logins(text: str) -> tuple[str, ...]:
    """Names of users, whether there are such users or not."""
    for word in _words(text):
        if ":" in word or "/" in word or not word.isprintable():
            raise UsageError(f"{word!r} is not a login: name users as 'id -un' prints them")
    return tuple(_words(text))


def node(text: str) -> str:
    """What can be the name of a node."""
    # ":" stands behind the node in reservations and jobspecs. Of all blanks only " " is printable.
    if not text or text[0] in ".-" or not text.isprintable() or any(c in "/: " for c in text):
        raise UsageError(f"{text!r} cannot name a node: leave out blanks, '/', ':' and a '.' or '-' at the beginning")
    if len(text.encode("utf-8", "surrogateescape")) > NODE_MAX:
        raise UsageError(f"{text[:20]!r}… is longer than {NODE_MAX} bytes: use a shorter name for the node")
    return text


def pause(text: str) -> float:
    """A duration above 0, in s."""
    seconds = quantities.parse_duration(text)
    if not seconds:
        raise UsageError(f"{text!r} is no time at all: write a duration above 0")
    return seconds


def at_least_one(text: str) -> int:
    """A whole number above 0."""
    return quantities.parse_count(text, 1)


def log_size(text: str) -> int:
    """A size that has room for the two ends of a log, in bytes."""
    size = quantities.parse_size(text)
    if size < 4096:
        raise UsageError(f"{text!r} is too small for a log: write at least 4K")
    return size


def factor(text: str) -> float:
    """A number from 1 to 1000."""
    whole, _, fraction = text.partition(".")
    digits = whole + fraction
    if not (whole and digits.isascii() and digits.isdigit()) or len(digits) > 9 or not 1 <= float(text) <= 1000:
        raise UsageError(f"{text!r} is no factor: write a number from 1 to 1000, as 1.5")
    return float(text)


def show_factor(value: float) -> str:
    """The text that `factor` reads back."""
    return f"{value:.9g}"


def min_free(text: str) -> tuple[int, int]:
    """Bytes and inodes, as in "100M 1000"; the second may be left out. "0" is neither."""
    words = _words(text)
    if len(words) not in (1, 2):
        raise UsageError(f"{text!r} is not a size with a number of inodes: write 100M, or 100M 1000, or 0 for neither")
    size = quantities.parse_size(words[0])
    return size, quantities.parse_count(words[1]) if words[1:] else INODES if size else 0


def show_min_free(value: tuple[int, int]) -> str:
    """The text that min_free reads back: "100M 1000"."""
    return f"{quantities.format_size(value[0])} {value[1]}"
