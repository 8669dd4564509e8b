"""The report's figures: narrow, so that a phone shows them at full size.

Each function gives a Matplotlib figure and a sentence for who cannot see it.
Colours are Okabe and Ito's, which colour-blind readers tell apart; markers,
dashes, hatches or words say the same again.
"""

from itertools import cycle

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from speechbrain_ptssnn.report.curves import mean_curve
from speechbrain_ptssnn.report.mismatch import (
    BINS,
    CALIBRATED,
    RANGE,
    UNCALIBRATED,
)
from speechbrain_ptssnn.utils.text_tables import percent

BLUE, VERMILLION, GREEN = "#0072B2", "#D55E00", "#009E73"
PURPLE, ORANGE = "#CC79A7", "#E69F00"
GREY, LIGHT = "#595959", "#DDDDDD"
LINES = (
    {"color": BLUE, "linestyle": "-", "marker": "o"},
    {"color": VERMILLION, "linestyle": "--", "marker": "s"},
    {"color": GREEN, "linestyle": "-.", "marker": "^"},
    {"color": PURPLE, "linestyle": ":", "marker": "D"},
    {"color": ORANGE, "linestyle": (0, (5, 1)), "marker": "v"},
)
STYLE = {
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.markersize": 3.5,
    "lines.linewidth": 1.4,
    "hatch.linewidth": 0.6,
    "svg.hashsalt": "the same run gives the same file",
}
WIDTH = 4.2  # inches
# Table II, IEMOCAP: model, mJ, WA.
QUOTED = (
    ("Co-attention", 103.40, 0.6980),
    ("MSTR", 51.06, 0.7060),
    ("DST", 35.34, 0.7180),
    ("ShiftFormer", 16.20, 0.7210),
    ("ENT", 6.35, 0.7243),
    ("PTS-SNN", 0.35, 0.7334),
)
QUOTED_LABEL = """\
quoted from the paper's table II, IEMOCAP:
a Co-attention, b MSTR, c DST,
d ShiftFormer, e ENT, f PTS-SNN"""


def learning_figure(folds):
    """Losses and validation accuracies over the epochs.

    Arguments
    ---------
    folds : list of dict
        Of :func:`~speechbrain_ptssnn.report.curves.read_curves`.

    Returns
    -------
    tuple
        (Figure, str).
    """
    figure, (losses, accuracies) = _axes(4, 2, sharex=True)
    ends = []
    for axes, curves in (
        (losses, {"loss/train": "training loss", "loss/valid": "validation"}),
        (accuracies, {"WA/valid": "WA", "UA/valid": "UA"}),
    ):
        for (tag, name), line in zip(curves.items(), LINES, strict=False):
            for fold in folds:
                curve = fold.get(tag, {})
                axes.plot(
                    list(curve),
                    list(curve.values()),
                    color=line["color"],
                    linewidth=0.4,
                    alpha=0.6,
                )
            ends.append(_curve(axes, folds, tag, name, line))
        axes.legend()
    losses.set_title("Loss")
    accuracies.set_title("Accuracy in validation")
    accuracies.yaxis.set_major_formatter(PercentFormatter(1, 0))
    _epochs(accuracies)
    return figure, f"Learning curves. In the last epoch {', '.join(ends)}."


def firing_figure(folds, layers):
    """Mean rate of each spiking layer over the epochs, in validation.

    Arguments
    ---------
    folds : list of dict
        Of :func:`~speechbrain_ptssnn.report.curves.read_curves`.
    layers : sequence of str
        Their names.

    Returns
    -------
    tuple
        (Figure, str).
    """
    figure, axes = _axes(3)
    ends = [
        _curve(axes, folds, f"firing/{name}/mean", name, line)
        for name, line in zip(layers, cycle(LINES), strict=False)
    ]
    axes.set_ylim(0)
    axes.set_ylabel("spikes a neuron and frame")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2)
    _epochs(axes)
    return figure, (
        f"Mean firing rates in validation. In the last epoch {', '.join(ends)}."
    )


