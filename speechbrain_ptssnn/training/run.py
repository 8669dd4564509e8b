"""One seed's run: opens and guards its folder."""

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib.metadata import version

from ruamel.yaml import YAML

from speechbrain_ptssnn.corpora.manifests import write_manifest
from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.evaluation.run_folder import RunFolder, fixed_keys
from speechbrain_ptssnn.evaluation.summary import summarize
from speechbrain_ptssnn.features.store import FeatureStore
from speechbrain_ptssnn.training.command import Command
from speechbrain_ptssnn.utils.files import read_json, write_text
from speechbrain_ptssnn.utils.yaml_files import plain

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
        """The resolved YAML."""
        return self.command.settings.text(seed=self.seed)

    @cached_property
    def by_id(self):
        """The utterances by their ids."""
        return {u.id: u for u in self.utterances}

    def is_finished(self, number):
        """Whether a fold was trained and tested."""
        return self.files.fold(number).is_finished

    @property
    def has_results(self):
        """Whether any fold was trained and tested."""
        return bool(self.files.finished)

    def open(self):
        """Writes what the run is made of.

        Raises
        ------
        InputError
            If another run was begun in the folder.
        """
        files = self.files
        if self.has_results or any(files.path.glob("fold_*/save/*")):
            self.refuse_other()
        else:  # the folds of an earlier run were removed
            for path in (files.predictions, files.summary):
                path.unlink(missing_ok=True)
        files.path.mkdir(parents=True, exist_ok=True)
        write_text(files.hyperparams, self.text)
        write_manifest(files.manifest, self.utterances)
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
            If they differ; names the first that do.
        """
        files = self.files
        if not files.settings.exists():
            return
        old, new = read_json(files.settings), self._settings()
        old["hyperparams"] = fixed_keys(files.read_hyperparams())
        new["hyperparams"] = fixed_keys(plain(YAML().load(self.text)))
        for key in ("hyperparams", *new):
            what = _difference(key, old.get(key), new[key])
            if what:
                raise InputError(
                    f"{files.path} was made with other settings: {what}; "
                    "choose another --results_folder or remove that folder"
                )

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
        options = {key: command.run_opts[key] for key in RESULT_OPTIONS}
        options["precision"] = self.hparams["precision"]
        return {
            "backbone": self.store.fingerprint,
            "data": _fingerprint(self.store, self.utterances),
            "folds": _hash([asdict(fold) for fold in self.folds]),
            "run options": options,
            "processes": command.processes,
            "version": version("speechbrain-ptssnn"),
        }


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


def _fingerprint(store, utterances):
    return _hash(
        [
            (u.id, u.speaker, u.label, store.audio_fingerprint(u.id))
            for u in utterances
        ]
    )


def _hash(value):
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()
