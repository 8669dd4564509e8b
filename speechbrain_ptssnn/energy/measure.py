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
    energy,
    split_operations,
)
from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.evaluation.run_folder import RULES, RunFolder
from speechbrain_ptssnn.evaluation.trained_run import TrainedRun
from speechbrain_ptssnn.utils.files import write_text
from speechbrain_ptssnn.utils.text_tables import columns

# The mean IEMOCAP utterance, in frames of 20 ms and in seconds of audio.
MEAN_FRAMES, MEAN_SECONDS = 226, 4.55
FRAME_RATE = 50  # of these frames
PRODUCT_WIDTH = 36  # characters of a product's expression that the table shows
LAYER_HEADER = [
    *("layer", "product", "weights", "input", "sparsity", "dense"),
    *("MACs, strict", "ACs, strict", "{unit}, strict", "{unit}, paper"),
]
SUM_HEADER = [
    *("rule", "seconds", "frames"),
    *("head MACs", "head ACs", "head {unit}"),
]
CHAIN_HEADER = ["front-end {unit}", "total {unit}"]
SMALL = 0.01  # mJ of a head; the table of a smaller one is in µJ


def backbone_operations(backbone, seconds):
    """Counts the MACs of a frozen backbone for one utterance.

    Arguments
    ---------
    backbone : Backbone
        In its real size; the values of its weights do not matter.
    seconds : float
        Length of the audio. What is computed counts: the layers up to the one
        that is read, and of Whisper the window that it hears.

    Returns
    -------
    int
        All products of a backbone have real inputs, so they are all MACs: the
        products with its weights, as PyTorch counts them, and each
        multiplication of its signal processing (see
        :mod:`~speechbrain_ptssnn.backbones.signal_processing`).

    Example
    -------
    >>> from speechbrain_ptssnn.backbones import Fbank
    >>> macs = backbone_operations(Fbank(), 4.55)
    >>> macs, round(energy(macs, 0), 4)
    (2119032, 0.0097)
    """
    n_samples = round(seconds * backbone.sample_rate)
    return _network_operations(backbone, n_samples) + backbone.multiplications(
        n_samples
    )


