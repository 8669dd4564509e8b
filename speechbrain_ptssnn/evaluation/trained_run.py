"""A trained run, opened again: its heads and its test utterances' features."""

from functools import cached_property
from pathlib import Path

from speechbrain.utils.distributed import infer_device

from speechbrain_ptssnn.corpora.manifests import read_utterances
from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.evaluation.run_folder import SHAPE, RunFolder
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

    def __init__(self, folder, features_folder=None):
        self.folder = Path(folder)
        self.files = RunFolder(self.folder)
        self.features_folder = features_folder
        self.folds = self.files.finished
        if not self.folds:
            raise InputError(
                f"{folder}: holds no fold_*/result.json, so no fold has "
                f"finished; name a run's folder, {SHAPE}"
            )

    @cached_property
    def summary(self):
        """The run's scores: the content of ``summary.json``."""
        return self.files.read_json(self.files.summary)

    @cached_property
    def utterances(self):
        """The corpus: id to :class:`Utterance`."""
        manifest = self.files.existing(self.files.manifest)
        return {u.id: u for u in read_utterances(manifest)}

    @cached_property
    def backbone(self):
        """The frozen front-end, on a GPU if there is one."""
        (backbone,) = load_parts(self._bundle(self.folds[0]), ["backbone"])
        return backbone.to(infer_device())

    @cached_property
    def store(self):
        """The features; missing ones are computed again."""
        settings = self.files.read_hyperparams()
        store = FeatureStore(
            self.features_folder or settings["features_folder"],
            self.backbone,
            self.utterances.values(),
            settings["features_dtype"],
            settings["extraction_precision"],
            settings["channel"],
        )
        store.fill()
        return store

    def test_ids(self, number):
        """Ids of a fold's test utterances, a list."""
        return self.files.read_json(self.files.folds)[str(number)]["test"]

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
        return head.eval(), lambda id: normalizer(self.store[id]).unsqueeze(0)

    def _bundle(self, number):
        return self.files.existing(self.files.fold(number).bundle)
