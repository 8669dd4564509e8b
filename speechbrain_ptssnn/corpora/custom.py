"""Your own corpus: a manifest, which is a table with a row per utterance.

The table needs the columns ``path`` and ``label``; docs/own_corpus.md
lists the others. The run's YAML sets the corpus's name and, in ``label_map``,
its labels in index order.
"""

import math
import unicodedata
from functools import partial
from pathlib import Path

from speechbrain.utils.logger import get_logger

from speechbrain_ptssnn.audio import audio_seconds
from speechbrain_ptssnn.corpora.common import Corpus, Utterance
from speechbrain_ptssnn.corpora.manifests import read_manifest
from speechbrain_ptssnn.errors import InputError

logger = get_logger(__name__)

NEEDED = ("path", "label")
OPTIONAL = (
    "id",
    "speaker",
    "session",
    "sex",
    "text",
    "sentence",
    "fold",
    "start",
    "end",
)
OTHER_NAMES = {"wav": "path", "split": "fold"}
# Protocols split by these, so they must be filled in everywhere or nowhere.
ALL_OR_NONE = ("speaker", "session", "fold")
TOLERANCE = 0.05  # seconds by which tools disagree about a file's end
NAMED = 3  # the number of missing or bad files that an error names


def custom_corpus(name, label_map):
    """Makes a corpus from its label map; the manifest is read later.

    Arguments
    ---------
    name : str
        As it is written in tables and in the paths of results.
    label_map : dict
        Has each label of the manifest as a key; see
        :func:`~speechbrain_ptssnn.corpora.common.classes_of`.

    Returns
    -------
    Corpus
        Its ``data_folder`` is the path of the manifest.

    Raises
    ------
    InputError
        If the map is empty.

    Example
    -------
    >>> custom_corpus("Cafe", {"ruhig": "calm", "laut": "angry"}).labels
    ('ruhig', 'laut')
    """
    if not label_map:
        raise InputError(
            f"{name}: label_map is not set; write each label of the "
            "manifest and its class, e.g. {calm: calm, angry: angry}"
        )
    labels = tuple(label_map)
    return Corpus(name, labels, partial(read_custom, labels=labels))


def read_custom(manifest, complete=True, labels=()):
    """Lists the utterances of a manifest, sorted by id.

    Arguments
    ---------
    manifest : str or Path
        CSV or JSON, see
        :func:`~speechbrain_ptssnn.corpora.manifests.read_manifest`. Relative
        paths in it start from its folder.
    complete : bool
        Whether every label must occur.
    labels : tuple of str
        The labels that may occur.

    Returns
    -------
    list of Utterance

    Raises
    ------
    InputError
        If a row, a label or an audio file cannot be used; the message names
        the row.
    """
    if not manifest or not Path(manifest).is_file():
        raise InputError(
            f"--data_folder={manifest} is not a file: for your own corpus, "
            "set it to the manifest, a CSV or JSON file with the columns "
            "path and label; see docs/own_corpus.md"
        )
    manifest = Path(manifest)
    rows = _read_rows(manifest)
    _check_labels(manifest, rows, labels, complete)
    paths = _find_files(manifest, rows)
    seconds = _read_headers(manifest, rows, paths)
    utterances = [
        _utterance(f"{manifest}, {location}", row, path, seconds[path])
        for (location, row), path in zip(rows, paths, strict=True)
    ]
    _check_ids(manifest, rows, utterances)
    return sorted(utterances, key=lambda utterance: utterance.id)


def _read_rows(manifest):
    rows = read_manifest(manifest)
    if not rows:
        raise InputError(f"{manifest}: has no utterance")
    found = list(rows[0][1])
    names = [OTHER_NAMES.get(name, name) for name in found]
    for name in NEEDED:
        if name not in names:
            raise InputError(
                f"{manifest}: has no column {name!r}, but {found}; rename one"
            )
    for other, name in OTHER_NAMES.items():
        if names.count(name) > 1:
            raise InputError(
                f"{manifest}: {other!r} and {name!r} are the same; keep one"
            )
    rows = [
        (location, dict(zip(names, row.values(), strict=True)))
        for location, row in rows
    ]
    for name in (*NEEDED, *ALL_OR_NONE):
        empty = [location for location, row in rows if not row.get(name)]
        if empty and (name in NEEDED or len(empty) < len(rows)):
            raise InputError(
                f"{manifest}, {empty[0]}: {name} is empty; fill it in, or "
                "delete the row" + (" or column" * (name in ALL_OR_NONE))
            )
    if not any(row.get("speaker") for _, row in rows):
        logger.warning(
            "%s: has no speakers; random folds may test a speaker of the "
            "training set, so the accuracy does not hold for new speakers",
            manifest,
        )
    unused = sorted({*names} - {*NEEDED, *OPTIONAL})
    if unused:
        logger.warning("%s: columns that are not used: %s", manifest, unused)
    return rows


