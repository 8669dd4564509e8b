"""What finished runs answered, read back from their folders."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.evaluation.summary import (
    confusions_of,
    read_predictions,
)
from speechbrain_ptssnn.utils.files import read_json


@dataclass
class Answers:
    """One run's, with one seed.

    Arguments
    ---------
    folder : Path
        Where they lie; its name is the seed.
    folds : dict
        Of ``folds.json``.
    rows : dict
        Id to row of ``predictions.csv``, sorted.
    """

    folder: Path
    folds: dict
    rows: dict


def read_answers(path):
    """Reads a run, or all seeds of it.

    Arguments
    ---------
    path : str or Path
        A run's folder, or one that holds a folder for each seed.

    Returns
    -------
    list of Answers

    Raises
    ------
    InputError
        If there is no run, a fold of it is not done, or seeds were trained
        with different settings.
    """
    path = Path(path)
    folders = [path]
    if not (path / "folds.json").is_file():
        folders = seed_folders(path, "folds.json")
    if not folders:
        raise InputError(
            f"{path} is no run: there is no folds.json in it or in a folder "
            "of it; give e.g. results/URDU/random/fbank/pts_snn/1, or .../"
            "pts_snn for all its seeds"
        )
    return [read_run(folder) for folder in folders]


def seed_folders(folder, name):
    """Finds the runs of a model that have a file.

    Arguments
    ---------
    folder : Path
        results/<corpus>/<protocol>/<backbone>/<model>.
    name : str
        The file's.

    Returns
    -------
    list of Path
        One a seed, in their order.

    Raises
    ------
    InputError
        If they were trained with different settings.
    """
    folders = [path.parent for path in folder.glob(f"*/{name}")]
    folders.sort(key=lambda each: (len(each.name), each.name))
    if folders:
        _check_settings(folders)
    return folders


def read_run(folder, numbers=None):
    """Reads a run of one seed.

    Arguments
    ---------
    folder : Path
        The run's.
    numbers : list of int, optional
        The folds that are read; all by default.

    Returns
    -------
    Answers
        Of these folds only.

    Raises
    ------
    InputError
        If a fold is not done.
    """
    folds = read_json(folder / "folds.json")
    if numbers is not None:
        folds = {str(number): folds[str(number)] for number in numbers}
    path = folder / "predictions.csv"
    rows = read_predictions(path) if path.is_file() else []
    rows = {row["id"]: row for row in sorted(rows, key=lambda row: row["id"])}
    tested = {name for fold in folds.values() for name in fold["test"]}
    missing = tested - rows.keys()
    if missing:
        raise InputError(
            f"{folder} is not complete: {len(missing)} of {len(tested)} test "
            "utterances have no prediction; give its training command again"
        )
    if numbers is not None:
        rows = {name: row for name, row in rows.items() if name in tested}
    return Answers(folder, folds, rows)


def read_settings(folder):
    """Reads a run's ``settings.json``.

    Arguments
    ---------
    folder : Path
        The run's.

    Returns
    -------
    dict
    """
    path = folder / "settings.json"
    if not path.is_file():
        raise InputError(f"{folder}: there is no settings.json; it is no run")
    return read_json(path)


def check_alike(runs):
    """Refuses runs that cannot be paired utterance by utterance.

    Arguments
    ---------
    runs : list of Answers
        Compared with the first.

    Raises
    ------
    InputError
        If utterances, true labels, speakers or folds differ.
    """
    for run in runs[1:]:
        reason = _why_unlike(runs[0], run)
        if reason:
            raise InputError(
                f"{runs[0].folder} and {run.folder} cannot be compared: "
                f"{reason}"
            )


def mean_confusions(runs, labels):
    """Each speaker's confusion matrix, averaged over the seeds of a run.

    Arguments
    ---------
    runs : list of Answers
        One a seed, to the same utterances.
    labels : sequence of str
        In index order.

    Returns
    -------
    numpy.ndarray
        [speakers, true label, predicted label].
    """
    each = [confusions_of(run.rows.values(), labels) for run in runs]
    return np.mean(each, axis=0)


def _check_settings(folders):
    first, *others = (_flat(read_settings(f)) for f in folders)
    for folder, other in zip(folders[1:], others, strict=True):
        for key in sorted(first.keys() | other.keys()):
            if first.get(key) != other.get(key):
                raise InputError(
                    f"{folders[0]} and {folder} are seeds of different runs: "
                    f"{key}={first.get(key)} and {other.get(key)}; remove one"
                )


def _flat(settings):
    pairs = {**settings, **settings["hyperparams"]}
    left_out = ("hyperparams", "seed", "__set_seed")
    return {key: pairs[key] for key in pairs if key not in left_out}


def _why_unlike(one, other):
    odd = sorted(one.rows.keys() ^ other.rows.keys())
    if odd:
        return f"utterance {odd[0]!r} is tested in one of them only"
    for name, row in one.rows.items():
        for key in ("label", "speaker"):
            mine, its = row[key], other.rows[name][key]
            if mine != its:
                return f"the {key} of {name!r} is {mine!r} and {its!r}"
    if one.folds != other.folds:
        return "their folds differ; train both with one protocol and split_seed"
    return None
