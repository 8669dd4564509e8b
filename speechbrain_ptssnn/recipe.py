"""The training, written once: every recipe calls :func:`main`.

prepare, features, folds, then for each fold: train, select on validation,
test once; at last the summary. What is finished is never done again.
"""

import copy
import hashlib
import json
import sys
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path

import torch
from speechbrain.core import DEFAULT_LOG_CONFIG
from speechbrain.dataio.dataset import DynamicItemDataset
from speechbrain.utils.data_pipeline import provides, takes
from speechbrain.utils.distributed import if_main_process, run_on_main
from speechbrain.utils.epoch_loop import EpochCounter
from speechbrain.utils.logger import (
    get_logger,
    setup_logging,
)

import speechbrain_ptssnn
from speechbrain_ptssnn.brain import SERBrain, best_validation
from speechbrain_ptssnn.checkpoints import CompleteCheckpointer
from speechbrain_ptssnn.command import on_main, one_sentence_errors, open_job
from speechbrain_ptssnn.corpora.common import write_manifest
from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.files import only_process, write_text
from speechbrain_ptssnn.inference import save_bundle
from speechbrain_ptssnn.sampler import LengthBuckets
from speechbrain_ptssnn.summary import summarize, table, write_predictions

logger = get_logger(__name__)

# SpeechBrain's own options that change what is trained or tested.
RESULT_OPTIONS = (
    "debug",
    "eval_precision",
    "grad_accumulation_factor",
    "max_grad_norm",
    "optimizer_step_limit",
    "remove_vector_weight_decay",
    "skip_nonfinite_grads",
)

# What may differ between two calls that continue one run. The precision that
# was chosen is among the options.
FREE_KEYS = (
    "data_folder",
    "results_folder",
    "features_folder",
    "fold",
    "precision",
)


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
        run(corpus, Path(recipe_file).parent, argv)


def run(corpus, recipe_folder, argv=None):
    """Trains and tests the folds that are asked for and not yet done.

    Arguments
    ---------
    corpus : str
        The corpus's name.
    recipe_folder : Path
        Holds ``protocols/``.
    argv : list of str, optional
        Command line.

    Returns
    -------
    dict or None
        The run's summary; None on other processes than the first.

    Raises
    ------
    InputError
        If data or settings are not usable.
    """
    job = open_job(
        sys.argv[1:] if argv is None else argv, corpus, recipe_folder
    )
    corpus, settings, hparams = job.corpus, job.settings, job.hparams
    run_opts = job.run_opts
    text = settings.text()
    if "precision" in run_opts.overridden_args:  # SpeechBrain's own option
        hparams["precision"] = run_opts.precision
    hparams["precision"] = choose_precision(hparams["precision"], job.device)
    options = {key: run_opts[key] for key in RESULT_OPTIONS}
    options["precision"] = hparams["precision"]
    logger.info("training's matrix products: %s", hparams["precision"])
    _check_numbers(hparams, job.processes)
    backbone_name = hparams.get("backbone_name", settings.backbone_name)
    facts = {
        "corpus": corpus.name,
        "protocol": settings.protocol_name,
        "backbone": backbone_name,
        "model": hparams["model"],
        "seed": hparams["seed"],
    }
    folder = Path(hparams["results_folder"]).joinpath(*map(str, facts.values()))

    utterances, store = job.open_store()
    folds = hparams["protocol"].split(utterances)
    numbers = _fold_numbers(hparams["fold"], len(folds))
    facts["folds"] = len(folds)
    on_main(
        _open_folder,
        [folder, text, store, utterances, folds, options, job.processes],
    )
    job.fill(store)
    by_id = {u.id: u for u in utterances}
    for number in numbers:
        if (folder / f"fold_{number}" / "result.json").exists():
            logger.info("fold %d is done", number)
            continue
        logger.info("fold %d of %d", number, len(folds))
        fold_folder = folder / f"fold_{number}"
        with only_process(fold_folder) if if_main_process() else nullcontext():
            _run_fold(
                number, folds[number - 1], fold_folder, job, text, by_id, store
            )
    trainable = sum(
        p.numel() for p in hparams["head"].parameters() if p.requires_grad
    )
    return run_on_main(
        _finish,
        [folder, job.labels, {**facts, "trainable_params": trainable}],
    )


