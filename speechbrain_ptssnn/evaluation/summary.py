"""What a run gave: ``predictions.csv``, ``summary.json`` and a table."""

import csv
import json
from io import StringIO
from statistics import mean, pstdev

import numpy as np

from speechbrain_ptssnn.evaluation.chance_levels import (
    confounds,
    speaker_labels,
)
from speechbrain_ptssnn.evaluation.uncertainty import bootstrap_intervals
from speechbrain_ptssnn.metrics import (
    class_recalls,
    confusion_scores,
    expected_calibration_error,
    speaker_confusions,
)
from speechbrain_ptssnn.nnet.monitor import collapsed_layers, mean_rates
from speechbrain_ptssnn.utils.files import read_json, write_text
from speechbrain_ptssnn.utils.provenance import provenance
from speechbrain_ptssnn.utils.text_tables import columns, interval, percent

SPEAKERS_SHOWN = 12  # at most, in the table


def write_predictions(path, rows, labels):
    """Writes one row an utterance, sorted by id.

    Arguments
    ---------
    path : Path
        The CSV file.
    rows : list of dict
        With ``id``, ``speaker``, ``label``, ``prediction`` and one
        ``p_<label>`` per label.
    labels : sequence of str
        In index order.
    """
    stream = StringIO()
    fields = ["id", "speaker", "label", "prediction"]
    fields += [f"p_{label}" for label in labels]
    writer = csv.DictWriter(stream, fields, lineterminator="\n")
    writer.writeheader()
    writer.writerows(sorted(rows, key=lambda row: row["id"]))
    write_text(path, stream.getvalue())


def read_predictions(path):
    """Reads what :func:`write_predictions` wrote, as a list of dict."""
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def confusions_of(rows, labels):
    """Each speaker's confusion matrix.

    Arguments
    ---------
    rows : iterable of dict
        Of :func:`read_predictions`.
    labels : sequence of str
        In index order.

    Returns
    -------
    numpy.ndarray
        As :func:`speechbrain_ptssnn.metrics.speaker_confusions`.
    """
    keys = ("speaker", "label", "prediction")
    cells = zip(*([row[key] for key in keys] for row in rows), strict=True)
    return speaker_confusions(*cells, labels)


def summarize(folder, labels, **facts):
    """Puts the finished folds together.

    Arguments
    ---------
    folder : Path
        The run's; holds ``manifest.json``, ``folds.json`` and, of each
        finished fold, ``fold_<k>/result.json`` and ``predictions.csv``.
    labels : sequence of str
        In index order.
    **facts
        What else the summary says: corpus, protocol, backbone, model, ...

    Returns
    -------
    dict
        The content of ``summary.json``, which is written beside
        ``predictions.csv``: metrics over all test predictions together, with
        ``interval_95``; beside them ``majority`` and ``speaker_oracle`` under
        the same folds; all but the intervals again for each fold, in
        ``per_fold``; ``valid_UA``, the mean of what selected the epochs;
        ``speaker_labels`` of the whole corpus; ``devices`` that trained.
    """
    manifest = read_json(folder / "manifest.json")
    folds = read_json(folder / "folds.json")
    results = sorted(
        map(read_json, folder.glob("fold_*/result.json")),
        key=lambda result: result["fold"],
    )
    done = [folds[str(result["fold"])] for result in results]
    rows, per_fold = [], []
    for result, fold in zip(results, done, strict=True):
        number = result["fold"]
        tested = read_predictions(folder / f"fold_{number}" / "predictions.csv")
        rows += tested
        per_fold.append(
            {
                "fold": number,
                **_scores(tested, labels),
                **confounds(manifest, [fold], labels),
            }
        )
    firing = {result["fold"]: result["firing_rates"] for result in results}
    summary = {
        **facts,
        "folds_done": [result["fold"] for result in results],
        **_scores(rows, labels),
        "interval_95": bootstrap_intervals(
            confusion_scores, confusions_of(rows, labels)
        ),
        **confounds(manifest, done, labels),
        **_spread("WA", per_fold),
        **_spread("UA", per_fold),
        "valid_UA": mean(result["valid_UA"] for result in results),
        "labels": list(labels),
        "speaker_labels": speaker_labels(manifest, labels),
        "firing_rates": mean_rates(firing),
        "collapsed_layers": collapsed_layers(firing),
        "per_fold": per_fold,
        # Folds of before it was noted do not say it.
        "devices": sorted({r["device"] for r in results if "device" in r}),
        **provenance(),
    }
    write_predictions(folder / "predictions.csv", rows, labels)
    write_text(folder / "summary.json", json.dumps(summary, indent=2))
    return summary


