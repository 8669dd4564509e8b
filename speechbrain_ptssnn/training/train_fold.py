"""One fold: trained, selected on validation, tested once."""

import copy
import json
import math
import sys
from contextlib import nullcontext

import torch
from speechbrain.dataio.dataset import DynamicItemDataset
from speechbrain.utils.data_pipeline import provides, takes
from speechbrain.utils.distributed import if_main_process, run_on_main
from speechbrain.utils.epoch_loop import EpochCounter

from speechbrain_ptssnn.errors import REFUSALS, InputError
from speechbrain_ptssnn.evaluation.predictions import write_predictions
from speechbrain_ptssnn.features.normalized import NormalizedFeatures
from speechbrain_ptssnn.inference import save_bundle
from speechbrain_ptssnn.nnet.members import members_of, repeated
from speechbrain_ptssnn.training.brain import SERBrain, best_validation
from speechbrain_ptssnn.training.checkpoints import CompleteCheckpointer
from speechbrain_ptssnn.training.sampler import LengthBuckets
from speechbrain_ptssnn.utils.distributed import on_main
from speechbrain_ptssnn.utils.files import (
    only_process,
    sync_folder,
    system_errors,
    write_text,
)
from speechbrain_ptssnn.utils.provenance import device_name


def run_fold(run, number):
    """Trains and tests one fold; ``result.json`` ends it.

    Arguments
    ---------
    run : Run
        Opened, its features computed.
    number : int
        The fold's, from 1.

    Raises
    ------
    InputError
        If another process is at work on it, the folder has other settings,
        the disk is full, or training diverges.
    """
    files = run.files.fold(number)
    with (
        system_errors(files.path),
        only_process(files.path) if if_main_process() else nullcontext(),
    ):
        on_main(run.refuse_other, [])
        brain, normalizer = _train_and_test(run, run.folds[number - 1], files)
        run_on_main(_write, [run, number, brain, normalizer])


def check_step(hparams):
    """Tries a training step on random features, with copies of all parts.

    Settings of the right kind may still not go together, such as a label
    smoothing of 1000; this is told before features are extracted. Weights and
    random numbers stay as they are.

    Arguments
    ---------
    hparams : dict
        The settings with every object built.

    Raises
    ------
    InputError
        If the step fails.
    """
    parts = ("normalizer", "head", "loss")
    with torch.random.fork_rng():
        normalizer, head, loss = (copy.deepcopy(hparams[key]) for key in parts)
        try:
            features = torch.randn(2, 9, hparams["backbone"].output_size)
            normalizer.fit(features)
            optimizer = hparams["opt_class"](head.parameters())
            hparams["lr_annealing"](optimizer).step(0)
            outputs = head(normalizer(features), torch.ones(2))
            _check_shape(outputs, hparams["n_classes"], head)
            loss(outputs, repeated(torch.tensor([0, 1]), outputs)).backward()
            optimizer.step()
        except REFUSALS as error:
            reason = " ".join(str(error).split())
            raise InputError(
                f"the settings of {', '.join(parts)}, opt_class or "
                f"lr_annealing cannot be trained with: {reason}"
            ) from error


def _check_shape(outputs, n_classes, head):
    """Refuses outputs for two utterances that have another shape."""
    rows = 2 * len(members_of(head))
    if outputs.shape != (rows, n_classes):
        raise ValueError(
            f"the head gives {list(outputs.shape)} values for two utterances "
            f"and {n_classes} classes"
        )


def _train_and_test(run, fold, files):
    brain, features = fit(run.command, run.hparams, run.store, fold, files)
    hparams, store = run.hparams, run.store
    test = feature_dataset(
        features, run.labels, sorted(fold.test, key=store.n_frames)
    )
    brain.evaluate(
        test, test_loader_kwargs={"batch_size": hparams["batch_size"]}
    )
    return brain, features.normalizer


