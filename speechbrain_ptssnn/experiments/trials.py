"""Trains the rows of a set and shows them in one table.

Each row is a training of its own, so finished folds are never repeated. A row
whose set gives it several learning rates is trained at all of them and shown
at the one with the best validation; ``--lr=0.0005,0.003`` does the same for
the rows that have none of their own. A set with ``tuning_folds`` compares the
rates on its first folds, and trains the others with the best one.
"""

import json
import os
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from pathlib import Path
from statistics import mean

from speechbrain_ptssnn.corpora.registry import find_corpus
from speechbrain_ptssnn.energy.measure import MEAN_SECONDS, write_energy
from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.evaluation.run_folder import RunFolder, record_file
from speechbrain_ptssnn.experiments.record import collect
from speechbrain_ptssnn.experiments.sets import check_rates, read_set
from speechbrain_ptssnn.experiments.table import table
from speechbrain_ptssnn.recipe import train
from speechbrain_ptssnn.training.arguments import Arguments
from speechbrain_ptssnn.training.command import read_command
from speechbrain_ptssnn.training.run import compare_settings
from speechbrain_ptssnn.utils.files import write_text
from speechbrain_ptssnn.utils.own_files import RECIPES

SEVERAL = ("corpus", "protocol", "backbone")


@dataclass(frozen=True)
class Trial:
    """A row's training at one learning rate.

    Arguments
    ---------
    corpus : str
        The corpus's name.
    recipe_folder : Path
        Holds the corpus's protocols.
    arguments : Arguments
        The training's command line.
    folder : Path
        The model's folder of results.
    seed : int
        The first seed.
    """

    corpus: str
    recipe_folder: Path
    arguments: Arguments
    folder: Path
    seed: int

    @cached_property
    def command(self):
        """The training as it was asked for, read but not started."""
        return read_command(self.arguments, self.corpus, self.recipe_folder)


def run_set(arguments, energy=False, table_only=False, as_markdown=False):
    """Trains a set's rows and prints a table for each condition.

    Arguments
    ---------
    arguments : Arguments
        The set's file, and what every row is trained with. ``corpus``,
        ``protocol`` and ``backbone`` may name several, divided by commas: one
        table for each combination. Of several corpora, ``data_folder`` holds
        a folder each.
    energy : bool
        Whether the operations of the shown runs are counted.
    table_only : bool
        Whether nothing is trained.
    as_markdown : bool
        Whether tables are printed as markdown.

    Raises
    ------
    InputError
        If the set or a setting is not usable, before anything is trained; if
        a row failed, after the others and the tables.
    """
    if "RANK" in os.environ:
        raise InputError(
            "torchrun shares out the batches of one run; a set takes --jobs"
        )
    if "base" in arguments.keys:
        raise InputError("--base cannot be set here: each row names its head")
    experiments = read_set(arguments.file)
    tables = [
        _plan_table(experiments, corpus, each)
        for corpus, each in conditions(arguments)
    ]
    failures = []
    try:
        if not table_only:
            failures = [
                name
                for rows in tables
                for name in _train(rows, experiments.tuning_folds)
            ]
        if energy:
            for rows in tables:
                _count_operations(_collect(experiments, rows))
    finally:  # Ctrl-C too shows what is finished
        for rows in tables:
            _show(experiments, rows, as_markdown)
    if failures:
        raise InputError(
            f"failed rows: {', '.join(failures)}, see above; the same "
            "command does what is missing"
        )


def conditions(arguments):
    """Combines the corpora, protocols and backbones of a command line.

    Arguments
    ---------
    arguments : Arguments
        Of the whole set.

    Yields
    ------
    tuple
        (corpus, Arguments) of each combination.

    Raises
    ------
    InputError
        If there is no corpus.
    """
    keys = arguments.keys
    if not keys.get("corpus"):
        raise InputError("--corpus is not set; write e.g. --corpus=URDU")
    named = [key for key in SEVERAL if keys.get(key)]
    choices = [keys[key].split(",") for key in named]
    for names in product(*choices):
        values = dict(zip(named, names, strict=True))
        if len(choices[0]) > 1:
            folder = keys.get("data_folder", "")
            values["data_folder"] = Path(folder, values["corpus"])
        yield values["corpus"], arguments.with_keys(**values)


def _plan_table(experiments, corpus, arguments):
    """Name of each row to its trials."""
    recipe_folder = RECIPES / find_corpus(corpus).name
    given = arguments.keys.get("lr", "").split(",")
    given = check_rates(given) if len(given) > 1 else ()
    rows, taken = {}, {}
    for row in experiments.rows:
        for key in row.overrides:
            if key in arguments.keys:
                raise InputError(
                    f"--{key} cannot be set here: row {row.name!r} of the "
                    "set does"
                )
        trials = _plan_row(row, corpus, recipe_folder, arguments, given)
        for trial in trials:
            other = taken.setdefault(trial.folder, row.name)
            if other != row.name:
                raise InputError(
                    f"rows {other!r} and {row.name!r} of the set have one "
                    f"results folder, {trial.folder}; give one of them a "
                    "'model' of its own in its overrides"
                )
        rows[row.name] = trials
    _check_one_condition(rows)
    return rows


