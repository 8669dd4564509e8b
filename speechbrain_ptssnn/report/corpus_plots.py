"""Draws what a corpus is like before training, in the manner of ``plots``."""

import re
from collections import Counter

import numpy as np
from matplotlib.ticker import MaxNLocator, PercentFormatter

from speechbrain_ptssnn.report.plots import (
    BLUE,
    GREEN,
    GREY,
    LIGHT,
    ORANGE,
    PURPLE,
    VERMILLION,
    new_axes,
)
from speechbrain_ptssnn.utils.text_tables import percent

COLOURS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, "#56B4E9", GREY)
MARKERS = "os^Dv"
HATCHES = ("", "////", "....", "xxxx", "\\\\\\\\")
MOST_BARS = 40
# Colour and marker are different for so many values.
MOST_VALUES = len(COLOURS) * len(MARKERS)
RASTER = 1000  # points; more are drawn as pixels, so that the page stays small


def counts_figure(names, labels, classes):
    """Draws the number of utterances by speaker, in classes.

    Arguments
    ---------
    names : sequence of str
        The speaker of each utterance; one name for all draws one bar.
    labels : sequence of str
        Its class.
    classes : sequence of str
        In index order.

    Returns
    -------
    tuple
        (Figure, str): the figure and its alternative text. It shows the 40
        speakers with most utterances.
    """
    counts = Counter(zip(names, labels, strict=True))
    totals = Counter(names)
    shown = sorted(totals, key=lambda name: (-totals[name], name))[:MOST_BARS]
    figure, axes = new_axes(1.3 + 0.17 * len(shown) + 0.17 * _rows(classes))
    left = np.zeros(len(shown))
    for k, label in enumerate(classes):
        values = np.array([counts[name, label] for name in shown])
        axes.barh(
            shown,
            values,
            left=left,
            label=label,
            color=COLOURS[k % len(COLOURS)],
            edgecolor="white",
            linewidth=0.3,
            hatch=HATCHES[(k + k // len(COLOURS)) % len(HATCHES)],
        )
        left += values
    axes.invert_yaxis()
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0, labelsize=7.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("utterances")
    _legend(figure, classes)
    single = sum(
        1 for name in totals if len({c for n, c in counts if n == name}) == 1
    )
    return figure, (
        f"Utterances by speaker and class: {len(totals)} speakers, of whom "
        f"{single} show one class only."
    )


def spread_figure(groups, title, unit, line=None):
    """Draws how a value is spread in each class: a thin line from the smallest
    to the largest, a thick one for the middle half, a dot for the median.

    Arguments
    ---------
    groups : dict
        Class to its values, at least one.
    title, unit : str
        What the values are, and the unit of the axis.
    line : tuple, optional
        (value, name) of a limit that is drawn.

    Returns
    -------
    tuple
        (Figure, str): the figure and its alternative text.
    """
    figure, axes = new_axes(1.1 + 0.22 * len(groups))
    words = []
    for k, (name, values) in enumerate(groups.items()):
        low, first, middle, third, high = np.percentile(
            values, [0, 25, 50, 75, 100]
        )
        axes.plot([low, high], [k, k], color=GREY, linewidth=0.8)
        axes.plot([first, third], [k, k], color=BLUE, linewidth=5)
        axes.plot(middle, k, "o", color="white", markeredgecolor="black")
        words.append(f"{name}: {middle:.3g}, from {low:.3g} to {high:.3g}")
    if line is not None:
        axes.axvline(line[0], color=VERMILLION, linestyle="--", linewidth=1)
        axes.text(
            line[0],
            1,
            f" {line[1]}",
            color=VERMILLION,
            va="bottom",
            fontsize=7.5,
            transform=axes.get_xaxis_transform(),
        )
    axes.set_yticks(range(len(groups)), groups)
    axes.set_ylim(len(groups) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(unit)
    axes.set_title(title, loc="left", pad=14 if line else 6)
    return figure, f"{title}, in {unit}. Medians: {'; '.join(words)}."


def map_figure(points, values, name, names=None):
    """Draws a two-dimensional map, coloured by what is known of its points.

    Arguments
    ---------
    points : numpy.ndarray
        [utterances, 2].
    values : sequence of str
        The value of each utterance.
    name : str
        What the values are.
    names : sequence of str, optional
        The values in the order of their colours; sorted by default.

    Returns
    -------
    tuple
        (Figure, str): the figure and its alternative text.
    """
    values = np.array(values)
    names = names or sorted(set(values), key=_natural)
    has_legend = len(names) <= MOST_VALUES
    figure, axes = new_axes(4.1 + 0.17 * has_legend * _rows(names))
    for k, value in enumerate(names):
        axes.scatter(
            *points[values == value].T,
            s=9,
            color=COLOURS[k % len(COLOURS)],
            marker=MARKERS[(k + k // len(COLOURS)) % len(MARKERS)],
            linewidths=0,
            alpha=0.8,
            label=value,
            rasterized=len(points) > RASTER,
        )
    axes.set(xticks=[], yticks=[], aspect="equal", adjustable="datalim")
    for spine in axes.spines.values():
        spine.set(visible=True, color=LIGHT)
    axes.set_title(f"by {name}")
    if has_legend:
        _legend(figure, names, markerscale=2)
    return figure, (
        f"Map of the utterances' mean frames, coloured by {name}: "
        f"{len(names)} values."
    )


def linear_figure(scores):
    """Draws how often a linear head is right, and the commonest value's share.

    Arguments
    ---------
    scores : dict
        What is told to its
        :class:`~speechbrain_ptssnn.evaluation.separability.LinearScore`.

    Returns
    -------
    tuple
        (Figure, str): the figure and its alternative text.
    """
    figure, axes = new_axes(1.2 + 0.33 * len(scores))
    words = []
    for k, (name, score) in enumerate(scores.items()):
        axes.barh(k, score.WA, color=BLUE, height=0.6)
        axes.plot(
            [score.majority] * 2, [k - 0.4, k + 0.4], color="black", zorder=3
        )
        axes.text(score.WA + 0.01, k, percent(score.WA), va="center")
        words.append(
            f"{name}: {percent(score.WA)}, commonest value "
            f"{percent(score.majority)}"
        )
    axes.set_yticks(range(len(scores)), scores)
    axes.set_ylim(len(scores) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(0, 1.17)
    axes.set_xticks(np.linspace(0, 1, 5))
    axes.xaxis.set_major_formatter(PercentFormatter(1, 0))
    axes.set_xlabel("right answers; line: commonest value")
    return figure, f"What a linear head tells. {'; '.join(words)}."


def _columns(names):
    longest = max(map(len, names), default=1)
    return max(1, min(7, 52 // (longest + 5)))


def _rows(names):
    return -(-len(names) // _columns(names))


def _legend(figure, names, **options):
    figure.legend(
        loc="outside lower center",
        ncols=_columns(names),
        fontsize=7.5,
        handletextpad=0.3,
        columnspacing=1.0,
        **options,
    )


def _natural(name):
    """Sorts f2 before f10."""
    parts = re.split(r"(\d+)", name)
    return [
        (part, 0) if k % 2 == 0 else ("", int(part))
        for k, part in enumerate(parts)
    ]
