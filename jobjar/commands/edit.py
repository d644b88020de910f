"""`jobjar edit`: change what jobs ask for before they begin, or their text with an editor."""

import os
import stat
import sys

from jobjar import changing, editing, fsops, layout, selection, states, wishes
from jobjar.errors import UsageError

# For annotations alone; type checkers take it for true.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobjar.config import Settings
    from jobjar.options import Options, Parser

NAME = "edit"
HELP = "change what jobs ask for before they begin, or their text"


def add_options(parser: "Parser") -> None:
    """Declare the command's options."""
    parser.usage = "[--home DIR] JOB ... (OPTION ... | --editor)"
    parser.others = lambda: wishes
    parser.add_argument("--editor", action="store_true", help="edit the job's text with $VISUAL or $EDITOR")
    parser.add_argument("jobs", nargs="+", metavar="JOB", help=selection.HELP)
    for letter, name in (("-p", "--priority"), ("-c", "--category"), ("-i", "--id")):
        parser.add_argument(letter, name)


def run(options: "Options", settings: "Settings") -> int:
    """Print a line for each job; the exit status is 1 when it could not be done to all. NoSuchJob: there is none."""
    asked = wishes.of(options)
    if bool(asked) == options.editor:
        raise UsageError("say what is to be changed: either with options of a job, such as --mem=3G, or with --editor")
    jar = layout.open_jar(settings.home, settings.worker_home)
    change = changing.printing(jar, settings.node)
    places = changing.find(jar, options.jobs, states.UNFINISHED)
    if asked:
        editing.edit(change, places, asked)
    else:
        for place in places:
            _edit_text(change, place)
    return 1 if change.left else 0


def _edit_text(change: changing.Change, place: layout.Place) -> None:
    """Let a person edit one job. What he has written and the job has not got is kept in a file, and that is said."""
    import tempfile
    before = len(change.done)
    directory = tempfile.mkdtemp(prefix="jobjar-edit-")
    path, original = os.path.join(directory, "job"), []

    def editor(data: bytes) -> bytes:
        original.append(data)
        return _edited(data, path)
    try:
        editing.edit_text(change, [place], editor)
    finally:
        left = None if len(change.done) > before else _left(path, original)
        if left is None:
            fsops.remove_tree(directory)
        else:
            print(f"jobjar edit: what you have written is in {left}", file=sys.stderr)


def _left(path: str, original: list[bytes]) -> str | None:
    """Where there is what a person has written, the file or else its directory; None when there is nothing."""
    if os.path.isfile(path) and os.access(path, os.R_OK):
        data = _read(path)
        return path if data.strip() and data != original[-1] else None
    directory = os.path.dirname(path)
    # Something else has the file's name, or the editor has given the file another.
    return directory if os.listdir(directory) else None


def _edited(data: bytes, path: str) -> bytes:
    """What a person makes of the text in the file `path`, until a worker could obey it or he gives up."""
    with open(path, "wb") as file:
        file.write(data)
    while True:
        _call_editor(path)
        new = _read(path)
        why = editing.doubt(new, data)
        if why is None:
            return new
        if not sys.stdin.isatty():
            raise UsageError(why)
        print(f"jobjar edit: {why}", file=sys.stderr)
        if input("Edit it again? [Y/n] ").strip().lower() in ("n", "no"):
            raise UsageError(why)


def _read(path: str) -> bytes:
    try:
        # What is no regular file may make us wait.
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise UsageError("the editor has left something else than a file where its text was")
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        raise UsageError("the editor has removed the file that it was to change") from None
    except OSError as error:
        raise UsageError(f"the editor has left what cannot be read ({error.strerror})") from None


def _call_editor(path: str) -> None:
    import shlex
    import subprocess
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    try:
        code = subprocess.call([*shlex.split(editor), path])
    except (OSError, ValueError) as error:
        raise UsageError(f"the editor {editor!r} cannot be started ({error}), so set VISUAL or EDITOR to"
                         " another") from None
    if code:
        raise UsageError(f"the editor {editor!r} has ended with status {code}")
