"""What the tests let a node do with Job Jar's own modules: `on_node.py VERB WORD …` prints what it found as JSON."""

import contextlib
import errno
import json
import os
import platform
import random
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.dirname(os.path.dirname(HERE)), HERE]

import proof  # noqa: E402

from jobjar import (cli, fslook, fsops, glance, layout, node, registration, resync, shelf, states,  # noqa: E402
                    submission)

BATCH = 100
# An adversary adds the second file so many seconds after the first at the latest: about a tick of the server's clock.
TICK = 0.012
ALL_LANES = 0.2
# Looking more often than this would take from the workers the time that they need.
WATCH = 0.2


def jar_in(directory):
    return layout.Jar(os.path.join(directory, "jar"))


def who(directory):
    """Which node this is, and how the directory is mounted here."""
    found = mount(directory)
    return {"node": platform.node(), "boot": node.boot_id(), "machine": node.machine_id(),
            "kernel": platform.release(), "mount": f"{found[2]} {options(found[3])}"}


def mount(directory):
    """The fields of the mount that holds the directory."""
    with open("/proc/self/mounts", encoding="utf-8") as file:
        lines = [line.split() for line in file]
    inside = [line for line in lines if (os.path.realpath(directory) + "/").startswith(line[1].rstrip("/") + "/")]
    return max(enumerate(inside), key=lambda pair: (len(pair[1][1]), pair[0]))[1]


def options(text):
    """Those that decide how a network file system caches and what it does when the server is silent."""
    told = ("vers=", "noac", "lookupcache=", "acregm", "acdirm", "actimeo", "soft", "hard", "proto=", "timeo=")
    return ",".join(option for option in text.split(",") if option.startswith(told))


def make(directory):
    """A jar, and room for what its jobs will say."""
    layout.create_jar(os.path.join(directory, "jar"))
    proof.make(os.path.join(directory, "proof"))
    return {}


def living(directory):
    """This node's workers that have not left."""
    jar, me = jar_in(directory), node.myself(platform.node())
    found = []
    for worker in registration.workers(jar, me.node):
        record = registration.read(jar, worker)
        if record and registration.verdict(jar, record, me) == node.ALIVE:
            found.append(worker)
    return {"workers": found}


def feed(directory, many, one_by_one):
    """Submit so many jobs in batches, then say so, and as many more one by one."""
    jar = jar_in(directory)
    request = submission.Request(proof.SCRIPT.format(proof=os.path.join(directory, "proof")).encode())
    with open(os.path.join(directory, "submitted"), "x", encoding="utf-8") as file:
        for _ in range(0, int(many), BATCH):
            for place in submission.submit_many(jar, [request] * BATCH):
                print(place.name.rpartition(".")[0], file=file)
        print("begun", flush=True)
        for _ in range(int(one_by_one)):
            print(submission.submit(jar, request).name.rpartition(".")[0], file=file)
    return {}


def submit(directory, count, command):
    """Submit a command so many times."""
    submission.submit_many(jar_in(directory), [submission.Request(submission.script(command))] * int(count))
    return {}


def judge(directory):
    """How often the submitted jobs ran and where they are now."""
    jar = jar_in(directory)
    with open(os.path.join(directory, "submitted"), encoding="utf-8") as file:
        submitted = set(file.read().split())
    found = proof.judge(os.path.join(directory, "proof"), submitted)
    completed = {name.rpartition(".")[0] for name in fslook.names(jar.completed) if not name.startswith(".")}
    found["wrong"] += [f"{job} is not in completed/" for job in sorted(submitted - completed)]
    found["wrong"] += [f"{job} in completed/ is none of ours" for job in sorted(completed - submitted)]
    for place in (jar.failed, jar.unclaimed, jar.limbo):
        found["wrong"] += [f"{name} is left in {place}" for name in fslook.names(place)]
    return found


