"""Kills whole runs (extraction, training, summary) at random times, and lets
disks run full under them; the same command must then go on and predict the
same as a run that nothing disturbed.

python benchmarks/run_kill.py --kills=20 --full_disks=5

Where nobody may mount a small disk, "No space left" is raised in the process
instead.
"""

import argparse
import builtins
import errno
import json
import os
import random
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

from fuzzing.engine import (
    RUN,
    Template,
    Workspace,
    one_thread,
    scratch_folder,
)
from timing import save
from tqdm import tqdm

EPOCHS = "--number_of_epochs=5"
AGAIN = 30  # how often a command is given at most until it ends
FULL = "No space left"


def train(w, features="disk/features", **how):
    """Trains five epochs of each fold; the results are in disk/."""
    return w.train(
        EPOCHS,
        "--results_folder=disk/results",
        f"--features_folder={features}",
        **how,
    )


def predictions(w):
    """The bytes of predictions.csv; None if the run has not ended."""
    file = w / "disk/results" / RUN / "predictions.csv"
    return file.read_bytes() if file.is_file() else None


def leftovers(w):
    """Temporary files that are still there."""
    return [path.name for path in w.path.rglob("*.part")]


def undisturbed(template, folder):
    """A run that nothing disturbs.

    Returns
    -------
    tuple
        (seconds, bytes of the results and of the features, predictions)
    """
    w = Workspace(folder, template)
    outcome = train(w)
    if outcome.judge() != "accepted":
        raise RuntimeError(outcome.err)
    sizes = {
        name: sum(
            -(-file.stat().st_size // 4096) * 4096
            for file in (w / "disk" / name).rglob("*")
        )
        for name in ("results", "features")
    }
    return outcome.seconds, sizes, predictions(w)


def kill(template, folder, rng, seconds, expected):
    """Kills a run again and again at random times until it has ended; None
    if every kill came too late.
    """
    w = Workspace(folder, template)
    kills, statuses = [], []
    for _ in range(AGAIN):
        after = rng.uniform(0, seconds if not kills else 2 * seconds)
        outcome = train(w, kill_after=after)
        statuses.append(outcome.status)
        if outcome.status != -signal.SIGKILL:
            break
        kills.append(round(after, 3))
    if not kills:
        return None
    return {
        "killed_after_s": kills,
        "ended": statuses[-1] == 0,
        "equal": predictions(w) == expected,
        "leftovers": leftovers(w),
        "said": outcome.sentence if outcome.status else "",
    }


@contextmanager
def small_disk(folder, size):
    """Mounts a disk of so many bytes; yields a function that enlarges it."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder]
    subprocess.run(mount, check=True, capture_output=True)
    larger = ["mount", "-o", "remount,size=1g", folder]
    try:
        yield lambda: subprocess.run(larger, check=True)
    finally:
        subprocess.run(["umount", folder], check=True)


def may_mount(folder):
    """Whether this user may mount a disk."""
    try:
        with small_disk(folder, 2**20):
            return True
    except (subprocess.CalledProcessError, OSError):
        return False


def fail_at(n):
    """Lets the n-th call that writes, and all after it, find the disk full."""
    counter = iter(range(n))

    def failing(function, writes=lambda *arguments: True):
        def call(*arguments, **options):
            if writes(*arguments) and next(counter, None) is None:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return function(*arguments, **options)

        return call

    for name in ("fsync", "replace", "mkdir"):
        setattr(os, name, failing(getattr(os, name)))
    builtins.open = failing(
        open, lambda file, mode="r", *rest: mode[0] in "wax"
    )


def fill_disk(template, folder, rng, sizes, expected, is_mounted):
    """Lets the disk run full at a random time, then frees it; None if it was
    large enough.
    """
    w = Workspace(folder, template)
    # Features are written first. Mostly they are elsewhere, so that the disk
    # runs full later.
    features = rng.choice(["disk/features", "features", "features"])
    size = sizes["results"]
    if features.startswith("disk"):
        size += sizes["features"]
    row = {"features": features}
    if is_mounted:
        row["disk_bytes"] = rng.randrange(4096, size)
        with small_disk(w / "disk", row["disk_bytes"]) as enlarge:
            first = train(w, features)
            enlarge()
            row |= _again(w, features, expected)
    else:
        row["call"] = rng.randrange(1, 60)
        first = train(w, features, before=lambda: fail_at(row["call"]))
        row |= _again(w, features, expected)
    if first.status == 0:
        return None
    is_sentence = first.sentence.startswith("error: ")
    return row | {
        "refused": first.status not in (0, 70) and is_sentence,
        "names_it": FULL in first.sentence,
        "said": first.sentence,
    }


def _again(w, features, expected):
    again = train(w, features)
    return {
        "ended": again.status == 0,
        "equal": predictions(w) == expected,
        "leftovers": leftovers(w),
        "then_said": again.sentence if again.status else "",
    }


def good(row):
    """Whether a row is as it must be."""
    told = row.get("refused", True) and row.get("names_it", True)
    return row["equal"] and row["ended"] and told and not row["leftovers"]


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    arguments.add_argument("--kills", type=int, default=20)
    arguments.add_argument("--full_disks", type=int, default=5)
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument(
        "--output", default="benchmarks/results/run_kill.json"
    )
    args = arguments.parse_args()
    one_thread()
    rng = random.Random(args.seed)
    rows = {"kills": [], "full_disks": []}
    with scratch_folder() as scratch:
        template = Template(scratch / "template")
        facts = undisturbed(template, scratch / "undisturbed")
        seconds, sizes, expected = facts
        print(f"undisturbed: {seconds:.1f} s, {sizes} bytes")
        is_mounted = may_mount(scratch / "mount")
        tasks = [("kills", kill, (seconds, expected))] * args.kills
        tasks += [
            ("full_disks", fill_disk, (sizes, expected, is_mounted))
        ] * args.full_disks
        for k, (name, function, rest) in enumerate(tqdm(tasks)):
            folder = Path(scratch, str(k))
            row = None
            while row is None:  # too late, or the disk was too large
                row = function(template, folder, rng, *rest)
            rows[name].append(row)
            tqdm.write(f"{name} {json.dumps(row)}")
    everything = rows["kills"] + rows["full_disks"]
    save(
        args.output,
        title="whole runs, killed and on full disks",
        seconds=seconds,
        mounted=is_mounted,
        all_good=all(map(good, everything)),
        **rows,
    )
    n_kills = sum(len(row["killed_after_s"]) for row in rows["kills"])
    for name, each in rows.items():
        equal = sum(row["equal"] for row in each)
        print(
            f"{name}: {sum(map(good, each))} of {len(each)} runs good, {equal} "
            "with equal predictions"
        )
    print(f"{n_kills} kills in all")
    sys.exit(0 if all(map(good, everything)) else 1)
