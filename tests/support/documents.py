"""README.md and the guide, as something that can be tried out: their blocks, and a shell in which they are typed in.

A block ```console holds commands ("$ …", continued with "> …") and below each what it prints. A block ```python is a
program; what stands behind "# " on a line with print() is what that line prints. "…" stands for anything.
"""

import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import termios
import time
from collections import namedtuple
from collections.abc import Iterator

from support import processes

from jobjar import layout

# One command with what it should print. `line`: where it stands in its file.
Step = namedtuple("Step", "command expected line")

END = "--end of what was printed--"
# What only looks and may look too early; it is repeated until it shows what the guide says.
LOOKS = ("system_status", "ls ", "cat ", "jobjar status", "jobjar config", "jobjar list", "grep ")
PATIENCE = 30.0

# The names of workers and jobs in the documents, which are others each time.
WORKER = r"\brain\.\d+\b"
NUMBERED = r"\b\d{8}-\d{6}-%s-\d{9}"


def blocks(text: str) -> Iterator[tuple[str, int, list[str]]]:
    """(language, number of the first line, lines) of each fenced block."""
    language, start, lines = None, 0, []
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("```") and language is None:
            language, start, lines = line[3:].strip(), number + 1, []
        elif line.startswith("```"):
            yield language, start, lines
            language = None
        elif language is not None:
            lines.append(line)


def steps(text: str) -> Iterator[Step]:
    """What the document tells its readers to type, in order, and what they should see then."""
    for language, start, lines in blocks(text):
        if language == "python":
            yield Step("python3 - <<'END'\n" + "\n".join(lines) + "\nEND", _comments(lines), start)
        elif language == "console":
            yield from _typed(lines, start)


def _typed(lines: list[str], start: int) -> Iterator[Step]:
    step = None
    for number, line in enumerate(lines, start):
        if line.startswith("$ "):
            if step:
                yield step
            step = Step(line[2:], [], number)
        elif line.startswith("> ") and not step.expected:
            step = step._replace(command=step.command + "\n" + line[2:])
        else:
            step.expected.append(line)
    if step:
        yield step


def _comments(lines: list[str]) -> list[str]:
    return [line.partition("  # ")[2] for line in lines if "print(" in line and "  # " in line]


def check_out(target: str) -> None:
    """A copy of this checkout as it was cloned, with the packages of these tests as what `make` has made."""
    made = (*layout.DIRECTORIES, *layout.LATER, "workers", "FORMAT", ".git", ".venv", ".pytest_cache")

    def ignored(directory: str, names: list[str]) -> set[str]:
        return {name for name in names if name == "__pycache__" or directory == processes.TOP and name in made}

    shutil.copytree(processes.TOP, target, ignore=ignored)
    environment = os.path.join(target, ".venv")
    os.mkdir(environment)
    for name in ("bin", "lib", "pyvenv.cfg"):
        os.symlink(os.path.join(sys.prefix, name), os.path.join(environment, name))
    with open(os.path.join(environment, "made"), "w"):
        pass


