"""When a job began: the program of stamp.c, and how long its first instruction came after something."""

import os
import shutil
import time
from collections.abc import Callable

from bench import yardsticks
from bench.ground import PATIENCE, Ground, wait_until
from support import jars

from jobjar import submission
from jobjar.layout import Jar


class Stamp:
    """A program that says when it was begun; Missing without a compiler."""

    def __init__(self, ground: Ground) -> None:
        self._said = os.path.join(ground.top, "stamps")
        self.program = yardsticks.compiled(ground, "stamp.c", f'-DSTAMPS="{self._said}"')

    def seconds(self, act: Callable[[], object], most: float = PATIENCE) -> float:
        """How long after the beginning of `act` the program began once more; `most` if it did not until then."""
        before, began = self._count(), time.time_ns()
        act()
        wait_until(lambda: self._count() > before or time.time_ns() - began > most * 1e9, "the start of a job")
        if self._count() == before:
            return most
        return (int(jars.read(self._said).splitlines()[before]) - began) / 1e9

    def _count(self) -> int:
        return jars.read(self._said).count("\n") if os.path.exists(self._said) else 0

    def draft(self, jar: Jar, priority: int = 0) -> Callable[[], None]:
        """Put a copy of the program into limbo/; what is returned renames it into the queue."""
        name = submission.fresh_name(priority)
        path = os.path.join(jar.limbo, name)
        shutil.copy(self.program, path)
        os.chmod(path, 0o700)
        return lambda: os.rename(path, os.path.join(jar.unclaimed, name))
