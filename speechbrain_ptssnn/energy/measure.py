"""Measures the operations and the energy of a trained run."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode
from tqdm import tqdm

from speechbrain_ptssnn.energy.operations import (
    OperationCounter,
    at_length,
    count_operations,
    plain_products,
)
from speechbrain_ptssnn.energy.pricing import (
    AC_PJ,
    MAC_PJ,
    RULES,
    energy,
    split_operations,
)
from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.evaluation.run_folder import RunFolder
from speechbrain_ptssnn.evaluation.trained_run import TrainedRun
from speechbrain_ptssnn.utils.files import write_text
from speechbrain_ptssnn.utils.text_tables import columns

# The mean IEMOCAP utterance, in frames of 20 ms and in seconds of audio.
MEAN_FRAMES, MEAN_SECONDS = 226, 4.55
PRODUCT_WIDTH = 36  # characters of a product's expression that the table shows
LAYER_HEADER = [
    *("layer", "product", "weights", "input", "density"),
    *("MACs, strict", "ACs, strict", "mJ, strict", "mJ, paper"),
]
SUM_HEADER = ["rule", "frames", "MACs", "ACs", "mJ"]


def backbone_operations(backbone, seconds):
    """Counts the MACs of a frozen backbone for one utterance.

    Arguments
    ---------
    backbone : Backbone
        In its real size; the values of its weights do not matter.
    seconds : float
        Length of the audio. Whisper always computes a whole window of 30 s.

    Returns
    -------
    int or None
        All products of a backbone have real inputs, so they are all MACs.
        None for a backbone without weights (fbank, openSMILE), whose signal
        processing is not counted.

    Example
    -------
    >>> from speechbrain_ptssnn.backbones import Fbank
    >>> backbone_operations(Fbank(), 4.55)
    """
    parameters = list(backbone.parameters())
    if not parameters:
        return None
    samples = round(seconds * backbone.sample_rate)
    wav = torch.randn(samples, device=parameters[0].device)
    with plain_products(), FlopCounterMode(display=False) as counter:
        backbone(wav)
    return counter.get_total_flops() // 2


def measure_run(
    folder,
    frames=MEAN_FRAMES,
    with_backbone=True,
    features_folder=None,
    data_folder=None,
):
    """Counts the operations on the test utterances of all finished folds.

    Arguments
    ---------
    folder : str or Path
        results/<corpus>/<protocol>/<backbone>/<model>/<seed>.
    frames : int
        The counts are also given for an utterance of this length, in frames
        of 20 ms; at least 1.
    with_backbone : bool
        Whether the frozen backbone is counted too.
    features_folder : str, optional
        Where the feature stores are now; by default where they were in the
        training.
    data_folder : str, optional
        Where the corpus is now, or a folder above it; by default where it was
        in the training.

    Returns
    -------
    dict
        The content of ``energy.json``. "mean" is the mean test utterance and
        "scaled" the utterance of ``frames`` frames: "layers", one a product,
        the sums under "strict" and "paper", and "element_wise" operations by
        module.

    Raises
    ------
    InputError
        If the folder holds no finished fold, or ``frames`` is below 1.
    """
    if frames < 1:
        raise InputError(f"frames must be at least 1, got {frames}")
    run = TrainedRun(folder, features_folder, data_folder)
    counter, lengths = OperationCounter(), []
    for head, feats in _test_utterances(run):
        counter.watch(head, feats)
        lengths.append(feats.shape[1])
    rows = counter.counts()
    # Only the length matters here: the densities are those of all utterances.
    repeated = feats[:, torch.arange(frames) % feats.shape[1]]
    outcome = {
        "run": str(folder),
        "folds": run.folds,
        "n_utterances": len(lengths),
        "channels": feats.shape[2],
        "pJ": {"MAC": MAC_PJ, "AC": AC_PJ},
        "mean": _utterance(
            [_divided(row, len(lengths)) for row in rows],
            sum(lengths) / len(lengths),
        ),
        "scaled": _utterance(
            at_length(rows, count_operations(head, repeated)), frames
        ),
    }
    if with_backbone:
        outcome["backbone"] = _backbone(run, frames / MEAN_FRAMES)
    return outcome


def _test_utterances(run):
    """Yields a fold's head and an utterance's features [1, time, channels],
    for each test utterance of each finished fold.
    """
    tested = {number: run.test_ids(number) for number in run.folds}
    total = sum(map(len, tested.values()))
    with tqdm(desc="operations", total=total, delay=2) as progress:
        for number, ids in tested.items():
            head, features = run.load(number)
            for id in ids:
                yield head, features(id)
                progress.update()


def _backbone(run, share):
    """Operations and energy of the run's backbone, for an utterance that is
    ``share`` times as long as IEMOCAP's mean.
    """
    seconds = share * MEAN_SECONDS
    macs = backbone_operations(run.backbone, seconds)
    return {
        "name": run.files.condition["backbone"],
        "seconds": seconds,
        "MACs": macs,
        "mJ": None if macs is None else energy(macs, 0),
    }


def _divided(row, n):
    return replace(
        row,
        operations=row.operations / n,
        events=row.events / n,
        nonzero=row.nonzero / n,
        elements=row.elements / n,
        element_wise=row.element_wise / n,
    )


def _utterance(rows, frames):
    """One utterance as a dict: its products, layer by layer, and the sums."""
    pairs = {rule: split_operations(rows, rule) for rule in RULES}
    layers = []
    for k, row in enumerate(rows):
        if row.kind == "element-wise":
            continue
        layer = asdict(row) | {"kind": row.kind, "density": row.density}
        for key in ("nonzero", "elements", "is_binary", "element_wise"):
            del layer[key]
        for rule in RULES:
            layer[rule] = _priced(*pairs[rule][k])
        layers.append(layer)
    sums = {
        rule: _priced(*map(sum, zip(*pairs[rule], strict=True)))
        for rule in RULES
    }
    element_wise = {r.name: r.element_wise for r in rows if r.element_wise}
    return {
        "frames": frames,
        "layers": layers,
        **sums,
        "element_wise": element_wise | {"sum": sum(element_wise.values())},
    }


def _priced(macs, acs):
    return {"MACs": macs, "ACs": acs, "mJ": energy(macs, acs)}


def table(outcome):
    """Lays out a measurement as text.

    Arguments
    ---------
    outcome : dict
        From :func:`measure_run`.

    Returns
    -------
    str
        The products of the scaled utterance, layer by layer; then the sums of
        both utterances by both rules; then the backbone, if it was counted.
    """
    scaled, mean = outcome["scaled"], outcome["mean"]
    folds = outcome["folds"]
    parts = [
        [
            f"{outcome['n_utterances']} test utterances of "
            f"fold{'s'[: len(folds) > 1]} {', '.join(map(str, folds))}, "
            f"{mean['frames']:.1f} frames on average",
            f"the layers, for an utterance of {scaled['frames']} frames with "
            "the measured densities:",
        ],
        columns([LAYER_HEADER, *map(_layer_cells, scaled["layers"])]),
        [
            f"energy of one utterance ({MAC_PJ} pJ a MAC, {AC_PJ} pJ an AC, "
            "45 nm):",
            *columns(
                [
                    SUM_HEADER,
                    *(
                        _sum_cells(rule, utterance)
                        for rule in RULES
                        for utterance in (scaled, mean)
                    ),
                ]
            ),
        ],
        [
            "not in these sums: "
            f"{scaled['element_wise']['sum']:,.0f} element-wise operations "
            "(membranes, norms, tanh, softmax, means)"
        ],
    ]
    if "backbone" in outcome:
        parts[-1].append(_backbone_line(outcome["backbone"]))
    return "\n\n".join("\n".join(lines) for lines in parts)


def _layer_cells(layer):
    sizes = [size for size in layer["weights"] or () if size > 1]
    return [
        layer["name"],
        layer["product"][:PRODUCT_WIDTH],
        "x".join(map(str, sizes)),
        layer["kind"],
        f"{layer['density']:.3f}",
        f"{layer['strict']['MACs']:,.0f}",
        f"{layer['strict']['ACs']:,.0f}",
        *(f"{layer[rule]['mJ']:.4f}" for rule in RULES),
    ]


def _sum_cells(rule, utterance):
    sums = utterance[rule]
    return [
        rule,
        f"{utterance['frames']:.1f}",
        *(f"{sums[key]:,.0f}" for key in ("MACs", "ACs")),
        f"{sums['mJ']:.4f}",
    ]


def _backbone_line(backbone):
    if backbone["MACs"] is None:
        return (
            f"frozen backbone: {backbone['name']} has no weights; its signal "
            "processing is not counted"
        )
    return (
        f"frozen backbone: {backbone['name']}, {backbone['seconds']:.2f} s of "
        f"audio: {backbone['mJ']:,.0f} mJ, {backbone['MACs']:,} MACs"
    )


def write_energy(
    run,
    frames=MEAN_FRAMES,
    with_backbone=True,
    features_folder=None,
    data_folder=None,
):
    """Measures a run and writes ``energy.json`` into its folder.

    Arguments
    ---------
    run : str or Path
        The run's folder.
    frames, with_backbone, features_folder, data_folder
        As in :func:`measure_run`.

    Returns
    -------
    tuple
        (dict, Path): the content of the file, and the file.

    Raises
    ------
    InputError
        As in :func:`measure_run`.
    """
    outcome = measure_run(
        run, frames, with_backbone, features_folder, data_folder
    )
    path = RunFolder(Path(run)).energy
    write_text(path, json.dumps(outcome, indent=1))
    return outcome, path
