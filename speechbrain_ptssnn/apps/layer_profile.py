"""Which hidden state of a frozen model tells most about the label."""

import json
import statistics
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from ruamel.yaml import YAML
from tqdm import tqdm

from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.evaluation.run_folder import (
    CONDITION,
    FoldFolder,
    fixed_keys,
    model_folder,
)
from speechbrain_ptssnn.evaluation.trained_run import hash_data, hash_json
from speechbrain_ptssnn.evaluation.uncertainty import sample_std
from speechbrain_ptssnn.recipe import prepare
from speechbrain_ptssnn.report.plots import BLUE, GREY, STYLE, WIDTH
from speechbrain_ptssnn.training.brain import best_validation
from speechbrain_ptssnn.training.command import read_command, start_command
from speechbrain_ptssnn.training.train_fold import fit
from speechbrain_ptssnn.utils.files import only_process, read_json, write_text
from speechbrain_ptssnn.utils.text_tables import columns, percent_and_std
from speechbrain_ptssnn.utils.yaml_files import plain

# What a linear head needs; the command line may say otherwise.
DEFAULTS = {
    "layer": "weighted",
    "number_of_epochs": "30",
    "restart_period": "30",
    "lr": "0.003",
}


@dataclass(frozen=True)
class LayerStore:
    """A feature store seen through one of its hidden states.

    Arguments
    ---------
    store : FeatureStore
        Its channels hold several hidden states side by side.
    channels : slice
        Those of the hidden state.
    """

    store: object
    channels: slice

    def __getitem__(self, name):
        """Returns the hidden state of an utterance, [time, size]."""
        return self.store[name][:, self.channels]

    @property
    def backbone(self):
        """The frozen model."""
        return self.store.backbone

    @property
    def utterances(self):
        """The corpus."""
        return self.store.utterances

    def n_frames(self, name):
        """Returns an utterance's number of frames."""
        return self.store.n_frames(name)


def profile_layers(arguments, corpus, recipe_folder):
    """Trains a head on each hidden state, and validates it.

    All hidden states come from one extraction. The test parts of the folds are
    not looked at, so the layer may be chosen by the outcome. It is kept after
    each training: an interrupted profile goes on, and other folds join it.

    Arguments
    ---------
    arguments : Arguments
        The command line, as for training.
    corpus : str
        The corpus's name.
    recipe_folder : Path
        Holds its ``protocols/``.

    Returns
    -------
    tuple
        (dict, Path): the content of the file, and the file. "scores" has, by
        layer, a list of {"fold", "WA", "UA"} of the validation.

    Raises
    ------
    InputError
        If the front-end has one hidden state only, or the file is that of
        other settings.
    """
    settings = read_command(arguments, corpus).settings
    if "layer" not in settings.document:
        raise _no_layers(settings.backbone_name)
    missing = {k: v for k, v in DEFAULTS.items() if k not in arguments.keys}
    command = start_command(
        arguments.with_keys(**missing), corpus, recipe_folder
    )
    folds, numbers = prepare(command)
    backbone = command.hparams["backbone"]
    if backbone.n_layers == 1:
        raise _no_layers(command.condition["backbone"])
    _, store = command.open_store()
    command.fill(store)
    folder = model_folder(
        command.plain["results_folder"], **command.condition, model="layers"
    )
    path = folder / f"{command.plain['seed']}.json"
    folder.mkdir(parents=True, exist_ok=True)
    with only_process(folder):
        outcome = _open(path, command, store, folds)
        todo = [
            (index, number, rows)
            for number in numbers
            for index, rows in enumerate(outcome["scores"].values())
            if number not in {row["fold"] for row in rows}
        ]
        size = backbone.output_size // backbone.n_layers
        hparams = _for_one_layer(command, size)
        hidden, quiet = command.run_opts.noprogressbar, _quiet(command)
        for index, number, rows in tqdm(
            todo, "layers and folds", disable=hidden
        ):
            layer = LayerStore(store, slice(index * size, (index + 1) * size))
            score = _validate(quiet, hparams, layer, folds[number - 1])
            rows.append({"fold": number, **score})
            rows.sort(key=lambda row: row["fold"])
            write_text(path, json.dumps(outcome, indent=1))
    _plot(outcome, path.with_suffix(".svg"))
    return outcome, path


def _no_layers(name):
    return InputError(
        f"{name} gives one hidden state, so there is no profile; choose one "
        "pretrained model, and a layer such as weighted or weighted:2-5"
    )


