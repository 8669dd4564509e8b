"""A run's folder: the only place that knows the names of its files."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.evaluation.predictions import read_predictions
from speechbrain_ptssnn.utils.files import damage, read_json
from speechbrain_ptssnn.utils.yaml_files import plain, read_yaml

# The folders above a run's, from the results folder down.
CONDITION = ("corpus", "protocol", "backbone")
# Ends the backbone's name where features depend on the speaker.
ADAPTED = "_speaker-adapted"
LEVELS = (*CONDITION, "model", "seed")
SHAPE = "results/" + "/".join(f"<{level}>" for level in LEVELS)

# The rules by which energy.json counts.
RULES = ("strict", "paper")

# A resumed run may change these keys of hyperparams.yaml. The precision that
# was chosen is in settings.json, and so is the backbone's fingerprint.
FREE_KEYS = (
    "data_folder",
    "columns",
    "audio_folder",
    "table",
    "results_folder",
    "features_folder",
    "fold",
    "jobs",
    "launcher",
    "ray_address",
    "precision",
    "backbone",
    "backbone_name",
    "allow_pickle",
)
# Keys that older runs lack in hyperparams.yaml, and the values they had.
NEW_KEYS = {"max_grad_norm": 5.0, "window": "full", "margin": 0.5}
# Tags of the objects in hyperparams.yaml that have got new arguments, and the
# values that these had in older runs.
NEW_ARGUMENTS = {
    "!new:speechbrain_ptssnn.lobes.pts_snn.PTSSNN": {
        "bias_dropout": 0.0,
        "attention_norm": True,
        "causal": False,
        "bias_period": 1,
    },
    "!name:speechbrain_ptssnn.nnet.plif.PLIF": {"reset": "subtract"},
}
FEATURE_NORM = "!new:speechbrain_ptssnn.nnet.normalization.FeatureNorm"


@dataclass(frozen=True)
class FoldFolder:
    """One fold's files.

    Arguments
    ---------
    path : Path
        ``fold_<number>`` in the run's folder.
    """

    path: Path

    @property
    def result(self):
        """JSON; it appears when the fold is trained and tested."""
        return self.path / "result.json"

    @property
    def predictions(self):
        """CSV, a row a test utterance."""
        return self.path / "predictions.csv"

    @property
    def bundle(self):
        """The folder that ``EncoderClassifier`` loads."""
        return self.path / "model"

    @property
    def checkpoints(self):
        """SpeechBrain's checkpoints, the folder."""
        return self.path / "save"

    @property
    def log(self):
        """Text; the log of the fold's own process."""
        return self.path / "log.txt"

    @property
    def train_log(self):
        """Text, a line an epoch."""
        return self.path / "train_log.txt"

    @property
    def tensorboard(self):
        """TensorBoard's folder."""
        return self.path / "tensorboard"


