"""Words on one line: how a #JJ line is taken apart, and how a word is written so that it comes back unchanged.

Pure. Blanks separate words; one that begins with # ends the line, for what follows is for people. In '…' everything
stands for itself; in "…", and outside of quotation marks, a backslash makes the next character plain, and inside "…"
\\n, \\t and \\xNN are a newline, a tab and a byte.
"""

from jobjar.errors import UsageError

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-^{}[]!?*~#")
_PLAIN_FOR_SHELL = _PLAIN - frozenset("^{}[]!?*~#")
_NAMED = {"n": "\n", "t": "\t"}
_NAMES = {character: name for name, character in _NAMED.items()}


def quote(word: str) -> str:
    """`word` as `split` reads it back, on one line whatever it contains."""
    # An empty word has to be visible.
    return word if word and word[0] != "#" and _PLAIN.issuperset(word) else '"' + "".join(map(_escaped, word)) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    if character in _NAMES:
        return "\\" + _NAMES[character]
    code = ord(character)
    # A byte that is no UTF-8 comes as one of the surrogates U+DC80 to U+DCFF; some interpreters take no such comment.
    if code < 32 or code == 127 or 0xdc80 <= code <= 0xdcff:
        return f"\\x{code & 0xff:02x}"
    return character


def split(line: str) -> list[str]:
    """The words of a line; UsageError when a quotation mark is open at its end."""
    words, at = [], 0
    while True:
        while at < len(line) and line[at] in " \t\r":
            at += 1
        if at == len(line) or line[at] == "#":
            return words
        word, at = _word(line, at)
        words.append(word)


def _word(line: str, at: int) -> tuple[str, int]:
    """The word that begins at `at`, and where it ends."""
    parts, mark = [], ""
    while at < len(line) and (mark or line[at] not in " \t\r"):
        character = line[at]
        at += 1
        if character == mark:
            mark = ""
        elif not mark and character in "'\"":
            mark = character
        elif character == "\\" and mark != "'":
            plain, at = _plain(line, at, bool(mark))
            parts.append(plain)
        else:
            parts.append(character)
    if mark:
        raise UsageError(f"the quotation mark {mark} is not closed: close it on the same line")
    return "".join(parts), at


def _plain(line: str, at: int, is_quoted: bool) -> tuple[str, int]:
    """What a backslash before `at` makes of what follows it, and where that ends."""
    if at == len(line):
        raise UsageError("a backslash is the last character: leave it out, for a line is not continued")
    character = line[at]
    if is_quoted and character in _NAMED:
        return _NAMED[character], at + 1
    if is_quoted and character == "x":
        digits = line[at + 1:at + 3]
        if len(digits) != 2 or not all(c in "0123456789abcdefABCDEF" for c in digits):
            raise UsageError(f"\\x{digits} is no byte: write two hexadecimal digits behind \\x, or \\\\x")
        byte = int(digits, 16)
        return chr(byte if byte < 128 else 0xdc00 + byte), at + 3
    return character, at + 1


def for_shell(word: str) -> str:
    """`word` as sh reads it back."""
    return word if word and _PLAIN_FOR_SHELL.issuperset(word) else "'" + word.replace("'", "'\\''") + "'"
