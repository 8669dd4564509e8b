"""Whether one run is better than another, utterance by utterance.

``ptssnn compare RUN_A RUN_B [--json FILE]``, where RUN is a run's
folder, or the folder above it for all its seeds.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from speechbrain_ptssnn.evaluation.predictions import (
    check_alike,
    mean_confusions,
    read_answers,
)
from speechbrain_ptssnn.evaluation.uncertainty import (
    bootstrap_intervals,
    sign_flip_p,
)
from speechbrain_ptssnn.metrics import confusion_scores
from speechbrain_ptssnn.utils.distributed import one_sentence_errors
from speechbrain_ptssnn.utils.files import write_text
from speechbrain_ptssnn.utils.text_tables import columns, interval, percent


def compare(path_a, path_b):
    """Pairs two runs' answers.

    Of several seeds of a run, an utterance counts with the share of those
    that got it right.

    Arguments
    ---------
    path_a : str or Path
        The one run's folder, or the one above it for all its seeds.
    path_b : str or Path
        The other's.

    Returns
    -------
    dict
        Of :func:`compare_answers`.

    Raises
    ------
    InputError
        If their folds, utterances or true labels differ, or a run is not
        complete.
    """
    return compare_answers(read_answers(path_a), read_answers(path_b))


def compare_answers(a, b):
    """Pairs the answers of two runs that were read.

    Arguments
    ---------
    a : list of Answers
        One a seed of the one run.
    b : list of Answers
        Of the other.

    Returns
    -------
    dict
        "A" and "B", each with "folders" (one a seed), "WA" and "UA";
        "difference", for WA and UA the "value" of A minus B, its
        "interval_95" (None with one speaker) and "p"; "better_in_A" and
        "better_in_B", how many utterances only one got right, or more of
        its seeds; "n_utterances", "n_speakers" and "n_folds".

    Raises
    ------
    InputError
        If their folds, utterances or true labels differ.
    """
    sides = {"A": a, "B": b}
    runs = [*sides["A"], *sides["B"]]
    check_alike(runs)
    rows = [row for run in runs for row in run.rows.values()]
    said_or_true = ("label", "prediction")
    labels = sorted({row[key] for row in rows for key in said_or_true})
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
    """The comparison as text, for people.

    Arguments
    ---------
    comparison : dict
        Of :func:`compare`.

    Returns
    -------
    str
    """
    c = comparison
    a, b, n = c["A"], c["B"], c["n_speakers"]
    rows = [["", "A", "B", "A - B", "95 % interval", "p"]]
    for key, difference in c["difference"].items():
        value = percent(difference["value"], "+")
        bounds = interval(difference["interval_95"], "+")
        p = f"{difference['p']:.4f}"
        rows.append([key, percent(a[key]), percent(b[key]), value, bounds, p])
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
    smallest = 2 / 2**n
    if smallest > 0.05:
        lines.append(
            f"the smallest p that so few speakers allow: {smallest:.4f}"
        )
    return "\n".join(lines)


def main(argv=None):
    """The command.

    Arguments
    ---------
    argv : list of str, optional
        Command line; ``sys.argv[1:]`` by default.
    """
    parser = argparse.ArgumentParser(
        prog="ptssnn compare",
        description=__doc__,
    )
    parser.add_argument("runs", nargs=2, metavar="RUN")
    parser.add_argument("--json", metavar="FILE", help="write the figures")
    arguments = parser.parse_args(argv)
    if arguments.json and not Path(arguments.json).parent.is_dir():
        parser.error(f"--json={arguments.json}: there is no such folder")
    with one_sentence_errors():
        comparison = compare(*arguments.runs)
        if arguments.json:
            write_text(arguments.json, json.dumps(comparison, indent=2))
    print(table(comparison))


def _names(folders):
    if len(folders) == 1:
        return folders[0]
    seeds = ", ".join(Path(folder).name for folder in folders)
    return f"{Path(folders[0]).parent}, mean of {len(folders)} seeds ({seeds})"


def _shares_right(runs):
    """Share of the seeds that got each utterance right."""
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
    """Each speaker's summand of the differences; swapping that speaker's
    answers turns its sign, for the numbers of targets stay what they are.
    """
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    gains = hits[:, 0] - hits[:, 1]
    targets = counts[:, 0].sum((0, -1))
    present = targets > 0
    return {
        "WA": gains.sum(-1) / targets.sum(),
        "UA": (gains[:, present] / targets[present]).mean(-1),
    }


if __name__ == "__main__":
    main()
