"""Draws accuracy against the energy of front-end and head together::

    python docs/draw_energy.py

Takes each head of docs/results whose energy was counted, in the corpora and
protocols named below, and writes docs/results/energy.svg. The line joins the
best of what costs as much or less.
"""

from pathlib import Path

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from overview import is_whole
from speechbrain_ptssnn.report import plots
from write_results import read_records

FOLDER = Path(__file__).resolve().parent / "results"
PICTURE = FOLDER / "energy.svg"
PANELS = (
    ("EMOVO", "random"),
    ("EMOVO", "speaker"),
    ("URDU", "random"),
    ("URDU", "speaker"),
)
SETS = (
    "front_ends",
    "committees",
    "classical",
    "table5",
    "without_backbone",
)
# The file of a head, what it is called here, and its marker.
HEADS = {
    "small.yaml": ("spike encoder, R-LIF, 35 k", "*"),
    "with_pts_snn.yaml": ("spike encoder, PTS-SNN", "P"),
    "pts_snn.yaml": ("PTS-SNN", "o"),
    "committee.yaml": ("five small PTS-SNNs", "h"),
    "vanilla_snn.yaml": ("vanilla SNN", "s"),
    "linear_probe.yaml": ("linear head", "^"),
    "linear_committee.yaml": ("five linear heads", "v"),
    "linear_svm.yaml": ("SVM, mean frame", "D"),
    "extra_trees.yaml": ("trees", "X"),
}
COLOURS = {
    "mel filters": plots.BLUE,
    "openSMILE (estimated)": plots.GREEN,
    "Whisper base": plots.VERMILLION,
    "Whisper base + mel filters": plots.PURPLE,
}
# Its operations are not documented; docs/energy.md says how they are estimated.
ESTIMATED = {"opensmile_compare": 0.141}  # mJ for 4.55 s


def front_end(backbone):
    """Names a backbone as the legend does.

    Arguments
    ---------
    backbone : str
        A record's.

    Returns
    -------
    str

    Example
    -------
    >>> front_end("whisper-base-L2-audio+fbank")
    'Whisper base + mel filters'
    """
    if backbone.startswith("whisper-base"):
        both = backbone.endswith("+fbank")
        return "Whisper base + mel filters" if both else "Whisper base"
    if backbone.startswith("opensmile"):
        return "openSMILE (estimated)"
    return "mel filters"


def points(records, corpus, protocol):
    """The heads of a condition whose total energy is known.

    Arguments
    ---------
    records : iterable of Record
        Of docs/results.
    corpus, protocol : str
        The condition.

    Returns
    -------
    list of tuple
        (float, float, str, str): mJ for 4.55 s, WA, front-end and head's
        file, the cheapest first. Of several runs of the same head on the
        same backbone, that of the most seeds.
    """
    found = {}
    for record in records:
        is_here = record.condition[:2] == (corpus, protocol)
        if not is_here or record.set not in SETS:
            continue
        for row in record.rows:
            values, head = row.values, Path(row.head).name
            if head not in HEADS or not is_whole(values) or not values.energy:
                continue
            energy, backbone = values.energy, record.backbone
            total = energy.total_mJ
            if backbone in ESTIMATED:
                total = energy.mJ + ESTIMATED[backbone]
            if total is None:
                continue
            point = (total, values.WA, front_end(backbone), head)
            key = backbone, head
            found[key] = max(found.get(key, (0,)), (len(values.seeds), point))
    return sorted(point for _, point in found.values())


def best(found):
    """The points above which nothing lies that costs as much or less.

    Arguments
    ---------
    found : list of tuple
        Of :func:`points`.

    Returns
    -------
    list of tuple
        The same, the cheapest first.

    Example
    -------
    >>> best([(1, 0.5), (2, 0.4), (3, 0.6)])
    [(1, 0.5), (3, 0.6)]
    """
    front = []
    for point in found:
        if not front or point[1] > front[-1][1]:
            front.append(point)
    return front


def draw(records):
    """Draws the figure.

    Arguments
    ---------
    records : iterable of Record
        Of docs/results.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = Figure((2 * plots.WIDTH, 6.6), layout="constrained")
    panels = figure.subplots(2, 2, sharex=True, sharey=True).flat
    for axes, (corpus, protocol) in zip(panels, PANELS, strict=True):
        found = points(records, corpus, protocol)
        front = best(found)
        axes.plot(
            [mJ for mJ, *_ in front],
            [accuracy for _, accuracy, *_ in front],
            color=plots.LIGHT,
            drawstyle="steps-post",
            zorder=0,
        )
        for mJ, accuracy, backbone, head in found:
            axes.plot(
                mJ,
                accuracy,
                marker=HEADS[head][1],
                color=COLOURS[backbone],
                markersize=7 if HEADS[head][1] in "*P" else 5,
                alpha=0.85,
                linestyle="none",
            )
        kind = "known" if protocol == "random" else "unseen"
        axes.set_title(f"{corpus}, {kind} speakers")
        axes.set_xscale("log")
        axes.grid(color=plots.LIGHT, linewidth=0.5)
        axes.yaxis.set_major_formatter(PercentFormatter(1))
    for axes in figure.axes[-2:]:
        axes.set_xlabel("mJ for 4.55 s, front-end and head")
    for axes in figure.axes[::2]:
        axes.set_ylabel("WA")
    keys = [
        *(
            axes.plot([], [], "o", color=colour, label=name)[0]
            for name, colour in COLOURS.items()
        ),
        *(
            axes.plot([], [], marker, color=plots.GREY, label=name)[0]
            for name, marker in HEADS.values()
        ),
    ]
    figure.legend(handles=keys, loc="outside lower center", ncols=3)
    return figure


def main():
    """The command."""
    records = read_records(FOLDER).values()
    with matplotlib.rc_context(plots.STYLE):
        draw(records).savefig(PICTURE, metadata={"Date": None})
    for panel in PANELS:
        for mJ, accuracy, backbone, head in points(records, *panel):
            print(
                f"{', '.join(panel)}: {mJ:8.4f} mJ  {100 * accuracy:.1f} %  "
                f"{HEADS[head][0]} on {backbone}"
            )


if __name__ == "__main__":
    main()