def _network_operations(backbone, n_samples):
    """Counts the MACs in modules that have weights. What a backbone multiplies
    outside of them is signal processing, which PyTorch sees only in part.
    """
    parameters = list(backbone.parameters())
    if not parameters:
        return 0
    wav = torch.randn(n_samples, device=parameters[0].device)
    with plain_products(), FlopCounterMode(display=False) as counter:
        backbone(wav)
    counts = counter.get_flop_counts()
    root = type(backbone).__name__
    weighted = [
        f"{root}.{name}"
        for name, module in backbone.named_modules()
        if name and next(module.parameters(), None) is not None
    ]
    counted = [name for name in weighted if name in counts]
    # A module's count has those of the modules inside.
    outermost = [
        name
        for name in counted
        if not any(name.startswith(f"{other}.") for other in counted)
    ]
    return sum(sum(counts[name].values()) for name in outermost) // 2


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
        of 20 ms; at least 1. Where the front-end gives one frame for any
        utterance, the head gets one.
    with_backbone : bool
        Whether the frozen backbone, the front-end, is counted too.
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
        "scaled" the utterance of ``frames`` frames: its "seconds", the head's
        "layers", one a product, their sums under "strict" and "paper", and
        "element_wise" operations by module. With the backbone, "backbone" has
        its MACs and mJ, and "total" the mJ of head and backbone by both rules.
        The backbone of "mean" is that of an utterance of the mean length.

    Raises
    ------
    InputError
        If the folder holds no finished fold, or ``frames`` is below 1.
    """
    if frames < 1:
        raise InputError(f"frames must be at least 1, got {frames}")
    run = TrainedRun(folder, features_folder, data_folder)
    counter, lengths, durations = OperationCounter(), [], []
    for id, head, feats in _test_utterances(run):
        counter.watch(head, feats)
        lengths.append(feats.shape[1])
        durations.append(run.utterances[id].duration)
    rows = counter.counts()
    n_frames = _frames_of(run.backbone, frames)
    # Only the length matters here: the densities are those of all utterances.
    repeated = feats[:, torch.arange(n_frames) % feats.shape[1]]
    outcome = {
        "run": str(folder),
        "folds": run.folds,
        "n_utterances": len(lengths),
        "channels": feats.shape[2],
        "backbone": run.files.condition["backbone"],
        "pJ": {"MAC": MAC_PJ, "AC": AC_PJ},
        "mean": _utterance(
            [_divided(row, len(lengths)) for row in rows],
            sum(lengths) / len(lengths),
            sum(durations) / len(durations),
        ),
        "scaled": _utterance(
            at_length(rows, count_operations(head, repeated)),
            n_frames,
            frames / MEAN_FRAMES * MEAN_SECONDS,
        ),
    }
    if with_backbone:
        for key in ("mean", "scaled"):
            outcome[key] |= _chain(outcome[key], run.backbone)
    return outcome


def measure_utterance(head, feats, backbone, seconds):
    """Counts the operations of one utterance.

    Arguments
    ---------
    head : torch.nn.Module
        Any head.
    feats : torch.Tensor
        The head's input for the utterance, [1, time, channels].
    backbone : Backbone
        The frozen front-end.
    seconds : float
        Length of the audio.

    Returns
    -------
    dict
        As "scaled" of :func:`measure_run`, with "backbone" and "total".

    Raises
    ------
    InputError
        If the head uses an operator that may compute products inside.

    Example
    -------
    >>> from speechbrain_ptssnn.backbones import Fbank
    >>> backbone, feats = Fbank(), torch.randn(1, 100, 160)
    >>> outcome = measure_utterance(LinearProbe(160, 4), feats, backbone, 2)
    >>> outcome["backbone"]["MACs"] == backbone_operations(backbone, 2)
    True
    >>> parts = outcome["strict"]["mJ"], outcome["backbone"]["mJ"]
    >>> sum(parts) == outcome["total"]["strict"]["mJ"]
    True
    """
    rows = count_operations(head, feats)
    outcome = _utterance(rows, feats.shape[1], seconds)
    return outcome | _chain(outcome, backbone)


def _test_utterances(run):
    """Yields an utterance's id, its fold's head and its features [1, time,
    channels], for each test utterance of each finished fold.
    """
    tested = {number: run.test_ids(number) for number in run.folds}
    total = sum(map(len, tested.values()))
    with tqdm(desc="operations", total=total, delay=2) as progress:
        for number, ids in tested.items():
            head, features = run.load(number)
            for id in ids:
                yield id, head, features(id)
                progress.update()


def _frames_of(backbone, frames):
    """How many frames a backbone gives for this many of 20 ms."""
    if backbone.is_pooled:
        return 1
    return max(1, round(frames * backbone.frame_rate / FRAME_RATE))


def _chain(utterance, backbone):
    """Operations and energy of the backbone for an utterance, and the energy
    of head and backbone.
    """
    macs = backbone_operations(backbone, utterance["seconds"])
    mJ = energy(macs, 0)
    return {
        "backbone": {"MACs": macs, "mJ": mJ},
        "total": {rule: {"mJ": utterance[rule]["mJ"] + mJ} for rule in RULES},
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


def _utterance(rows, frames, seconds):
    """One utterance as a dict: its length, the head's products, layer by
    layer, and their sums.
    """
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
        "seconds": seconds,
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
        The head's products in the scaled utterance, layer by layer; then the
        sums of both utterances by both rules, with the energy of front-end
        and whole chain beside the head's if the backbone was counted.
    """
    scaled, mean = outcome["scaled"], outcome["mean"]
    folds, n_frames = outcome["folds"], scaled["frames"]
    unit, factor = ("mJ", 1)
    if scaled["strict"]["mJ"] < SMALL:
        unit, factor = ("µJ", 1000)
    header = SUM_HEADER + CHAIN_HEADER * ("total" in scaled)
    layers, header = (
        [cell.format(unit=unit) for cell in cells]
        for cells in (LAYER_HEADER, header)
    )
    parts = [
        [
            f"{outcome['n_utterances']} test utterances of "
            f"fold{'s'[: len(folds) > 1]} {', '.join(map(str, folds))}, "
            f"{mean['frames']:.1f} frames on average",
            "the head's layers, for an utterance of "
            f"{n_frames} frame{'s'[: n_frames > 1]} with the measured "
            "densities:",
        ],
        columns(
            [
                layers,
                *(_layer_cells(layer, factor) for layer in scaled["layers"]),
            ]
        ),
        [
            f"energy of one utterance ({MAC_PJ} pJ a MAC, {AC_PJ} pJ an AC, "
            "45 nm):",
            *columns(
                [
                    header,
                    *(
                        _sum_cells(rule, utterance, factor)
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
    spiking = [each for each in scaled["layers"] if each["kind"] == "binary"]
    if spiking:
        parts[1] += ["", _synapses_line(spiking)]
    if "total" in scaled:
        parts[-1].append(_front_end_line(outcome["backbone"], scaled, mean))
    return "\n\n".join("\n".join(lines) for lines in parts)


def _layer_cells(layer, factor):
    sizes = [size for size in layer["weights"] or () if size > 1]
    return [
        layer["name"],
        layer["product"][:PRODUCT_WIDTH],
        "x".join(map(str, sizes)),
        layer["kind"],
        f"{1 - layer['density']:.3f}",
        f"{layer['operations']:,.0f}",
        f"{layer['strict']['MACs']:,.0f}",
        f"{layer['strict']['ACs']:,.0f}",
        *(f"{factor * layer[rule]['mJ']:.4f}" for rule in RULES),
    ]


def _synapses_line(layers):
    """What spikes cause in the layers that get them."""
    events = sum(layer["strict"]["ACs"] for layer in layers)
    dense = sum(layer["operations"] for layer in layers)
    return (
        f"synaptic operations, the ACs of binary inputs: {events:,.0f} of "
        f"{dense:,.0f} dense ones, sparsity {1 - events / dense:.3f}"
    )


def _sum_cells(rule, utterance, factor):
    sums, chain = utterance[rule], []
    if "total" in utterance:
        chain = [utterance["backbone"], utterance["total"][rule]]
    return [
        rule,
        f"{utterance['seconds']:.2f}",
        f"{utterance['frames']:.1f}",
        *(f"{sums[key]:,.0f}" for key in ("MACs", "ACs")),
        f"{factor * sums['mJ']:.4f}",
        *(f"{factor * each['mJ']:,.4f}" for each in chain),
    ]


def _front_end_line(name, *utterances):
    counts = (
        f"{each['backbone']['MACs']:,} MACs for {each['seconds']:.2f} s of "
        "audio"
        for each in utterances
    )
    return f"front-end, frozen: {name}, {' and '.join(counts)}"


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
