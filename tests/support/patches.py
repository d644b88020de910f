"""Patches: a change of the program, as `diff -u` writes it, that a test makes in a copy.

What a hunk removes is looked for by its text and its context, which must be there exactly once; the numbers of lines
in the patch say nothing, so that a patch outlives what is written above its place.
"""

import os

from support import jars


def parse(text: str) -> tuple[list[str], dict[str, list[tuple[str, str]]]]:
    """(the lines before the first file, path below the top → the hunks, each what was there and what is to be)."""
    words: list[str] = []
    files: dict[str, list[tuple[str, str]]] = {}
    hunks: list[tuple[str, str]] | None = None
    for line in text.splitlines(keepends=True):
        if line.startswith("--- a/"):
            hunks = files.setdefault(line[6:].split("\t")[0].strip(), [])
        elif hunks is None:
            words.append(line.rstrip("\n"))
        elif line.startswith("@@"):
            hunks.append(("", ""))
        elif not line.startswith("+++ b/"):
            hunks[-1] = _longer(*hunks[-1], line)
    return words, files


def _longer(old: str, new: str, line: str) -> tuple[str, str]:
    # An empty line may have lost its blank to an editor.
    sign, rest = (line[0], line[1:]) if line.strip() else (" ", "\n")
    assert sign in " +-", f"this is no line of a patch: {line!r}"
    return old + rest * (sign != "+"), new + rest * (sign != "-")


def apply(path: str, top: str) -> list[str]:
    """Change the files below `top`, all or none; what does not fit, in words."""
    _, files = parse(jars.read(path))
    texts = {name: jars.read(os.path.join(top, name)) for name in files}
    wrong = []
    for name, hunks in files.items():
        for old, new in hunks:
            if texts[name].count(old) != 1:
                wrong.append(f"{path} does not fit {name} any more, where it is expected once and found"
                             f" {texts[name].count(old)} times:\n{old}Renew the patch: make the same mistake in a copy,"
                             " and keep the first lines of the patch")
            texts[name] = texts[name].replace(old, new)
    for name, text in texts.items() if not wrong else ():
        target = os.path.join(top, name)
        os.remove(target)
        jars.write(target, text, 0o644)
    return wrong
