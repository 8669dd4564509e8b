"""predictions.csv: written, read, and counted as confusion matrices."""

import csv
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import numpy as np

from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.metrics import (
    expected_calibration_error,
    speaker_confusions,
)
from speechbrain_ptssnn.utils.files import damage, read_file, write_text

FIELDS = ("id", "speaker", "label", "prediction")


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
    fields = [*FIELDS, *(f"p_{label}" for label in labels)]
    writer = csv.DictWriter(stream, fields, lineterminator="\n")
    writer.writeheader()
    writer.writerows(sorted(rows, key=lambda row: row["id"]))
    write_text(path, stream.getvalue())


def read_predictions(path):
    r"""Reads what :func:`write_predictions` wrote.

    Arguments
    ---------
    path : Path
        The CSV file.

    Returns
    -------
    list of dict
        One a row.

    Raises
    ------
    InputError
        If the file is empty or damaged, as after a power cut.

    Example
    -------
    >>> path = getfixture("tmp_path") / "predictions.csv"
    >>> _ = path.write_text("id,speaker,label,prediction,p_calm\na,b,calm,ca")
    >>> read_predictions(path)
    Traceback (most recent call last):
    speechbrain_ptssnn.errors.InputError: ...: is damaged; the training's ...
    """
    try:
        text = read_file(path)
        rows = list(csv.DictReader(StringIO(text, newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error):
        text, rows = "", []
    # The reader fills up short rows with None, and keeps further cells at None.
    try:
        for row in rows:
            for name, cell in row.items():
                if name and name.startswith("p_"):
                    float(cell or 0)
    except (TypeError, ValueError):
        text = ""
    is_whole = text.endswith("\n") and text.startswith(",".join(FIELDS))
    if not is_whole or any(
        None in (*row, *row.values())
        or any(f"p_{row[key]}" not in row for key in ("label", "prediction"))
        for row in rows
    ):
        raise InputError(
            f"{path}: is {damage(path)}; the training's command, given again, "
            "writes it"
        )
    return rows


def confusions_of(rows, labels):
    """Counts each speaker's confusion matrix.

    Arguments
    ---------
    rows : iterable of dict
        Of :func:`read_predictions`.
    labels : sequence of str
        In index order.

    Returns
    -------
    numpy.ndarray
        [speakers, true label, predicted label], as
        :func:`speechbrain_ptssnn.metrics.speaker_confusions`.
    """
    keys = ("speaker", "label", "prediction")
    cells = zip(*([row[key] for key in keys] for row in rows), strict=True)
    return speaker_confusions(*cells, labels)


def posteriors_of(rows, labels):
    """Reads the posteriors of predictions.

    Arguments
    ---------
    rows : list of dict
        The predictions.
    labels : sequence of str
        The classes.

    Returns
    -------
    list of list of float
        [utterances, classes].
    """
    return [[float(row[f"p_{label}"]) for label in labels] for row in rows]


def calibration_error(rows, posteriors):
    """Returns the expected calibration error of predictions.

    Arguments
    ---------
    rows : list of dict
        The predictions, at least one.
    posteriors : list of list of float
        [utterances, classes], those of the rows or at another temperature.

    Returns
    -------
    float

    Example
    -------
    >>> row = {"label": "a", "prediction": "a", "p_a": "0.75", "p_b": "0.25"}
    >>> calibration_error([row], posteriors_of([row], "ab"))
    0.25
    """
    return expected_calibration_error(
        posteriors, [row["label"] == row["prediction"] for row in rows]
    )


@dataclass(frozen=True)
class Predictions:
    """The test predictions of one run, on some of its folds or on all.

    Arguments
    ---------
    folder : Path
        The run's; its name is the seed.
    folds : dict
        Number of a fold, as text, to its ids, as in ``folds.json``.
    rows : dict
        Id to row of ``predictions.csv``, sorted by id.
    """

    folder: Path
    folds: dict
    rows: dict


def predictions_of(run, numbers=None):
    """Reads the predictions of a run.

    Arguments
    ---------
    run : RunFolder
        One seed.
    numbers : list of int, optional
        The folds that are read; all by default.

    Returns
    -------
    Predictions

    Raises
    ------
    InputError
        If a fold is not finished.
    """
    folds = run.read_json(run.folds)
    if numbers is not None:
        folds = {str(number): folds[str(number)] for number in numbers}
    tested = {name for fold in folds.values() for name in fold["test"]}
    # There is no file before the first fold is finished.
    found = run.predictions.is_file()
    rows = read_predictions(run.predictions) if found else []
    rows = {row["id"]: row for row in sorted(rows, key=lambda row: row["id"])}
    missing = tested - rows.keys()
    if missing:
        raise InputError(
            f"{run.path} is not complete: {len(missing)} of {len(tested)} test "
            "utterances have no prediction; give its training command again"
        )
    if numbers is not None:
        rows = {name: row for name, row in rows.items() if name in tested}
    return Predictions(run.path, folds, rows)


def check_comparable(runs):
    """Refuses runs that cannot be compared utterance by utterance.

    Arguments
    ---------
    runs : list of Predictions
        Each is checked against the first.

    Raises
    ------
    InputError
        If utterances, true labels, speakers or folds differ.
    """
    for run in runs[1:]:
        reason = _why_not(runs[0], run)
        if reason:
            raise InputError(
                f"{runs[0].folder} and {run.folder} cannot be compared: "
                f"{reason}"
            )


def mean_confusions(runs, labels):
    """Averages each speaker's confusion matrix over the seeds of a run.

    Arguments
    ---------
    runs : list of Predictions
        One a seed, of the same utterances.
    labels : sequence of str
        In index order.

    Returns
    -------
    numpy.ndarray
        [speakers, true label, predicted label].
    """
    each = [confusions_of(run.rows.values(), labels) for run in runs]
    return np.mean(each, axis=0)


def _why_not(one, other):
    odd = sorted(one.rows.keys() ^ other.rows.keys())
    if odd:
        return f"utterance {odd[0]!r} is tested in one of them only"
    for name, row in one.rows.items():
        for key in ("label", "speaker"):
            first, second = row[key], other.rows[name][key]
            if first != second:
                return f"the {key} of {name!r} is {first!r} and {second!r}"
    if one.folds != other.folds:
        return "their folds differ; train both with one protocol and split_seed"
    return None
