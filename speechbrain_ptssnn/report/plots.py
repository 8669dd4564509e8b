"""Draws the report's figures, narrow enough for the screen of a phone.

Each function returns a Matplotlib figure and its alternative text, for readers
who cannot see it. The colours are those of Okabe and Ito, which colour-blind
readers can tell apart; markers, dashes, hatches or words repeat what they say.
"""

from itertools import cycle

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from speechbrain_ptssnn.nnet.members import in_words
from speechbrain_ptssnn.report.curves import mean_curve
from speechbrain_ptssnn.report.mismatch import (
    BINS,
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
# Of the stages of a spike encoder's network: mel values, then its streams and
# layers.
STAGE_LINES = ({"color": GREY, "linestyle": ":", "marker": "x"}, *LINES)
DIRECTIONS = {"up": BLUE, "down": VERMILLION}  # a spike encoder's spikes
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
# The paper's table II, IEMOCAP: model, mJ, WA.
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
# How the energy figure marks a run by each rule, and the paper's models.
STRICT_POINT = {
    "color": BLUE,
    "linestyle": "none",
    "marker": "o",
    "zorder": 3,
}
RULE_POINT = {
    **STRICT_POINT,
    "marker": "D",
    "markerfacecolor": "white",
}
# The bars of the whole chain's energy.
BAR_HEIGHT = 0.27  # of the distance between two runs
CHAIN_BARS = (
    {"color": BLUE, "label": "head"},
    {"color": ORANGE, "label": "front-end", "hatch": "///"},
    {"color": GREY, "label": "total"},
)
PAPER_POINT = {**RULE_POINT, "color": GREY, "marker": "s"}


def learning_figure(folds):
    """Draws the losses and validation accuracies over the epochs.

    Arguments
    ---------
    folds : list of dict
        From :func:`~speechbrain_ptssnn.report.curves.read_curves`.

    Returns
    -------
    tuple
        (Figure, str): the figure and its alternative text.
    """
    figure, (losses, accuracies) = new_axes(4, 2, sharex=True)
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
    """Draws each spiking layer's mean validation rate over the epochs.

    Arguments
    ---------
    folds : list of dict
        From :func:`~speechbrain_ptssnn.report.curves.read_curves`.
    layers : iterable of str
        The layers' names.

    Returns
    -------
    tuple
        (Figure, str): the figure and its alternative text.
    """
    figure, axes = new_axes(3)
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


def stages_figure(folds):
    """Draws, over the epochs, how well a spike encoder's spikes rebuild the
    mel values and how far each stage separates the classes.

    Arguments
    ---------
    folds : list of dict
        From :func:`~speechbrain_ptssnn.report.curves.read_curves`.

    Returns
    -------
    tuple or None
        (Figure, str): the figure and its alternative text; None if no fold
        logged a stage.
    """
    tags = list(dict.fromkeys(tag for fold in folds for tag in fold))
    stages = [
        tag.split("/")[1]
        for tag in tags
        if tag.startswith("stages/") and tag.endswith("/between")
    ]
    if not stages:
        return None
    lines = dict(zip(stages, cycle(STAGE_LINES), strict=False))
    figure, (errors, shares) = new_axes(
        5, 2, sharex=True, height_ratios=[1, 1.5]
    )
    ends = [
        f"error of {_curve(errors, folds, f'stages/{each}/error', each, line)}"
        for each, line in lines.items()
        if f"stages/{each}/error" in tags
    ]
    ends += [
        f"between classes {_curve(shares, folds, tag, each, lines[each])}"
        for each in stages
        for tag in [f"stages/{each}/between"]
    ]
    for axes in (errors, shares):
        axes.set_ylim(0)
    errors.set_title("Reconstruction error in validation")
    errors.set_ylabel("standard deviations")
    shares.set_title("Variance between the classes in validation")
    shares.yaxis.set_major_formatter(PercentFormatter(1, 0))
    shares.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=3)
    _epochs(shares)
    return figure, (
        f"Stages of the spike encoder. In the last epoch {', '.join(ends)}."
    )


