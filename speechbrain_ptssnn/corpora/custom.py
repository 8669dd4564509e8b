"""Your own corpus: a manifest, which is a table with a row per utterance, or
a database in audformat.

The table needs the columns ``path`` and ``label``; docs/own_corpus.md
lists the others. The run's YAML sets the corpus's name and, in ``label_map``,
its labels in index order. A table with other names of columns is read with
``columns``, and with its files in another folder with ``audio_folder``.
"""

import json
import math
import os
import re
import unicodedata
from collections import defaultdict
from functools import cache, partial
from pathlib import Path

from speechbrain.utils.logger import get_logger

from speechbrain_ptssnn.audio import audio_seconds
from speechbrain_ptssnn.corpora.checks import warn_of_similar_names
from speechbrain_ptssnn.corpora.common import Corpus, Utterance
from speechbrain_ptssnn.corpora.databases import Database, is_database
from speechbrain_ptssnn.corpora.manifests import clean_cell, read_manifest
from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.utils.long_lists import named
from speechbrain_ptssnn.utils.suggestions import suggestion

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
# Names in published tables, which an error proposes to map.
LIKELY_NAMES = {
    "path": "file file_name filename file_path filepath file_id fileid audio "
    "audio_file audio_path wav_path wav_file name utterance utterance_id",
    "label": "emotion emo emotion_label label_id class category target",
    "speaker": "speaker_id speakerid spk spk_id actor actor_id subject",
}
# Protocols split by these, so they must be filled in everywhere or nowhere.
ALL_OR_NONE = ("speaker", "session", "fold")
TOLERANCE = 0.05  # seconds by which tools disagree about a file's end
# Endings of audio files, to complete names that have none.
AUDIO = frozenset(
    (
        ".wav",
        ".flac",
        ".ogg",
        ".oga",
        ".opus",
        ".mp3",
        ".aif",
        ".aiff",
        ".aifc",
        ".au",
        ".snd",
        ".w64",
        ".rf64",
        ".caf",
        ".sph",
        ".nist",
        ".m4a",
        ".mp4",
        ".aac",
        ".wma",
        ".amr",
        ".webm",
    )
)


