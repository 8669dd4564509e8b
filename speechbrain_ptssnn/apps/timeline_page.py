"""A timeline as one HTML file, to be looked at and listened to."""

import os
from io import BytesIO
from itertools import groupby
from pathlib import Path
from urllib.parse import quote

import numpy as np
import soundfile

from speechbrain_ptssnn.audio import MonoAudio
from speechbrain_ptssnn.audio.blocks import LongAudio, resample_blocks
from speechbrain_ptssnn.report.html import data_uri, render

ROW = 60  # seconds of a line of the page
POINTS = 600  # of a line's waveform
STRIP = 300  # seconds from which on there is a strip of the whole recording
LEVELS = 10  # shades of a posterior
# Okabe and Ito's colours, which the colour-blind can tell apart, and the
# colour of letters on them.
COLOURS = (
    *(("#E69F00", "#000"), ("#56B4E9", "#000"), ("#009E73", "#000")),
    *(("#F0E442", "#000"), ("#0072B2", "#fff"), ("#D55E00", "#000")),
    *(("#CC79A7", "#000"), ("#999999", "#000")),
)
# Audio inside the page: MP3, which every browser plays. A constant bit rate
# lets them jump to the right place, and 40 kbit/s is the lowest whose frames
# hold the encoder's delay. Half an hour makes 12 MB of page, which mail still
# takes. Longer recordings are read from where they are.
EMBEDDED = 1800  # seconds
ENCODING = {
    "format": "MP3",
    "subtype": "MPEG_LAYER_III",
    "bitrate_mode": "CONSTANT",
    "compression_level": 0.8,
}
SAMPLE_RATE = 16000


def as_html(timeline, folder):
    """Writes a timeline as a page.

    Arguments
    ---------
    timeline : Timeline
        Of :func:`~speechbrain_ptssnn.apps.timeline.timeline`.
    folder : Path
        Where the page will be, for its link to a long recording.

    Returns
    -------
    str
        HTML.
    """
    classes = _classes(timeline)
    return render(
        "timeline.html",
        __package__,
        timeline=timeline,
        name=Path(timeline.path).name,
        classes=classes,
        colours=COLOURS,
        rows=_rows(timeline, classes),
        overview=[
            _shares(timeline, track, classes)
            for track in timeline.tracks
            if timeline.seconds >= STRIP
        ],
        speech=_seconds(timeline, "speech"),
        audio=_audio(timeline, folder),
        data=_data(timeline, classes),
        clock=clock,
    )


def clock(seconds, digits=0):
    """Writes a time for people.

    Example
    -------
    >>> clock(75), clock(3675.04, 1), clock(59.96, 1)
    ('1:15', '1:01:15.0', '1:00.0')
    """
    ticks = round(seconds * 10**digits)
    whole, rest = divmod(ticks, 10**digits)
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    text = f"{hours}:{minute:02}" if hours else f"{minute}"
    fraction = f".{rest:0{digits}}" if digits else ""
    return f"{text}:{second:02}{fraction}"


def codes(labels):
    """Returns a short name for each label, one letter if it can be.

    Example
    -------
    >>> codes(["anger", "joy", "sadness", "surprise"])
    ['A', 'J', 'Sa', 'Su']
    >>> codes(["happy", "happy-loud"])
    ['1', '2']
    """
    for n in (1, 2, 3):
        short = [label.strip()[:n].capitalize() for label in labels]
        if len(set(short)) == len(labels):
            break
    else:
        return [str(k) for k in range(1, len(labels) + 1)]
    return [
        next(
            each[:m]
            for m in range(1, n + 1)
            if sum(other[:m] == each[:m] for other in short) == 1
        )
        for each in short
    ]


def _classes(timeline):
    """Each class, and labels that are none, such as "unsure": short name,
    colour and hatching, and its share of the speech.
    """
    seconds = dict.fromkeys(timeline.labels, 0.0)
    for track in timeline.tracks:
        for each in track.segments:
            seconds.setdefault(each.label, 0.0)
            seconds[each.label] += each.end - each.start
    total = sum(seconds.values()) or 1.0
    short = codes(timeline.labels)
    result = {}
    for k, (label, part) in enumerate(seconds.items()):
        is_class = k < len(short)
        n = len(COLOURS)
        result[label] = {
            "code": short[k] if is_class else "?",
            "style": f"k{k % n} h{(k + k // n) % n}" if is_class else "none",
            "seconds": part,
            "share": part / total,
        }
    return result


def _seconds(timeline, what):
    return sum(
        end - start
        for track in timeline.tracks
        for start, end in getattr(track, what)
    )


