"""What a trained run computes for an utterance, and its energy at 45 nm::

    ptssnn energy results/URDU/random/fbank/pts_snn/1

An operation is a multiplication with an accumulation (MAC, 4.6 pJ) or an
accumulation alone (AC, 0.9 pJ; M. Horowitz, ISSCC 2014, 32-bit floats). Which
of the two it is depends on the rule:

strict
    An AC only if the input is binary, 0 or 1; then every 1 costs one AC for
    each weight that it meets. Every product of real values is made of MACs,
    zeros among them included: the first layer, the "spike" shortcut, K^T V,
    Q (K^T V), the bias generator.
paper
    Section IV.D, which does not say what is counted as what. Formula 21 is
    EC = activated synapses * 0.9 + MACs of the ANN * 4.6. Read to the letter,
    in a head where any product gets spikes: a synapse is a weight and is
    activated by an input that is not 0, a real one as well as a spike, so
    that the first layer is made of ACs, one for each weight; products of two
    activations, neither of them spikes (K^T V, Q (K^T V)), have no synapse
    and are made of MACs. Formula 20 is the same without such products. In
    any other head all are MACs (formula 19).

Biases, and the operations that are no products (membranes, norms, tanh,
softmax, means), are in neither sum, as in the paper; the latter are counted
beside them. Moving and keeping data is not counted.
"""

import argparse
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
from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.evaluation.trained_run import TrainedRun
from speechbrain_ptssnn.utils.distributed import one_sentence_errors
from speechbrain_ptssnn.utils.files import write_text

MAC_PJ, AC_PJ = 4.6, 0.9
RULES = ("strict", "paper")
# The mean IEMOCAP utterance, in frames of 20 ms and in seconds of audio.
MEAN_FRAMES, MEAN_SECONDS = 226, 4.55
ROW = "{:26}{:37}{:>10} {:7}{:>8}{:>15}{:>13}{:>9}{:>9}"


def split_operations(rows, rule="strict"):
    """Which operations are MACs and which are ACs.

    Arguments
    ---------
    rows : list of LayerCount
        Of a whole head.
    rule : str
        "strict" or "paper"; see the top of this file.

    Returns
    -------
    list of tuple of float
        (MACs, ACs) of each row.

    Example
    -------
    >>> rows = count_operations(LinearProbe(3, 2, size=4), torch.randn(1, 5, 3))
    >>> [pair for pair in split_operations(rows) if any(pair)]
    [(60, 0), (8, 0)]
    """
    if rule not in RULES:
        raise ValueError(f"rule must be one of {RULES}, got {rule!r}")
    has_synapses = rule == "paper" and any(row.kind == "binary" for row in rows)
    pairs = []
    for row in rows:
        if row.kind == "binary":
            pairs.append((0, row.events))
        elif has_synapses and row.weights:
            pairs.append((0, row.density * row.operations))
        else:
            pairs.append((row.operations, 0))
    return pairs


def energy(macs, acs):
    """Energy of so many operations, in mJ.

    Example
    -------
    >>> energy(1e9, 1e9)
    5.5
    """
    return (macs * MAC_PJ + acs * AC_PJ) / 1e9


def total_energy(rows, rule="strict"):
    """Energy of a head, in mJ.

    Arguments
    ---------
    rows : list of LayerCount
        Of :func:`~speechbrain_ptssnn.energy.operations.count_operations`.
    rule : str
        "strict" or "paper"; see the top of this file.

    Returns
    -------
    float

    Example
    -------
    >>> rows = count_operations(LinearProbe(), torch.randn(1, 226, 768))
    >>> round(total_energy(rows), 3)
    0.204
    """
    return sum(energy(*pair) for pair in split_operations(rows, rule))


