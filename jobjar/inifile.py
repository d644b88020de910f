"""The text of a config.ini → its entries, each with its line number.

Pure: no disk, and no idea which names mean something. The grammar:

    # a comment, also after ";"; comments and blank lines may stand anywhere
    [Job Jar]
    name: value
    name=value

The first line that is neither blank nor a comment is the header; the first ":" or "=" of a line ends the name; blanks
around names and values do not count; a value runs to the end of its line and may be empty. Nothing is expanded.
"""

from jobjar.errors import UsageError

HEADER = "[Job Jar]"


def parse(text: str, file: str) -> dict[str, tuple[str, int]]:
    """Name → (value, line number) in the order of the file; UsageError names `file`, the line and the remedy."""
    entries: dict[str, tuple[str, int]] = {}
    headed = False
    # A byte order mark is what some editors begin a file with. splitlines() would also split at form feeds.
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        # strip() also takes the carriage return of a file that was edited on Windows.
        line = line.strip()
        if not line or line[0] in "#;":
            continue
        where = f"{file} line {number}"
        if not headed or line[0] == "[":
            _check_header(line, headed, where)
            headed = True
            continue
        name, value = _entry(line, where)
        if name in entries:
            raise UsageError(f"{where} sets {name} again after line {entries[name][1]}: remove one of the two lines")
        entries[name] = (value, number)
    return entries


def _check_header(line: str, headed: bool, where: str) -> None:
    if headed:
        raise UsageError(f"{where} begins another section, {line!r}: remove the line, {HEADER} is the only section")
    if line != HEADER:
        remedy = f"write {HEADER} instead" if line[0] == "[" else f"put the line {HEADER} above it"
        raise UsageError(f"{where} is {line!r}: {remedy}, the first line that is not a comment")


def _entry(line: str, where: str) -> tuple[str, str]:
    ends = [at for at in (line.find(":"), line.find("=")) if at >= 0]
    name = line[:min(ends)].rstrip() if ends else ""
    if not name:
        raise UsageError(f"{where} is {line!r}: write it as 'name: value' or 'name=value', or begin it with '#'")
    return name, line[min(ends) + 1:].lstrip()
