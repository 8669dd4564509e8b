"""A set of experiments: the rows of one of the paper's tables, as YAML."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from speechbrain_ptssnn.corpora.registry import find_corpus
from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.utils.own_files import find_yaml
from speechbrain_ptssnn.utils.yaml_files import read_yaml

KEYS = ("title", "reference", "tuning_folds", "rows")
NEEDED = ("title", "reference", "rows")
ROW_KEYS = ("name", "head", "lr", "overrides", "paper")
PAPER_KEYS = ("WA", "UA", "parameters", "mJ")
# One table has one of each, so that no row can choose another.
OF_THE_TABLE = (
    *("corpus", "protocol", "backbone", "data_folder", "complete"),
    *("seed", "split_seed", "fold", "results_folder", "base"),
)


@dataclass(frozen=True)
class Row:
    """One model of a set.

    Arguments
    ---------
    name : str
        As the table has it.
    head : Path
        Its YAML file.
    overrides : dict
        Keys of that file that are set otherwise.
    paper : dict
        Name of a corpus to what the paper prints for it: "WA" and "UA" in
        percent, "parameters" in millions, "mJ".
    rates : tuple of str or None
        Learning rates, all of which are trained; none leaves the choice to
        the command line. None: the head is not trained by gradients.
    """

    name: str
    head: Path
    overrides: dict
    paper: dict
    rates: tuple | None = ()


@dataclass(frozen=True)
class ExperimentSet:
    """Models that are trained alike and compared with one of them.

    Arguments
    ---------
    name : str
        The file's, without its ending.
    title : str
        For people.
    reference : str
        The row that the others are compared with.
    rows : tuple of Row
        In the table's order.
    tuning_folds : int
        The first folds, on whose validation the learning rates of a row are
        compared: only the best one trains the others. 0 trains all folds with
        all rates.
    """

    name: str
    title: str
    reference: str
    rows: tuple
    tuning_folds: int = 0


def read_set(path):
    """Reads ``hparams/sets/<name>.yaml``.

    Arguments
    ---------
    path : str or Path
        The file, or one of ours by name; a row's ``head`` lies beside it or
        is one of ours, like ``ablations/without_prompts.yaml``.

    Returns
    -------
    ExperimentSet

    Raises
    ------
    InputError
        If a key, a row or a head's file is wrong; says which.

    Example
    -------
    >>> [row.name for row in read_set("hparams/sets/table4.yaml").rows]
    ["emotion2vec's linear head", 'Vanilla SNN', 'PTS-SNN']
    """
    path = find_yaml("set", path)
    document = read_yaml(path)
    _check_keys(path, document, KEYS, NEEDED)
    if not isinstance(document["rows"], list) or not document["rows"]:
        raise InputError(f"{path}: rows must be a list of one row or more")
    rows = tuple(
        _read_row(f"{path}: row {k}", path.parent, row)
        for k, row in enumerate(document["rows"], 1)
    )
    names = [row.name for row in rows]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"{path}: two rows are called {name!r}")
    reference = str(document["reference"])
    if reference not in names:
        raise InputError(
            f"{path}: reference must be the name of a row, one of {names}, "
            f"got {reference!r}"
        )
    tuning_folds = document.get("tuning_folds", 0)
    if type(tuning_folds) is not int or tuning_folds < 0:
        raise InputError(
            f"{path}: tuning_folds must be a number of folds, 0 or more, got "
            f"{tuning_folds!r}"
        )
    return ExperimentSet(
        path.stem, str(document["title"]), reference, rows, tuning_folds
    )


def _read_row(where, folder, row):
    _check_keys(where, row, ROW_KEYS, ("name", "head"))
    overrides = row.get("overrides", {})
    _check_mapping(f"{where}: overrides", overrides)
    for key in overrides:
        if not isinstance(key, str):
            raise InputError(
                f"{where}: overrides: {key!r} is no key of a head's file"
            )
        if key == "lr":
            raise InputError(f"{where}: overrides: lr stands beside it")
        if key in OF_THE_TABLE:
            raise InputError(
                f"{where}: overrides cannot set {key!r}; all rows of a table "
                "share it"
            )
    try:
        json.dumps(overrides)
    except TypeError as error:
        raise InputError(
            f"{where}: overrides must be plain values ({error})"
        ) from error
    try:
        head = find_yaml("head", str(row["head"]), [folder])
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    return Row(
        str(row["name"]),
        head,
        dict(overrides),
        _read_paper(f"{where}: paper", row.get("paper", {})),
        _read_rates(where, row["lr"]) if "lr" in row else (),
    )


def _read_paper(where, given):
    """The values of ``paper: {IEMOCAP: {WA: 73.34}}``, by corpus."""
    _check_mapping(where, given)
    paper = {}
    for name, values in given.items():
        try:
            corpus = find_corpus(str(name)).name
        except InputError as error:
            raise InputError(f"{where}: {error}") from error
        _check_keys(f"{where}: {corpus}", values, PAPER_KEYS, ())
        for key, value in values.items():
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise InputError(
                    f"{where}: {corpus}: {key} must be a number, got {value!r}"
                )
        paper[corpus] = {
            key: float(values[key]) for key in PAPER_KEYS if key in values
        }
    return paper


def _read_rates(where, given):
    """The rates of ``lr: 0.01``, ``lr: [0.01, 0.03]`` or ``lr: null``."""
    if given is None:
        return None
    values = given if isinstance(given, list) else [given]
    try:
        return check_rates([str(value) for value in values])
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def check_rates(rates):
    """Refuses what are no learning rates.

    Arguments
    ---------
    rates : list of str
        As they are written.

    Returns
    -------
    tuple of str
        The same.

    Raises
    ------
    InputError
        If there is none, or one is no number above 0 or stands there twice.

    Example
    -------
    >>> check_rates(["0.001", "0.003"])
    ('0.001', '0.003')
    """
    try:
        values = {float(rate) for rate in rates}
    except ValueError:
        values = {0}
    is_positive = all(0 < value < math.inf for value in values)
    if not (values and is_positive and len(values) == len(rates)):
        raise InputError(
            "lr must be a number above 0, or several that differ like "
            f"0.001,0.003, got {','.join(rates)!r}"
        )
    return tuple(rates)


def _check_mapping(where, given):
    if not isinstance(given, Mapping):
        raise InputError(
            f"{where} must be like '{{name: value}}', got {given!r}"
        )


def _check_keys(where, document, allowed, needed):
    if not isinstance(document, Mapping):
        raise InputError(f"{where}: must have the keys {allowed}")
    for key in document:
        if key not in allowed:
            raise InputError(
                f"{where}: unknown key {key!r}; there are {allowed}"
            )
    for key in needed:
        if key not in document:
            raise InputError(f"{where}: the key {key!r} is missing")