def custom_corpus(name, label_map, columns=None, audio_folder="", table=""):
    """Makes a corpus from its label map; the manifest is read later.

    Arguments
    ---------
    name : str
        As it is written in tables and in the paths of results.
    label_map : dict
        Has each label of the manifest as a key; see
        :func:`~speechbrain_ptssnn.corpora.common.classes_of`.
    columns : dict, optional
        From our name of a column to the table's.
    audio_folder : str
        Where relative paths of the table begin, itself relative to the
        table's folder; "" is the table's folder.
    table : str
        Of an audformat database; see
        :class:`~speechbrain_ptssnn.corpora.databases.Database`.

    Returns
    -------
    Corpus
        Its ``data_folder`` is the path of the manifest.

    Raises
    ------
    InputError
        If the map is empty, or ``columns`` has a name that is not ours.

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
    columns = dict(columns or {})
    for column in columns:
        if column not in (*NEEDED, *OPTIONAL):
            allowed = [*NEEDED, *OPTIONAL]
            raise InputError(
                f"columns: unknown name {column!r}"
                f"{suggestion(column, allowed)}; write ours first, one of "
                f"{allowed}, then the table's"
            )
    labels = tuple(label_map)
    read = partial(
        read_custom,
        labels=labels,
        columns=columns,
        audio_folder=audio_folder,
        table=table,
    )
    return Corpus(name, labels, read)


def read_custom(
    manifest,
    complete=True,
    labels=(),
    columns=None,
    audio_folder="",
    table="",
):
    """Lists the utterances of a manifest, sorted by id.

    Arguments
    ---------
    manifest : str or Path
        CSV or JSON, see
        :func:`~speechbrain_ptssnn.corpora.manifests.read_manifest`, or the
        folder of an audformat database.
    complete : bool
        Whether every label must occur.
    labels : tuple of str
        The labels that may occur.
    columns, audio_folder, table : dict, str, str
        As in :func:`custom_corpus`.

    Returns
    -------
    list of Utterance

    Raises
    ------
    InputError
        If a row, a label or an audio file cannot be used; the message names
        the row.
    """
    given, manifest = manifest, os.path.expanduser(manifest or "")
    if not is_database(manifest) and not os.path.isfile(manifest):
        raise InputError(
            f"--data_folder={given} is not a file: for your own corpus, "
            "set it to an audformat database's folder, or to the manifest, a "
            "CSV or JSON file with the columns path and label; see "
            "docs/own_corpus.md"
        )
    manifest = Path(manifest)
    if is_database(manifest):
        folder = manifest
        rows = Database(manifest, columns, table).rows()
    else:
        if table:
            raise InputError(
                f"table is for an audformat database, and {manifest} is none; "
                "leave it out"
            )
        folder = manifest.parent
        rows = _read_rows(manifest, columns or {})
    _check_filled(manifest, rows)
    folder = folder / os.path.expanduser(audio_folder or "")
    _check_labels(manifest, rows, labels, complete)
    paths = _find_files(manifest, folder, rows)
    seconds = _read_headers(manifest, rows, paths)
    utterances = [
        _utterance(f"{manifest}, {location}", row, path, seconds[path])
        for (location, row), path in zip(rows, paths, strict=True)
    ]
    _check_ids(manifest, rows, utterances)
    warn_of_similar_names(manifest, utterances)
    return sorted(utterances, key=lambda utterance: utterance.id)


def _read_rows(manifest, columns):
    rows = read_manifest(manifest)
    if not rows:
        raise InputError(f"{manifest}: has no utterance")
    found = list(rows[0][1])
    sources = _sources(manifest, found, columns)
    rows = [
        (
            location,
            {
                name: clean_cell(name, row[source])
                for name, source in sources.items()
            },
        )
        for location, row in rows
    ]
    unused = sorted({*found} - {*sources.values(), ""})
    if unused:
        free = {*OPTIONAL} - {*sources}
        logger.warning(
            "%s: columns that are not used: %s",
            manifest,
            ", ".join(f"{name!r}{suggestion(name, free)}" for name in unused),
        )
    return rows


def _check_filled(manifest, rows):
    for name in (*NEEDED, *ALL_OR_NONE):
        empty = [location for location, row in rows if not row.get(name)]
        if empty and (name in NEEDED or len(empty) < len(rows)):
            raise InputError(
                f"{manifest}: {name} is empty or says that it is not known in "
                f"{len(empty)} of {len(rows)} rows; fill it in, or delete "
                f"{'the rows or the column' if name in ALL_OR_NONE else 'them'}"
                f": {named(empty, f'rows without {name}')}"
            )
    if not any(row.get("speaker") for _, row in rows):
        logger.warning(
            "%s: has no speakers; random folds may test a speaker of the "
            "training set, so the accuracy does not hold for new speakers",
            manifest,
        )


def _sources(manifest, found, columns):
    """Returns from each of our columns to the table's column for it."""
    sources = {}
    for name in found:
        ours = OTHER_NAMES.get(name, name)
        if ours in columns or ours not in (*NEEDED, *OPTIONAL):
            continue
        if ours in sources:
            raise InputError(
                f"{manifest}: {sources[ours]!r} and {name!r} are the same; "
                "keep one"
            )
        sources[ours] = name
    for name, source in columns.items():
        source = str(source).strip().lower()
        if source not in found:
            raise InputError(
                f"{manifest}: has no column {source!r}, which columns names "
                f"for {name}{suggestion(source, found)}; it has {found}"
            )
        sources[name] = source
    lacking = [name for name in NEEDED if name not in sources]
    if lacking:
        raise InputError(
            f"{manifest}: has no column {' and no column '.join(lacking)}, but "
            f"{found}; rename them, or add this line to your YAML: "
            f"{_proposal(found, {**columns, **_names_alone(sources)})}"
        )
    return sources


def _names_alone(sources):
    """Leaves out the columns that already have our names."""
    return {
        name: source
        for name, source in sources.items()
        if OTHER_NAMES.get(source, source) != name
    }


def _proposal(found, known):
    """Writes the line of YAML that maps a table's columns, as far as known."""
    columns = dict(known)
    for name, likely in LIKELY_NAMES.items():
        there = [each for each in likely.split() if each in found]
        if name not in (*found, *columns) and (there or name in NEEDED):
            columns[name] = there[0] if there else "YOUR_COLUMN"
    return f"columns: {{{', '.join(map(': '.join, _quoted(columns)))}}}"


