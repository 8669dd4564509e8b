"""Trains a set of models and prints them in one table::

    python -m speechbrain_ptssnn.experiments.trials hparams/sets/table5.yaml \
        --corpus=EMOVO --data_folder=/path/to/EMOVO --seed=1,2 --jobs=2

It takes what ``recipes/<CORPUS>/train.py`` takes, and ``--corpus``; each row
of the set is that recipe's run, so what is finished is never done again.
``--corpus``, ``--protocol`` and ``--backbone`` may name several, divided by
commas, and there is a table for each combination; of several corpora
``--data_folder`` holds a folder each. A row whose set gives it several learning
rates is trained at all and shown at the one with the best validation;
``--lr=0.0005,0.003`` does the same for the rows that have none of their own.
``--energy`` counts the operations of what is shown, ``--table_only`` trains
nothing, ``--markdown`` prints markdown.
"""

import json
import os
import sys
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from speechbrain_ptssnn.corpora.registry import find_corpus
from speechbrain_ptssnn.energy.measure import write_energy
from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.experiments.sets import check_rates, read_set
from speechbrain_ptssnn.experiments.table import collect, table
from speechbrain_ptssnn.recipe import run
from speechbrain_ptssnn.training.arguments import (
    check_arguments,
    value_of,
    with_values,
)
from speechbrain_ptssnn.training.command import open_job
from speechbrain_ptssnn.training.hyperparams import OURS
from speechbrain_ptssnn.training.run import Run
from speechbrain_ptssnn.utils.distributed import one_sentence_errors
from speechbrain_ptssnn.utils.files import write_text

SEVERAL = ("corpus", "protocol", "backbone")
FLAGS = ("--energy", "--table_only", "--markdown")


@dataclass(frozen=True)
class Trial:
    """A row's training at one learning rate.

    Arguments
    ---------
    script : Path
        The recipe's.
    argv : list of str
        The recipe's command line.
    folder : Path
        The model's, of results.
    """

    script: Path
    argv: list
    folder: Path


def main(argv=None):
    """The command.

    Arguments
    ---------
    argv : list of str, optional
        Command line; ``sys.argv[1:]`` by default.
    """
    argv = sys.argv[1:] if argv is None else argv
    flags = [argument for argument in argv if argument in FLAGS]
    argv = [argument for argument in argv if argument not in FLAGS]
    with one_sentence_errors():
        experiments, tables = _plan(argv)
        failures = []
        try:
            if "--table_only" not in flags:
                failures = [f for rows in tables for f in _train(rows)]
            if "--energy" in flags:
                for rows in tables:
                    _count_operations(_collect(experiments, rows))
        finally:  # Ctrl-C too shows what is done
            for rows in tables:
                _show(experiments, rows, "--markdown" in flags)
        if failures:
            raise InputError(
                f"failed rows: {', '.join(failures)}, see above; the same "
                "command does what is missing"
            )


def _plan(argv):
    """The set, and for each table the trials of each row."""
    if not argv or argv[0].startswith("--"):
        raise InputError("name a set first, e.g. hparams/sets/table5.yaml")
    check_arguments(argv)
    if "RANK" in os.environ:
        raise InputError(
            "torchrun shares out the batches of one run; a set takes --jobs"
        )
    experiments = read_set(argv[0])
    return experiments, [
        _plan_table(experiments, corpus, arguments)
        for corpus, arguments in places(argv)
    ]


def places(argv):
    """Combines the corpora, protocols and backbones of a command line.

    Arguments
    ---------
    argv : list of str
        Of the whole command.

    Yields
    ------
    tuple
        (corpus, its command line).

    Raises
    ------
    InputError
        If there is no corpus.
    """
    if value_of(argv, "corpus") is None:
        raise InputError("--corpus is not set; write e.g. --corpus=URDU")
    named = [key for key in SEVERAL if value_of(argv, key)]
    choices = [value_of(argv, key).split(",") for key in named]
    for names in product(*choices):
        values = dict(zip(named, names, strict=True))
        if len(choices[0]) > 1:
            folder = value_of(argv, "data_folder") or ""
            values["data_folder"] = Path(folder, values["corpus"])
        yield values["corpus"], with_values(argv, **values)


def _plan_table(experiments, corpus, argv):
    script = OURS.parent / "recipes" / find_corpus(corpus).name / "train.py"
    given = (value_of(argv, "lr") or "").split(",")
    given = check_rates(given) if len(given) > 1 else ()
    rows, taken = {}, {}
    for row in experiments.rows:
        for key in row.overrides:
            if value_of(argv, key) is not None:
                raise InputError(
                    f"--{key} cannot be set here: row {row.name!r} of the "
                    "set does"
                )
        arguments = with_values(
            [str(row.head), *argv[1:]],
            **{
                key: value if isinstance(value, str) else json.dumps(value)
                for key, value in row.overrides.items()
            },
        )
        rates = row.rates or given
        if rates:
            arguments = with_values(arguments, lr=rates[0])
        job = open_job(arguments, corpus, script.parent)
        folder = Run(job, job.seeds[0], [], None, []).folder.parent
        if folder in taken:
            raise InputError(
                f"rows {taken[folder]!r} and {row.name!r} of the set have one "
                f"results folder, {folder}; give one of them a 'model' of its "
                "own in its overrides"
            )
        taken[folder] = row.name
        if len(rates) < 2:
            rows[row.name] = [Trial(script, arguments, folder)]
            continue
        names = {rate: f"{folder.name}_lr{rate}" for rate in rates}
        rows[row.name] = [
            Trial(
                script,
                with_values(arguments, lr=rate, model=name),
                folder.with_name(name),
            )
            for rate, name in names.items()
        ]
    return rows


def _train(rows):
    """Runs a table's trials; says which rows failed."""
    failures = []
    for k, (name, trials) in enumerate(rows.items(), 1):
        for trial in trials:
            model = trial.folder.name
            print(f"\n{name} ({model}): row {k} of {len(rows)}", flush=True)
            try:
                run(trial.script.parent.name, trial.script, trial.argv)
            except InputError as error:
                failures.append(name)
                print(f"{name} failed: {error}", flush=True)
    return list(dict.fromkeys(failures))


def _collect(experiments, rows):
    folders = {
        name: [trial.folder for trial in trials]
        for name, trials in rows.items()
    }
    return collect(experiments, folders)


def _show(experiments, rows, as_markdown):
    """Prints what is done and writes it beside the models' folders."""
    outcome = _collect(experiments, rows)
    print(f"\n{table(outcome, as_markdown)}")
    place = next(iter(rows.values()))[0].folder.parent
    if place.is_dir():
        path = place / f"{experiments.name}.json"
        write_text(path, json.dumps(outcome, indent=2))
        print(f"\n{path}")


def _count_operations(outcome):
    """Measures the first seed's run of what is shown and lacks its energy, or
    has that of other folds.
    """
    for row in outcome["rows"]:
        figures = row["figures"]
        if not figures:
            continue
        energy, seed = figures["energy"], next(iter(figures["seeds"]))
        if not energy or not {*figures["folds_done"]} <= {*energy["folds"]}:
            run_folder = Path(row["folder"], seed)
            print(f"operations of {run_folder}", flush=True)
            write_energy(run_folder)


if __name__ == "__main__":
    main()
