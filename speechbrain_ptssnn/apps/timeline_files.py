"""The files of timelines: their names, what they replace, what was heard."""

import os
from pathlib import Path

from speechbrain_ptssnn.apps.timeline_formats import WRITERS
from speechbrain_ptssnn.apps.timeline_page import as_html, clock
from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.utils.files import write_text
from speechbrain_ptssnn.utils.suggestions import suggestion

FORMATS = ("html", *WRITERS)
DEFAULT = "html,csv"


def check_formats(text):
    """Reads a list of formats.

    Arguments
    ---------
    text : str
        Names, with commas between.

    Returns
    -------
    list of str

    Raises
    ------
    InputError
        If there is no such format.

    Example
    -------
    >>> check_formats("html,rttm")
    ['html', 'rttm']
    """
    formats = list(dict.fromkeys(text.split(",")))
    for name in formats:
        if name not in FORMATS:
            raise InputError(
                f"--format: there is no format {name!r}"
                f"{suggestion(name, FORMATS)}; there are {', '.join(FORMATS)}"
            )
    return formats


def plan_files(recordings, formats, output_folder=None):
    """Names the files of each recording: ``<name>_timeline.<format>``, beside
    it or in one folder.

    Arguments
    ---------
    recordings : list of str
        The recordings.
    formats : list of str
        Of :func:`check_formats`.
    output_folder : str, optional
        Where they are written; by default beside each recording. It is made
        if it is not there.

    Returns
    -------
    dict
        Recording to a dict from format to path.

    Raises
    ------
    InputError
        If two recordings would have the same file, or a folder cannot be
        written to.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> plan = plan_files(["tapes/a.wav"], ["textgrid"], folder)
    >>> plan["tapes/a.wav"]["textgrid"].name
    'a_timeline.TextGrid'
    """
    if output_folder is not None:
        Path(output_folder).mkdir(parents=True, exist_ok=True)
    plan, owners = {}, {}
    for recording in dict.fromkeys(recordings):
        folder = Path(output_folder or Path(recording).parent)
        if not os.access(folder, os.W_OK):
            raise InputError(
                f"{folder}: cannot be written to; give another folder with "
                "--output_folder"
            )
        stem = folder / f"{Path(recording).stem}_timeline"
        if stem in owners:
            raise InputError(
                f"{owners[stem]} and {recording} would have the same files, "
                f"{stem}...; give them one at a time, each with an "
                "--output_folder of its own"
            )
        owners[stem] = recording
        plan[recording] = {
            name: stem.with_name(stem.name + _ending(name)) for name in formats
        }
    return plan


def _ending(name):
    return ".html" if name == "html" else WRITERS[name][1]


def write_files(timeline, files):
    """Writes a timeline.

    One that Ctrl-C ended gets names of its own, ``<name>_timeline_partial``,
    which go when it is complete.

    Arguments
    ---------
    timeline : Timeline
        Of :func:`~speechbrain_ptssnn.apps.timeline.timeline`.
    files : dict
        Format to path.

    Returns
    -------
    list of Path
        The files that were written.
    """
    written = []
    for name, path in files.items():
        partial = path.with_name(f"{path.stem}_partial{path.suffix}")
        if timeline.until is not None:
            path = partial
        if name == "html":
            text = as_html(timeline, path.parent)
        else:
            text = WRITERS[name][0](timeline)
        write_text(path, text)
        written.append(path)
        if path != partial:
            partial.unlink(missing_ok=True)
    return written


def summary(timeline):
    """Says what was heard, in a line.

    Arguments
    ---------
    timeline : Timeline
        Of :func:`~speechbrain_ptssnn.apps.timeline.timeline`.

    Returns
    -------
    str
        Such as "a.wav: speech in 0:12 of 1:00; calm 75 %, mad 25 %". With
        several tracks, each channel's speech is named, "speech in 0:12
        (channel 0), 0:50 (channel 1) of 1:00", since people may speak at the
        same time; the labels' shares are of all of it.
    """
    seconds, heard = {}, {}
    for track in timeline.tracks:
        heard[track.channel] = 0.0
        for each in track.segments:
            length = each.end - each.start
            seconds[each.label] = seconds.get(each.label, 0.0) + length
            heard[track.channel] += length
    total = sum(heard.values())
    speech = clock(total)
    if len(heard) > 1:
        speech = ", ".join(
            f"{clock(length)} (channel {channel})"
            for channel, length in heard.items()
        )
    shares = ", ".join(
        f"{label} {100 * seconds[label] / total:.0f} %"
        for label in sorted(seconds, key=seconds.get, reverse=True)
    )
    text = f"speech in {speech} of {clock(timeline.seconds)}"
    if timeline.until is not None:
        text += f", interrupted at {clock(timeline.until)}"
    return f"{timeline.path}: {text}{'; ' if shares else ''}{shares}"
