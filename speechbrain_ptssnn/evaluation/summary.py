"""summary.json: the scores of one run, over all its finished folds."""

import json
from statistics import mean

import numpy as np

from speechbrain_ptssnn.evaluation.chance_levels import (
    chance_levels,
    speaker_labels,
)
from speechbrain_ptssnn.evaluation.predictions import (
    calibration_error,
    confusions_of,
    posteriors_of,
    read_predictions,
    write_predictions,
)
from speechbrain_ptssnn.evaluation.uncertainty import (
    bootstrap_intervals,
    sample_std,
)
from speechbrain_ptssnn.metrics import (
    class_recalls,
    confusion_scores,
)
from speechbrain_ptssnn.nnet.monitor import collapsed_layers, mean_rates
from speechbrain_ptssnn.utils.files import write_text
from speechbrain_ptssnn.utils.provenance import provenance


def summarize(run, labels, **facts):
    """Sums up the finished folds of a run.

    Writes ``predictions.csv`` and ``summary.json`` of the run.

    Arguments
    ---------
    run : RunFolder
        Holds the manifest, the folds and, of each finished fold, the result
        and the predictions.
    labels : sequence of str
        In index order.
    **facts
        What else the summary says: corpus, protocol, backbone, model, ...

    Returns
    -------
    dict
        The content of ``summary.json``: metrics over all test predictions
        together, with ``interval_95``; ``ECE_uncalibrated`` is that of a
        temperature of 1; ``majority`` and ``speaker_oracle``
        with the same folds; all but the intervals again for each fold, in
        ``per_fold``, and mean and standard deviation (n - 1; None for one
        fold) of WA and UA over folds; ``valid_UA``, the mean validation UA of
        the selected epochs; ``speaker_labels`` of the whole corpus;
        ``devices`` that trained.
    """
    manifest, folds = run.read_json(run.manifest), run.read_json(run.folds)
    results = [run.read_json(run.fold(k).result) for k in run.finished]
    done = [folds[str(result["fold"])] for result in results]
    rows, uncalibrated, per_fold = [], [], []
    for result, fold in zip(results, done, strict=True):
        number = result["fold"]
        tested = read_predictions(run.fold(number).predictions)
        rows += tested
        uncalibrated += uncalibrated_posteriors(
            tested, labels, run.temperature(number)
        )
        per_fold.append(
            {
                "fold": number,
                **_scores(tested, labels),
                **chance_levels(manifest, [fold], labels),
            }
        )
    firing = {result["fold"]: result["firing_rates"] for result in results}
    summary = {
        **facts,
        "folds_done": [result["fold"] for result in results],
        **_scores(rows, labels),
        "ECE_uncalibrated": calibration_error(rows, uncalibrated),
        "interval_95": bootstrap_intervals(
            confusion_scores, confusions_of(rows, labels)
        ),
        **chance_levels(manifest, done, labels),
        **_over_folds("WA", per_fold),
        **_over_folds("UA", per_fold),
        "valid_UA": mean(result["valid_UA"] for result in results),
        "labels": list(labels),
        "speaker_labels": speaker_labels(manifest, labels),
        "firing_rates": mean_rates(firing),
        "collapsed_layers": collapsed_layers(firing),
        "per_fold": per_fold,
        # Old results do not name their device.
        "devices": sorted({r["device"] for r in results if "device" in r}),
        **provenance(),
    }
    write_predictions(run.predictions, rows, labels)
    write_text(run.summary, json.dumps(summary, indent=2))
    return summary


def _scores(rows, labels):
    confusions = confusions_of(rows, labels)
    confusion = confusions.sum(0)
    recalls = class_recalls(confusion)
    return {
        "n_utterances": len(rows),
        "n_speakers": len(confusions),
        **{k: float(score) for k, score in confusion_scores(confusion).items()},
        "ECE": calibration_error(rows, posteriors_of(rows, labels)),
        "recall": {
            label: None if np.isnan(recall) else float(recall)
            for label, recall in zip(labels, recalls, strict=True)
        },
        "confusion": confusion.tolist(),
    }


def uncalibrated_posteriors(rows, labels, temperature):
    """The posteriors at a temperature of 1.

    Arguments
    ---------
    rows : list of dict
        A fold's predictions.
    labels : sequence of str
        The classes.
    temperature : float
        The fold's.

    Returns
    -------
    list of list of float
        softmax(x) where the predictions have softmax(x / temperature).

    Example
    -------
    >>> rows = [{"p_a": 0.9, "p_b": 0.1}]
    >>> uncalibrated_posteriors(rows, "ab", temperature=0.5)
    [[0.75, 0.25]]
    """
    powers = np.array(posteriors_of(rows, labels)) ** temperature
    return (powers / powers.sum(1, keepdims=True)).tolist()


def _over_folds(key, per_fold):
    values = [scores[key] for scores in per_fold]
    return {
        f"{key}_fold_mean": mean(values),
        f"{key}_fold_std": sample_std(values),
    }
