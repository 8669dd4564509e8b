"""One seed's run: opens and guards its folder."""

import json
import os
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from importlib.metadata import version

from ruamel.yaml import YAML

from speechbrain_ptssnn.corpora.manifests import write_manifest
from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.evaluation.run_folder import (
    RunFolder,
    class_orders,
    fixed_keys,
)
from speechbrain_ptssnn.evaluation.summary import summarize
from speechbrain_ptssnn.evaluation.trained_run import hash_data, hash_json
from speechbrain_ptssnn.features.store import FeatureStore
from speechbrain_ptssnn.training.command import Command
from speechbrain_ptssnn.utils.files import share_lock, try_lock, write_text
from speechbrain_ptssnn.utils.yaml_files import plain

# SpeechBrain's own options that change what is trained or tested.
RESULT_OPTIONS = (
    "debug",
    "eval_precision",
    "grad_accumulation_factor",
    "remove_vector_weight_decay",
    "skip_nonfinite_grads",
)
DEBUG_OPTIONS = ("debug_batches", "debug_epochs")  # of --debug


@dataclass
class Run:
    """One seed's training on the folds of a corpus.

    Arguments
    ---------
    command : Command
        What was asked for.
    seed : int
        One of the command's.
    utterances : list of Utterance
        The corpus.
    store : FeatureStore
        Has their features.
    folds : list of Fold
        Of the protocol.
    """

    command: Command
    seed: int
    utterances: list
    store: FeatureStore
    folds: list

    @property
    def labels(self):
        """The classes, in index order."""
        return self.command.labels

    @property
    def hparams(self):
        """The settings with every object built."""
        return self.command.hparams

    @cached_property
    def files(self):
        """The :class:`RunFolder`."""
        return RunFolder(self.command.model_folder / str(self.seed))

    @cached_property
    def facts(self):
        """What distinguishes this run from others, and its number of folds."""
        return {
            **self.command.condition,
            "model": self.hparams["model"],
            "seed": self.seed,
            "folds": len(self.folds),
        }

    @cached_property
    def text(self):
        """The resolved YAML; its folders are absolute."""
        folders = {
            key: os.path.abspath(self.command.plain[key])
            for key in ("results_folder", "features_folder")
        }
        return self.command.settings.text(
            seed=self.seed,
            # What auto was on this machine.
            extraction_precision=self.store.precision,
            **folders,
        )

    @cached_property
    def by_id(self):
        """The utterances by their ids."""
        return {u.id: u for u in self.utterances}

    def is_finished(self, number):
        """Whether a fold was trained and tested."""
        return self.files.is_finished(number)

    @property
    def has_results(self):
        """Whether any fold was trained and tested."""
        return bool(self.files.finished)

    @contextmanager
    def opened(self):
        """Keeps the folder for these settings in this context.

        Any number of processes with the same settings may have it open, each
        with other folds. If nothing was computed in the folder and no process
        has it open, a run with other settings may take it over. The claim is a
        lock, which ends with the process, even if it is killed.

        Raises
        ------
        InputError
            If the folder belongs to another run.
        """
        self.files.path.mkdir(parents=True, exist_ok=True)
        with open(self.files.lock, "a") as lock:
            if try_lock(lock):
                self._write()
            share_lock(lock)
            self.refuse_other()
            yield

    def _write(self):
        """Writes what the run is made of; no other process may do so."""
        files = self.files
        for path in files.path.glob("*.part"):  # of a killed process
            path.unlink()
        if files.is_begun:
            self.refuse_other()
        else:  # the folds of an earlier run were removed
            for path in files.outcomes:
                path.unlink(missing_ok=True)
        write_text(files.hyperparams, self.text)
        # Absolute paths, which hold wherever the manifest is read.
        write_manifest(
            files.manifest,
            [replace(u, wav=os.path.abspath(u.wav)) for u in self.utterances],
        )
        write_text(
            files.folds,
            json.dumps({k + 1: asdict(f) for k, f in enumerate(self.folds)}),
        )
        write_text(files.settings, json.dumps(self._settings(), indent=2))

    def refuse_other(self):
        """Compares the folder's settings with this run's.

        Raises
        ------
        InputError
            If they differ or cannot be read; names the first that do.
        """
        compare_settings(self.files, self.text, **self._settings())

    def summarize(self):
        """Puts the finished folds together.

        Returns
        -------
        dict
            The content of ``summary.json``.
        """
        parameters = self.hparams["head"].parameters()
        trainable = sum(p.numel() for p in parameters if p.requires_grad)
        return summarize(
            self.files,
            self.labels,
            **self.facts,
            trainable_params=trainable,
        )

    def _settings(self):
        command = self.command
        keys = RESULT_OPTIONS
        if command.run_opts["debug"]:
            keys += DEBUG_OPTIONS
        options = {key: command.run_opts[key] for key in keys}
        options["precision"] = self.hparams["precision"]
        return {
            "backbone": self.store.fingerprint,
            "data": hash_data(self.store, self.utterances),
            "folds": hash_json([asdict(fold) for fold in self.folds]),
            "run options": options,
            "processes": command.processes,
            "version": version("speechbrain-ptssnn"),
        }


def compare_settings(files, text, **others):
    """Compares what a run's folder was made with to what is wanted.

    Arguments
    ---------
    files : RunFolder
        Of the run.
    text : str
        The resolved YAML that is wanted.
    **others
        Other keys of ``settings.json``.

    Raises
    ------
    InputError
        If they differ or cannot be read; names the first that do.
    """
    old = files.read_settings()
    hyperparams = plain(YAML().load(text))
    new = {
        "hyperparams": fixed_keys(hyperparams),
        "order of the classes": class_orders(hyperparams),
        **others,
    }
    for key in new:
        what = _difference(key, old.get(key), new[key])
        if what:
            raise InputError(
                f"{files.path} was made with other settings: {what}; choose "
                "another --results_folder or remove that folder"
            )


def _difference(key, old, new):
    """Says in what two settings differ; "" if they are equal."""
    if old == new:
        return ""
    if key in ("data", "folds"):
        return f"{key} differ"
    if isinstance(new, dict) and isinstance(old, dict):
        return ", ".join(
            f"{name}={new.get(name)!r} (there: {old.get(name)!r})"
            for name in sorted({*old, *new})
            if old.get(name) != new.get(name)
        )
    return f"{key}={new!r} (there: {old!r})"