def rpcs(directory):
    """How often each kind of remote call was made for the directory's mount, and how often it was sent."""
    point = mount(directory)[1]
    with open("/proc/self/mountstats", encoding="utf-8") as file:
        (ours,) = [part for part in file.read().split("\ndevice ") if f" mounted on {point} with " in part]
    lines = [line.split() for line in ours.partition("per-op statistics")[2].splitlines()]
    return {words[0].rstrip(":"): [int(words[1]), int(words[2])] for words in lines if words}


def ran(directory):
    """How many jobs have ended so far, from the journals of all workers."""
    jar, count = jar_in(directory), 0
    for worker in registration.workers(jar):
        for name in fslook.names(jar.worker(worker)):
            if name.partition(".")[0] == "journal":
                with open(os.path.join(jar.worker(worker), name), "rb") as file:
                    count += file.read().count(b'"end"')
    owned = [worker for worker in registration.workers(jar) if holds_a_job(jar, worker)]
    return {"ran": count, "waiting": len(fslook.names(jar.unclaimed)), "owners": owned}


def completed(directory):
    """How many jobs are in completed/."""
    return {"jobs": len(fslook.names(jar_in(directory).completed))}


def holds_a_job(jar, worker):
    """Whether something lies in claims/ or in what a recovery has made of it."""
    for name in fslook.names(jar.worker(worker)):
        if name == layout.CLAIMS or name.startswith(layout.RECOVERING):
            with contextlib.suppress(FileNotFoundError):
                if fslook.names(os.path.join(jar.worker(worker), name)):
                    return True
    return False


def add(directory, lanes, rounds, period, seed):
    """Add two jobs to each lane in every round, the second within a tick or so after the first."""
    jar, chance = jar_in(directory), random.Random(seed)
    for number in range(int(rounds)):
        began = time.monotonic()
        for lane in range(int(lanes)):
            target = jar.queue(states.UNCLAIMED, f"lane{lane}")
            drafts = [os.path.join(jar.limbo, f"{word}-{lane}-{number}.0") for word in ("first", "second")]
            for draft in drafts:
                fsops.create(draft, b"#!/bin/sh\n", 0o700, False)
            pause = chance.uniform(0, TICK)
            for draft in drafts:
                os.rename(draft, os.path.join(target, os.path.basename(draft)))
                time.sleep(pause)
            # One lane after the other, so that who looks can give each its whole attention.
            due = began + float(period) * (lane + 1) / int(lanes)
            time.sleep(max(0.0, due - time.monotonic()))
    return {}


def look(directory, lanes, rounds, deadline, rule):
    """Look at each lane as an idle worker does, but without its pauses: how long were second jobs not seen?"""
    # What spares the server would let few looks fall between two changes.
    shelf.LOOK_AGAIN_AFTER = shelf.RENEW_AFTER = shelf.COST_FACTOR = 0.0
    if rule == "without":
        glance.RACY = float("-inf")
    jar, first, second, between = jar_in(directory), {}, {}, set()
    shelves = [shelf.Shelf(jar, f"lane{lane}") for lane in range(int(lanes))]
    clock = Clock(os.path.join(directory, f"beat-{os.getpid()}"))
    print("looking", flush=True)
    end, wanted, all_seen = time.monotonic() + float(deadline), int(lanes) * int(rounds), 0.0
    while len(second) < wanted and time.monotonic() < end:
        # All of them now and then, and all the time the one in which something is to come next.
        some = [shelves[len(first) % len(shelves)]]
        if time.monotonic() - all_seen > ALL_LANES:
            some, all_seen = shelves, time.monotonic()
        for one in some:
            if one.is_due():
                one.list(clock.now())
                seen = time.monotonic()
                while name := one.take() if one.has_candidates() else None:
                    word, _, pair = name.partition("-")
                    (first if word == "first" else second).setdefault(pair, seen)
                between |= first.keys() - second.keys()
    waits = [second.get(pair, time.monotonic()) - first[pair] for pair in first]
    return {"trials": len(first), "between": len(between), "late": sum(wait > 5 for wait in waits),
            "longest": round(max(waits, default=0.0), 2)}


