"""Spoils valid corpora, settings, commands and files at random and looks
whether ptssnn accepts or refuses them as it must.

python benchmarks/fuzz.py --seconds=3600 --seed=1
python benchmarks/fuzz.py --one=csv_cell:17    # a find again, in full

A find is: a traceback, a hang, more than 2 GB of memory, an error of more than
one line, a wrong input that is accepted, a right one that is refused, a changed
feature or prediction of untouched files, or a temporary file left behind. The
cases are in fuzzing/. A case's name and seed determine it.
"""

import argparse
import json
import os
import random
import re
import sys
import time
from collections import Counter
from pathlib import Path

import fuzzing.audio
import fuzzing.files
import fuzzing.manifests
import fuzzing.settings  # noqa: F401
from fuzzing.cases import CASES
from fuzzing.engine import (
    Find,
    Template,
    Workspace,
    one_thread,
    scratch_folder,
)
from tqdm import tqdm


def choose(seed, kinds):
    """The name of the case that a seed of a round tries."""
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


def fuzz(args, folder):
    """Tries cases until the time is over; returns the number of finds."""
    kinds = args.kind.split(",") if args.kind else []
    record = {"seed": args.seed, "kind": args.kind, "next": args.seed}
    record |= {"seconds": 0.0, "tried": [], "finds": {}}
    file = Path(args.output)
    if file.exists():
        old = json.loads(file.read_text())
        if (old["seed"], old["kind"]) == (args.seed, args.kind):
            record = old
    template = Template(folder / "template")
    start = last = time.monotonic()
    spent = record["seconds"]
    with tqdm(total=args.seconds, initial=round(spent), unit="s") as bar:
        while (record["seconds"]) < args.seconds:
            seed = record["next"]
            name = choose(seed, kinds)
            outcome, _ = attempt(name, seed, template, folder / "case")
            is_find = outcome.startswith("find")
            if is_find:
                record["finds"][f"{name}:{seed}"] = outcome
                bar.write(f"{name}:{seed}  {outcome[:300]}")
            record["tried"].append([name, "find" if is_find else outcome])
            record["next"] += 1
            now = time.monotonic()
            record["seconds"] = spent + now - start
            bar.update(round(record["seconds"]) - bar.n)
            bar.set_postfix(
                tried=len(record["tried"]), finds=len(record["finds"])
            )
            if now - last > 5:
                _save(file, record)
                last = now
    _save(file, record)
    print(summary(record))
    return len(record["finds"])


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


def _save(file, record):
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
    args = arguments.parse_args()
    one_thread()
    with scratch_folder() as scratch:
        if args.one:
            found = again(args.one.split(","), scratch)
        else:
            found = fuzz(args, scratch)
    sys.exit(1 if found else 0)