def _rows(timeline, classes):
    """Lines of a minute; minutes in a row without speech are one line."""
    n_rows = max(1, -(-round(1000 * timeline.seconds) // (1000 * ROW)))
    ends = [
        (k * ROW, min((k + 1) * ROW, timeline.seconds)) for k in range(n_rows)
    ]

    def is_silent(row):
        return not any(
            start < row[1] and end > row[0]
            for track in timeline.tracks
            for start, end in track.speech
        )

    rows = []
    for silent, group in groupby(ends, is_silent):
        lines = list(group)
        if silent and len(lines) > 1:
            rows.append(
                {"start": lines[0][0], "end": lines[-1][1], "lanes": []}
            )
            continue
        for start, end in lines:
            lanes = [
                _lane(timeline, track, start, end, classes)
                for track in timeline.tracks
            ]
            rows.append({"start": start, "end": end, "lanes": lanes})
    for row in rows:
        whole = min(ROW, timeline.seconds) or 1
        length = row["end"] - row["start"]
        row["width"] = 100 * length / whole if row["lanes"] else 100
    return rows


def _lane(timeline, track, start, end, classes):
    points = track.envelope
    rate = len(points) / timeline.seconds if timeline.seconds else 0
    return {
        "channel": track.channel,
        "wave": _wave(
            points[round(start * rate) : round(end * rate)],
            float(np.abs(points).max(initial=1e-4)),
        ),
        "pieces": _pieces(track.segments, start, end, classes),
        "heat": _heat(timeline, track, start, end),
        "milliseconds": round(1000 * (end - start)),
    }


def _wave(points, peak):
    """The outline of a waveform, 0 to 100 high."""
    if not len(points):
        return {"width": 1, "path": ""}
    size = -(-len(points) // POINTS)
    starts = np.arange(0, len(points), size)
    low = np.minimum.reduceat(points[:, 0], starts) / peak
    high = np.maximum.reduceat(points[:, 1], starts) / peak
    top = np.round(49 - 48 * high).astype(int)
    bottom = np.round(51 - 48 * low).astype(int)
    there = [f"{x} {y}" for x, y in enumerate([*top, top[-1]])]
    back = [f"{x} {y}" for x, y in enumerate([*bottom, bottom[-1]])][::-1]
    return {"width": len(starts), "path": f"M{'L'.join([*there, *back])}z"}


def _pieces(segments, start, end, classes):
    """The parts of segments between two times; left and width in percent."""
    length = (end - start) or 1
    pieces = []
    for k, each in enumerate(segments):
        left, right = max(each.start, start), min(each.end, end)
        if left >= right:
            continue
        pieces.append(
            {
                "number": k,
                "left": 100 * (left - start) / length,
                "width": 100 * (right - left) / length,
                "is_first": each.start >= start,
                "segment": each,
                "posterior": each.posteriors.get(each.label),
                "class": classes[each.label],
            }
        )
    return pieces


def _shares(timeline, track, classes):
    """For each minute the classes' shares of its speech, one above the other;
    places and sizes in percent.
    """
    length, bars = timeline.seconds or 1, {}
    for each in track.segments:
        start = each.start
        while start < each.end:
            minute = int(start // ROW)
            end = min(each.end, (minute + 1) * ROW)
            bar = bars.setdefault(minute, dict.fromkeys(classes, 0.0))
            bar[each.label] += end - start
            start = end
    result = []
    for minute, bar in sorted(bars.items()):
        width = min(ROW, timeline.seconds - minute * ROW)
        bottom = 0.0
        for label, seconds in bar.items():
            if seconds:
                height = 100 * seconds / sum(bar.values())
                result.append(
                    {
                        "style": classes[label]["style"],
                        "left": 100 * minute * ROW / length,
                        "width": 100 * width / length,
                        "bottom": bottom,
                        "height": height,
                    }
                )
                bottom += height
    return result


def _heat(timeline, track, start, end):
    """A line for each class, darker where its posterior is larger: (shade,
    path), in milliseconds from left to right.
    """
    paths = {}
    for step in track.steps:
        left, right = (
            round(1000 * (min(max(time, start), end) - start))
            for time in (step.start, step.end)
        )
        if left >= right:
            continue
        for k, label in enumerate(timeline.labels):
            level = round(LEVELS * step.posteriors[label])
            if level:
                paths.setdefault(level, []).append(
                    f"M{left} {k}.1h{right - left}v.8H{left}z"
                )
    return [(level / LEVELS, "".join(paths[level])) for level in sorted(paths)]


def _data(timeline, classes):
    """What the script needs: the steps, with posteriors in percent."""
    names = list(classes)
    return {
        "seconds": timeline.seconds,
        "names": names,
        "tracks": [
            [
                [
                    round(step.start, 3),
                    round(step.end, 3),
                    names.index(step.label),
                    *(round(100 * p) for p in step.posteriors.values()),
                ]
                for step in track.steps
            ]
            for track in timeline.tracks
        ],
    }


def _audio(timeline, folder):
    """What the player plays, and whether it is in the page."""
    n_tracks = len(timeline.tracks)
    is_embedded = (
        timeline.seconds <= EMBEDDED
        and n_tracks <= 2  # as many as MP3 has channels
        and "MP3" in soundfile.available_formats()
    )
    if not is_embedded:
        path = os.path.relpath(timeline.path, folder).replace(os.sep, "/")
        return {"src": quote(path), "is_embedded": False}
    source = LongAudio(timeline.path)
    source.frames = min(
        source.frames, round(timeline.seconds * source.sample_rate)
    )
    mono = MonoAudio(SAMPLE_RATE)
    channels = [
        resample_blocks(source.channel(track.channel), source.sample_rate, mono)
        for track in timeline.tracks
    ]
    content = BytesIO()
    with soundfile.SoundFile(
        content, "w", SAMPLE_RATE, n_tracks, **ENCODING
    ) as file:
        for blocks in zip(*channels, strict=True):
            file.write(np.stack(blocks, 1).clip(-1, 1))
    uri = data_uri("audio/mpeg", content.getvalue())
    return {"src": uri, "is_embedded": True}
