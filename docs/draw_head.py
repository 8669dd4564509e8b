"""Draws README's picture of the head, from waveform to label::

    python docs/draw_head.py

writes docs/head.svg. Colours are blue and orange, which colour-blind readers
tell apart, and shape says the same: dashed is frozen, ticks are spikes. The
picture has a background of its own and follows the reader's dark mode.
"""

import math
import random
from pathlib import Path

PICTURE = Path(__file__).resolve().with_name("head.svg")
WIDTH, HEIGHT = 1000, 326
AXIS = 86  # height of the line from waveform to label
BACKBONE = "emotion2vec,\nWavLM, Whisper,\nopenSMILE or\nmel filters"
ENCODER = "pool, saturate;\ntwice: shift,\nlinear layer,\nPLIF neurons"
ATTENTION = "frames and\nprompts share\ncontext, in\nlinear time"
CLASSIFIER = "PLIF neurons,\nlinear layer,\n1 PLIF neuron\nper emotion"
SIZE = "1.19 M parameters\n(with 768-dimensional features)"
SHADES = (0.12, 0.3, 0.55, 0.8)
# Class name to its colours in light and dark mode.
FILLS = {
    "page": ("#ffffff", "#0d1117"),
    "ink": ("#1f2328", "#e6edf3"),
    "quiet": ("#57606a", "#9da7b3"),
    "frozen": ("#eef1f4", "#21262d"),
    "trained": ("#fff3dc", "#3b2a0c"),
    "spike": ("#0072b2", "#56b4e9"),
    "plain": ("#8c959f", "#7d8590"),
}
STROKES = {
    "line": ("#57606a", "#9da7b3"),
    "frozen": ("#57606a", "#9da7b3"),
    "trained": ("#b35900", "#e69f00"),
    "wave": ("#1f2328", "#e6edf3"),
}


def style(mode):
    """CSS of one mode, 0 for light and 1 for dark."""
    rules = [f".{name}{{fill:{both[mode]}}}" for name, both in FILLS.items()]
    rules += [
        f".{name}-line{{stroke:{both[mode]};fill:none}}"
        for name, both in STROKES.items()
    ]
    return "".join(rules)


def text(x, y, words, size=14, kind="ink", anchor="middle", weight="normal"):
    """Lines of text, the first with its base line at y."""
    return "".join(
        f'<text class="{kind}" x="{x}" y="{y + 1.3 * size * k:g}" '
        f'font-size="{size}" text-anchor="{anchor}" '
        f'font-weight="{weight}">{line}</text>'
        for k, line in enumerate(words.split("\n"))
    )


def box(x, y, width, height, title, words, kind="trained"):
    """A part: its title, what is in it, dashed if it is frozen."""
    frame = f'x="{x}" y="{y}" width="{width}" height="{height}" rx="8"'
    dashes = ' stroke-dasharray="7 4"' if kind == "frozen" else ""
    centre = x + width / 2
    return (
        f'<rect class="{kind}" {frame}/>'
        f'<rect class="{kind}-line" {frame} stroke-width="2"{dashes}/>'
        + text(centre, y + 24, title, 16, weight="bold")
        + text(centre, y + 46, words)
    )


def arrow(*points):
    """A line through points with a head at its end."""
    path = " L".join(f"{x:g} {y:g}" for x, y in points)
    return (
        f'<path class="line-line" d="M{path}" stroke-width="2" '
        'marker-end="url(#tip)"/>'
    )


def waveform(x):
    """A waveform of 70 pixels."""
    points = []
    for k in range(141):
        loud = math.sin(math.pi * k / 140) * (0.55 + 0.45 * math.sin(k / 11))
        points.append(f"{x + k / 2:g},{AXIS - 34 * loud * math.sin(k):.1f}")
    return f'<polyline class="wave-line" points="{" ".join(points)}"/>'


def features(x):
    """Frames of real values: cells of several shades."""
    draw = random.Random(4)
    return "".join(
        f'<rect class="ink" x="{x + 9 * column}" y="{AXIS - 35 + 9 * row}" '
        f'width="8" height="8" opacity="{draw.choice(SHADES)}"/>'
        for column in range(7)
        for row in range(8)
    )


