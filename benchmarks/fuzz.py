"""Spoils valid corpora, settings, commands and files at random and looks
whether ptssnn accepts or refuses them as it must.

python benchmarks/fuzz.py --seconds=3600 --seed=1
python benchmarks/fuzz.py --one=csv_cell:17    # a find again, in full

A find is: a traceback, a hang, more than 2 GB of memory, an error of more than
one line, a wrong input that is accepted, a right one that is refused, a changed
feature or prediction of untouched files, or a temporary file left behind. The
cases are in fuzzing/. A case's name and seed determine it.

The cases run in a second process. If one of them hangs this process itself, or
ends it, that is a find too, and a new process goes on with the next case.
"""

import argparse
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import fuzzing.audio
import fuzzing.files
import fuzzing.manifests
import fuzzing.settings  # noqa: F401
from fuzzing.cases import CASES
from fuzzing.engine import (
    TIME_LIMIT,
    Find,
    Template,
    Workspace,
    one_thread,
    scratch_folder,
)
from tqdm import tqdm

# Seconds after which a case hangs; its commands have limits of their own.
CASE_LIMIT = 10 * TIME_LIMIT
# No pool of threads, which a fork could leave locked.
ONE_THREAD = {
    f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMBA")
}


def choose(seed, kind):
    """The name of the case that a seed of a round tries."""
    kinds = kind.split(",") if kind else []
    names = [name for name in CASES if not kinds or CASES[name][0] in kinds]
    weights = [CASES[name][2] for name in names]
    return random.Random(seed).choices(names, weights)[0]


def attempt(name, seed, template, folder):
    """Tries one case.

    Returns
    -------
    tuple
        (outcome, workspace): "accepted", "refused", or what was found.
    """
    w = Workspace(folder, template)
    try:
        return CASES[name][1](random.Random(f"{name}:{seed}"), w), w
    except Find as find:
        return f"find: {find}", w
    except Exception as error:  # an hour must not end by a fault of a case
        return f"find: the case itself failed: {error!r}", w


def show(w):
    """Prints the commands of a case and what they said."""
    for outcome in w.outcomes:
        print(f"\n$ ptssnn {' '.join(map(repr, outcome.words))}")
        print(f"{outcome.out[-1500:]}{outcome.err[-3000:]}", end="")
        print(
            f"[status {outcome.status}, {outcome.seconds:.1f} s, "
            f"{outcome.memory / 2**20:.0f} MB]"
        )


def again(names, folder):
    """Tries named cases; returns the number of finds."""
    template = Template(folder / "template")
    n = 0
    for text in names:
        name, _, seed = text.partition(":")
        outcome, w = attempt(name, int(seed), template, folder / "case")
        if len(names) == 1:
            show(w)
        print(f"{text}: {outcome}")
        n += outcome.startswith("find")
    return n


def read_record(args):
    """What was tried so far by the same seed and kind."""
    file = Path(args.output)
    if file.exists():
        old = json.loads(file.read_text())
        if (old["seed"], old["kind"]) == (args.seed, args.kind):
            return old
    record = {"seed": args.seed, "kind": args.kind, "next": args.seed}
    return record | {"seconds": 0.0, "tried": [], "finds": {}}


def note(record, name, outcome, seconds):
    """Adds the outcome of the next case."""
    is_find = outcome.startswith("find")
    if is_find:
        record["finds"][f"{name}:{record['next']}"] = outcome
    record["tried"].append([name, "find" if is_find else outcome])
    record["next"] += 1
    record["seconds"] = round(seconds, 1)


def fuzz(args, folder):
    """Tries cases until the time is over."""
    tqdm.monitor_interval = 0  # a thread that a fork could leave locked
    record, file = read_record(args), Path(args.output)
    template = Template(folder / "template")
    start, spent = time.monotonic(), record["seconds"]
    with tqdm(total=args.seconds, initial=round(spent), unit="s") as bar:
        while record["seconds"] < args.seconds:
            save(file, record)  # fuzz_in_a_process() watches its time
            seed = record["next"]
            name = choose(seed, args.kind)
            outcome, _ = attempt(name, seed, template, folder / "case")
            if outcome.startswith("find"):
                bar.write(f"{name}:{seed}  {outcome[:300]}")
            note(record, name, outcome, spent + time.monotonic() - start)
            bar.update(round(record["seconds"]) - bar.n)
            bar.set_postfix(
                tried=len(record["tried"]), finds=len(record["finds"])
            )
    save(file, record)