def _check_one_condition(rows):
    """All rows of a table have one front-end, adapted to speakers or not."""
    (first, (trial, *_)), *others = rows.items()
    for name, (other, *_) in others:
        if other.folder.parent != trial.folder.parent:
            raise InputError(
                f"rows {first!r} and {name!r} of the set have other "
                f"front-ends, {trial.folder.parent.name} and "
                f"{other.folder.parent.name}, which one table cannot compare; "
                "choose the front-end on the command line"
            )


def _plan_row(row, corpus, recipe_folder, arguments, given):
    """One trial for each learning rate; ``given`` are the command line's."""
    overrides = {
        key: value if isinstance(value, str) else json.dumps(value)
        for key, value in row.overrides.items()
    }
    arguments = replace(arguments, file=str(row.head)).with_keys(**overrides)
    rates = row.rates or given
    if row.rates is None:
        rates, keys = (), dict(arguments.keys)
        keys.pop("lr", None)
        arguments = replace(arguments, keys=keys)
    elif rates:
        arguments = arguments.with_keys(lr=rates[0])
    command = read_command(arguments, corpus, recipe_folder)
    command.settings.check_objects()
    folder = command.model_folder
    seed = command.seeds[0]
    if len(rates) < 2:
        return [Trial(corpus, recipe_folder, arguments, folder, seed)]
    names = {rate: f"{folder.name}_lr{rate}" for rate in rates}
    return [
        Trial(
            corpus,
            recipe_folder,
            arguments.with_keys(lr=rate, model=name),
            folder.with_name(name),
            seed,
        )
        for rate, name in names.items()
    ]


def _train(rows, tuning_folds):
    """Runs a table's trials; returns the names of the rows that failed."""
    failures = []
    for k, (name, trials) in enumerate(rows.items(), 1):
        where = f"{name}: row {k} of {len(rows)}"
        # With --fold=2 there is no other fold to choose the rate for.
        has_all = trials[0].arguments.keys.get("fold", "all") == "all"
        is_tuned = len(trials) > 1 and has_all
        if tuning_folds and is_tuned:
            with _noted(name, failures):
                best = _best(trials, tuning_folds, where)
                _run(best, best.arguments, where)
            continue
        for trial in trials:
            with _noted(name, failures):
                _run(trial, trial.arguments, where)
    return list(dict.fromkeys(failures))


@contextmanager
def _noted(name, failures):
    """Goes on after what a row cannot be trained with, and notes the row."""
    try:
        yield
    except InputError as error:
        failures.append(name)
        print(f"{name} failed: {error}", flush=True)


def _best(trials, n_folds, where):
    """The trial with the best validation on the first folds."""
    scores = [_tune(trial, n_folds, where) for trial in trials]
    return trials[scores.index(max(scores))]


def _tune(trial, n_folds, where):
    """Trains the first folds with the first seed; returns their mean UA on
    validation.
    """
    run, scores = RunFolder(trial.folder / str(trial.seed)), []
    for fold in range(1, n_folds + 1):
        arguments = trial.arguments.with_keys(seed=trial.seed, fold=fold)
        _run(trial, arguments, where)
        scores.append(run.read_json(run.fold(fold).result)["valid_UA"])
        if fold == run.read_json(run.summary)["folds"]:
            break
    return mean(scores)


def _run(trial, arguments, where):
    print(f"\n{where} ({trial.folder.name})", flush=True)
    train(trial.corpus, trial.recipe_folder, arguments)


def _collect(experiments, rows):
    folders = {
        name: [trial.folder for trial in trials]
        for name, trials in rows.items()
    }
    by_folder = {
        trial.folder: trial for trials in rows.values() for trial in trials
    }
    return collect(
        experiments,
        folders,
        lambda run: _compare_settings(by_folder[run.path.parent], run),
    )


def _compare_settings(trial, run):
    """Refuses a run with other settings than a trial's: a table shows what was
    asked for, not what lies there. Audio and front-end are compared among the
    runs of a table, as they may not be at hand.
    """
    command, keys = trial.command, ["seed"]
    if command.plain["extraction_precision"] == "auto":  # what it was there
        keys.append("extraction_precision")
    made = run.read_hyperparams()
    text = command.settings.text(**{key: made.get(key) for key in keys})
    compare_settings(run, text)


def _show(experiments, rows, as_markdown):
    """Prints what is done and writes it beside the models' folders."""
    record = _collect(experiments, rows)
    print(f"\n{table(record, as_markdown)}")
    model = next(iter(rows.values()))[0].folder
    path = record_file(model, experiments.name)
    if path.parent.is_dir():
        write_text(path, json.dumps(record.to_dict(), indent=2))
        print(f"\n{path}")


def _count_operations(record):
    """Measures the first seed's run of what is shown and lacks its energy or
    the front-end's, or has that of other folds.
    """
    for row in record.rows:
        values = row.values
        if not values:
            continue
        energy = values.energy
        run_folder = Path(row.folder, next(iter(values.seeds)))
        if (
            not energy
            or energy.front_end_mJ is None
            or not {*values.folds_done} <= {*energy.folds}
            or _seconds(run_folder) not in (None, MEAN_SECONDS)
        ):
            print(f"operations of {run_folder}", flush=True)
            write_energy(run_folder)


def _seconds(run_folder):
    """The length whose energy was counted; None in files of older versions."""
    return RunFolder(run_folder).read_energy()["scaled"].get("seconds")
