"""Where the items of lists stand in a command line: {} for all of them, {1}, {2} for that of the first, second list.

Pure. A job finds its items in its environment, so what replaces a placeholder is a variable, quoted as it has to be
where it stands: no item can end a word or begin a command. A backslash before it, and "$", leave it as it is.
"""

import re

from jobjar.errors import UsageError

_PLACE = re.compile(r"\{([0-9]{0,3})\}")


def placed(command: str, lists: int) -> str:
    """`command` with variables in the place of its placeholders; without any, all items of the `lists` come last.

    0 lists: there is an entry of a file, for which only {} stands, and which a command may find in its environment.
    UsageError: a placeholder means a list that is not there.
    """
    text, found = _replaced(command, lists)
    return text if found or not lists else f"{command} {_value('', lists, '')}"


def _replaced(command: str, lists: int) -> tuple[str, bool]:
    parts, at, has_any = [], 0, False
    # What is open where we are: quotation marks, "(" of $(…), "`".
    opened: list[str] = []
    while at < len(command):
        inside = opened[-1] if opened else ""
        place = _PLACE.match(command, at)
        if place and command[at - 1:at] != "$" and (lists or not place[1]):
            parts.append(_value(place[1], lists, inside))
            at, has_any = place.end(), True
            continue
        length = 2 if command[at] == "\\" and inside != "'" or command[at:at + 2] == "$(" and inside != "'" else 1
        piece = command[at:at + length]
        parts.append(piece)
        at += length
        _follow(opened, inside, piece)
    return "".join(parts), has_any


def _follow(opened: list[str], inside: str, piece: str) -> None:
    """Keep account of what `piece` of a command line opens or closes."""
    if inside == "'":
        closes = "'"
    else:
        closes = {'"': '"', "(": ")", "`": "`"}.get(inside)
    if piece == closes:
        opened.pop()
    elif inside == "'":
        return
    elif piece in ('"', "`", "$(") or piece in ("'", "(") and inside != '"':
        opened.append(piece[-1])


def _value(number: str, lists: int, inside: str) -> str:
    """What stands for a placeholder inside of such quotation marks."""
    if number and not 1 <= int(number) <= lists:
        raise UsageError(f"{{{number}}} means a list that is not there, for there are {lists}: correct it, or write"
                         f" \\{{{number}}} if these characters themselves are meant")
    names = ["JJ_ENTRY"] if lists < 2 else [f"JJ_ENTRY_{n}" for n in range(1, lists + 1)]
    chosen = names if not number else [names[int(number) - 1]]
    if inside == '"':
        return " ".join(f"${{{name}}}" for name in chosen)
    # '…' is left for a moment.
    mark = "'" if inside == "'" else ""
    between = " " if inside != "'" else "' '"
    return mark + between.join(f'"${{{name}}}"' for name in chosen) + mark
