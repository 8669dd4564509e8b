"""The training, written once: every recipe calls :func:`main`.

prepare, features, folds, then for each seed and fold: train, select on
validation, test once; at last the summary. What is finished is never done
again.
"""

import math
import os
import sys
from pathlib import Path

import torch
from speechbrain.core import DEFAULT_LOG_CONFIG
from speechbrain.utils.distributed import run_on_main
from speechbrain.utils.logger import (
    get_logger,
    setup_logging,
)

from speechbrain_ptssnn.corpora.checks import check_same_audio
from speechbrain_ptssnn.corpora.given_folds import FoldColumn
from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.evaluation.seeds import summarize_seeds, table_of_seeds
from speechbrain_ptssnn.evaluation.summary import table
from speechbrain_ptssnn.training.arguments import with_values
from speechbrain_ptssnn.training.command import open_job
from speechbrain_ptssnn.training.launchers import (
    LAUNCHERS,
    Task,
    end_with_parent,
    is_task,
    local_launcher,
    ray_launcher,
    run_tasks,
    threads_per_job,
)
from speechbrain_ptssnn.training.run import Run
from speechbrain_ptssnn.training.train_fold import run_fold
from speechbrain_ptssnn.utils.distributed import on_main, one_sentence_errors

logger = get_logger(__name__)