class Clock:
    """The file server's clock, learnt from a file as a worker learns it from its beat."""

    def __init__(self, path):
        self.path, self.offset, self.asked = path, 0.0, float("-inf")

    def now(self):
        if time.monotonic() - self.asked > 1:
            self.asked = time.monotonic()
            fsops.touch(self.path)
            self.offset = os.stat(self.path).st_mtime - self.asked
        return time.monotonic() + self.offset


def watch(directory, deadline, *events):
    """Say WORKER:WHAT as soon as this node sees it: words of the worker's log, or "left" when its process has ended."""
    jar, waited, end = jar_in(directory), set(events), time.monotonic() + float(deadline)
    print("watching", flush=True)
    while waited and time.monotonic() < end:
        for event in sorted(waited):
            worker, _, what = event.partition(":")
            if has_left(worker) if what == "left" else what in log_of(jar, worker):
                print(event, flush=True)
                waited.discard(event)
        time.sleep(WATCH)
    return {"missed": sorted(waited)}


def has_left(worker):
    return node.start_ticks(layout.split_worker(worker)[1]) is None


def log_of(jar, worker):
    try:
        with open(os.path.join(jar.worker(worker), "log"), encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def hold(directory, deadline):
    """Keep what is in unclaimed/ open for writing until nothing is there any more."""
    jar, end = jar_in(directory), time.monotonic() + float(deadline)
    handles = [os.open(os.path.join(jar.unclaimed, name), os.O_WRONLY) for name in fslook.names(jar.unclaimed)]
    print("holding", flush=True)
    while fslook.names(jar.unclaimed) and time.monotonic() < end:
        time.sleep(WATCH)
    for handle in handles:
        os.close(handle)
    return {"left": len(fslook.names(jar.unclaimed))}


def claim_at(directory, gate):
    """Be a worker that waits before each claim's rename until the file `gate` is there; say how the rename ended."""
    rename = os.rename

    def slow(source, target):
        is_claim = source.startswith(jar_in(directory).unclaimed + "/")
        if is_claim:
            print("at the rename", flush=True)
            while not os.path.exists(gate):
                time.sleep(0.02)
        try:
            rename(source, target)
            said = "success"
        except OSError as error:
            said = errno.errorcode[error.errno]
            raise
        finally:
            if is_claim:
                print(f"said {said}", flush=True)

    os.rename = slow
    sys.argv[1:] = ["--foreground", "--idle-exit", "3"]
    return {"status": cli.main("start_worker")}


def lay(directory):
    """Lay out what a job on the other node is going to change."""
    data = os.path.join(directory, "data")
    os.mkdir(data)
    for name in ("grown", "swapped"):
        with open(os.path.join(data, name), "x", encoding="utf-8") as file:
            file.write("old\n")
    return {}


def sight(directory):
    """What this node sees there by itself: first what makes it ask the server least about the directory."""
    data = os.path.join(directory, "data")
    found = {name: os.path.exists(os.path.join(data, name)) for name in ("made", "within")}
    found.update((name, os.stat(os.path.join(data, name)).st_size) for name in ("grown", "swapped"))
    return {**found, "listed": sorted(os.listdir(data))}


def obey(rule):
    """Work with the rule that caches are told to forget what jobs elsewhere have written, or without."""
    if rule == "without":
        resync.remotes = set


def work(rule):
    """Start a worker."""
    obey(rule)
    return {"status": cli.main("start_worker", [])}


def after(directory, rule, *words):
    """What this node sees when `jobjar` with these words has ended, having looked before."""
    obey(rule)
    sight(directory)
    print("looked", flush=True)
    status = cli.main("jobjar", list(words))
    assert status == 0, status
    return sight(directory)


VERBS = (who, make, living, feed, submit, judge, rpcs, ran, completed, add, look, watch, hold, claim_at, lay, sight, work,
         after)

if __name__ == "__main__":
    verb, *words = sys.argv[1:]
    (chosen,) = [found for found in VERBS if found.__name__ == verb.replace("-", "_")]
    print(json.dumps(chosen(*words)))
