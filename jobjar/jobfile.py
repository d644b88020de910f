"""What stands in a job's file when the job asks for something: #JJ lines in a script, or a script that carries a file.

Pure. Job Jar keeps everything about a job in the one file that the job is. Where the interpreter takes # comments the
request stands in the file's own head; any other file stands whole behind a short sh script that has the request.
"""

import os

from jobjar import directives
from jobjar.directives import HEAD_MAX, Request
from jobjar.errors import UsageError

_HASH_COMMENTS = frozenset(b"sh bash dash ash zsh ksh mksh busybox fish csh tcsh python pypy perl ruby Rscript julia"
                           b" octave awk gawk mawk sed make tclsh".split())

# The script reads itself up to its last line, so lines may come and go in its head, and more may follow the file.
_FIRST = b"#!/bin/sh\n# Job Jar: this script carries a file that can hold no #JJ lines.\n"
_REST = b"""\
# The file is the %(size)d bytes behind the line "exit 126". It is copied into the job's scratch directory and takes
# this script's place there, with the same arguments and environment; the worker removes that directory after the job.
JJ_CARRIED="${JJ_SCRATCH_DIR:?is not set: this is a job, and a worker runs it}/.carried"
[ -x "$JJ_CARRIED/"%(name)s ] || (
    umask 077
    mkdir -p "$JJ_CARRIED" && cd "$JJ_CARRIED" || exit
    {
        while IFS= read -r line && [ "$line" != "exit 126" ]; do :; done
        head -c %(size)d
    } <"$0" >%(name)s && [ $(wc -c <%(name)s) -eq %(size)d ] && chmod 700 ./%(name)s
) || { echo "the file that this job carries could not be copied to $JJ_CARRIED" >&2; exit 126; }
# A shell puts these into the environment (bash leaves SHLVL=0 there all the same); a worker does not.
unset PWD OLDPWD SHLVL
exec "$JJ_CARRIED/"%(name)s "$@"
exit 126
"""


def written(data: bytes, request: Request, name: str = "job") -> bytes:
    """The job's file `data` with `request` in the place of whatever stood in its #JJ lines.

    `name`: what a file that has to be carried is called when it runs. UsageError: the request is too long.
    """
    text, at = begun(data, len(data), b"\0" in data, request, name)
    return text + data[at:]


def begun(head: bytes, size: int, has_nul: bool, request: Request, name: str) -> tuple[bytes, int]:
    """As `written`, of a file of `size` bytes that begins with `head`, HEAD_MAX bytes at least if there are as many:
    with what it begins then, and from which byte on it goes on as it was. `has_nul`: whether it holds a NUL.

    UsageError as `written`.
    """
    lines = directives.lines(request)
    text, at = _replaced(head, lines) if takes_comments(head, has_nul) else (_carried(size, lines, name), 0)
    if len(directives.block(text)) > HEAD_MAX:
        raise UsageError(f"what the job asks for is longer than {HEAD_MAX} bytes: export fewer variables, or write"
                         " them into a file that the job reads")
    return text, at


def takes_comments(head: bytes, has_nul: bool) -> bool:
    """Whether #JJ lines may be put into the file that begins with `head`: its interpreter takes # for the beginning of
    a comment. `has_nul`: whether the file holds a NUL."""
    if head.startswith(_FIRST):
        return True
    # A program, or a script with an archive behind it, which may be found by counting lines or bytes, is left as it is.
    return not has_nul and interpreter(head) in _HASH_COMMENTS


def interpreter(data: bytes) -> bytes:
    """The program that runs a script, without its path and version; /bin/sh without "#!", as for any text."""
    if not data.startswith(b"#!"):
        return b"sh"
    words = data[2:].partition(b"\n")[0].split()
    names = [word.rpartition(b"/")[2] for word in words if not word.startswith(b"-") and b"=" not in word]
    if names[:1] == [b"env"]:
        del names[0]
    return names[0].rstrip(b"0123456789.") if names else b""


def _replaced(data: bytes, lines: bytes) -> tuple[bytes, int]:
    head = directives.block(data)
    found = head.split(b"\n")
    if found[-1]:
        # The last line of the file, without its newline.
        found.append(b"")
    marked = [directives.is_directive(line) for line in found]
    kept = [line for line, is_marked in zip(found, marked) if not is_marked]
    at = marked.index(True) if any(marked) else _end(kept)
    return b"\n".join(kept[:at] + lines.split(b"\n")[:-1] + kept[at:]), len(head)


def _end(lines: list[bytes]) -> int:
    """Behind which of the head's lines new ones may follow: the last that is not continued on the next."""
    at = len(lines) - 1
    # tclsh takes a comment that ends in a backslash to go on, and hides a line of sh that way.
    while at > 1 and lines[at - 1].rstrip(b"\r").endswith(b"\\"):
        at -= 1
    return at


def _carried(size: int, lines: bytes, name: str) -> bytes:
    raw = os.fsencode(name)
    is_plain = raw.isascii() and name.isprintable() and not set("'/") & set(name) and name not in ("", ".", "..")
    values = {b"size": size, b"name": b"'" + raw + b"'" if is_plain else b"job"}
    return _FIRST + lines + _REST % values
