"""Trains a set of models and prints them in one table::

    python -m speechbrain_ptssnn.experiments hparams/sets/table5.yaml \
        --corpus=EMOVO --data_folder=/path/to/EMOVO --seed=1,2 --jobs=2

It takes what ``recipes/<CORPUS>/train.py`` takes, and ``--corpus``; each row
of the set is that recipe's run, so what is finished is never done again.
``--corpus``, ``--protocol`` and ``--backbone`` may name several, divided by
commas, and there is a table for each combination; of several corpora
``--data_folder`` holds a folder each. ``--table_only`` trains nothing,
``--markdown`` prints markdown.
"""

import json
import os
import sys
from itertools import product
from pathlib import Path

from speechbrain_ptssnn.arguments import (
    check_arguments,
    value_of,
    with_values,
)
from speechbrain_ptssnn.command import one_sentence_errors, open_job
from speechbrain_ptssnn.corpora.common import find_corpus
from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.experiment_tables import collect, table
from speechbrain_ptssnn.files import write_text
from speechbrain_ptssnn.hyperparams import OURS
from speechbrain_ptssnn.recipe import run
from speechbrain_ptssnn.run_folder import Run
from speechbrain_ptssnn.sets import read_set

SEVERAL = ("corpus", "protocol", "backbone")
FLAGS = ("--table_only", "--markdown")


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
        finally:  # Ctrl-C too shows what is done
            for rows in tables:
                _show(experiments, rows, "--markdown" in flags)
        if failures:
            raise InputError(
                f"failed rows: {', '.join(failures)}, see above; the same "
                "command does what is missing"
            )


def _plan(argv):
    """The set, and for each table each row's recipe, arguments, folder."""
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
    rows = {}
    for row in experiments.rows:
        for key in row.overrides:
            if value_of(argv, key) is not None:
                raise InputError(
                    f"--{key} can not be set here: row {row.name!r} of the "
                    "set does"
                )
        arguments = with_values(
            [str(row.head), *argv[1:]],
            **{
                key: value if isinstance(value, str) else json.dumps(value)
                for key, value in row.overrides.items()
            },
        )
        job = open_job(arguments, corpus, script.parent)
        folder = Run(job, job.seeds[0], [], None, []).folder.parent
        for other, (_, _, taken) in rows.items():
            if taken == folder:
                raise InputError(
                    f"rows {other!r} and {row.name!r} of the set have one "
                    f"results folder, {folder}; give one of them a 'model' "
                    "of its own in its overrides"
                )
        rows[row.name] = script, arguments, folder
    return rows


def _train(rows):
    """Runs a table's rows; says which failed."""
    failures = []
    for k, (name, (script, argv, _)) in enumerate(rows.items(), 1):
        print(f"\n{name}: row {k} of {len(rows)}", flush=True)
        try:
            run(script.parent.name, script, argv)
        except InputError as error:
            failures.append(name)
            print(f"{name} failed: {error}", flush=True)
    return failures


def _show(experiments, rows, as_markdown):
    """Prints what is done and writes it beside the models' folders."""
    folders = {name: folder for name, (_, _, folder) in rows.items()}
    outcome = collect(experiments, folders)
    print(f"\n{table(outcome, as_markdown)}")
    place = next(iter(folders.values())).parent
    if place.is_dir():
        path = place / f"{experiments.name}.json"
        write_text(path, json.dumps(outcome, indent=2))
        print(f"\n{path}")


if __name__ == "__main__":
    main()
