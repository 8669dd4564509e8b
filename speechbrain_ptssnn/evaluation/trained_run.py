"""A trained run, opened again: its heads and its test utterances' features."""

from functools import cached_property
from pathlib import Path

from ruamel.yaml import YAML
from speechbrain.utils.distributed import infer_device

from speechbrain_ptssnn.corpora.manifests import read_utterances
from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.features.store import FeatureStore
from speechbrain_ptssnn.inference import load_parts
from speechbrain_ptssnn.utils.files import read_json


class TrainedRun:
    r"""Reads a run's folder; heads and features are loaded when asked for.

    Arguments
    ---------
    folder : str or Path
        results/<corpus>/<protocol>/<backbone>/<model>/<seed>.
    features_folder : str, optional
        Where the feature stores are now; by default where they were in the
        training.

    Raises
    ------
    InputError
        If it holds no finished fold.

    Example
    -------
    >>> TrainedRun("results")
    Traceback (most recent call last):
    speechbrain_ptssnn.errors.InputError: results: holds no fold_*/result...
    """

    def __init__(self, folder, features_folder=None):
        self.folder = Path(folder)
        self.features_folder = features_folder
        self.folds = sorted(
            int(path.parent.name.removeprefix("fold_"))
            for path in self.folder.glob("fold_*/result.json")
        )
        if not self.folds:
            raise InputError(
                f"{folder}: holds no fold_*/result.json, so no fold has "
                "finished; name a run's folder, "
                "results/<corpus>/<protocol>/<backbone>/<model>/<seed>"
            )

    def read(self, name):
        """A text file of the run.

        Raises
        ------
        InputError
            If it is not there.
        """
        return self._existing(name).read_text(encoding="utf-8")

    def read_json(self, name):
        """The content of a JSON file of the run."""
        return read_json(self._existing(name))

    @cached_property
    def summary(self):
        """What the run gave: the content of ``summary.json``."""
        return self.read_json("summary.json")

    @cached_property
    def utterances(self):
        """The corpus: id to :class:`Utterance`."""
        manifest = self._existing("manifest.json")
        return {u.id: u for u in read_utterances(manifest)}

    @cached_property
    def backbone(self):
        """The frozen front-end, on the device that there is."""
        (backbone,) = load_parts(self._model(self.folds[0]), ["backbone"])
        return backbone.to(infer_device())

    @cached_property
    def store(self):
        """The features, computed if they are no longer there."""
        settings = YAML().load(self.read("hyperparams.yaml"))
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
        """Ids of the utterances that a fold tested."""
        return self.read_json("folds.json")[str(number)]["test"]

    def load(self, number):
        """What a fold trained.

        Arguments
        ---------
        number : int
            The fold's.

        Returns
        -------
        tuple
            Its head in eval mode, and a function from an utterance's id to
            what the head gets, [1, time, channels].
        """
        normalizer, head = load_parts(
            self._model(number), ["normalizer", "head"]
        )
        return head.eval(), lambda id: normalizer(self.store[id]).unsqueeze(0)

    def _model(self, number):
        return self._existing(f"fold_{number}/model")

    def _existing(self, name):
        path = self.folder / name
        if not path.exists():
            raise InputError(
                f"{path}: is not there; the training has not ended, or it was "
                "removed: give the training's command again"
            )
        return path