def _check_labels(manifest, rows, labels, complete):
    for location, row in rows:
        if row["label"] not in labels:
            raise InputError(
                f"{manifest}, {location}: label {row['label']!r} is not in "
                f"label_map, which has {list(labels)}"
            )
    there = {row["label"] for _, row in rows}
    absent = [label for label in labels if label not in there]
    if complete and absent:
        raise InputError(
            f"{manifest}: no utterance has the labels {absent} of label_map; "
            "remove them from it, or give --complete=False"
        )


def _find_files(manifest, rows):
    paths = [_find_file(manifest.parent, row["path"]) for _, row in rows]
    missing = [
        f"{row['path']} ({location})"
        for (location, row), path in zip(rows, paths, strict=True)
        if path is None
    ]
    if missing:
        raise InputError(
            f"{manifest}: of {len(rows)} audio files {len(missing)} are "
            f"missing: {_some(missing)}; relative paths start from "
            f"{manifest.parent.absolute()}"
        )
    return paths


def _find_file(folder, path):
    # macOS archives may write é as two characters, spreadsheets as one.
    for form in (
        path,
        unicodedata.normalize("NFC", path),
        unicodedata.normalize("NFD", path),
    ):
        if (folder / form).is_file():
            return str(folder / form)
    return None


def _read_headers(manifest, rows, paths):
    seconds, bad = {}, {}
    for (location, _), path in zip(rows, paths, strict=True):
        if path in seconds or path in bad:
            continue
        try:
            seconds[path] = audio_seconds(path)
        except InputError as error:
            bad[path] = f"{location}, {error}"
    if bad:
        raise InputError(
            f"{manifest}: {len(bad)} audio files cannot be used: "
            f"{_some(list(bad.values()))}"
        )
    return seconds


def _utterance(where, row, path, seconds):
    start, end = (_seconds(where, row, name) for name in ("start", "end"))
    begins = start or 0.0
    ends = seconds if end is None else end
    if not 0 <= begins < ends <= seconds + TOLERANCE:
        raise InputError(
            f"{where}: start {begins} and end {ends} are not a part of "
            f"{path}, which lasts {seconds:.3f} s"
        )
    ends = min(ends, seconds)
    name = Path(row["path"]).with_suffix("").as_posix()
    is_part = begins > 0 or end is not None
    if is_part:
        name += f"_{row.get('start') or 0}-{row.get('end') or 'end'}"
    values = {key: row.get(key, "") for key in OPTIONAL[1:-2]}
    return Utterance(
        id=row.get("id") or name,
        wav=path,
        label=row["label"],
        duration=ends - begins,
        start=begins,
        end=ends if is_part else None,
        **values,
    )


def _seconds(where, row, name):
    text = row.get(name, "")
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(
            f"{where}: {name} {text!r} is not a number of seconds, like 3.25"
        )
    return value


def _check_ids(manifest, rows, utterances):
    locations = {}
    for (location, _), utterance in zip(rows, utterances, strict=True):
        other = locations.setdefault(utterance.id, location)
        if other != location:
            raise InputError(
                f"{manifest}, {location}: id {utterance.id!r} is also that of "
                f"{other}; remove one, or add a column id with unique ids"
            )


def _some(texts):
    return "; ".join(texts[:NAMED]) + "; and so on" * (len(texts) > NAMED)


def _configure(settings):
    name = settings.document["corpus"]
    return custom_corpus(
        str(name) if isinstance(name, str | int) else "Custom",
        settings.value("label_map"),
    )


CORPUS = Corpus(
    "Custom",
    (),
    read_custom,
    configure=_configure,
    description="your own corpus: audio files and a manifest in CSV or JSON",
)
