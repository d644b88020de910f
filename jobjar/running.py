"""`jobjar run`: a job as if it ran here. It is submitted, what it prints is shown, and its exit status is returned.

Whatever ends the client by a signal that can be caught cancels the job. What a client that was killed leaves behind is
its spool, in which the rest of what the job prints is found.
"""

import os
import sys
import time

from jobjar import ends, fslook, journal, node, notes, preparation, spool, states, submission, text, waits
from jobjar.awaiting import resync_after
from jobjar.config import Settings
from jobjar.directives import Request
from jobjar.errors import JobJarError, TryAgain, UsageError, at_fault, vanished
from jobjar.feeding import Intake
from jobjar.interrupts import Interrupted, Interrupts
from jobjar.job import CANCELLED, COMPLETED, FAILED, LOST_AFTER, Job
from jobjar.layout import Jar
from jobjar.printing import BROKEN_PIPE
from jobjar.watch import Alarm

# What would send the output elsewhere, or make other jobs than one.
REFUSED = ("output", "error", "open_mode", "array", "each_line", "from_json", "per_job", "max_fails")
# When a job that nobody has claimed gives reason to look at the workers, s: at first, and then again.
LOOK_AT_WORKERS, LOOK_AGAIN = 0.15, 30.0
# Seconds between two looks, which grow from the first to the second; what has not moved is looked for after LOOK_ALL.
SHORTEST, LONGEST, LOOK_ALL = 0.01, 0.25, 1.0


def run(jar: Jar, settings: Settings, words: list[str], wishes: Request) -> int:
    """Run a command as a job, here as far as anybody can see; returns the exit status for this process.

    UsageError for `wishes` that make no sense here. TryAgain: no space, or no worker can be had; the job is cancelled.
    """
    for key in REFUSED:
        if key in wishes:
            raise UsageError(f"--{key.replace('_', '-')} is of no use to a job whose output is printed here:"
                             " leave it out, or use submit_job")
    data = submission.plain_script(words)
    with Interrupts() as interrupts:
        client = _Client(jar, settings, node.myself(settings.node), interrupts)
        try:
            return client.submit(data, wishes) or client.follow()
        finally:
            if client.may_remove:
                client.spool.remove()


def _say(sentence: str) -> None:
    print(f"jobjar run: {text.sentence(sentence)}", file=sys.stderr, flush=True)


