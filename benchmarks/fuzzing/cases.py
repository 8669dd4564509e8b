"""The registry of cases, and checks that several cases make."""

import csv
import json

import numpy as np

from fuzzing.engine import Find

CASES = {}  # name to (kind, function, weight)


def case(kind, weight=1):
    """Registers a function as a case of a kind.

    A case is a function of a random generator and a workspace. It spoils the
    workspace, runs commands and returns "accepted" or "refused"; it raises a
    Find if something went wrong.
    """

    def register(function):
        CASES[function.__name__] = kind, function, weight
        return function

    return register


def check_training(w, must, *words, **how):
    """Trains; "same" is accepted with the undisturbed predictions, "either"
    that or refused.
    """
    outcome = w.train(*words, **how)
    end = outcome.judge()
    if end == "refused":
        w.check_refused()
        if must in ("same", "accepted"):
            raise Find(f"must be accepted: {outcome.sentence}")
    elif must == "refused":
        raise Find("must be refused, and is accepted")
    elif must in ("same", "either"):
        w.check_same()
    w.check_leftovers()
    return end


def check_sound(w, outcome):
    """If a training is accepted, its results are whole and finite."""
    end = outcome.judge()
    files = [
        file
        for file in w.path.rglob("predictions.csv")
        if not file.parent.name.startswith("fold_")
    ]
    if end == "refused":
        if files:
            raise Find("refused, but there are predictions")
        return end
    if len(files) != 1:
        raise Find(f"accepted, with {len(files)} predictions.csv")
    with open(files[0], encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        values = [float(row[name]) for name in row if name[:2] == "p_"]
        if not np.isfinite(values).all() or abs(sum(values) - 1) > 1e-4:
            raise Find(f"posteriors {values}")
    summary = json.loads(files[0].with_name("summary.json").read_text())
    if len(summary["folds_done"]) * 4 != len(rows):
        raise Find(f"{len(rows)} predictions of {summary['folds_done']}")
    return end


def check_same_files(w):
    """The results have the same files as the undisturbed training's."""
    found, wanted = (_result_files(each.path) for each in (w, w.template))
    if found != wanted:
        raise Find(f"other files than undisturbed: {sorted(found ^ wanted)}")


def _result_files(folder):
    names = set()
    for path in (folder / "results").rglob("*"):
        parts = [
            "CKPT" if part.startswith("CKPT+") else part
            for part in path.relative_to(folder).parts
        ]
        if "tfevents" not in path.name:
            names.add("/".join(parts))
    return names
