"""Timelines in the formats of spreadsheets, Praat, Audacity and diarization."""

import csv
import json
import re
from dataclasses import asdict
from io import StringIO
from pathlib import Path


def as_csv(timeline):
    r"""The posteriors over time, a row a step.

    Arguments
    ---------
    timeline : Timeline
        Of :func:`~speechbrain_ptssnn.apps.timeline.timeline`.

    Returns
    -------
    str
        Columns channel (from 0), start and end in seconds, label and one
        ``p_<class>`` a class.
    """
    stream = StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    names = [f"p_{label}" for label in timeline.labels]
    writer.writerow(["channel", "start", "end", "label", *names])
    for track in timeline.tracks:
        for step in track.steps:
            values = (f"{p:.6f}" for p in step.posteriors.values())
            times = (f"{time:.3f}" for time in (step.start, step.end))
            writer.writerow([track.channel, *times, step.label, *values])
    return stream.getvalue()


def as_json(timeline):
    """Everything but the waveform.

    Arguments
    ---------
    timeline : Timeline
        Of :func:`~speechbrain_ptssnn.apps.timeline.timeline`.

    Returns
    -------
    str
        An object with the keys of ``Timeline``, and in ``tracks`` those of
        ``Track``.
    """
    content = asdict(timeline)
    for track in content["tracks"]:
        del track["envelope"]
        track["speech"] = [
            {"start": start, "end": end} for start, end in track["speech"]
        ]
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def as_textgrid(timeline):
    """The segments as interval tiers of Praat, one a track.

    Between the segments stand empty intervals, as Praat wants them.

    Arguments
    ---------
    timeline : Timeline
        Of :func:`~speechbrain_ptssnn.apps.timeline.timeline`.

    Returns
    -------
    str
        A TextGrid in the long text format.
    """
    # Times are whole milliseconds, so that intervals meet exactly.
    total = max(1, round(1000 * timeline.seconds))
    lines = [
        'File type = "ooTextFile"',
        'Object class = "TextGrid"',
        "",
        "xmin = 0",
        f"xmax = {total / 1000}",
        "tiers? <exists>",
        f"size = {len(timeline.tracks)}",
        "item []:",
    ]
    for k, track in enumerate(timeline.tracks, 1):
        intervals, at = [], 0
        for segment in track.segments:
            start, end = (
                min(round(1000 * time), total)
                for time in (segment.start, segment.end)
            )
            if at < start:
                intervals.append((at, start, ""))
            intervals.append((start, end, segment.label))
            at = end
        if at < total:
            intervals.append((at, total, ""))
        lines += [
            f"    item [{k}]:",
            '        class = "IntervalTier"',
            f"        name = {_quoted(_tier(timeline, track))}",
            "        xmin = 0",
            f"        xmax = {total / 1000}",
            f"        intervals: size = {len(intervals)}",
        ]
        for n, (start, end, label) in enumerate(intervals, 1):
            lines += [
                f"        intervals [{n}]:",
                f"            xmin = {start / 1000}",
                f"            xmax = {end / 1000}",
                f"            text = {_quoted(label)}",
            ]
    return "\n".join(lines) + "\n"


def _quoted(text):
    return '"' + text.replace('"', '""') + '"'


def _tier(timeline, track):
    if len(timeline.tracks) == 1:
        return "emotion"
    return f"emotion, channel {track.channel}"


def as_audacity(timeline):
    r"""The segments as labels of Audacity (File, Import, Labels).

    Arguments
    ---------
    timeline : Timeline
        Of :func:`~speechbrain_ptssnn.apps.timeline.timeline`.

    Returns
    -------
    str
        Start, end and label, with tabs between, a line a segment. Of several
        channels the label begins with the channel.
    """
    rows = sorted(
        (segment.start, segment.end, track.channel, segment.label)
        for track in timeline.tracks
        for segment in track.segments
    )
    several = len(timeline.tracks) > 1
    return "".join(
        f"{start:.6f}\t{end:.6f}\t"
        + (f"{channel}: " if several else "")
        + " ".join(label.split())
        + "\n"
        for start, end, channel, label in rows
    )


def as_rttm(timeline):
    """The segments as Rich Transcription Time Marked, the format of speaker
    diarization, with the label in the place of the speaker.

    Arguments
    ---------
    timeline : Timeline
        Of :func:`~speechbrain_ptssnn.apps.timeline.timeline`.

    Returns
    -------
    str
        A line a segment; channels are counted from 1, as the format does.
        Spaces in names become ``_``.
    """
    name = _word(Path(timeline.path).stem)
    return "".join(
        f"SPEAKER {name} {track.channel + 1} {segment.start:.3f} "
        f"{segment.end - segment.start:.3f} <NA> <NA> {_word(segment.label)} "
        "<NA> <NA>\n"
        for track in timeline.tracks
        for segment in track.segments
    )


def _word(text):
    return re.sub(r"\s+", "_", text.strip()) or "_"


# The writers of text, and how their files end.
WRITERS = {
    "csv": (as_csv, ".csv"),
    "json": (as_json, ".json"),
    "textgrid": (as_textgrid, ".TextGrid"),
    "audacity": (as_audacity, ".txt"),
    "rttm": (as_rttm, ".rttm"),
}