def backbone_operations(backbone, seconds):
    """MACs of a frozen front-end for one utterance.

    Arguments
    ---------
    backbone : Backbone
        At its real size; what its weights are does not matter.
    seconds : float
        Of audio. Whisper computes whole windows of 30 s whatever it hears.

    Returns
    -------
    int or None
        All its products are real. None for front-ends without weights (fbank,
        openSMILE): signal processing, which is not counted.

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
    folder, frames=MEAN_FRAMES, with_backbone=True, features_folder=None
):
    """Counts on the test utterances of a run's finished folds.

    Arguments
    ---------
    folder : str or Path
        results/<corpus>/<protocol>/<backbone>/<model>/<seed>.
    frames : int
        Length of the utterance that the counts are also scaled to.
    with_backbone : bool
        Whether the frozen front-end is counted.
    features_folder : str, optional
        Where the feature stores are now; by default where they were in the
        training.

    Returns
    -------
    dict
        What ``energy.json`` holds.

    Raises
    ------
    InputError
        If the folder holds no finished fold.
    """
    run = TrainedRun(folder, features_folder)
    names = [(k, id) for k in run.folds for id in run.test_ids(k)]
    counter = OperationCounter()
    total_frames, loaded = 0, None
    for k, id in tqdm(names, "operations", delay=2):
        if k != loaded:
            head, features = run.load(k)
            loaded = k
        feats = features(id)
        counter.watch(head, feats)
        total_frames += feats.shape[1]
    rows = counter.counts()
    longer = feats[:, torch.arange(frames) % feats.shape[1]]
    outcome = {
        "run": str(folder),
        "folds": run.folds,
        "n_utterances": len(names),
        "channels": feats.shape[2],
        "pJ": {"MAC": MAC_PJ, "AC": AC_PJ},
        "mean": _utterance(
            [_divided(row, len(names)) for row in rows],
            total_frames / len(names),
        ),
        "scaled": _utterance(
            at_length(rows, count_operations(head, longer)), frames
        ),
    }
    if with_backbone:
        seconds = frames / MEAN_FRAMES * MEAN_SECONDS
        macs = backbone_operations(run.backbone, seconds)
        outcome["backbone"] = {
            "name": run.folder.resolve().parent.parent.name,
            "seconds": seconds,
            "MACs": macs,
            "mJ": None if macs is None else energy(macs, 0),
        }
    return outcome


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
    """Of one utterance: its products, layer by layer, and the sums."""
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
    """What :func:`measure_run` found, to be printed.

    Arguments
    ---------
    outcome : dict
        Of :func:`measure_run`.

    Returns
    -------
    str
    """
    scaled, mean = outcome["scaled"], outcome["mean"]
    folds = ", ".join(map(str, outcome["folds"]))
    lines = [
        f"{outcome['n_utterances']} test utterances (folds: {folds}), "
        f"{mean['frames']:.1f} frames on average; the table's has "
        f"{scaled['frames']}",
        "",
        ROW.format(
            *("layer", "product", "weights", "input", "density"),
            *("MACs", "ACs", "strict", "paper"),
        ),
    ]
    for layer in scaled["layers"]:
        sizes = [size for size in layer["weights"] or () if size > 1]
        lines.append(
            ROW.format(
                layer["name"],
                layer["product"][:36],
                "x".join(map(str, sizes)),
                layer["kind"],
                f"{layer['density']:.3f}",
                f"{layer['strict']['MACs']:,.0f}",
                f"{layer['strict']['ACs']:,.0f}",
                f"{layer['strict']['mJ']:.4f}",
                f"{layer['paper']['mJ']:.4f}",
            )
        )
    lines += ["", "mJ an utterance (4.6 pJ a MAC, 0.9 pJ an AC, 45 nm)"]
    for rule in RULES:
        for part in (scaled, mean):
            sums = part[rule]
            lines.append(
                f"{rule:7} count, {part['frames']:6.1f} frames: "
                f"{sums['mJ']:.4f} mJ of {sums['MACs']:,.0f} MACs and "
                f"{sums['ACs']:,.0f} ACs"
            )
    lines.append(
        f"element-wise operations (membranes, norms, tanh, softmax, means), "
        f"in neither sum: {scaled['element_wise']['sum']:,.0f}"
    )
    if "backbone" in outcome:
        lines.append(_backbone_line(outcome["backbone"]))
    return "\n".join(lines)


def _backbone_line(backbone):
    if backbone["MACs"] is None:
        return (
            f"frozen front-end: {backbone['name']} has no weights; its signal "
            "processing is not counted"
        )
    return (
        f"frozen front-end: {backbone['name']}, {backbone['seconds']:.2f} s of "
        f"audio: {backbone['mJ']:,.0f} mJ of {backbone['MACs']:,} MACs"
    )


def write_energy(run, *options):
    """Measures a run and writes ``energy.json`` beside it.

    Arguments
    ---------
    run : str or Path
        Its folder.
    *options
        As for :func:`measure_run`.

    Returns
    -------
    tuple
        (dict, Path): what the file holds, and the file.
    """
    outcome, path = measure_run(run, *options), Path(run, "energy.json")
    write_text(path, json.dumps(outcome, indent=1))
    return outcome, path


def main(argv=None):
    """Measures a run, prints the table, writes ``energy.json`` beside it.

    Arguments
    ---------
    argv : list of str, optional
        Command line; ``sys.argv[1:]`` by default.
    """
    parser = argparse.ArgumentParser(
        prog="python -m speechbrain_ptssnn.energy.measure",
        description="Operations and energy of a trained run.",
    )
    parser.add_argument("run", help="results/<corpus>/.../<model>/<seed>")
    parser.add_argument(
        "--frames",
        type=int,
        default=MEAN_FRAMES,
        help="length of the utterance in the table, 20 ms each (default: "
        "%(default)s, the mean of IEMOCAP)",
    )
    parser.add_argument(
        "--backbone",
        choices=("yes", "no"),
        default="yes",
        help="whether the frozen front-end is counted too",
    )
    parser.add_argument(
        "--features_folder", help="if it is not where it was in the training"
    )
    arguments = parser.parse_args(argv)
    with one_sentence_errors():
        if arguments.frames < 1:
            raise InputError(
                f"--frames must be at least 1, got {arguments.frames}"
            )
        outcome, path = write_energy(
            arguments.run,
            arguments.frames,
            arguments.backbone == "yes",
            arguments.features_folder,
        )
        print(f"{table(outcome)}\n\n{path}")


if __name__ == "__main__":
    main()
