"""Whether one run is better than another, utterance by utterance."""

from pathlib import Path

import numpy as np

from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.evaluation.predictions import (
    check_comparable,
    mean_confusions,
    predictions_of,
)
from speechbrain_ptssnn.evaluation.run_folder import RunFolder
from speechbrain_ptssnn.evaluation.seeds import seed_runs
from speechbrain_ptssnn.evaluation.uncertainty import (
    bootstrap_intervals,
    sign_flip_p,
    smallest_p,
)
from speechbrain_ptssnn.metrics import confusion_scores
from speechbrain_ptssnn.utils.text_tables import (
    columns,
    difference_cells,
    percent,
)


def compare(path_a, path_b):
    """Compares two runs of the same folds.

    Arguments
    ---------
    path_a : str or Path
        A run's folder, or the folder above it for the mean of all its seeds.
    path_b : str or Path
        The other run's.

    Returns
    -------
    dict
        As :func:`compare_predictions`.

    Raises
    ------
    InputError
        If a path is no run, or a run is not complete; if seeds were trained
        with different settings; if folds, utterances or true labels differ.
    """
    return compare_predictions(_read(path_a), _read(path_b))


def compare_predictions(a, b):
    """Compares the predictions of two runs, utterance by utterance.

    Of a run with several seeds, an utterance counts with the share of seeds
    that classified it rightly.

    Arguments
    ---------
    a : list of Predictions
        Of one run, one a seed.
    b : list of Predictions
        Of the other run.

    Returns
    -------
    dict
        "A" and "B", each with "folders" (one a seed), "WA" and "UA";
        "difference", for WA and UA the "value" of A minus B, its
        "interval_95" (None with one speaker) and "p"; "better_in_A" and
        "better_in_B", the number of utterances that a larger share of that
        run's seeds classified rightly; "n_utterances", "n_speakers" and
        "n_folds".

    Raises
    ------
    InputError
        If their folds, utterances or true labels differ.
    """
    sides = {"A": a, "B": b}
    runs = [*sides["A"], *sides["B"]]
    check_comparable(runs)
    rows = [row for run in runs for row in run.rows.values()]
    keys = ("label", "prediction")
    labels = sorted({row[key] for row in rows for key in keys})
    # [speakers, side, true label, predicted label]
    counts = np.stack(
        [mean_confusions(each, labels) for each in sides.values()], 1
    )
    scores = confusion_scores(counts.sum(0))
    intervals = bootstrap_intervals(_differences, counts) or {}
    gains = _gains(counts)
    right_a, right_b = (_shares_right(each) for each in sides.values())
    return {
        **{
            side: {
                "folders": [str(run.folder) for run in each],
                "WA": float(scores["WA"][k]),
                "UA": float(scores["UA"][k]),
            }
            for k, (side, each) in enumerate(sides.items())
        },
        "difference": {
            key: {
                "value": float(value),
                "interval_95": intervals.get(key),
                "p": sign_flip_p(gains[key]),
            }
            for key, value in _differences(counts.sum(0)).items()
        },
        "better_in_A": int((right_a > right_b).sum()),
        "better_in_B": int((right_a < right_b).sum()),
        "n_utterances": len(runs[0].rows),
        "n_speakers": len(counts),
        "n_folds": len(runs[0].folds),
    }


def table(comparison):
    """A comparison as text.

    Arguments
    ---------
    comparison : dict
        As :func:`compare` returns it.

    Returns
    -------
    str
    """
    c = comparison
    a, b, n = c["A"], c["B"], c["n_speakers"]
    rows = [["", "A", "B", "A - B", "95 % interval", "p"]]
    for key, difference in c["difference"].items():
        rows.append(
            [
                key,
                percent(a[key]),
                percent(b[key]),
                *difference_cells(
                    difference["value"],
                    difference["interval_95"],
                    difference["p"],
                ),
            ]
        )
    one_each = len(a["folders"]) == len(b["folders"]) == 1
    how = "only" if one_each else "more often"
    lines = [
        f"A: {_names(a['folders'])}",
        f"B: {_names(b['folders'])}",
        f"test utterances: {c['n_utterances']}, speakers: {n}, "
        f"folds: {c['n_folds']}",
        "",
        *columns(rows),
        "",
        f"right {how} in A: {c['better_in_A']} utterances; {how} in B: "
        f"{c['better_in_B']}",
        f"interval: paired bootstrap over {n} speakers; "
        "p: paired permutation test over them"
        if n > 1
        else "no interval: the test utterances name one speaker or none",
    ]
    smallest = smallest_p(n)
    if smallest > 0.05:
        lines.append(
            f"the smallest p that so few speakers allow: {smallest:.4f}"
        )
    return "\n".join(lines)


def _read(path):
    """The predictions of a run, or of all its seeds."""
    path, run = Path(path), RunFolder(Path(path))
    runs = [run] if run.folds.is_file() else seed_runs(path)
    if not runs:
        raise InputError(
            f"{path} is no run: there is no {run.folds.name} in it or in a "
            "folder of it; give e.g. results/URDU/random/fbank/pts_snn/1, or "
            ".../pts_snn for all its seeds"
        )
    return [predictions_of(run) for run in runs]


def _names(folders):
    if len(folders) == 1:
        return folders[0]
    seeds = ", ".join(Path(folder).name for folder in folders)
    return f"{Path(folders[0]).parent}, mean of {len(folders)} seeds ({seeds})"


def _shares_right(runs):
    """Share of the seeds that classified each utterance rightly."""
    return np.mean(
        [
            [row["prediction"] == row["label"] for row in run.rows.values()]
            for run in runs
        ],
        axis=0,
    )


def _differences(confusions):
    # [..., run, true label, predicted label] to A minus B
    scores = confusion_scores(confusions)
    return {
        key: scores[key][..., 0] - scores[key][..., 1] for key in ("WA", "UA")
    }


def _gains(counts):
    """Each speaker's part of the differences, which are their sums. Swapping
    a speaker's predictions changes the sign of that part alone: the numbers
    of targets stay the same.
    """
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    gains = hits[:, 0] - hits[:, 1]
    targets = counts[:, 0].sum((0, -1))
    present = targets > 0
    return {
        "WA": gains.sum(-1) / targets.sum(),
        "UA": (gains[:, present] / targets[present]).mean(-1),
    }