def probes_figure(outcome):
    """Draws what linear heads tell from each stage of a spike encoder's
    network, by how much of the utterance was heard.

    Arguments
    ---------
    outcome : dict
        The content of the run's ``probes.json``.

    Returns
    -------
    tuple
        (Figure, str): the figure and its alternative text.
    """
    figure, rows = new_axes(5, 2, sharex=True, sharey=True)
    words = []
    for axes, kind in zip(rows, ("trained", "untrained"), strict=True):
        stages = outcome[kind]["stages"]
        for (stage, values), line in zip(
            stages.items(), cycle(STAGE_LINES), strict=False
        ):
            accuracy = values["accuracy"]
            axes.plot(outcome["shares"], accuracy, label=stage, **line)
            words.append(f"{stage}, {kind}: {percent(accuracy[-1])}")
        axes.set_title(kind)
        axes.set_ylabel("linear heads: correct")
        axes.set_ylim(0, 1.02)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(PercentFormatter(1, 0))
    axes.set_xlabel("share of the utterance that was heard")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.25), ncols=3)
    return figure, (
        "Accuracy of linear heads on each stage, over time. From the whole "
        f"utterance {'; '.join(words)}."
    )


def current_figure(name, found):
    """Draws the histogram of a layer's current, with its threshold.

    Arguments
    ---------
    name : str
        The layer's name.
    found : LayerMismatch
        The layer's measured currents.

    Returns
    -------
    tuple
        (Figure, str): the figure and its alternative text.
    """
    figure, axes = new_axes(2.7)
    edges = np.linspace(-RANGE, RANGE, BINS + 1)
    shown = {"current": found.currents}
    if found.uncalibrated is not None:
        shown = {UNCALIBRATED: found.uncalibrated, "with bias": found.currents}
    labels = []
    for k, (kind, counts) in enumerate(shown.items()):
        shares = (counts / counts.sum()).numpy()
        above = percent(shares[edges[:-1] >= 1 - 1e-9].sum())
        labels.append(f"{kind}: {above} reach the threshold")
        last = k == len(shown) - 1
        axes.stairs(
            shares,
            edges,
            label=labels[-1],
            fill=last,
            facecolor=BLUE + "66",
            edgecolor=BLUE if last else VERMILLION,
            linewidth=1.4,
            linestyle="-" if last else "--",
            zorder=1 if last else 2,
        )
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
    return figure, f"Histogram of the current of {name}; {'; '.join(labels)}."


def neurons_figure(name, found, folds):
    """Draws the silent and saturated shares of a layer's neurons, for each
    class and over training.

    Arguments
    ---------
    name : str
        The layer's name.
    found : LayerMismatch
        The layer's rates on the test utterances.
    folds : list of dict
        From :func:`~speechbrain_ptssnn.report.curves.read_curves`.

    Returns
    -------
    tuple
        (Figure, str): the figure and its alternative text.
    """
    n = len(found.rates)
    figure, (bars, axes) = new_axes(
        2.4 + 0.2 * n, 2, height_ratios=[0.2 * n, 1.2]
    )
    words = _draw_shares(bars, found.rates)
    bars.set_title(f"{name}: neurons, by class")
    for key, line in (("silent", LINES[0]), ("saturated", LINES[4])):
        _curve(axes, folds, f"firing/{name}/{key}", key, line)
    axes.set_ylim(-0.02, 1.02)
    axes.set_title("over training, in validation")
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.legend()
    _epochs(axes)
    return figure, f"Neurons of {name}, by class. {'; '.join(words)}."


