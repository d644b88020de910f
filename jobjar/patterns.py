"""Names of output files with places to be filled in, as sbatch has them: %j %A %a %x %u %N %%.

Pure. A number between the % and an `a` fills the index up with zeros: %4a. With the other letters it says nothing.
"""

from jobjar import parameters
from jobjar.errors import UsageError

# For annotations alone; type checkers take it for true.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

LETTERS = {"j": "the job's id", "A": "its array's id", "a": "its index in the array", "x": "the word of -i",
           "u": "the user", "N": "the node"}
WIDTH_MAX = 10


def check(text: str) -> str:
    """`text` itself, when it is a path and all that is to be filled in is known; else UsageError."""
    expand(parameters.path(text), lambda letter: "")
    return text


def expand(pattern: str, value: "Callable[[str], str]") -> str:
    """`pattern` with `value(letter)` for each %letter; UsageError when it has others than LETTERS."""
    if "%" not in pattern:
        return pattern
    found, at = "", 0
    while at < len(pattern):
        if pattern[at] != "%":
            found, at = found + pattern[at], at + 1
            continue
        end = at + 1
        while pattern[end:end + 1] in tuple("0123456789"):
            end += 1
        width, letter = pattern[at + 1:end], pattern[end:end + 1]
        found += _fill(pattern, width, letter, value)
        at = end + 1
    return found


def _fill(pattern: str, width: str, letter: str, value: "Callable[[str], str]") -> str:
    if letter == "%" and not width:
        return "%"
    if letter not in LETTERS:
        known = ", ".join(f"%{letter} ({meaning})" for letter, meaning in LETTERS.items())
        raise UsageError(f"{pattern!r} holds {'%' + width + letter!r}: there are {known}, and %% is a %")
    if len(width) > 2 or int(width or 0) > WIDTH_MAX:
        raise UsageError(f"{pattern!r} asks for more than {WIDTH_MAX} digits: write a smaller number")
    text = value(letter)
    return text.zfill(int(width)) if width and letter == "a" and text else text
