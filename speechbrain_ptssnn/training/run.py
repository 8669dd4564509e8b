"""A run's folder: where it lies, what it is made of, what is done there."""

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import speechbrain_ptssnn
from speechbrain_ptssnn.corpora.manifests import write_manifest
from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.evaluation.summary import summarize
from speechbrain_ptssnn.features.store import FeatureStore
from speechbrain_ptssnn.training.command import Job
from speechbrain_ptssnn.utils.files import read_json, write_text

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
    "jobs",
    "launcher",
    "ray_address",
    "precision",
)


@dataclass
class Run:
    """One seed's training on the folds of a corpus.

    Arguments
    ---------
    job : Job
        The command.
    seed : int
        One of the job's.
    utterances : list of Utterance
        The corpus.
    store : FeatureStore
        Has their features.
    folds : list of Fold
        Of the protocol.
    """

    job: Job
    seed: int
    utterances: list
    store: FeatureStore
    folds: list

    @cached_property
    def facts(self):
        """What tells this run from others, and its number of folds."""
        settings, hparams = self.job.settings, self.job.hparams
        return {
            "corpus": self.job.corpus.name,
            "protocol": settings.protocol_name,
            "backbone": hparams.get("backbone_name", settings.backbone_name),
            "model": hparams["model"],
            "seed": self.seed,
            "folds": len(self.folds),
        }

    @cached_property
    def folder(self):
        """results_folder/corpus/protocol/backbone/model/seed."""
        return Path(self.job.hparams["results_folder"]).joinpath(
            *(str(value) for value in list(self.facts.values())[:5])
        )

    @cached_property
    def text(self):
        """The resolved YAML."""
        return self.job.settings.text(seed=self.seed)

    @cached_property
    def by_id(self):
        """The utterances by their ids."""
        return {u.id: u for u in self.utterances}

    def fold_folder(self, number):
        """Where a fold's files are; folds count from 1."""
        return self.folder / f"fold_{number}"

    def is_done(self, number):
        """Whether a fold was trained and tested."""
        return (self.fold_folder(number) / "result.json").exists()

    @property
    def has_results(self):
        """Whether any fold was trained and tested."""
        return any(map(self.is_done, range(1, len(self.folds) + 1)))

    def open(self):
        """Writes what the run is made of.

        Raises
        ------
        InputError
            If another run was begun in the folder.
        """
        settings = self._settings()
        if self.has_results or any(self.folder.glob("fold_*/save/*")):
            self.refuse_other()
        else:  # of folds that were removed
            for name in ("predictions.csv", "summary.json"):
                (self.folder / name).unlink(missing_ok=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        write_text(self.folder / "hyperparams.yaml", self.text)
        write_manifest(self.folder / "manifest.json", self.utterances)
        write_text(
            self.folder / "folds.json",
            json.dumps({k + 1: asdict(f) for k, f in enumerate(self.folds)}),
        )
        write_text(
            self.folder / "settings.json", json.dumps(settings, indent=2)
        )

    def refuse_other(self):
        """Compares ``settings.json`` with this run.

        Raises
        ------
        InputError
            If they differ; says in what.
        """
        path = self.folder / "settings.json"
        if not path.exists():
            return
        old, new = read_json(path), self._settings()
        for key in new:
            if old.get(key) == new[key]:
                continue
            what = f"{key} differ" if key in ("data", "folds") else ""
            if isinstance(new[key], dict):
                there = old.get(key, {})
                what = ", ".join(
                    f"{name}={new[key].get(name)!r} "
                    f"(there: {there.get(name)!r})"
                    for name in sorted({*there, *new[key]})
                    if there.get(name) != new[key].get(name)
                )
            what = what or f"{key}={new[key]!r} (there: {old.get(key)!r})"
            raise InputError(
                f"{self.folder} was made with other settings: {what}; choose "
                "another --results_folder or remove that folder"
            )

    def summarize(self):
        """Puts the finished folds together.

        Returns
        -------
        dict
            The content of ``summary.json``.
        """
        parameters = self.job.hparams["head"].parameters()
        trainable = sum(p.numel() for p in parameters if p.requires_grad)
        return summarize(
            self.folder,
            self.job.labels,
            **self.facts,
            trainable_params=trainable,
        )

    def _settings(self):
        job = self.job
        options = {key: job.run_opts[key] for key in RESULT_OPTIONS}
        options["precision"] = job.hparams["precision"]
        return {
            "hyperparams": _top_level(self.text),
            "backbone": self.store.fingerprint,
            "data": _fingerprint(self.store, self.utterances),
            "folds": _hash([asdict(fold) for fold in self.folds]),
            "run options": options,
            "processes": job.processes,
            "version": speechbrain_ptssnn.__version__,
        }


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