def _draw_shares(bars, rates):
    """Draws one bar a group, from its silent to its saturated neurons; returns
    the shares in words.
    """
    groups = list(rates)
    silent, saturated = (
        np.array([rates[group][key] for group in groups])
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
    words = []
    for k, group in enumerate(groups):
        shares = f"{silent[k]:.1%} silent, {saturated[k]:.1%} saturated"
        bars.text(
            0.5,
            k,
            shares,
            ha="center",
            va="center",
            fontsize=8,
            bbox={"facecolor": "white", "linewidth": 0, "pad": 0.8},
        )
        words.append(f"{group}: {shares}")
    bars.set(xlim=(0, 1), xticks=[])
    bars.invert_yaxis()
    bars.spines[:].set_visible(False)
    bars.tick_params(left=False)
    return words


def example_figure(example, labels):
    """Draws an utterance's wave, the spikes of a spike encoder's streams if
    there is one, those of the last two spiking layers, and the bias voltages.
    Of a committee these are the last member's.

    Arguments
    ---------
    example : Heard
        The utterance.
    labels : sequence of str
        The classes.

    Returns
    -------
    tuple
        (Figure, str): the figure and its alternative text.
    """
    watched = example.watched
    names = list(watched.spikes)[-2:]
    n_streams = len(watched.encoded)
    heights = [1, *[1.8] * n_streams, *[2.6, 1.6][: len(names)]]
    figure = Figure((WIDTH, 1 + 0.8 * sum(heights)), layout="constrained")
    grid = figure.add_gridspec(
        len(heights), 2, width_ratios=[4, 1], height_ratios=heights
    )
    wave = axes = figure.add_subplot(grid[0, 0])
    _draw_wave(wave, example)
    shown = wave.get_xlim()
    words = []
    for row, (name, spikes) in enumerate(watched.encoded.items(), 1):
        axes = figure.add_subplot(grid[row, 0], sharex=wave)
        words.append(_draw_stream(axes, name, spikes.numpy(), example.seconds))
        stream = f", {name} stream" if n_streams > 1 else ""
        axes.set(xlim=shown, title=f"spikes of the encoder{stream}")
        if row == 1 and spikes.shape[1] > 1:
            _add_directions(figure.add_subplot(grid[row, 1]))
    for row, name in enumerate(names, 1 + n_streams):
        spikes, called = watched.spikes[name].numpy(), in_words(name)
        bias = watched.biases.get(name)
        order = np.arange(spikes.shape[1])
        if bias is not None:
            # A causal head's bias changes: its mean over the utterance.
            mean_bias = bias.view(-1, spikes.shape[1]).mean(0).numpy()
            order = np.argsort(mean_bias, kind="stable")
        axes = figure.add_subplot(grid[row, 0], sharex=wave)
        _draw_raster(axes, spikes[:, order], example.seconds)
        axes.set(xlim=shown, title=f"spikes of {called}")
        words.append(f"{called} spikes at a rate of {spikes.mean():.3f}")
        if spikes.shape[1] == len(labels):
            axes.set_yticks(range(len(labels)), labels)
            axes.invert_yaxis()
            side = figure.add_subplot(grid[row, 1], sharey=axes)
            _draw_rates(side, spikes)
        else:
            axes.set_ylabel("neuron")
        if bias is not None:
            axes.set_ylabel("neuron, by its bias voltage")
            ordered = mean_bias[order]
            side = figure.add_subplot(grid[row, 1], sharey=axes)
            _draw_bias(side, ordered)
            words.append(
                f"bias voltages from {ordered[0]:.2f} to {ordered[-1]:.2f}"
            )
    axes.set_xlabel("seconds")
    for axes in figure.axes:
        axes.spines[:].set_visible(False)
        where = axes.get_subplotspec()
        if where.is_first_col() and not where.is_last_row():
            axes.tick_params(labelbottom=False)  # the last row has the seconds
    return figure, (
        f"Wave and spike raster of {example.name}: {'; '.join(words)}."
    )


def _draw_wave(axes, example):
    times = np.arange(len(example.wave)) / example.sample_rate
    axes.plot(times, example.wave, color=GREY, linewidth=0.4, rasterized=True)
    axes.set(yticks=[], xlim=(0, times[-1]), title="wave")


def _draw_raster(axes, spikes, seconds):
    """Draws spikes [time, neurons], the first neuron at the bottom."""
    axes.imshow(
        spikes.T,
        cmap="Greys",
        aspect="auto",
        interpolation="nearest",
        vmin=0,
        vmax=1,
        origin="lower",
        extent=(0, seconds, -0.5, spikes.shape[1] - 0.5),
    )


def _draw_stream(axes, name, spikes, seconds):
    """Draws a stream's spikes, [time, directions, channels], the first channel
    at the bottom: of each channel's row, ups in the upper half and downs in
    the lower one. Returns the rates in words, of ups first.
    """
    n_frames, n_directions, n_channels = spikes.shape
    # Half-rows from the bottom: down and up of the first channel, and so on.
    halves = spikes[:, ::-1].swapaxes(1, 2).reshape(n_frames, -1)
    picture = np.ones((halves.shape[1], n_frames, 3))
    for k, color in zip(range(n_directions), DIRECTIONS.values(), strict=False):
        part = slice(n_directions - 1 - k, None, n_directions)
        picture[part][halves.T[part] > 0] = to_rgb(color)
    axes.imshow(
        picture,
        aspect="auto",
        interpolation="nearest",
        origin="lower",
        extent=(0, seconds, -0.5, n_channels - 0.5),
    )
    axes.set_ylabel("mel channel")
    rates = " and ".join(f"{rate:.3f}" for rate in spikes.mean((0, 2)))
    return f"the {name} stream spikes at a rate of {rates}"


def _add_directions(axes):
    """Explains the colours of ups and downs, beside the raster."""
    axes.set_axis_off()
    for name, color in DIRECTIONS.items():
        axes.plot([], [], color=color, marker="s", linestyle="", label=name)
    axes.legend(loc="upper left", borderpad=0, handletextpad=0.2)


def _draw_rates(axes, spikes):
    """Draws each neuron's firing rate beside its row of the raster."""
    axes.barh(range(spikes.shape[1]), spikes.mean(0), color=BLUE)
    axes.set_title("rate")
    axes.tick_params(labelleft=False)


def _draw_bias(axes, bias):
    """Draws each neuron's bias voltage beside its row of the raster."""
    axes.fill_betweenx(np.arange(len(bias)), bias, color=VERMILLION)
    axes.axvline(0, color="black", linewidth=0.6)
    axes.set_title("bias")
    axes.tick_params(labelleft=False)


def energy_figure(runs):
    """Draws accuracy against energy: the runs as measured, and the paper's
    table as quoted.

    Arguments
    ---------
    runs : dict
        Short name to (summary, energy), where energy is the content of the
        run's ``energy.json``.

    Returns
    -------
    tuple
        (Figure, str): the figure and its alternative text.
    """
    figure, axes = new_axes(4.4)
    words = [
        _draw_measured(axes, name, summary, energy)
        for name, (summary, energy) in runs.items()
    ]
    for letter, (name, spent, accuracy) in zip("abcdef", QUOTED, strict=True):
        axes.plot(spent, accuracy, markersize=5, **PAPER_POINT)
        axes.annotate(
            letter,
            (spent, accuracy),
            (0, 5),
            textcoords="offset points",
            color=GREY,
            ha="center",
        )
        words.append(f"quoted {name}: {spent} mJ, WA {percent(accuracy)}")
    axes.set_xscale("log")
    axes.margins(0.12)
    axes.set_xlabel("head's energy, mJ an utterance")
    axes.set_ylabel("WA")
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    for label, point in (
        ("measured: strict count", STRICT_POINT),
        ("measured: the paper's rule", RULE_POINT),
        (QUOTED_LABEL, PAPER_POINT),
    ):
        axes.plot([], [], label=label, **point)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.15))
    return figure, f"Accuracy against energy. {'; '.join(words)}."