def fuzz_in_a_process(args, folder):
    """Tries cases until the time is over; returns the number of finds."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
    file = Path(args.output)
    words = [sys.executable, "-X", "faulthandler", __file__, *sys.argv[1:]]
    words.append(f"--folder={folder}")
    while True:
        record = read_record(args)
        if record["seconds"] >= args.seconds:
            print(summary(record))
            return len(record["finds"])
        save(file, record)
        start = time.time()
        process = subprocess.Popen(words, env=os.environ | ONE_THREAD)
        reason = _wait(process, file)
        after = read_record(args)
        if reason:
            if after["next"] == record["next"] and not after["tried"]:
                raise RuntimeError(f"no case could be tried: {reason}")
            name = choose(after["next"], args.kind)
            seconds = record["seconds"] + time.time() - start
            note(after, name, f"find: the fuzzer itself {reason}", seconds)
            save(file, after)


def _wait(process, file):
    """Waits for the process; says how it failed, if it did."""
    try:
        while True:
            with suppress(subprocess.TimeoutExpired):
                process.wait(1)
                break
            if time.time() - file.stat().st_mtime > CASE_LIMIT:
                return f"hung for {CASE_LIMIT} s"
    finally:
        _end(process)
    if process.returncode:
        return f"ended with status {process.returncode}"
    return ""


def _end(process):
    children = ""
    with suppress(OSError):
        file = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        children = file.read_text()
    process.send_signal(signal.SIGABRT)  # says where each thread was
    with suppress(subprocess.TimeoutExpired):
        process.wait(10)
    process.kill()
    process.wait()
    for child in map(int, children.split()):
        with suppress(OSError):  # a forked command leads a group of its own
            os.killpg(child, signal.SIGKILL)


def summary(record):
    """A table of what was tried, and an example of each kind of find."""
    columns = ("tried", "accepted", "refused", "find")
    counts = {}
    for name, outcome in record["tried"]:
        kind = CASES[name][0] if name in CASES else "gone"
        row = counts.setdefault(kind, Counter())
        row.update(["tried", outcome])
    lines = ["kind      " + "".join(c.rjust(10) for c in columns)]
    total = sum(counts.values(), Counter())
    for kind, row in [*sorted(counts.items()), ("all", total)]:
        cells = "".join(str(row[c]).rjust(10) for c in columns)
        lines.append(f"{kind:10}{cells}")
    alike = {}
    for name, text in record["finds"].items():
        what = re.sub(r"[\d/'\"].*", "", text.removeprefix("find: "))[:60]
        alike.setdefault((name.partition(":")[0], what), []).append(name)
    for names in alike.values():
        text = record["finds"][names[0]]
        lines.append(f"{len(names)} x {names[0]}  {text}")
    return "\n".join(lines)


def save(file, record):
    """Writes the record, whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    part.write_text(json.dumps(record, indent=1))
    os.replace(part, file)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    kinds = sorted({kind for kind, *_ in CASES.values()})
    arguments.add_argument("--seconds", type=int, default=3600)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--kind", default="", help=", ".join(kinds))
    arguments.add_argument("--one", default="", help="NAME:SEED[,NAME:SEED]")
    arguments.add_argument("--output", default="benchmarks/results/fuzz.json")
    arguments.add_argument("--folder", default="", help=argparse.SUPPRESS)
    args = arguments.parse_args()
    one_thread()
    if args.folder:
        fuzz(args, Path(args.folder))
        sys.exit()
    with scratch_folder() as scratch:
        if args.one:
            found = again(args.one.split(","), scratch)
        else:
            found = fuzz_in_a_process(args, scratch)
    sys.exit(1 if found else 0)
