"""How names, ages and tables look on a terminal.

Pure. What comes out holds no control character but the newlines between a table's lines, and nothing is cut off.
"""

from jobjar import quantities

# For annotations alone; type checkers take it for true.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def escape(name: str) -> str:
    """`name` as it may be shown: what is not printable, and the backslash, as its bytes in the form \\xNN.

    Names with a newline, with bytes that are no UTF-8 or with characters that change the direction of writing come
    out as one line that `printf` turns into the name again.
    """
    if name.isprintable() and "\\" not in name:
        return name
    return "".join(c if c.isprintable() and c != "\\" else as_bytes(c) for c in name)


def sentence(words: str) -> str:
    """A sentence as it may be shown: what is not printable as in `escape`, but what is escaped already as it stands."""
    return words if words.isprintable() else "".join(c if c.isprintable() else as_bytes(c) for c in words)


class Words(str):
    """What a person has written, and no name of a file: its backslashes are shown as they are."""


def shown(value: object) -> str:
    """A value as it may be shown: Words as a `sentence`, all else by `escape`."""
    return sentence(str(value)) if isinstance(value, Words) else escape(str(value))


def as_bytes(character: str) -> str:
    """A character as its bytes in UTF-8, each in the form \\xNN."""
    # Bytes that are no UTF-8 arrive as the surrogates U+DC80 to U+DCFF; JSON can bring the other ones.
    how = "surrogateescape" if "\udc80" <= character <= "\udcff" else "surrogatepass"
    return "".join(f"\\x{byte:02x}" for byte in character.encode("utf-8", how))


def age(seconds: float) -> str:
    """A duration for people, rounded down: 59 → "59s", 3725 → "1h2m", 200000 → "2d7h"; never negative."""
    whole = max(0, int(seconds))
    fine = 3600 if whole >= 86400 else 60 if whole >= 3600 else 1
    return quantities.format_duration(whole - whole % fine)


def size(count: int) -> str:
    """A number of bytes for people, rounded down: 83886080 → "80.0M", 1023 → "1023 bytes"."""
    for unit, worth in quantities.BYTES.items():
        if count >= worth:
            return f"{count * 10 // worth / 10:.1f}{unit}"
    return f"{count} bytes"


def counted(count: int, noun: str) -> str:
    """So many of a thing: "1 job", "4 jobs"."""
    return f"{count} {noun}" + ("" if count == 1 else "s")


def table(rows: list[tuple], headings: tuple[str, ...]) -> str:
    """`columns` under headings; a column that is empty in every row is left out."""
    return _lines([(heading, *column) for heading, column in zip(headings, zip(*rows))
                   if any(cell != "" for cell in column)])


def columns(rows: list[tuple]) -> str:
    """One line for each row, aligned in columns, those with numbers to the right; every cell is as `shown` has it."""
    return _lines(zip(*rows))


def _lines(found: "Iterable[tuple]") -> str:
    """The lines of a table that is given column by column."""
    patterns, cells = [], []
    for column in found:
        texts = list(map(str, column))
        # One look at all of them: of 100,000 names few have to be escaped.
        if escape(together := "".join(texts)) != together:
            texts = list(map(shown, column))
        sign = "" if any(issubclass(kind, int) for kind in set(map(type, column))) else "-"
        patterns.append(f"%{sign}{max(map(len, texts)) or ''}s")
        cells.append(texts)
    pattern = "  ".join(patterns)
    return "".join([(pattern % row).rstrip() + "\n" for row in zip(*cells)])


def advice(word: str, known: "Iterable[str]", otherwise: str, mark: str = "") -> str:
    """What to tell whoever has mistyped one of the `known` words: the nearest, behind `mark`, or else `otherwise`."""
    # Costs 5 ms to import, and only those who mistype pay.
    import difflib
    near = difflib.get_close_matches(word, known, 1)
    return f"did you mean {mark}{near[0]}?" if near else otherwise
