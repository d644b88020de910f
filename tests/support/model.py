"""What a jar must look like: a reference model, which knows the rules of docs/PROTOCOL.md and no file.

It is told what is done to the jar and says what must be in it. All places are paths below the jar's top. What a
process that was killed has left is told to it too (`left`), for nobody can say beforehand how far it had come.
"""

from collections import namedtuple

from jobjar import jobname
from jobjar.layout import dot_name

MAX_ATTEMPTS = 3
# A job that a worker holds. `noted`: there were notes about it when it was claimed.
Claim = namedtuple("Claim", "category name attempt noted")
# How far a killed worker had come with its job: its end line's state, its requeue line, its target line, its output.
Death = namedtuple("Death", "state given_back target output", defaults=(None, False, None, None))


class Model:
    """One jar."""

    def __init__(self) -> None:
        self.jobs: dict[str, int] = {}                      # path → inode
        self.bad: set[str] = set()                          # names in completed/ of jobs that ended badly
        self.logs: dict[str, str] = {}                      # name → what the job printed
        self.tries: dict[tuple, set[str]] = {}              # (category, name) → ids of attempts that count
        self.noted: set[str] = set()                        # ids of jobs with notes
        self.workers: dict[str, set[str] | None] = {}       # name → its markers, or None when it owns nothing
        self.claims: dict[str, Claim] = {}                  # worker → the job that it holds
        self.dead: dict[str, Death] = {}
        self.left: dict[str, dict[str, str]] = {}           # dead process → path → text of a link

    def picture(self) -> dict[str, object]:
        """All that is to be seen: jobs by their inodes, links by their texts, logs by theirs."""
        links = {f"failed/{name}": f"-> ../completed/{name}" for name in self.bad}
        return {**self.jobs, **links, **{f"logs/{name}": text for name, text in self.logs.items()}, **self._left()}

    def _left(self) -> dict[str, str]:
        return {path: text for found in self.left.values() for path, text in found.items()}

    def queue(self, state: str, category: str | None, name: str, mine: str = "") -> str:
        """Where a job comes to lie in a queue: under its name, or the next that is free."""
        top = f"{state}/{category}/" if category else f"{state}/"
        while top + name in self.jobs or self._left().get(top + dot_name(name), mine) != mine:
            name = jobname.next_name(name)
        return top + name

    def final(self, name: str, mine: str = "", bad: bool = False, printed: bool = True) -> str:
        """The final name: free in completed/, failed/ and logs/ together, or held by `mine` already."""
        while self._is_taken(name, mine, bad, printed):
            name = jobname.next_name(name)
        return name

    def _is_taken(self, name: str, mine: str, bad: bool, printed: bool) -> bool:
        holder, left = self._left().get(f"completed/{name}"), self._left()
        in_failed = f"failed/{name}" in self.jobs or f"failed/{name}" in left and not (bad and holder == mine)
        # A log under a name that is reserved already belongs to the holder, if he has nothing left to move there.
        in_logs = (printed or holder is None) and (name in self.logs or f"logs/{name}" in left)
        return f"completed/{name}" in self.jobs or holder not in (None, mine) or in_failed or in_logs

    def move(self, path: str, target: str) -> None:
        """A job changes its place; in completed/ and failed/ the way back from there."""
        self.jobs[target] = self.jobs.pop(path)

    def claim(self, worker: str, path: str, attempt: str) -> None:
        """A worker wins a job."""
        _, *category, name = path.split("/")
        base = jobname.split(name)[0]
        self.claims[worker] = Claim(category[0] if category else None, name, attempt, base in self.noted)
        self.move(path, self.held(worker))

    def held(self, worker: str, holder: str = "claims") -> str:
        """Where the job lies that a worker holds."""
        claim = self.claims[worker]
        return "/".join(["workers", worker, holder, *([claim.category] if claim.category else []), claim.name])

    def complete(self, worker: str, bad: bool, output: str, mine: str = "", first: str | None = None) -> None:
        """A job has ended, by its worker's or by recovery's hand."""
        claim, path = self.claims[worker], self.held(worker)
        final = self.final(first or claim.name, mine, bad, bool(output))
        if output:
            self.logs[final] = output
        if path in self.jobs:
            self.move(path, f"completed/{final}")
            if bad:
                self.bad.add(final)
        self.done(worker)

    def done(self, worker: str) -> None:
        """A worker's job has left it for completed/ or failed/: what counted counts no more."""
        claim = self.claims.pop(worker)
        if claim.noted or jobname.split(claim.name)[0] in self.noted and worker in self.dead:
            self.tries.pop((claim.category, claim.name), None)

    def put_back(self, worker: str, mine: str = "") -> None:
        """A worker's job goes back to its queue, and what counts goes with it."""
        claim = self.claims[worker]
        target = self.queue("unclaimed", claim.category, claim.name, mine)
        self.move(self.held(worker), target)
        name, tries = target.rpartition("/")[2], self.tries.get((claim.category, claim.name))
        if name != claim.name and tries:
            self.count(claim.category, name, tries)
        del self.claims[worker]

    def count(self, category: str | None, name: str, attempts: set[str]) -> int:
        """Attempts count; how many there are now."""
        self.noted.add(jobname.split(name)[0])
        self.tries.setdefault((category, name), set()).update(attempts)
        return len(self.tries[category, name])

    def recover(self, worker: str) -> None:
        """A dead worker's job is brought back, completed or given up, and the worker owns nothing any more."""
        claim, death = self.claims.get(worker), self.dead[worker]
        mine = f"-> reserved:{worker}:{claim.attempt}" if claim else ""
        if claim and death.state:
            self.complete(worker, death.state != "COMPLETED", death.output, mine, death.target)
            self.keep(worker)
        elif claim:
            self.void(worker)
            if not death.given_back and self.count(claim.category, claim.name, {claim.attempt}) >= MAX_ATTEMPTS:
                self.move(self.held(worker), f"failed/{self.final(claim.name, mine)}")
                self.done(worker)
            else:
                self.put_back(worker, mine)
        self.workers[worker] = None

    def void(self, owner: str) -> None:
        """What a dead process had reserved is free again; a log under such a name becomes that of the attempt."""
        self.keep(owner)
        for path, text in self.left[owner].items():
            name = path.removeprefix("completed/")
            if path != name and name in self.logs and f"completed/{name}" not in self.jobs:
                self.logs[f"{name}.attempt-{text.rpartition(':')[2]}"] = self.logs.pop(name)
        self.left[owner] = {path: text for path, text in self.left[owner].items() if "/." in path}

    def keep(self, owner: str) -> None:
        """Logs that a dead process had moved already are where they are."""
        left = self.left[owner]
        self.logs.update((path[5:], left.pop(path)) for path in [*left] if path.startswith("logs/"))

    def sweep(self) -> None:
        """Nothing is left of the dead who own nothing."""
        for owner in [*self.left]:
            self.void(owner)
            del self.left[owner]