def current_figure(name, found):
    """The distribution of a layer's current against its threshold.

    Arguments
    ---------
    name : str
        The layer's.
    found : LayerMismatch
        What was measured.

    Returns
    -------
    tuple
        (Figure, str).
    """
    figure, axes = _axes(2.7)
    edges = np.linspace(-RANGE, RANGE, BINS + 1)
    shown = {"current": found.currents}
    if found.uncalibrated is not None:
        shown = {UNCALIBRATED: found.uncalibrated, "with bias": found.currents}
    said = []
    for k, (kind, counts) in enumerate(shown.items()):
        shares = (counts / counts.sum()).numpy()
        above = percent(shares[edges[:-1] >= 1 - 1e-9].sum())
        last = k == len(shown) - 1
        axes.stairs(
            shares,
            edges,
            label=f"{kind}: {above} reach the threshold",
            fill=last,
            facecolor=BLUE + "66",
            edgecolor=BLUE if last else VERMILLION,
            linewidth=1.4,
            linestyle="-" if last else "--",
            zorder=1 if last else 2,
        )
        said.append(f"{kind}: {above} reach the threshold")
    axes.axvline(1, color="black", linewidth=1.2)
    axes.text(
        1.05,
        0.98,
        "threshold",
        va="top",
        transform=axes.get_xaxis_transform(),
    )
    axes.set_xlim(-RANGE, RANGE)
    axes.set_xlabel("current, in thresholds")
    axes.set_ylabel("share of neurons and frames")
    axes.set_title(name)
    axes.yaxis.set_major_formatter(PercentFormatter(1, 0))
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.22))
    return figure, f"Histogram of the current of {name}; {'; '.join(said)}."


def neurons_figure(name, found, folds):
    """Silent and saturated neurons of a layer: per class, and over training.

    Arguments
    ---------
    name : str
        The layer's.
    found : LayerMismatch
        What was measured on the test utterances.
    folds : list of dict
        Of :func:`~speechbrain_ptssnn.report.curves.read_curves`.

    Returns
    -------
    tuple
        (Figure, str).
    """
    groups = list(found.rates)
    figure, (bars, axes) = _axes(
        2.4 + 0.2 * len(groups), 2, height_ratios=[0.2 * len(groups), 1.2]
    )
    silent, saturated = (
        np.array([found.rates[group][key] for group in groups])
        for key in ("silent", "saturated")
    )
    bars.barh(groups, 1, color=LIGHT)
    bars.barh(groups, silent, color=BLUE)
    bars.barh(
        groups,
        saturated,
        left=1 - saturated,
        color=ORANGE,
        edgecolor="black",
        hatch="////",
        linewidth=0,
    )
    for k, shares in enumerate(zip(silent, saturated, strict=True)):
        silent_share, saturated_share = (f"{share:.1%}" for share in shares)
        bars.text(
            0.5,
            k,
            f"{silent_share} silent, {saturated_share} saturated",
            ha="center",
            va="center",
            fontsize=8,
            bbox={"facecolor": "white", "linewidth": 0, "pad": 0.8},
        )
    bars.set(xlim=(0, 1), xticks=[], title=f"{name}: neurons, by class")
    bars.invert_yaxis()
    bars.spines[:].set_visible(False)
    bars.tick_params(left=False)
    for key, line in (("silent", LINES[0]), ("saturated", LINES[4])):
        _curve(axes, folds, f"firing/{name}/{key}", key, line)
    axes.set_ylim(-0.02, 1.02)
    axes.set_title("over training, in validation")
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.legend()
    _epochs(axes)
    said = "; ".join(
        f"{group}: {found.rates[group]['silent']:.1%} silent, "
        f"{found.rates[group]['saturated']:.1%} saturated"
        for group in groups
    )
    return figure, f"Neurons of {name}, by class. {said}."