def table(summary):
    """The summary as text, for people.

    Arguments
    ---------
    summary : dict
        Of :func:`summarize`.

    Returns
    -------
    str
    """
    s = summary
    head = (
        f"{s['corpus']}, {s['protocol']} folds, {s['backbone']}, {s['model']},"
        f" seed {s['seed']}: {len(s['folds_done'])} of {s['folds']} folds, "
        f"{s['n_utterances']} test utterances"
    )
    parts = [
        [head],
        _score_lines(s),
        _confusion_lines(s),
        _speaker_lines(s),
        _firing_lines(s),
        [f"trainable parameters: {s['trainable_params']:,}"],
    ]
    return "\n\n".join("\n".join(lines) for lines in parts if lines)


def _scores(rows, labels):
    confusions = confusions_of(rows, labels)
    confusion = confusions.sum(0)
    recalls = class_recalls(confusion)
    return {
        "n_utterances": len(rows),
        "n_speakers": len(confusions),
        **{k: float(score) for k, score in confusion_scores(confusion).items()},
        "ECE": expected_calibration_error(
            [[float(row[f"p_{label}"]) for label in labels] for row in rows],
            [row["label"] == row["prediction"] for row in rows],
        ),
        "recall": {
            label: None if np.isnan(recall) else float(recall)
            for label, recall in zip(labels, recalls, strict=True)
        },
        "confusion": confusion.tolist(),
    }


def _spread(key, results):
    values = [result[key] for result in results]
    return {f"{key}_fold_mean": mean(values), f"{key}_fold_std": pstdev(values)}


def score_rows(summary):
    """The scores beside what is had without hearing, as rows of text.

    Arguments
    ---------
    summary : dict
        Of :func:`summarize`.

    Returns
    -------
    list of list of str
        The heads, then one row a score.
    """
    s = summary
    heads = ["all", "95 % interval", "majority", "speaker oracle"]
    rows = [["", *heads, "fold mean", "std"]]
    bounds = s["interval_95"] or {}
    for key in ("WA", "UA", "macro_F1", "weighted_F1"):
        row = [
            key.replace("_", " "),
            percent(s[key]),
            interval(bounds.get(key)),
        ]
        if key in s["majority"]:
            row += [
                percent(s["majority"][key]),
                percent(s["speaker_oracle"][key]),
                percent(s[f"{key}_fold_mean"]),
                percent(s[f"{key}_fold_std"]),
            ]
        rows.append(row)
    return [*rows, ["ECE", f"{s['ECE']:.3f}"]]


def interval_note(summary):
    """How the intervals were made, or why there are none."""
    if summary["interval_95"] is None:
        return "no interval: the test utterances name one speaker or none"
    return f"intervals: bootstrap over {summary['n_speakers']} speakers"


def firing_rows(summary):
    """Rate, silent and saturated share of each spiking layer, as
    :func:`score_rows`.
    """
    rows = [["spiking layer", "rate", "silent", "saturated"]]
    for layer, rates in summary["firing_rates"].items():
        shares = [f"{rates[key]:.1%}" for key in ("silent", "saturated")]
        rows.append([layer, f"{rates['mean']:.3f}", *shares])
    return rows


def collapse_warnings(summary):
    """One sentence for each spiking layer that has collapsed."""
    sentences = []
    for collapsed in summary["collapsed_layers"]:
        folds = ", ".join(map(str, collapsed["folds"]))
        sentences.append(
            f"{collapsed['layer']} has collapsed in fold {folds}: over half "
            "of its neurons are silent or saturated."
        )
    return sentences


def _score_lines(s):
    return [*columns(score_rows(s)), interval_note(s)]


def _confusion_lines(s):
    rows = [["true / said", *s["labels"], "recall"]]
    for label, counts in zip(s["labels"], s["confusion"], strict=True):
        recall = percent(s["recall"][label])
        rows.append([label, *map(str, counts), recall])
    return columns(rows)


def _speaker_lines(s):
    speakers = s["speaker_labels"]
    if not any(speakers):  # "" for all: the corpus names none
        return []
    if len(speakers) > SPEAKERS_SHOWN:
        single = sum(sum(map(bool, row)) == 1 for row in speakers.values())
        return [
            f"{single} of the corpus's {len(speakers)} speakers show a single "
            "label (speaker_labels in summary.json)"
        ]
    rows = [[name, *map(str, counts)] for name, counts in speakers.items()]
    return columns([["speaker / label", *s["labels"]], *rows])


def _firing_lines(s):
    rows = firing_rows(s)
    lines = columns(rows) if len(rows) > 1 else []
    return lines + collapse_warnings(s)