def main(corpus, recipe_file, argv=None):
    """What ``recipes/<CORPUS>/train.py`` calls.

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
        run(corpus, Path(recipe_file), sys.argv[1:] if argv is None else argv)


def run(corpus, recipe_file, argv):
    """Trains and tests what is asked for and not yet done, and sums it up.

    Arguments
    ---------
    corpus : str
        The corpus's name.
    recipe_file : Path
        The calling script; tasks call it again.
    argv : list of str
        Command line.

    Raises
    ------
    InputError
        If data or settings are not usable, or a task failed.
    """
    if is_task():
        end_with_parent()
    job = open_job(argv, corpus, recipe_file.parent)
    _check(job)
    hparams = job.hparams
    if "precision" in job.run_opts.overridden_args:  # SpeechBrain's own option
        hparams["precision"] = job.run_opts.precision
    hparams["precision"] = choose_precision(hparams["precision"], job.device)
    utterances, store = job.open_store()
    folds = hparams["protocol"].split(utterances)
    numbers = _fold_numbers(hparams["fold"], len(folds))
    runs = [Run(job, seed, utterances, store, folds) for seed in job.seeds]
    if is_task():  # who started it does the rest
        runs[0].refuse_other()
        _start_log(runs[0].fold_folder(numbers[0]), ["file_handler"])
        _run_folds(runs[0], numbers)
        return
    if any(u.fold for u in utterances) and not isinstance(
        hparams["protocol"], FoldColumn
    ):
        logger.warning(
            "the corpus has folds of its own, which --protocol=%s does not "
            "keep: what it calls test may be trained on; try --protocol=column",
            job.settings.protocol_name,
        )
    check_same_audio(utterances, folds, store.audio_fingerprint)
    folder = runs[0].folder if len(runs) == 1 else runs[0].folder.parent
    on_main(_open, [runs, folder])
    logger.info("training's matrix products: %s", hparams["precision"])
    job.fill(store)
    failed = 0
    try:
        if _is_shared_out(job):
            failed = _run_tasks(runs, numbers, recipe_file, argv)
        else:
            _run_folds(runs[0], numbers)
    except (KeyboardInterrupt, InputError):
        if job.processes == 1:  # torchrun's others may be anywhere
            _finish(runs, folder)
        raise
    run_on_main(_finish, [runs, folder])
    if failed:
        raise InputError(
            f"failed folds: {failed}, see above; the same command does them "
            "again, and only them"
        )


def _check(job):
    hparams = job.hparams
    for key in ("number_of_epochs", "batch_size", "bucket_batches", "jobs"):
        if hparams[key] < 1:
            raise InputError(f"{key} must be at least 1, got {hparams[key]}")
    frame = 1 / hparams["backbone"].frame_rate
    if hparams["crop"] != 0 and not frame <= hparams["crop"] < math.inf:
        raise InputError(
            f"crop must be 0 (all), or {frame:g} seconds (a frame) or more, "
            f"got {hparams['crop']}"
        )
    if hparams["batch_size"] % job.processes:
        raise InputError(
            f"batch_size={hparams['batch_size']} cannot be shared by "
            f"{job.processes} processes; choose a multiple"
        )
    if hparams["launcher"] not in LAUNCHERS:
        raise InputError(
            f"launcher must be one of {LAUNCHERS}, got {hparams['launcher']!r}"
        )
    if _is_shared_out(job) and "RANK" in os.environ:
        raise InputError(
            "torchrun shares out batches; several seeds, --jobs and "
            "--launcher=ray need the command without torchrun"
        )


def _is_shared_out(job):
    """Whether folds and seeds get processes of their own."""
    hparams = job.hparams
    return (
        len(job.seeds) > 1
        or hparams["jobs"] > 1
        or hparams["launcher"] != "local"
    )


def choose_precision(wanted, device):
    """The road that training's matrix products take.

    Arguments
    ---------
    wanted : str
        "fp32", "bf16" or "auto": bf16 where it is fast.
    device : str
        Where the head is.

    Returns
    -------
    str

    Example
    -------
    >>> choose_precision("fp32", "cpu")
    'fp32'
    """
    if wanted != "auto":
        return wanted
    if "cuda" in device:
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    has = torch.cpu.get_capabilities()
    fast = has.get("avx512_bf16") or has.get("amx_bf16")
    return "bf16" if fast else "fp32"


def _fold_numbers(fold, n_folds):
    if fold == "all":
        return list(range(1, n_folds + 1))
    if str(fold).isdecimal() and 1 <= int(fold) <= n_folds:
        return [int(fold)]
    raise InputError(f"fold must be 'all' or 1 to {n_folds}, got {fold}")


def _open(runs, folder):
    for run in runs:
        run.open()
    _start_log(folder, ["console", "file_handler"])


def _start_log(folder, handlers):
    setup_logging(
        DEFAULT_LOG_CONFIG,
        {
            "handlers": {"file_handler": {"filename": str(folder / "log.txt")}},
            "root": {"handlers": handlers},
        },
    )


def _run_folds(run, numbers):
    for number in numbers:
        if run.is_done(number):
            logger.info("fold %d is done", number)
            continue
        logger.info("fold %d of %d", number, len(run.folds))
        run_fold(run, number)


def _run_tasks(runs, numbers, recipe_file, argv):
    job = runs[0].job
    hparams, is_quiet = job.hparams, job.run_opts.noprogressbar
    script = [str(recipe_file.resolve()), *argv]
    tasks = [
        Task(
            run.seed,
            number,
            run.fold_folder(number).resolve(),
            (
                *with_values(script, seed=run.seed, fold=number),
                *([] if is_quiet else ["--noprogressbar"]),
            ),
            os.getcwd(),
            threads_per_job(hparams["jobs"]),
        )
        for run in runs
        for number in numbers
        if not run.is_done(number)
    ]
    if not tasks:
        return 0
    if hparams["launcher"] == "ray":
        n_gpus = torch.cuda.device_count() if "cuda" in job.device else 0
        launcher = ray_launcher(hparams["jobs"], hparams["ray_address"], n_gpus)
    else:
        launcher = local_launcher(hparams["jobs"])
    return run_tasks(tasks, launcher, not is_quiet)


def _finish(runs, folder):
    summaries = [run.summarize() for run in runs if run.has_results]
    if not summaries:
        return
    if len(summaries) > 1:
        outcome = summarize_seeds(folder / "seeds.json", summaries)
        text = table_of_seeds(outcome)
    else:
        text = table(summaries[0])
    print(f"\n{text}\n\nresults: {folder}")
