"""The training, written once: every recipe and ``ptssnn train`` run it.

Steps: prepare, features, folds; then for each seed and fold: train, select on
validation, test once; finally the summary. Finished steps are never repeated.
"""

import logging
import math
import os
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import torch
from speechbrain.core import DEFAULT_LOG_CONFIG
from speechbrain.utils.distributed import run_on_main
from speechbrain.utils.logger import (
    get_logger,
    setup_logging,
)

from speechbrain_ptssnn.corpora.checks import (
    check_same_audio,
    check_speakers,
    check_tested_once,
    warn_of_overlaps,
)
from speechbrain_ptssnn.corpora.given_folds import FoldColumn
from speechbrain_ptssnn.errors import REFUSALS, InputError
from speechbrain_ptssnn.evaluation.run_folder import FoldFolder
from speechbrain_ptssnn.evaluation.seeds import (
    summarize_seeds,
    table_of_seeds,
)
from speechbrain_ptssnn.evaluation.summary_table import table
from speechbrain_ptssnn.training.arguments import Arguments
from speechbrain_ptssnn.training.command import start_command
from speechbrain_ptssnn.training.launchers import (
    LAUNCHERS,
    Task,
    end_with_parent,
    is_task,
    local_launcher,
    ray_launcher,
    run_tasks,
)
from speechbrain_ptssnn.training.run import Run
from speechbrain_ptssnn.training.train_fold import check_step, run_fold
from speechbrain_ptssnn.utils.distributed import on_main, one_sentence_errors
from speechbrain_ptssnn.utils.processor import (
    has_fast_bf16,
    threads_per_job,
)

logger = get_logger(__name__)


def main(corpus, recipe_file, argv=None):
    """Trains as ``recipes/<CORPUS>/train.py`` promises; errors are sentences.

    Arguments
    ---------
    corpus : str
        The corpus's name.
    recipe_file : str
        The calling script; ``protocols/`` lies beside it.
    argv : list of str, optional
        Command line; ``sys.argv[1:]`` by default.
    """
    with one_sentence_errors():
        arguments = Arguments.parse(sys.argv[1:] if argv is None else argv)
        train(corpus, Path(recipe_file).parent, arguments)


def train(corpus, recipe_folder, arguments):
    """Trains and tests the folds that are not finished, then sums up.

    Arguments
    ---------
    corpus : str
        The corpus's name.
    recipe_folder : Path
        Holds ``protocols/``.
    arguments : Arguments
        The command line.

    Raises
    ------
    InputError
        If data or settings are not usable, or a task failed.
    """
    if is_task():
        end_with_parent()
    command = start_command(arguments, corpus, recipe_folder)
    folds, numbers = prepare(command)
    utterances, store = command.open_store()
    runs = [
        Run(command, seed, utterances, store, folds) for seed in command.seeds
    ]
    if is_task():  # the process that started it does the rest
        log = runs[0].files.fold(numbers[0]).log
        _start_log(log, ["file_handler"])
        with runs[0].opened():
            _run_folds(runs[0], numbers)
        return
    # Published corpora with folds have them as their default protocol.
    if (
        corpus == "Custom"
        and any(u.fold for u in utterances)
        and not isinstance(command.protocol, FoldColumn)
    ):
        logger.warning(
            "the corpus has folds of its own, which --protocol=%s does not "
            "keep: what it calls test may be trained on; try --protocol=column",
            command.settings.protocol_name,
        )
    show = not command.run_opts.noprogressbar
    # Before the features: refused after a few seconds, not after hours.
    on_main(_check_leaks, [utterances, folds, store, show])
    several = len(runs) > 1
    folder = command.model_folder if several else runs[0].files.path
    with ExitStack() as stack:
        on_main(_open, [runs, folder, stack])
        logger.info(
            "training's matrix products: %s", command.hparams["precision"]
        )
        command.fill(store)
        failed = 0
        try:
            if _is_shared_out(command):
                failed = _run_tasks(runs, numbers, (corpus, recipe_folder))
            else:
                _run_folds(runs[0], numbers)
        except (KeyboardInterrupt, InputError):
            if command.processes == 1:  # torchrun's others may be anywhere
                _finish(runs, folder)
            raise
        run_on_main(_finish, [runs, folder])
    if failed:
        raise InputError(
            f"failed folds: {failed}, see above; the same command does them "
            "again, and only them"
        )


def prepare(command):
    """Checks a command's settings, reads the corpus, chooses the precision.

    What costs nothing is checked before a backbone is fetched and built.

    Arguments
    ---------
    command : Command
        Its ``hparams["precision"]`` is the chosen one afterwards.

    Returns
    -------
    tuple
        (list of Fold, list of int): all folds of the protocol, and the
        numbers of those that are wanted.

    Raises
    ------
    InputError
        If data or settings are not usable.
    """
    _check(command)
    if command.is_adapted and not is_task():
        on_main(check_speakers, [command.utterances])
    precision = training_precision(command.plain["precision"], command.device)
    folds = command.protocol.split(command.utterances)
    check_tested_once(folds)
    numbers = _fold_numbers(command.plain["fold"], len(folds))
    command.hparams["precision"] = precision
    _check_crop(command)
    check_step(command.hparams)
    return folds, numbers