def _quoted(columns):
    for name, source in columns.items():
        is_plain = re.fullmatch(r"[^\W\d][\w ]*\w", source)
        yield name, source if is_plain else json.dumps(source)


def _check_labels(manifest, rows, labels, complete):
    unknown = [
        f"{location}: {row['label']!r}"
        for location, row in rows
        if row["label"] not in labels
    ]
    if unknown:
        raise InputError(
            f"{manifest}: {len(unknown)} of {len(rows)} rows have a label that "
            f"is not in label_map, which has {list(labels)}: "
            f"{named(unknown, 'rows with an unknown label')}"
        )
    there = {row["label"] for _, row in rows}
    absent = [label for label in labels if label not in there]
    if complete and absent:
        raise InputError(
            f"{manifest}: no utterance has the labels {absent} of label_map; "
            "remove them from it, or give --complete=False"
        )


def _find_files(manifest, folder, rows):
    paths, missing, several = [], [], []
    audio_in = cache(_audio_by_stem)
    for location, row in rows:
        found = _find_file(folder, row["path"], audio_in)
        if len(found) == 1:
            paths.append(found[0])
        elif found:
            names = ", ".join(Path(path).name for path in found)
            several.append(f"{row['path']} ({location}: {names})")
        else:
            missing.append(f"{row['path']} ({location})")
    if missing:
        raise InputError(
            f"{manifest}: of {len(rows)} audio files {len(missing)} are "
            f"missing: {named(missing, 'missing audio files')}; relative paths "
            f"start from {folder.absolute()}{_folder_hint(folder, missing)}"
        )
    if several:
        raise InputError(
            f"{manifest}: {len(several)} names without an ending fit several "
            "audio files; write the ending: "
            f"{named(several, 'names that fit several files')}"
        )
    return paths


def _folder_hint(folder, missing):
    """Proposes the folder in which the first missing file is, if there is."""
    path = missing[0].rpartition(" (")[0]
    if os.path.isabs(os.path.expanduser(path)) or not folder.is_dir():
        return "; set another folder with audio_folder" * (not folder.is_dir())
    for inner in sorted(folder.glob("*/")):
        if _find_file(inner, path, _audio_by_stem):
            return f"; write audio_folder: {inner.name} in your YAML"
    return ""


def _find_file(folder, path, audio_in):
    """Lists the files that a path may mean: one, if all is well."""
    path = os.path.expanduser(path)
    # macOS archives may write é as two characters, spreadsheets as one.
    forms = (path, *(unicodedata.normalize(f, path) for f in ("NFC", "NFD")))
    for form in forms:
        if (folder / form).is_file():
            return [str(folder / form)]
    for form in forms:
        whole = folder / form
        found = audio_in(whole.parent).get(whole.name, [])
        if found:
            return [str(whole.with_name(name)) for name in found]
    return []


def _audio_by_stem(folder):
    found = defaultdict(list)
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return found
    for name in names:
        stem, ending = os.path.splitext(name)
        if ending.lower() in AUDIO and not name.startswith("._"):
            found[stem].append(name)
    return found


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
            f"{named(bad.values(), 'unusable audio files')}"
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
    name = Path(row["path"])
    if name.suffix and name.suffix == Path(path).suffix:
        name = name.with_suffix("")
    name = name.as_posix()
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
    locations, twice = {}, []
    for (location, _), utterance in zip(rows, utterances, strict=True):
        other = locations.setdefault(utterance.id, location)
        if other != location:
            twice.append(f"{location}: id {utterance.id!r} of {other}")
    if twice:
        raise InputError(
            f"{manifest}: {len(twice)} of {len(rows)} rows have the id of "
            "another; remove one of each, or add a column id with unique ids: "
            f"{named(twice, 'rows with the id of another')}"
        )


def _configure(settings):
    name = settings.document["corpus"]
    folder, labels, columns, audio_folder, table = map(
        settings.value,
        ("data_folder", "label_map", "columns", "audio_folder", "table"),
    )
    name = str(name) if isinstance(name, str | int) else ""
    if is_database(folder):
        database = Database(folder, columns, table)
        name, labels = name or database.name, labels or database.labels()
    name = name or "Custom"
    return custom_corpus(name, labels, columns, audio_folder, table)


CORPUS = Corpus(
    "Custom",
    (),
    read_custom,
    configure=_configure,
    description="your own corpus: audio and a CSV, JSON or audformat table",
)