def fit(command, hparams, store, fold, files):
    """Trains a head on a fold; the test part is not looked at.

    Arguments
    ---------
    command : Command
        Has the classes and SpeechBrain's options.
    hparams : dict
        The settings with every object built. Head and normalizer are copied.
    store : FeatureStore
        Has the utterances and their features.
    fold : Fold
        What is trained and validated on.
    files : FoldFolder
        Where logs and checkpoints go.

    Returns
    -------
    tuple
        (SERBrain, NormalizedFeatures): the trained brain and what it heard.

    Raises
    ------
    InputError
        If training diverges.
    """
    head = copy.deepcopy(hparams["head"])
    normalizer = copy.deepcopy(hparams["normalizer"])
    normalizer.fit(store[name] for name in fold.train)
    features = NormalizedFeatures(store, normalizer, store.utterances)
    if hasattr(head, "solve"):  # such as an SVM, which has no gradient
        head.solve(
            *(
                (
                    map(features, ids),
                    [command.labels.index(features.label(id)) for id in ids],
                )
                for ids in (fold.train, fold.valid)
            )
        )
    epochs = EpochCounter(hparams["number_of_epochs"])
    checkpointer = CompleteCheckpointer(
        files.checkpoints, {"head": head, "epoch": epochs}
    )
    brain = SERBrain(
        modules={"head": head},
        opt_class=hparams["opt_class"],
        hparams={
            **hparams,
            "files": files,
            # SpeechBrain clips always; at infinity nothing changes.
            "max_grad_norm": hparams["max_grad_norm"] or math.inf,
        },
        run_opts=command.run_opts,
        checkpointer=checkpointer,
    )
    crop = round(hparams["crop"] * store.backbone.frame_rate) or sys.maxsize
    train, valid = (
        feature_dataset(
            features, command.labels, sorted(ids, key=store.n_frames), longest
        )
        for ids, longest in ((fold.train, crop), (fold.valid, sys.maxsize))
    )
    sampler = LengthBuckets(
        [min(store.n_frames(name), crop) for name in train.data_ids],
        hparams["batch_size"],
        hparams["bucket_batches"],
        hparams["seed"],
    )
    brain.fit(
        epochs,
        train,
        valid,
        train_loader_kwargs={
            "batch_size": hparams["batch_size"] // command.processes,
            "sampler": sampler,
        },
        valid_loader_kwargs={"batch_size": hparams["batch_size"]},
    )
    return brain, features


def feature_dataset(features, labels, ids, longest=sys.maxsize):
    """Features and targets, for SpeechBrain's loaders.

    Arguments
    ---------
    features : NormalizedFeatures
        What the head gets.
    labels : sequence of str
        The classes, in index order.
    ids : list of str
        Utterances, in this order.
    longest : int
        Frames that are given at most: a random stretch. The brain seeds what
        draws it at every epoch.

    Returns
    -------
    DynamicItemDataset
        Of ``id``, ``feats`` ([time, channels]) and ``target`` (int).
    """
    dataset = DynamicItemDataset(
        {name: {"target": labels.index(features.label(name))} for name in ids}
    )

    @takes("id")
    @provides("feats")
    def load(name):
        return features(name, longest)

    dataset.add_dynamic_item(load)
    dataset.set_output_keys(["id", "feats", "target"])
    return dataset


def _write(run, number, brain, normalizer):
    files, labels = run.files.fold(number), run.labels
    outcome = brain.outcome
    rows = []
    all_posteriors = outcome.pop("posteriors")
    for name in run.folds[number - 1].test:
        posteriors = all_posteriors[name]
        row = {
            "id": name,
            "speaker": run.by_id[name].speaker,
            "label": run.by_id[name].label,
            "prediction": labels[posteriors.index(max(posteriors))],
        }
        for label, posterior in zip(labels, posteriors, strict=True):
            row[f"p_{label}"] = f"{posterior:.7g}"
        rows.append(row)
    write_predictions(files.predictions, rows, labels)
    save_bundle(
        files.bundle,
        run.text,
        run.store.backbone,
        normalizer,
        brain.head,
        labels,
        brain.temperature,
    )
    sync_folder(files.bundle)
    brain.checkpointer.delete_checkpoints(importance_keys=[best_validation])
    result = {
        "fold": number,
        "device": device_name(run.command.device),
        "epoch": brain.best["epoch"],
        "valid_UA": brain.best["UA"],
        "temperature": brain.temperature,
        **outcome,
    }
    write_text(files.result, json.dumps(result, indent=2))