def _check_numbers(hparams, processes):
    for key in ("number_of_epochs", "batch_size", "bucket_batches"):
        if hparams[key] < 1:
            raise InputError(f"{key} must be at least 1, got {hparams[key]}")
    if hparams["batch_size"] % processes:
        raise InputError(
            f"batch_size={hparams['batch_size']} can not be shared by "
            f"{processes} processes; choose a multiple"
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
    if str(fold).isdigit() and 1 <= int(fold) <= n_folds:
        return [int(fold)]
    raise InputError(f"fold must be 'all' or 1 to {n_folds}, got {fold}")


def _open_folder(folder, text, store, utterances, folds, options, processes):
    """Writes what the run is made of, or refuses to mix two runs."""
    settings = {
        "hyperparams": _top_level(text),
        "backbone": store.fingerprint,
        "data": _fingerprint(store, utterances),
        "folds": _hash([asdict(fold) for fold in folds]),
        "run options": options,
        "processes": processes,
        "version": speechbrain_ptssnn.__version__,
    }
    path = folder / "settings.json"
    if path.exists() and any(folder.glob("fold_*/save/*")):
        _refuse_other(path, json.loads(path.read_text()), settings)
    folder.mkdir(parents=True, exist_ok=True)
    setup_logging(
        DEFAULT_LOG_CONFIG,
        {"handlers": {"file_handler": {"filename": str(folder / "log.txt")}}},
    )
    write_text(folder / "hyperparams.yaml", text)
    write_manifest(folder / "manifest.json", utterances)
    write_text(
        folder / "folds.json",
        json.dumps({k + 1: asdict(fold) for k, fold in enumerate(folds)}),
    )
    write_text(path, json.dumps(settings, indent=2))


def _refuse_other(path, old, new):
    for key in new:
        if old.get(key) == new[key]:
            continue
        what = f"{key} differ" if key in ("data", "folds") else ""
        if isinstance(new[key], dict):
            there = old.get(key, {})
            what = ", ".join(
                f"{name}={new[key].get(name)!r} (there: {there.get(name)!r})"
                for name in sorted({*there, *new[key]})
                if there.get(name) != new[key].get(name)
            )
        what = what or f"{key}={new[key]!r} (there: {old.get(key)!r})"
        raise InputError(
            f"{path.parent} was made with other settings: {what}; choose "
            "another --results_folder or remove that folder"
        )


def _top_level(text):
    """The resolved YAML's values, as text, by top-level key."""
    values = {}
    for line in text.splitlines():
        code = line.split(" #")[0].rstrip()
        if not code or code.startswith("#"):
            continue
        if not code[0].isspace():
            key, _, code = code.partition(":")
            values[key] = ""
        values[key] = f"{values[key]} {code.strip()}".strip()
    return {k: v for k, v in values.items() if k not in FREE_KEYS}


def _fingerprint(store, utterances):
    return _hash(
        [
            (u.id, u.speaker, u.label, store.audio_fingerprint(u.id))
            for u in utterances
        ]
    )


def _hash(value):
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()


def _dataset(ids, by_id, labels, store):
    rows = {name: {"target": labels.index(by_id[name].label)} for name in ids}
    dataset = DynamicItemDataset(rows)

    @takes("id")
    @provides("feats")
    def load(name):
        return store[name]

    dataset.add_dynamic_item(load)
    dataset.set_output_keys(["id", "feats", "target"])
    return dataset


def _run_fold(number, fold, folder, job, text, by_id, store):
    """Trains, selects and tests one fold; ``result.json`` ends it."""
    hparams, labels = job.hparams, job.labels
    head = copy.deepcopy(hparams["head"])
    normalizer = copy.deepcopy(hparams["normalizer"])
    if hparams["normalize_features"]:
        normalizer.fit(store[name] for name in fold.train)
    epochs = EpochCounter(hparams["number_of_epochs"])
    checkpointer = CompleteCheckpointer(
        folder / "save",
        {"head": head, "normalizer": normalizer, "epoch": epochs},
    )
    brain = SERBrain(
        modules={"head": head, "normalizer": normalizer},
        opt_class=hparams["opt_class"],
        hparams={**hparams, "folder": folder},
        run_opts=job.run_opts,
        checkpointer=checkpointer,
    )
    train, valid, test = (
        _dataset(sorted(ids, key=store.n_frames), by_id, labels, store)
        for ids in (fold.train, fold.valid, fold.test)
    )
    sampler = LengthBuckets(
        [store.n_frames(name) for name in train.data_ids],
        hparams["batch_size"],
        hparams["bucket_batches"],
        hparams["seed"],
    )
    brain.fit(
        epochs,
        train,
        valid,
        train_loader_kwargs={
            "batch_size": hparams["batch_size"] // job.processes,
            "sampler": sampler,
        },
        valid_loader_kwargs={"batch_size": hparams["batch_size"]},
    )
    brain.evaluate(
        test, test_loader_kwargs={"batch_size": hparams["batch_size"]}
    )

    run_on_main(
        _write_fold,
        [number, folder, brain, text, labels, by_id, fold.test, store.backbone],
    )


def _write_fold(number, folder, brain, text, labels, by_id, test, backbone):
    outcome = brain.outcome
    rows = []
    all_posteriors = outcome.pop("posteriors")
    for name in test:
        posteriors = all_posteriors[name]
        row = {
            "id": name,
            "speaker": by_id[name].speaker,
            "label": by_id[name].label,
            "prediction": labels[posteriors.index(max(posteriors))],
        }
        for label, posterior in zip(labels, posteriors, strict=True):
            row[f"p_{label}"] = f"{posterior:.7f}"
        rows.append(row)
    write_predictions(folder / "predictions.csv", rows, labels)
    save_bundle(
        folder / "model",
        text,
        backbone,
        brain.modules.normalizer,
        brain.head,
        labels,
    )
    brain.checkpointer.delete_checkpoints(importance_keys=[best_validation])
    result = {"fold": number, "epoch": brain.best_epoch, **outcome}
    write_text(folder / "result.json", json.dumps(result, indent=2))


def _finish(folder, labels, facts):
    summary = summarize(folder, labels, **facts)
    print(f"\n{table(summary)}\n\nresults: {folder}")
    return summary