def reliability_figure(curves):
    """Draws the share of correct predictions by their posterior.

    Arguments
    ---------
    curves : dict
        Name to what :func:`~speechbrain_ptssnn.metrics.reliability` returns.

    Returns
    -------
    tuple
        (Figure, str): the figure and its alternative text.
    """
    figure, axes = new_axes(2.9)
    axes.plot([0, 1], [0, 1], color=LIGHT, zorder=0)
    words = []
    for (name, curve), line in zip(curves.items(), LINES, strict=False):
        counts, confidence, accuracy = curve
        axes.plot(confidence, accuracy, label=name, **line)
        means = np.average([confidence, accuracy], axis=1, weights=counts)
        words.append(
            f"{name}: mean posterior {means[0]:.2f}, correct {means[1]:.2f}"
        )
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_xlabel("largest posterior")
    axes.set_ylabel("share that is correct")
    axes.legend()
    return figure, f"Reliability diagram. {'; '.join(words)}."


def risk_coverage_figure(curve, area, marked):
    """Draws the accuracy of the answers that a threshold leaves, by their
    share.

    Arguments
    ---------
    curve : tuple of numpy.ndarray
        Of :func:`~speechbrain_ptssnn.metrics.risk_coverage`.
    area : float
        The area under it, AURC.
    marked : dict
        Threshold to (coverage, selective accuracy), to be marked.

    Returns
    -------
    tuple
        (Figure, str): the figure and its alternative text.
    """
    _, coverage, risk = curve
    figure, axes = new_axes(2.9)
    axes.axhline(1 - risk[-1], color=LIGHT, zorder=0)
    axes.text(0.01, 1 - risk[-1], "all answers", color=GREY, va="bottom")
    axes.step(coverage, 1 - risk, color=BLUE, where="pre")
    words = []
    # Neighbours may lie close together, so every second number is below.
    for (threshold, point), height in zip(
        marked.items(), cycle((5, -13)), strict=False
    ):
        axes.plot(*point, color=VERMILLION, marker="s", linestyle="none")
        axes.annotate(
            f"{threshold:g}",
            point,
            (0, height),
            textcoords="offset points",
            ha="center",
        )
        share, accuracy = map(percent, point)
        words.append(f"at least {threshold:g}: {share}, correct {accuracy}")
    axes.set_xlim(0, 1.02)
    axes.set_ylim(0, 1.09)
    axes.set_xlabel("share of utterances that are answered (coverage)")
    axes.set_ylabel("share of answers that is correct")
    axes.set_title(f"AURC {area:.3f}")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1))
    return figure, (
        f"Accuracy by coverage, AURC {area:.3f}. {'; '.join(words)}; all "
        f"answers: correct {percent(1 - risk[-1])}."
    )