class _Client:
    """One job, seen from the process that runs it. `may_remove`: nobody needs the spool any more."""

    def __init__(self, jar: Jar, settings: Settings, me: node.Identity, interrupts: Interrupts) -> None:
        self.jar, self.settings, self.me = jar, settings, me
        self.spool = spool.Spool(jar, me)
        self.may_remove = True
        self._interrupts = interrupts
        self._alarm = Alarm()
        self._job: Job | None = None
        # The exit status that an interruption has decided, and until when its job's end is waited for.
        self._status: int | None = None
        self._give_up_at = float("inf")
        self._is_mute = self._makes_files = self._said_cancelled = False
        self._attempts = 0
        # When the job was seen last, and its spool was last written to or closed by it.
        self._seen = self._stirred = self._look_all_at = time.monotonic()
        self._look_at_workers_at = float("inf")

    def submit(self, data: bytes, wishes: Request) -> int | None:
        """Submit the job; the exit status when that was interrupted, else None."""
        try:
            with self._interrupts.allowed():
                given = self.spool.fill(0)
        except Interrupted as interrupted:
            return 128 + interrupted.number
        asked = {"export": "ALL", **wishes, **self.spool.wishes(given), "umask": _umask(), "open_mode": "append"}
        if not {"snapshot", "stage_in"} & asked.keys():
            asked.setdefault("chdir", ".")
        self._intake = given if isinstance(given, Intake) else None
        self._makes_files = "stage_out" in asked
        request = preparation.prepare(self.jar, data, asked, self.settings.node)
        self.may_remove = False
        try:
            self._job = Job(self.jar, submission.submit(self.jar, request, self.spool.note))
        except TryAgain:
            self.may_remove = True
            raise
        if request.state == states.HELD:
            _say(f"{self._job.id} is held: it waits for `jobjar release {self._job.id}`")
        self._seen = self._stirred = time.monotonic()
        self._look_at_workers_at = self._seen + LOOK_AT_WORKERS
        return None

    def follow(self) -> int:
        """Print what the job prints until it has ended; its exit status, or 128 + N after the signal N."""
        pause = SHORTEST
        while True:
            # Armed before the looks, so that nothing can slip in between.
            self._alarm.arm(self.spool.path, written=True)
            if time.monotonic() < self._stirred + LOOK_ALL:
                # A job that ends closes its files. Nobody else's end is to wake all that wait.
                self._alarm.arm(self.jar.completed, self.jar.failed)
            has_ended = self._has_ended()
            moved = self._print(has_ended)
            if has_ended and not moved:
                return self._end()
            moved += self._receive(has_ended)
            is_pressed = self._interrupts.heed()
            if is_pressed and self._status is None:
                self._cancel(128 + self._interrupts.number)
            elif is_pressed or time.monotonic() > self._give_up_at:
                return self._leave()
            pause = SHORTEST if moved else min(pause * 1.5, LONGEST)
            self._look_around()
            self._sleep(0.0 if moved else pause)

    def _sleep(self, seconds: float) -> None:
        try:
            with self._interrupts.allowed():
                if self.spool.path in self._alarm.sleep(seconds):
                    self._stirred = time.monotonic()
        except Interrupted:
            pass

    def _print(self, is_whole: bool) -> int:
        """Print what is new; how many bytes that was."""
        moved = 0
        for tail, to in zip(self.spool.tails, (1, 2)):
            if self._is_mute:
                return 0
            try:
                with self._interrupts.allowed():
                    moved += tail.copy(to, is_whole)
            except Interrupted:
                # Whoever reads this has stopped reading, perhaps; more of it would be in the way of the end.
                self._is_mute = True
            except BrokenPipeError:
                self._is_mute = True
                self._cancel(BROKEN_PIPE)
            except OSError as error:
                self._is_mute = True
                _say(f"standard {'output' if to == 1 else 'error'}: {error.strerror}")
                self._cancel(1)
        return moved

    def _receive(self, has_ended: bool) -> int:
        """Put more of standard input into the spool, while there is a job that may read it; how many bytes that was."""
        if self._intake is None:
            return 0
        try:
            return self._intake.receive(self._alarm, not has_ended and self._status is None)
        except OSError as error:
            _say(f"{at_fault(error) or 'standard input'}: {error.strerror}: the job would read a part of it only")
            self._intake = None
            self._cancel(1)
            return 0

    def _has_ended(self) -> bool:
        """Whether the job's file is where the files of jobs are that have ended; two lookups, most times."""
        now = time.monotonic()
        name = self._job.name
        if any(fslook.is_file(self.jar.directory(state), name) for state in (states.COMPLETED, states.FAILED)):
            return True
        if now < self._look_all_at:
            return False
        self._look_all_at = now + LOOK_ALL
        self._tell_attempts()
        state = self._job.state
        if state is None:
            if now > self._seen + LOST_AFTER:
                raise vanished(self._job.id, self.jar.home)
            return False
        self._seen = now
        return state not in ("PENDING", "RUNNING")

    def _look_around(self) -> None:
        """See to it that somebody is there to take the job."""
        now = time.monotonic()
        if now < self._look_at_workers_at or self._status is not None:
            return
        self._look_at_workers_at = now + LOOK_AGAIN
        place = self._job.place
        if place is not None and place.state == states.WAITING:
            # Idle workers see to it that its time comes.
            wait = waits.read(self.jar.path(place))
            left = max(waits.until(self.jar, place), wait.begin if wait else 0.0) - time.time()
            if left > 0:
                self._look_at_workers_at = now + min(LOOK_AGAIN, left)
                return
        if place is not None and place.state in (states.WAITING, states.UNCLAIMED):
            self._see_to_a_worker()

    def _tell_attempts(self) -> None:
        begun = {line.get("a") for line in notes.read(self.jar, self._job.name)
                 if line.get("e") in (notes.ATTEMPT, journal.REQUEUE)}
        if len(begun) > self._attempts:
            self._attempts = len(begun)
            _say(f"{self._job.id} is begun again (attempt {self._attempts + 1}): what it had printed is above")

    def _see_to_a_worker(self) -> None:
        # Rarely needed, and as long to load as all the rest.
        from jobjar import standby
        try:
            name = standby.called_up(self.jar, self.settings, self.me, self._job.category)
        except JobJarError:
            self._withdraw("no worker could be started for it")
            self.may_remove = self._has_ended()
            raise
        if name:
            _say(f"no worker could take the job: {name} has been started, and ends when it has been idle for"
                 f" {standby.IDLE_EXIT:.0f} s")

    def _cancel(self, status: int) -> None:
        if self._status is not None:
            return
        self._status = status
        if status != BROKEN_PIPE and not self._has_ended():
            self._said_cancelled = True
            _say(f"{self._job.id} is cancelled")
        self._withdraw("`jobjar run` was interrupted")
        self._give_up_at = time.monotonic() + LOOK_ALL

    def _withdraw(self, why: str) -> None:
        """Cancel the job, wherever it is; returns when it has ended, or when nobody knows how long that may take."""
        # Rarely needed.
        from jobjar import cancelling, changing
        place = self._job.place
        if place is not None and place.state not in (states.COMPLETED, states.FAILED):
            cancelling.cancel(changing.Change(self.jar, self.settings.node, complain=_say), [place], why,
                              self.settings.order_time)

    def _end(self) -> int:
        """The job has ended, and all that it has printed has been printed, or cannot be."""
        self._tell_attempts()
        resync_after([self._job])
        is_lost = self._makes_files and not self._bring_back()
        state = self._job.state
        # Whoever interrupts it wants no more of it, and nobody reads a broken pipe.
        is_unwanted = self._status == BROKEN_PIPE or state == CANCELLED and self._status != 1
        self.may_remove = is_unwanted or self.spool.is_seen() or self._keep_unseen()
        if self._status is not None:
            if self._said_cancelled and state != CANCELLED:
                # RACE: it ended while the order was on its way.
                _say(f"{self._job.id} had ended before that: {state}")
            return self._status
        if state == COMPLETED:
            return int(is_lost)
        status = self._job.exit_status
        if status is None:
            _say(f"{self._job.id}: {state}: {ends.why_never(self.jar, self._job.name)}")
        elif state != FAILED:
            _say(f"{self._job.id}: {state}")
        return status or 1

    def _keep_unseen(self) -> bool:
        """Put what could not be printed where it stays, and tell; False when that is the spool."""
        try:
            places = spool.keep(self.jar, self.spool.path, self._job.name)
        except OSError as error:
            _say(f"{at_fault(error) or self.jar.logs}: {error.strerror}: its output stays in {self.spool.path}")
            return False
        _say(f"not everything could be printed: all that {self._job.id} has printed is in {' and '.join(places)}")
        return True

    def _bring_back(self) -> bool:
        """Fetch what the job has made; False when that cannot be, which is told."""
        # Rarely asked for.
        from jobjar import fetching
        try:
            directory, written, _ = fetching.fetch(self.jar, self.settings.node, self._job.place)
        except (JobJarError, OSError) as error:
            _say(f"{error}; `jobjar fetch {self._job.id}` brings what the job has made")
            return False
        for path in written:
            if path.endswith("." + self._job.end_line()["staged"]):
                _say(f"{os.path.join(directory, path)} is what the job has made: the file of that name is another's")
        return True

    def _leave(self) -> int:
        """Go although the job has not ended."""
        _say(f"{self._job.id} has not ended yet: `jobjar wait {self._job.id}` waits for it, and what it prints goes to"
             f" {self.spool.path}")
        return self._status


def _umask() -> int:
    os.umask(mask := os.umask(0o077))
    return mask