def example_figure(example, labels):
    """Wave, spikes of the last two spiking layers, and bias voltages.

    Arguments
    ---------
    example : Example
        The utterance.
    labels : sequence of str
        The classes.

    Returns
    -------
    tuple
        (Figure, str).
    """
    watched = example.watched
    names = list(watched.spikes)[-2:]
    figure = Figure((WIDTH, 1 + 2.2 * len(names)), layout="constrained")
    grid = figure.add_gridspec(
        1 + len(names),
        2,
        width_ratios=[4, 1],
        height_ratios=[1, 2.6, 1.6][: 1 + len(names)],
    )
    wave = axes = figure.add_subplot(grid[0, 0])
    times = np.arange(len(example.wave)) / example.sample_rate
    wave.plot(times, example.wave, color=GREY, linewidth=0.4, rasterized=True)
    wave.set(yticks=[], xlim=(0, times[-1]), title="wave")
    said = []
    for row, name in enumerate(names, 1):
        spikes = watched.spikes[name].numpy()
        axes = figure.add_subplot(grid[row, 0], sharex=wave)
        order = np.arange(spikes.shape[1])
        is_biased = watched.bias is not None and name == CALIBRATED
        if is_biased:
            order = np.argsort(watched.bias.numpy(), kind="stable")
        axes.imshow(
            spikes[:, order].T,
            cmap="Greys",
            aspect="auto",
            interpolation="nearest",
            vmin=0,
            vmax=1,
            origin="lower",
            extent=(0, example.seconds, -0.5, len(order) - 0.5),
        )
        axes.set_xlim(0, times[-1])
        axes.set_title(f"spikes of {name}")
        said.append(f"{name} spikes at a rate of {spikes.mean():.3f}")
        if spikes.shape[1] == len(labels):
            axes.set_yticks(range(len(labels)), labels)
            axes.invert_yaxis()
            rates = figure.add_subplot(grid[row, 1], sharey=axes)
            rates.barh(range(len(labels)), spikes.mean(0), color=BLUE)
            rates.set_title("rate")
            rates.tick_params(labelleft=False)
        else:
            axes.set_ylabel("neuron")
        if is_biased:
            axes.set_ylabel("neuron, by its bias voltage")
            bias = watched.bias.numpy()[order]
            side = figure.add_subplot(grid[row, 1], sharey=axes)
            side.fill_betweenx(np.arange(len(bias)), bias, color=VERMILLION)
            side.axvline(0, color="black", linewidth=0.6)
            side.set_title("bias")
            side.tick_params(labelleft=False)
            said.append(f"bias voltages from {bias[0]:.2f} to {bias[-1]:.2f}")
    axes.set_xlabel("seconds")
    for axes in figure.axes:
        axes.spines[:].set_visible(False)
    return figure, (
        f"Wave and spike raster of {example.utterance.id}: {'; '.join(said)}."
    )


def energy_figure(runs):
    """Accuracy against energy: runs, measured, and the paper's table, quoted.

    Arguments
    ---------
    runs : dict
        Short name to (summary, energy); energy is the content of a run's
        ``energy.json``.

    Returns
    -------
    tuple
        (Figure, str).
    """
    figure, axes = _axes(4.4)
    measured = {"color": BLUE, "linestyle": "none", "zorder": 3}
    hollow = {**measured, "markerfacecolor": "white"}
    quoted = {**hollow, "color": GREY}
    said = []
    for name, (summary, energy) in runs.items():
        strict, paper = (
            energy["scaled"][key]["mJ"] for key in ("strict", "paper")
        )
        accuracy = summary["WA"]
        bounds = (summary["interval_95"] or {}).get("WA")
        if bounds:
            axes.plot([strict] * 2, bounds, color=BLUE, linewidth=1)
        axes.plot([paper, strict], [accuracy] * 2, color=BLUE, linewidth=0.7)
        axes.plot(strict, accuracy, marker="o", markersize=7, **measured)
        axes.plot(paper, accuracy, marker="D", markersize=5, **hollow)
        axes.annotate(
            name,
            (strict, accuracy),
            (5, 5),
            textcoords="offset points",
            color=BLUE,
            weight="bold",
        )
        said.append(
            f"{name}: {strict:.3f} mJ strictly counted, {paper:.3f} by the "
            f"paper's rule, WA {percent(accuracy)}"
        )
    for letter, (name, spent, accuracy) in zip("abcdef", QUOTED, strict=True):
        axes.plot(spent, accuracy, marker="s", markersize=5, **quoted)
        axes.annotate(
            letter,
            (spent, accuracy),
            (0, 5),
            textcoords="offset points",
            color=GREY,
            ha="center",
        )
        said.append(f"quoted {name}: {spent} mJ, WA {percent(accuracy)}")
    axes.set_xscale("log")
    axes.margins(0.12)
    axes.set_xlabel("head's energy, mJ an utterance")
    axes.set_ylabel("WA")
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.plot([], [], marker="o", label="measured: strict count", **measured)
    axes.plot([], [], marker="D", label="measured: the paper's rule", **hollow)
    axes.plot([], [], marker="s", label=QUOTED_LABEL, **quoted)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.15))
    return figure, f"Accuracy against energy. {'; '.join(said)}."


def _axes(height, *args, **kwargs):
    figure = Figure((WIDTH, height), layout="constrained")
    return figure, figure.subplots(*args, **kwargs)


def _curve(axes, folds, tag, label, line):
    """Draws the mean of the folds; returns what it ends with."""
    epochs, means = mean_curve(folds, tag)
    end = f"{label} {means[-1]:.3f}" if means else f"{label}: not logged"
    label = label if means else end
    axes.plot(epochs, means, label=label, markevery=0.15, **line)
    return end


def _epochs(axes):
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