def chain_figure(chains):
    """Draws the energy of head, front-end and both, a group of bars a run.

    Arguments
    ---------
    chains : dict
        Short name to one utterance of the run's ``energy.json``, with
        "backbone" and "total".

    Returns
    -------
    tuple
        (Figure, str): the figure and its alternative text.
    """
    figure, axes = new_axes(1.3 + 0.8 * len(chains))
    values = [
        [
            each["strict"]["mJ"],
            each["backbone"]["mJ"],
            each["total"]["strict"]["mJ"],
        ]
        for each in chains.values()
    ]
    for k, bar in enumerate(CHAIN_BARS):
        bars = axes.barh(
            np.arange(len(chains)) + (k - 1) * BAR_HEIGHT,
            [each[k] for each in values],
            height=BAR_HEIGHT,
            **bar,
        )
        axes.bar_label(bars, fmt="%.3g", padding=2)
    axes.set_yticks(range(len(chains)), chains)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.margins(x=0.15)
    axes.set_xlabel("mJ an utterance, strict count")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3)
    words = "; ".join(
        f"{name}: head {head:.3g} mJ, front-end {front_end:.3g}, "
        f"total {total:.3g}"
        for name, (head, front_end, total) in zip(chains, values, strict=True)
    )
    return figure, f"Energy of the whole chain. {words}."


def _draw_measured(axes, name, summary, energy):
    """Draws one run: its energy by both rules, its WA and the interval of WA;
    returns them in words.
    """
    strict, paper = (
        energy["scaled"][rule]["mJ"] for rule in ("strict", "paper")
    )
    accuracy = summary["WA"]
    bounds = (summary["interval_95"] or {}).get("WA")
    if bounds:
        axes.plot([strict] * 2, bounds, color=BLUE, linewidth=1)
    axes.plot([paper, strict], [accuracy] * 2, color=BLUE, linewidth=0.7)
    axes.plot(strict, accuracy, markersize=7, **STRICT_POINT)
    axes.plot(paper, accuracy, markersize=5, **RULE_POINT)
    axes.annotate(
        name,
        (strict, accuracy),
        (5, 5),
        textcoords="offset points",
        color=BLUE,
        weight="bold",
    )
    return (
        f"{name}: {strict:.3f} mJ by the strict count, {paper:.3f} by the "
        f"paper's rule, WA {percent(accuracy)}"
    )


def new_axes(height, *args, **kwargs):
    """Makes a figure of the width that all have.

    Arguments
    ---------
    height : float
        In inches.
    *args, **kwargs
        Of Matplotlib's ``subplots``.

    Returns
    -------
    tuple
        The figure, and its axes.
    """
    figure = Figure((WIDTH, height), layout="constrained")
    return figure, figure.subplots(*args, **kwargs)


def _curve(axes, folds, tag, label, line):
    """Draws the mean curve of the folds; returns its last value in words."""
    epochs, means = mean_curve(folds, tag)
    end = f"{label} {means[-1]:.3f}" if means else f"{label}: not logged"
    label = label if means else end
    axes.plot(epochs, means, label=label, markevery=0.15, **line)
    return end


def _epochs(axes):
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