@dataclass(frozen=True)
class RunFolder:
    """The files of one run: one seed, all folds.

    Arguments
    ---------
    path : Path
        ``results/<corpus>/<protocol>/<backbone>/<model>/<seed>``.

    Example
    -------
    >>> run = RunFolder(Path("results/URDU/random/fbank/pts_snn/1"))
    >>> run.fold(2).predictions.as_posix()
    'results/URDU/random/fbank/pts_snn/1/fold_2/predictions.csv'
    >>> run.condition
    {'corpus': 'URDU', 'protocol': 'random', 'backbone': 'fbank'}
    """

    path: Path

    @property
    def hyperparams(self):
        """The resolved YAML."""
        return self.path / "hyperparams.yaml"

    @property
    def settings(self):
        """JSON; what a resumed run is compared with."""
        return self.path / "settings.json"

    @property
    def lock(self):
        """Locked while a training of the run is at work."""
        return self.path / "lock"

    @property
    def manifest(self):
        """SpeechBrain's JSON manifest of the corpus."""
        return self.path / "manifest.json"

    @property
    def folds(self):
        """JSON; each fold's ids."""
        return self.path / "folds.json"

    @property
    def predictions(self):
        """CSV, a row a test utterance of all finished folds."""
        return self.path / "predictions.csv"

    @property
    def summary(self):
        """JSON; the scores of all finished folds."""
        return self.path / "summary.json"

    @property
    def energy(self):
        """JSON; operations and energy, after ``ptssnn energy``."""
        return self.path / "energy.json"

    @property
    def latency(self):
        """JSON; milliseconds, after ``benchmarks/latency.py``."""
        return self.path / "latency.json"

    @property
    def probes(self):
        """JSON; what each stage tells over time, after ``ptssnn probe``."""
        return self.path / "probes.json"

    @property
    def probes_plot(self):
        """SVG; the same as a figure."""
        return self.path / "probes.svg"

    @property
    def report(self):
        """HTML, after ``ptssnn report``."""
        return self.path / "report.html"

    @property
    def outcomes(self):
        """The files that tell of the trained folds, which they outlive."""
        return [
            *(self.predictions, self.summary, self.energy, self.latency),
            *(self.probes, self.probes_plot, self.report),
        ]

    @property
    def log(self):
        """Text; the log of the run."""
        return self.path / "log.txt"

    @property
    def condition(self):
        """Corpus, protocol and backbone, as the folders above are named."""
        return condition_of(self.path.parent)

    def fold(self, number):
        """The :class:`FoldFolder` of a fold; folds count from 1."""
        return FoldFolder(self.path / f"fold_{number}")

    def is_finished(self, number):
        """Whether a fold was trained and tested.

        A fold whose result or predictions are damaged, as after a power cut,
        is not finished: training computes it again.
        """
        fold = self.fold(number)
        if not (fold.result.is_file() and fold.predictions.is_file()):
            return False
        try:
            read_json(fold.result)
            rows = read_predictions(fold.predictions)
        except InputError:
            return False
        split = self.read_json(self.folds).get(str(number), {"test": []})
        return sorted(row["id"] for row in rows) == sorted(split["test"])

    @property
    def finished(self):
        """Numbers of the folds that were trained and tested, sorted."""
        numbers = sorted(
            int(path.parent.name.removeprefix("fold_"))
            for path in self.path.glob("fold_*/result.json")
        )
        return [number for number in numbers if self.is_finished(number)]

    @property
    def is_begun(self):
        """Whether any fold has a result or a checkpoint."""
        files = ("fold_*/result.json", "fold_*/save/*")
        return any(any(self.path.glob(pattern)) for pattern in files)

    def read_hyperparams(self):
        """The run's YAML as plain values; tagged ones are ``{tag: ...}``.

        Raises
        ------
        InputError
            If it is not there or no YAML.
        """
        path = self.existing(self.hyperparams)
        try:
            return plain(read_yaml(path))
        except InputError as error:
            raise self._damaged(path) from error

    def read_settings(self):
        """What a resumed run and the model's other seeds are compared with.

        Returns
        -------
        dict
            The content of ``settings.json``; under "hyperparams" those keys
            of ``hyperparams.yaml`` that cannot change, in the form of today;
            and the order of the classes.

        Raises
        ------
        InputError
            If a file is missing or damaged.
        """
        settings = self.read_json(self.settings)
        # Old runs hold their YAML here too, as text.
        hyperparams = self.read_hyperparams()
        settings["hyperparams"] = fixed_keys(hyperparams)
        settings["order of the classes"] = class_orders(hyperparams)
        options = settings.get("run options", {})
        if "max_grad_norm" in options:  # was SpeechBrain's option
            norm = options.pop("max_grad_norm")
            settings["hyperparams"]["max_grad_norm"] = norm
        return settings

    def is_calibrated(self, number):
        """Whether a fold's posteriors have a temperature; older runs do not."""
        return "temperature" in self.read_json(self.fold(number).result)

    def temperature(self, number):
        """What a fold's outputs are divided by for posteriors; 1 in older
        runs, which had none.
        """
        return self.read_json(self.fold(number).result).get("temperature", 1.0)

    def read_json(self, path):
        """The content of one of the JSON files above.

        Raises
        ------
        InputError
            If it is not there or damaged; says what mends it.
        """
        self.existing(path)

        class Checked(dict):
            """A flipped bit may leave valid JSON, with a key less."""

            def __missing__(_, key):
                raise InputError(
                    f"{path}: lacks {key!r}, so it is damaged; "
                    f"{self._remedy(path)}"
                )

        try:
            return read_json(path, Checked)
        except InputError as error:
            raise self._damaged(path) from error

    def read_energy(self):
        """The content of ``energy.json``.

        Files of older versions have the backbone's energy at the top, for the
        scaled utterance only; it is moved there. Where they say nothing of
        it, "backbone" and "total" are missing.

        Raises
        ------
        InputError
            If it is not there or damaged.
        """
        content = self.read_json(self.energy)
        old = content.get("backbone")
        if isinstance(old, dict):
            content["backbone"] = old.get("name")
            if old["mJ"] is not None:
                scaled = content["scaled"]
                scaled["backbone"] = old
                scaled["total"] = {
                    rule: {"mJ": scaled[rule]["mJ"] + old["mJ"]}
                    for rule in RULES
                }
        return content

    def existing(self, path):
        """One of the paths above.

        Raises
        ------
        InputError
            If it is not there.
        """
        if not path.exists():
            raise InputError(f"{path}: is not there; {self._remedy(path)}")
        return path

    def _damaged(self, path):
        return InputError(f"{path}: is {damage(path)}; {self._remedy(path)}")

    def _remedy(self, path):
        if path in (self.settings, self.hyperparams):
            return (
                "without it nobody knows how the folds beside it were trained: "
                f"remove {self.path} or choose another --results_folder"
            )
        if path == self.energy:
            return f"'ptssnn energy {self.path}' writes it"
        if path == self.probes:
            return f"'ptssnn probe {self.path}' writes it"
        if path == self.latency:
            return "benchmarks/latency.py writes it"
        return "the training's command, given again, writes it"