class Shell:
    """A shell at a terminal of its own, in an environment where nothing is set but what a login sets."""

    def __init__(self, home: str, **more: str) -> None:
        self.home = home
        self.login = pwd.getpwuid(os.geteuid()).pw_name
        # A worker or job of the document → the one that is in its place here.
        self.names: dict[str, str] = {}
        # The interpreter of the tests as python3: the one that a newcomer has.
        own = os.path.join(home, ".python")
        os.makedirs(own)
        os.symlink(sys.executable, os.path.join(own, "python3"))
        # Commands come by a pipe of their own, or one that reads its standard input would swallow the next.
        commands, self._keyboard = os.pipe()
        self._screen, terminal = os.openpty()
        settings = termios.tcgetattr(terminal)
        settings[1] &= ~termios.OPOST
        termios.tcsetattr(terminal, termios.TCSANOW, settings)
        environment = {"HOME": home, "PATH": f"{own}:/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", **more}
        self._process = subprocess.Popen(["bash", "--norc", f"/dev/fd/{commands}"], stdin=terminal, stdout=terminal,
                                         stderr=terminal, env=environment, cwd=home, start_new_session=True,
                                         pass_fds=[commands])
        os.close(commands)
        os.close(terminal)

    def type(self, command: str) -> str:
        """Let the shell do it; what it prints."""
        os.write(self._keyboard, f"{command}\nprintf '%s\\n' '{END}'\n".encode())
        seen, deadline = b"", time.monotonic() + PATIENCE
        while not seen.endswith(f"{END}\n".encode()):
            assert time.monotonic() < deadline, f"{command!r} does not end; so far it printed {seen!r}"
            seen += os.read(self._screen, 65536)
        return seen.decode("utf-8", "replace").removesuffix(f"{END}\n")

    def close(self) -> None:
        """End the shell."""
        os.close(self._keyboard)
        self._process.send_signal(signal.SIGHUP)
        self._process.wait(PATIENCE)
        os.close(self._screen)

    def plain(self, text: str) -> str:
        """`text` with what differs from place to place as the documents have it."""
        # What a command has written over is not seen.
        text = re.sub(r"\r[^\r\n]*\x1b\[K", "", text).replace(self.home, "/home/ada")
        for here, there in ((os.uname().nodename, "rain"), (self.login, "ada")):
            text = re.sub(rf"\b{re.escape(here)}\b", there, text)
        text = re.sub(NUMBERED % "ada", "DATE-TIME-ada-NUMBER", text)
        text = re.sub(WORKER, "rain.PID", text)
        text = re.sub(r"\b(\d+[dhms])+( ago)?(?=\s|$)", "AGE", text)
        return "\n".join(re.sub(" +", " ", line).strip() for line in text.strip().splitlines())

    def learn(self, expected: str, seen: str) -> None:
        """Remember which names of here stand for those of the document."""
        for pattern, login in ((WORKER, ""), (NUMBERED, re.escape(self.login))):
            written = re.findall(pattern % "ada" if login else pattern, expected)
            real = re.findall(pattern % login if login else pattern, seen)
            if len(written) == len(real):
                self.names.update(zip(written, real))
                self.names.update((w.rpartition(".")[2], r.rpartition(".")[2]) for w, r in zip(written, real))

    def translate(self, command: str) -> str:
        """The command of the document with the names of here."""
        names = "|".join(map(re.escape, sorted(self.names, key=len, reverse=True)))
        return re.sub(rf"\b({names})\b", lambda found: self.names[found[0]], command) if names else command


def follow(text: str, shell: Shell, exempt: dict[str, str]) -> list[str]:
    """Type in the whole document; what did not come out as it says, in words."""
    wrong = []
    for step in steps(text):
        if step.command in exempt:
            continue
        seen = _try(step, shell)
        if seen is not None:
            wrong.append(f"line {step.line}: {step.command}\n--- it says\n" + "\n".join(step.expected)
                         + f"\n--- it printed\n{seen}")
    return wrong


def _try(step: Step, shell: Shell) -> str | None:
    """None when it comes out as expected, else what was printed at last."""
    pattern = _pattern(shell.plain("\n".join(step.expected)))
    deadline = time.monotonic() + PATIENCE / 2
    while True:
        seen = shell.type(shell.translate(step.command))
        if re.fullmatch(pattern, shell.plain(seen) + "\n", re.DOTALL):
            shell.learn("\n".join(step.expected), seen)
            return None
        if not step.command.startswith(LOOKS) or time.monotonic() > deadline:
            return seen
        processes.reap()
        time.sleep(0.1)


def _pattern(expected: str) -> str:
    """A line that is "…" stands for any number of lines, none too; in a line it stands for any text."""
    return "".join(r"(.*\n)?" if line == "…" else re.escape(line).replace("…", ".*") + r"\n"
                   for line in expected.split("\n"))
