"""Draws figure 4 of the paper, accuracy against the number of prompts and the
bound of the bias, as measured here::

    python docs/draw_sensitivity.py

Takes the records of the sets ``prompts`` and ``kappa`` in docs/results, and
writes docs/results/sensitivity.svg.
"""

from pathlib import Path

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from speechbrain_ptssnn.report import plots
from write_results import read_records

FOLDER = Path(__file__).resolve().parent / "results"
PICTURE = FOLDER / "sensitivity.svg"
CONDITION = ("EMOVO", "random", "fbank")
# A set, and what its axis says.
PANELS = {
    "prompts": "number of prompts",
    "kappa": "bound of the bias, κ (threshold 1)",
}
OURS, THEIRS = plots.LINES[:2]


def draw(records):
    """Draws the figure.

    Arguments
    ---------
    records : iterable of Record
        Of docs/results; one of each set of :data:`PANELS`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    by_set = {
        record.set: record
        for record in records
        if record.condition == CONDITION
    }
    figure = Figure((plots.WIDTH, 4.4), layout="constrained")
    panels = figure.subplots(2, 1, sharey=True)
    for axes, (name, label) in zip(panels, PANELS.items(), strict=True):
        draw_panel(axes, by_set[name].rows)
        axes.set_xlabel(label)
        axes.set_ylabel("WA")
        axes.grid(axis="y", color=plots.LIGHT, linewidth=0.5)
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    figure.legend(
        *panels[0].get_legend_handles_labels(),
        loc="outside lower center",
    )
    return figure


def draw_panel(axes, rows):
    """Draws the rows that are measured with their intervals, and what the
    paper's text says of its own figure.

    Arguments
    ---------
    axes : matplotlib.axes.Axes
        Of one set.
    rows : list of RowRecord
        Named by the value that they vary.
    """
    measured = [row for row in rows if row.values]
    values = [float(row.name) for row in measured]
    axes.vlines(
        values,
        *zip(*(row.values.interval("WA") for row in measured), strict=True),
        color=plots.LIGHT,
    )
    axes.plot(
        values,
        [row.values.WA for row in measured],
        label="EMOVO, mel filters, 95 % interval",
        **OURS,
    )
    quoted = [
        (float(row.name), row.paper["IEMOCAP"]["WA"] / 100)
        for row in rows
        if "IEMOCAP" in row.paper
    ]
    axes.plot(
        *zip(*quoted, strict=True),
        label="quoted: IEMOCAP, emotion2vec",
        **{**THEIRS, "linestyle": "none"},
    )


def main():
    """The command."""
    records = read_records(FOLDER).values()
    with matplotlib.rc_context(plots.STYLE):
        draw(records).savefig(PICTURE, metadata={"Date": None})


if __name__ == "__main__":
    main()