def spikes(x):
    """Neurons, one a row, that fire or do not."""
    draw = random.Random(6)
    return "".join(
        f'<rect class="spike" x="{x + 7 * column}" y="{AXIS - 35 + 12 * row}" '
        'width="3" height="9"/>'
        for row in range(6)
        for column in range(9)
        if draw.random() < 0.4
    )


def rates(x):
    """The output neurons' rates, the largest with its label."""
    bars = (("angry", 38), ("happy", 16), ("neutral", 7), ("sad", 11))
    parts = []
    for row, (label, width) in enumerate(bars):
        y = AXIS - 44 + 24 * row
        kind, weight = ("spike", "bold") if row == 0 else ("plain", "normal")
        parts.append(text(x, y + 12, label, 14, "ink", "start", weight))
        parts.append(
            f'<rect class="{kind}" x="{x + 54}" y="{y}" width="{width}" '
            'height="15"/>'
        )
    return "".join(parts)


def legend(x, y):
    """What the frames around the parts mean."""
    rows = (
        ("frozen", "frozen: used as published"),
        ("trained", f"trained: the head, {SIZE}"),
    )
    parts = []
    for row, (kind, words) in enumerate(rows):
        top = y + 34 * row
        frame = f'x="{x}" y="{top}" width="34" height="20" rx="4"'
        dashes = ' stroke-dasharray="5 3"' if kind == "frozen" else ""
        parts.append(
            f'<rect class="{kind}" {frame}/>'
            f'<rect class="{kind}-line" {frame} stroke-width="2"{dashes}/>'
            + text(x + 46, top + 15, words, 14, "quiet", "start")
        )
    return "".join(parts)


def picture():
    """Draws the picture.

    Returns
    -------
    str
        SVG.
    """
    top, height, under = 24, 124, 172  # of the boxes; the captions' line
    low = 240  # top of prompts and bias generator
    adder = 728  # where the bias is added
    parts = [
        waveform(16),
        text(51, under, "speech", kind="quiet"),
        arrow((90, AXIS), (108, AXIS)),
        box(110, top, 138, height, "Backbone", BACKBONE, "frozen"),
        arrow((250, AXIS), (266, AXIS)),
        features(268),
        text(299, under, "features, 50\nframes a second", kind="quiet"),
        arrow((333, AXIS), (349, AXIS)),
        box(351, top, 130, height, "Encoder", ENCODER),
        arrow((483, AXIS), (498, AXIS)),
        spikes(501),
        text(530, under, "spikes", kind="quiet"),
        arrow((563, AXIS), (578, AXIS)),
        box(580, top, 124, height, "Attention", ATTENTION),
        arrow((706, AXIS), (adder - 12, AXIS)),
        f'<circle class="line-line" cx="{adder}" cy="{AXIS}" r="11" '
        'stroke-width="2"/>',
        text(adder, AXIS + 6, "+", 18, weight="bold"),
        arrow((adder + 12, AXIS), (754, AXIS)),
        box(756, top, 118, height, "Classifier", CLASSIFIER),
        arrow((876, AXIS), (891, AXIS)),
        rates(893),
        text(942, under, "firing rates", kind="quiet"),
        box(462, low, 126, 64, "Prompts", "5 learnt tokens"),
        arrow((590, low + 32), (616, low + 32), (616, top + height + 3)),
        box(700, low, 150, 64, "Bias generator", "2 linear layers"),
        arrow((664, top + height + 2), (664, low + 32), (698, low + 32)),
        arrow((adder, low - 2), (adder, AXIS + 13)),
        text(adder + 10, low - 30, "bias voltage", 14, "quiet", "start"),
        legend(16, low + 5),
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} '
        f'{HEIGHT}" role="img" font-family="Helvetica, Arial, sans-serif">'
        "<title>PTS-SNN, from waveform to label</title>"
        f"<style>{style(0)}@media (prefers-color-scheme: dark)"
        f"{{{style(1)}}}</style>"
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" '
        'markerWidth="9" markerHeight="9" markerUnits="userSpaceOnUse" '
        'orient="auto"><path class="quiet" d="M0 0L8 4L0 8z"/></marker></defs>'
        f'<rect class="page" width="{WIDTH}" height="{HEIGHT}" rx="12"/>'
        + "\n".join(["", *parts, "</svg>", ""])
    )


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