def _check(command):
    hparams = command.plain
    for key, value in hparams.items():
        if isinstance(value, float) and math.isnan(value):
            raise InputError(f"{key} must be a number, got {value}")
    for key in ("number_of_epochs", "batch_size", "bucket_batches", "jobs"):
        if hparams[key] < 1:
            raise InputError(f"{key} must be at least 1, got {hparams[key]}")
    factor = command.run_opts.grad_accumulation_factor
    if factor < 1:
        raise InputError(
            f"grad_accumulation_factor must be at least 1, got {factor}"
        )
    if hparams["max_grad_norm"] < 0:
        raise InputError(
            "max_grad_norm must be 0 (off) or more, got "
            f"{hparams['max_grad_norm']}"
        )
    _check_optimizer(command)
    if hparams["batch_size"] % command.processes:
        raise InputError(
            f"batch_size={hparams['batch_size']} cannot be shared by "
            f"{command.processes} processes; choose a multiple"
        )
    if hparams["launcher"] not in LAUNCHERS:
        raise InputError(
            f"launcher must be one of {LAUNCHERS}, got {hparams['launcher']!r}"
        )
    if _is_shared_out(command) and "RANK" in os.environ:
        raise InputError(
            "torchrun shares out batches; several seeds, --jobs and "
            "--launcher=ray need the command without torchrun"
        )


def _check_optimizer(command):
    parts = command.settings.build(["opt_class", "lr_annealing"])
    try:
        weight = torch.nn.Parameter(torch.zeros(1))
        parts["lr_annealing"](parts["opt_class"]([weight]))
    except REFUSALS as error:
        raise InputError(
            f"the optimizer or its schedule refuses its settings: {error}"
        ) from error


def _check_crop(command):
    crop = command.plain["crop"]
    frame = 1 / command.hparams["backbone"].frame_rate
    if crop != 0 and not frame <= crop < math.inf:
        raise InputError(
            f"crop must be 0 (all), or {frame:g} seconds (a frame) or more, "
            f"got {crop}"
        )


def _is_shared_out(command):
    """Whether folds and seeds get processes of their own."""
    hparams = command.plain
    return (
        len(command.seeds) > 1
        or hparams["jobs"] > 1
        or hparams["launcher"] != "local"
    )


def training_precision(wanted, device):
    """The precision of training's matrix products.

    Arguments
    ---------
    wanted : str
        "fp32", "bf16", "fp16", or "auto": bf16 where it is fast.
    device : str
        Where the head is.

    Returns
    -------
    str

    Raises
    ------
    InputError
        If it is none of these.

    Example
    -------
    >>> training_precision("fp32", "cpu")
    'fp32'
    """
    allowed = ("auto", "fp32", "bf16", "fp16")
    if wanted not in allowed:
        raise InputError(f"precision must be one of {allowed}, got {wanted!r}")
    if wanted != "auto":
        return wanted
    if "cuda" in device:
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    return "bf16" if has_fast_bf16() else "fp32"


def _fold_numbers(fold, n_folds):
    if fold == "all":
        return list(range(1, n_folds + 1))
    if str(fold).isdecimal() and 1 <= int(fold) <= n_folds:
        return [int(fold)]
    raise InputError(f"fold must be 'all' or 1 to {n_folds}, got {fold}")


def _check_leaks(utterances, folds, store, progressbar):
    check_same_audio(utterances, folds, store.recordings(progressbar))
    warn_of_overlaps(utterances, folds)


def _open(runs, folder, stack):
    for run in runs:
        stack.enter_context(run.opened())
    _start_log(folder / "log.txt", ["console", "file_handler"])


def _start_log(path, handlers):
    if path.exists() and not path.is_file():
        raise InputError(f"{path}: is not a file; remove it")
    with open(path, "a"):  # whose error says more than the logger's
        pass
    # A full disk is told by what needs it, not by each line of the log.
    logging.raiseExceptions = False
    setup_logging(
        DEFAULT_LOG_CONFIG,
        {
            "handlers": {"file_handler": {"filename": str(path)}},
            "root": {"handlers": handlers},
        },
    )


def _run_folds(run, numbers):
    for number in numbers:
        if run.is_finished(number):
            logger.info("fold %d is done", number)
            continue
        logger.info("fold %d of %d", number, len(run.folds))
        run_fold(run, number)


def _run_tasks(runs, numbers, recipe):
    command = runs[0].command
    hparams, is_quiet = command.plain, command.run_opts.noprogressbar
    tasks = [
        _task(run, number, *recipe)
        for run in runs
        for number in numbers
        if not run.is_finished(number)
    ]
    if not tasks:
        return 0
    if hparams["launcher"] == "ray":
        n_gpus = torch.cuda.device_count() if "cuda" in command.device else 0
        launcher = ray_launcher(hparams["jobs"], hparams["ray_address"], n_gpus)
    else:
        launcher = local_launcher(hparams["jobs"])
    return run_tasks(tasks, launcher, not is_quiet)


def _task(run, number, corpus, recipe_folder):
    """One fold of one seed, for a process of its own."""
    arguments = run.command.arguments
    arguments = replace(
        arguments.with_keys(seed=run.seed, fold=number),
        options={**arguments.options, "noprogressbar": ""},
    )
    return Task(
        run.seed,
        number,
        FoldFolder(run.files.fold(number).path.resolve()),
        (
            # -P: no file of the working folder is taken for a module.
            *("-P", "-m", __name__),
            *(corpus, str(recipe_folder.resolve())),
            *arguments.argv,
        ),
        os.getcwd(),
        threads_per_job(run.hparams["jobs"]),
    )


def _finish(runs, folder):
    runs = [run for run in runs if run.has_results]
    summaries = [run.summarize() for run in runs]
    if not summaries:
        return
    if len(summaries) > 1:
        outcome = summarize_seeds([run.files for run in runs])
        text = table_of_seeds(outcome)
    else:
        text = table(summaries[0])
    print(f"\n{text}\n\nresults: {folder}")


if __name__ == "__main__":  # a task: corpus, recipe folder, command line
    main(sys.argv[1], Path(sys.argv[2], "train.py"), sys.argv[3:])
