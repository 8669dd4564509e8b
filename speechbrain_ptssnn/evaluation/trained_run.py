"""A trained run, opened again: its heads and its test utterances' features."""

import hashlib
import json
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from speechbrain.utils.distributed import infer_device
from speechbrain.utils.seed import seed_everything

from speechbrain_ptssnn.corpora.manifests import read_utterances
from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.evaluation.run_folder import LEVELS, SHAPE, RunFolder
from speechbrain_ptssnn.features.normalized import NormalizedFeatures
from speechbrain_ptssnn.features.store import FeatureStore
from speechbrain_ptssnn.inference import load_parts


class TrainedRun:
    r"""Opens a run's folder; loads heads and features when asked for them.

    ``folder`` is its Path, ``files`` its RunFolder, ``folds`` the numbers of
    its finished folds.

    Arguments
    ---------
    folder : str or Path
        results/<corpus>/<protocol>/<backbone>/<model>/<seed>.
    features_folder : str, optional
        Where the feature stores are now; by default where the training had
        them.
    data_folder : str, optional
        Where the corpus is now, or a folder above it; by default where the
        training had it.

    Raises
    ------
    InputError
        If no fold is finished.

    Example
    -------
    >>> TrainedRun("results")
    Traceback (most recent call last):
    speechbrain_ptssnn.errors.InputError: results: holds no fold_*/result...
    """

    def __init__(self, folder, features_folder=None, data_folder=None):
        self.folder = Path(folder)
        self.files = RunFolder(self.folder)
        self.features_folder = features_folder
        self.data_folder = data_folder
        self.folds = self.files.finished
        if not self.folds:
            raise InputError(
                f"{folder}: holds no fold_*/result.json with its "
                "predictions.csv, so no fold has finished; name a run's "
                f"folder, {SHAPE}"
            )

    @cached_property
    def summary(self):
        """The run's scores: the content of ``summary.json``."""
        return self.files.read_json(self.files.summary)

    @cached_property
    def hyperparams(self):
        """The run's settings, as plain values."""
        return self.files.read_hyperparams()

    @cached_property
    def starts(self):
        """Where relative paths may start: where the training was called, as
        far as the run's place tells, and the working folder. Only runs of
        older versions have relative paths.
        """
        results = Path(self.hyperparams["results_folder"])
        above = self.folder.resolve().parents[len(LEVELS) - 1]
        n = len(results.parts)
        if results.is_absolute() or above.parts[-n:] != results.parts:
            return [Path.cwd()]
        return [above.parents[n - 1], Path.cwd()]

    @cached_property
    def utterances(self):
        """The corpus: id to :class:`Utterance`, with the audio's path of today.

        Raises
        ------
        InputError
            If an audio file is not there.
        """
        self.files.read_json(self.files.manifest)  # says what mends it
        found = read_utterances(self.files.manifest)
        paths = [self._find_audio(u.wav) for u in found]
        missing = [
            u.wav for u, path in zip(found, paths, strict=True) if path is None
        ]
        if missing:
            raise InputError(
                f"{self.files.manifest}: of {len(found)} audio files "
                f"{len(missing)} are not there, e.g. {missing[0]}; say with "
                "--data_folder where the corpus is now"
            )
        return {
            u.id: replace(u, wav=str(path))
            for u, path in zip(found, paths, strict=True)
        }

    def _find_audio(self, wav):
        if self.data_folder is None:
            paths = (start / wav for start in self.starts)
            return next(filter(Path.is_file, paths), None)
        folder = Path(self.data_folder)
        if folder.is_file():  # a manifest
            folder = folder.parent
        parts = Path(wav).parts
        # The longest end of the old path that is there: the corpus's folder
        # may have another name now.
        parts = [part for part in parts if part not in ("/", "..")]
        ends = (folder.joinpath(*parts[k:]) for k in range(len(parts)))
        return next(filter(Path.is_file, ends), None)

    @cached_property
    def backbone(self):
        """The frozen front-end, on a GPU if there is one."""
        (backbone,) = load_parts(self._bundle(self.folds[0]), ["backbone"])
        return backbone.to(infer_device())

    @cached_property
    def store(self):
        """The features; missing ones are computed again."""
        settings = self.hyperparams
        folder = self.features_folder or self._find_features()
        store = FeatureStore(
            folder,
            self.backbone,
            self.utterances.values(),
            settings["features_dtype"],
            settings["extraction_precision"],
            settings["channel"],
        )
        store.fill()
        trained_on = self.files.read_json(self.files.settings)["data"]
        if hash_data(store, self.utterances.values()) != trained_on:
            raise InputError(
                f"{self.folder}: the audio is not what was trained on; name "
                "the unchanged corpus with --data_folder"
            )
        return store

    def _find_features(self):
        name = self.hyperparams["features_folder"]
        folders = [start / name for start in self.starts]
        known = [folder for folder in folders if folder.is_dir()]
        # Where the training had them, they may be computed again.
        if not known and (Path(name).is_absolute() or len(folders) > 1):
            known = folders
        if not known:
            raise InputError(
                f"{self.folder}: its features are in {name!r} of a folder that "
                "is not known; name it with --features_folder (features that "
                "are missing there are computed)"
            )
        return known[0]

    def test_ids(self, number):
        """Ids of a fold's test utterances, a list."""
        return self.part_ids(number, "test")

    def part_ids(self, number, part):
        """Ids of a fold's utterances in "train", "valid" or "test", a list."""
        return self.files.read_json(self.files.folds)[str(number)][part]

    def load(self, number):
        """Loads what a fold trained.

        Arguments
        ---------
        number : int
            The fold's.

        Returns
        -------
        tuple
            The head in eval mode, and a function that takes an utterance's id
            and returns the head's input, [1, time, channels].
        """
        normalizer, head = load_parts(
            self._bundle(number), ["normalizer", "head"]
        )
        features = NormalizedFeatures(
            self.store, normalizer, self.utterances.values()
        )
        return head.eval(), lambda id: features(id).unsqueeze(0)

    def start_head(self, number):
        """Builds a fold's head again as it was before training.

        Arguments
        ---------
        number : int
            The fold's.

        Returns
        -------
        torch.nn.Module
            In eval mode. Its values are those of the training if nothing but
            the head draws random numbers when it is built, as with fbank.
        """
        seed_everything(self.hyperparams["seed"])
        (head,) = load_parts(self._bundle(number), ["head"], weights=False)
        return head.eval()

    def _bundle(self, number):
        return self.files.existing(self.files.fold(number).bundle)


def hash_data(store, utterances):
    """A hash of a corpus: ids, speakers, labels and audio.

    Arguments
    ---------
    store : FeatureStore
        Knows the audio of the utterances.
    utterances : iterable of Utterance
        The corpus, in its order.

    Returns
    -------
    str
    """
    return hash_json(
        [
            (u.id, u.speaker, u.label, store.audio_fingerprint(u.id))
            for u in utterances
        ]
    )


def hash_json(value):
    """The SHA-256 of a value as JSON.

    Example
    -------
    >>> hash_json([1])[:8]
    '080a9ed4'
    """
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()
