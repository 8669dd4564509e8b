"""What finished runs answered, read back from their folders."""

import json
from dataclasses import dataclass
from pathlib import Path

from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.summary import read_predictions


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
        If there is no run, or a fold of it is not done.
    """
    path = Path(path)
    folders = [path]
    if not (path / "folds.json").is_file():
        folders = [file.parent for file in path.glob("*/folds.json")]
    if not folders:
        raise InputError(
            f"{path} is no run: there is no folds.json in it or in a folder "
            "of it; give e.g. results/URDU/random/fbank/pts_snn/1, or .../"
            "pts_snn for all its seeds"
        )
    folders.sort(key=lambda folder: (len(folder.name), folder.name))
    return [_read_run(folder) for folder in folders]


def check_alike(runs):
    """Refuses runs that can not be paired utterance by utterance.

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
                f"{runs[0].folder} and {run.folder} can not be compared: "
                f"{reason}"
            )


def _read_run(folder):
    folds = json.loads((folder / "folds.json").read_text(encoding="utf-8"))
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
    return Answers(folder, folds, rows)


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
