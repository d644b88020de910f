"""What cron has been told to do for this user, and whether there is a cron at all."""

import os
import subprocess

# As the kernel calls their processes.
DAEMONS = ("cron", "crond", "fcron", "dcron", "bcron-sched")
PATIENCE = 10.0


def lines() -> list[str] | None:
    """The lines of this user's crontab that are no comments; None when there is no program to ask."""
    try:
        answer = subprocess.run(["crontab", "-l"], stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE)
    except (FileNotFoundError, PermissionError, subprocess.TimeoutExpired):
        return None
    # Whoever has none is told so on stderr.
    found = answer.stdout.decode("utf-8", "replace").splitlines() if answer.returncode == 0 else []
    return [line for line in found if line.strip() and not line.lstrip().startswith("#")]


def is_running() -> bool:
    """Whether a cron daemon is among the processes that can be seen from here."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
                if file.read().strip() in DAEMONS:
                    return True
        except OSError:
            # RACE: it has just ended.
            continue
    return False