def model_folder(results_folder, corpus, protocol, backbone, model):
    """Where the seeds of a model are: the folder above its runs.

    Example
    -------
    >>> model_folder("results", "URDU", "random", "fbank", "pts_snn").parts
    ('results', 'URDU', 'random', 'fbank', 'pts_snn')
    """
    return Path(results_folder, corpus, protocol, backbone, model)


def fixed_keys(hyperparams):
    """The keys that a resumed run cannot change, with their values.

    Keys that are younger than the run have their default. The backbone is not
    among them: its arguments may grow, and its fingerprint is compared.

    Example
    -------
    >>> fixed_keys({"lr": 0.1, "jobs": 2})
    {'max_grad_norm': 5.0, 'window': 'full', 'margin': 0.5, 'lr': 0.1}
    """
    keys = with_new_names({**NEW_KEYS, **hyperparams})
    rule = {FEATURE_NORM: {"rule": keys.get("normalize")}}
    keys = _with_new_arguments(keys, {**NEW_ARGUMENTS, **rule})
    fixed = {k: v for k, v in keys.items() if k not in FREE_KEYS}
    return _without(hyperparams.get("backbone"), fixed)


def class_orders(hyperparams):
    """The classes of each label map in their order, which is that of a head's
    outputs. Equal maps may differ in it.

    Example
    -------
    >>> class_orders({"label_map": {"mad": "bad", "ok": None, "calm": "good"}})
    [['bad', 'good']]
    """
    maps = [hyperparams.get("label_map")]
    maps += (hyperparams.get("label_maps") or {}).values()
    return [
        [*dict.fromkeys(filter(None, each.values()))] for each in maps if each
    ]


# What the values of normalize_features are called in normalize.
OLD_RULES = {"true": "corpus", "false": "none"}


def with_new_names(keys):
    """Gives keys that have another name today that name.

    Arguments
    ---------
    keys : dict
        Of a run's or a user's YAML, or of a command line.

    Returns
    -------
    dict

    Raises
    ------
    InputError
        If an old key's value is not one that it could have.

    Example
    -------
    >>> with_new_names({"normalize_features": True, "lr": 0.1})
    {'normalize': 'corpus', 'lr': 0.1}
    """
    return dict(_renamed(*item) for item in keys.items())


def _renamed(key, value):
    if key != "normalize_features":
        return key, value
    values = value if isinstance(value, list) else [value]
    rules = [OLD_RULES.get(str(each).lower()) for each in values]
    if None in rules:
        raise InputError(
            f"normalize_features must be True or False, got {value!r}; its "
            "new name is normalize, which is none, corpus or speaker"
        )
    return "normalize", rules if isinstance(value, list) else rules[0]


def _with_new_arguments(node, new):
    """Adds to tagged objects, wherever they are, the arguments they lack."""
    if isinstance(node, list):
        return [_with_new_arguments(each, new) for each in node]
    if not isinstance(node, dict):
        return node
    return {
        tag: {**new.get(tag, {}), **content}
        if isinstance(content, dict)
        else content
        for tag, content in (
            (key, _with_new_arguments(each, new)) for key, each in node.items()
        )
    }


def _without(backbone, node):
    """Replaces the backbone by its name where references repeat it."""
    if backbone is not None and node == backbone:
        return "<backbone>"
    if isinstance(node, dict):
        return {key: _without(backbone, each) for key, each in node.items()}
    if isinstance(node, list):
        return [_without(backbone, each) for each in node]
    return node


def condition_of(folder):
    """Corpus, protocol and backbone, as the folders above a model are named.

    Arguments
    ---------
    folder : Path
        Of :func:`model_folder`.

    Returns
    -------
    dict
        With the keys of :data:`CONDITION`.
    """
    names = Path(os.path.abspath(folder)).parts[-4:-1]
    return dict(zip(CONDITION, names, strict=True))


def seeds_file(folder):
    """JSON of a model's folder; what its seeds gave together."""
    return Path(folder, "seeds.json")


def record_file(folder, name):
    """JSON beside the folders of a set's models; what the set gave.

    Arguments
    ---------
    folder : Path
        Of :func:`model_folder`, any of the set's models.
    name : str
        The set's.

    Example
    -------
    >>> model = model_folder("results", "URDU", "random", "fbank", "pts_snn")
    >>> record_file(model, "table4").as_posix()
    'results/URDU/random/fbank/table4.json'
    """
    return Path(folder).with_name(f"{name}.json")


def record_files(results_folder):
    """The files of :func:`record_file` below a results folder, sorted."""
    return sorted(Path(results_folder).glob("*/*/*/*.json"))


def runs_of(folder):
    """The runs of a model, one a seed, in the seeds' order.

    Arguments
    ---------
    folder : str or Path
        Of :func:`model_folder`.

    Returns
    -------
    list of RunFolder
        Those that were begun. A copy, such as "1_old", is none.
    """
    paths = [path.parent for path in Path(folder).glob("*/folds.json")]
    paths = [path for path in paths if re.fullmatch(r"-?\d+", path.name)]
    paths.sort(key=lambda each: (len(each.name), each.name))
    return [RunFolder(path) for path in paths]