def _open(path, command, store, folds):
    """The outcome so far, of the same settings."""
    text = command.settings.text(extraction_precision=store.precision)
    settings = hash_json(
        [
            store.fingerprint,
            hash_data(store, store.utterances),
            fixed_keys(plain(YAML().load(text))),
            [asdict(fold) for fold in folds],
        ]
    )
    if not path.exists():
        layers = store.backbone.layers
        return {
            **command.condition,
            "head": command.plain["model"],
            "settings": settings,
            "n_folds": len(folds),
            "scores": {str(layer): [] for layer in layers},
        }
    outcome = read_json(path)
    head = command.plain["model"]
    if outcome.get("head", head) != head:
        raise InputError(
            f"{path}: is the profile of {outcome['head']}, not of {head}; "
            "choose another --results_folder"
        )
    if outcome.get("settings") != settings:
        raise InputError(
            f"{path}: was made with other settings or another corpus; remove "
            "it or choose another --results_folder"
        )
    return outcome


def _for_one_layer(command, size):
    """The settings, with a head and a normalizer for one hidden state."""
    overrides = command.settings.overrides
    for key, change in (
        ("head", {"input_size": size, "n_layers": 1}),
        ("normalizer", {"size": size}),
    ):
        overrides[key] = {**overrides.get(key, {}), **change}
    torch.manual_seed(command.plain["seed"])
    return {**command.hparams, **command.settings.build(["head", "normalizer"])}


def _quiet(command):
    """The command, without a progress bar for each epoch."""
    options = command.run_opts
    overridden = options.overridden_args | {"noprogressbar"}
    options = replace(options, noprogressbar=True, overridden_args=overridden)
    return replace(command, run_opts=options)


def _validate(command, hparams, layer, fold):
    """The best epoch's validation WA and UA."""
    with tempfile.TemporaryDirectory() as folder:
        brain, _ = fit(command, hparams, layer, fold, FoldFolder(Path(folder)))
        best = brain.checkpointer.find_checkpoint(
            importance_key=best_validation
        ).meta
    return {"WA": best["WA"], "UA": best["UA"]}


def _plot(outcome, path):
    """Draws the mean validation WA and UA of each layer, and each fold's WA."""
    scores = _scored(outcome)
    with rc_context(STYLE):
        figure = Figure((WIDTH, 2.6), layout="constrained")
        axes = figure.subplots()
        for layer, rows in scores.items():
            values = [row["WA"] for row in rows]
            axes.plot([layer] * len(rows), values, ".", color=GREY, alpha=0.5)
        for key, line in (("WA", "o-"), ("UA", "s--")):
            means = [_mean(rows, key) for rows in scores.values()]
            color = BLUE if key == "WA" else GREY
            axes.plot(list(scores), means, line, color=color, label=key)
        axes.set_xlabel("layer (dots: WA of each fold)")
        axes.set_ylabel("validation accuracy")
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.set_title(", ".join(map(outcome.get, CONDITION)))
        axes.legend()
        figure.savefig(path, bbox_inches="tight", metadata={"Date": None})


def table(outcome):
    """Lays out a profile as text.

    Arguments
    ---------
    outcome : dict
        From :func:`profile_layers`.

    Returns
    -------
    str
        A line a layer: validation WA and UA, each the mean and the standard
        deviation of the folds; the best WA is marked.

    Example
    -------
    >>> rows = [{"fold": k, "WA": 0.5 + k / 10, "UA": 0.5} for k in (1, 2)]
    >>> names = {"corpus": "URDU", "protocol": "random", "backbone": "tiny"}
    >>> outcome = names | {"head": "linear_probe", "scores": {"3": rows}}
    >>> print(table(outcome | {"n_folds": 10}))
    URDU, random, tiny, linear_probe; validation of folds 1, 2 of 10
    layer            WA          UA
    3      65.00% ± 7.1  50.00% ± 0.0  best
    """
    scores = _scored(outcome)
    best = max(scores, key=lambda layer: _mean(scores[layer], "WA"))
    lines = [["layer", "WA", "UA"]]
    for layer, rows in scores.items():
        cells = [
            percent_and_std(
                _mean(rows, key), sample_std([r[key] for r in rows])
            )
            for key in ("WA", "UA")
        ]
        lines.append([layer, *cells, *["best"] * (layer == best)])
    folds = [row["fold"] for row in scores[best]]
    names = map(outcome.get, (*CONDITION, "head"))
    title = (
        f"{', '.join(names)}; validation of folds "
        f"{', '.join(map(str, folds))} of {outcome['n_folds']}"
    )
    return "\n".join([title, *columns(lines)])


def _scored(outcome):
    """Layer to its scores on the folds that all layers have, without layers
    that have none: an interrupted profile.
    """
    scores = {k: rows for k, rows in outcome["scores"].items() if rows}
    folds = ({row["fold"] for row in rows} for rows in scores.values())
    common = set.intersection(*folds)
    return {
        layer: [row for row in rows if row["fold"] in common]
        for layer, rows in scores.items()
    }


def _mean(rows, key):
    return statistics.mean(row[key] for row in rows)
