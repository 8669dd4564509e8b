"""Manifests, the tables of a corpus: those of users are read, ours written.

Users write CSV in a spreadsheet or JSON in a program. A run writes its
``manifest.json`` in SpeechBrain's form.
"""

import csv
import json
from collections import Counter
from dataclasses import asdict
from io import StringIO
from pathlib import Path

from speechbrain_ptssnn.corpora.common import Utterance
from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.utils.files import read_json, write_text


def write_manifest(path, utterances):
    """Writes SpeechBrain's JSON manifest, ``{id: {wav, speaker, ...}}``.

    Arguments
    ---------
    path : str or Path
        The file; ``DynamicItemDataset.from_json`` reads it.
    utterances : list of Utterance
        The rows, in this order.
    """
    rows = {}
    for utterance in utterances:
        row = asdict(utterance)
        rows[row.pop("id")] = row
    write_text(path, json.dumps(rows, indent=1, ensure_ascii=False))


def read_utterances(path):
    """Reads what :func:`write_manifest` wrote.

    Arguments
    ---------
    path : Path
        The file.

    Returns
    -------
    list of Utterance
        In the order of the file.

    Example
    -------
    >>> path = getfixture("tmp_path") / "manifest.json"
    >>> utterances = [Utterance("a", "a.wav", "Anna", "calm", 1.0)]
    >>> write_manifest(path, utterances)
    >>> read_utterances(path) == utterances
    True
    """
    return [Utterance(id=id, **row) for id, row in read_json(path).items()]


def read_manifest(path):
    r"""Reads a user's table: a CSV file with a header, or a JSON file.

    The cells of a CSV file are separated by commas, semicolons or tabs; it
    may begin with a byte order mark. JSON is a list of objects, or
    SpeechBrain's ``{id: {...}}``, whose keys become the column ``id``.

    Arguments
    ---------
    path : str or Path
        The file, UTF-8; unless its name ends in ``.json`` it is CSV.

    Returns
    -------
    list of tuple
        (location, row). The location is "row 2" as a spreadsheet counts, or
        "item 1". The row is a dict from each column of the table, in lower
        case, to the cell's text.

    Raises
    ------
    InputError
        If the file cannot be read; the message names the row.

    Example
    -------
    >>> path = getfixture("tmp_path") / "a.csv"
    >>> _ = path.write_text("Path;Label\na.wav;calm\n")
    >>> read_manifest(path)
    [('row 2', {'path': 'a.wav', 'label': 'calm'})]
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: is not UTF-8 text; save it as 'CSV UTF-8', or as JSON"
        ) from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error})") from error
    if path.suffix.lower() == ".json":
        return _read_json(path, text)
    return _read_csv(path, text)


def _read_csv(path, text):
    first = text.lstrip().partition("\n")[0]
    lines = csv.reader(
        StringIO(text), delimiter=max(",;\t", key=first.count), strict=True
    )
    header, rows = None, []
    try:
        for number, cells in enumerate(lines, 1):
            cells = [cell.strip() for cell in cells]
            if not any(cells):
                continue
            if header is None:
                header = [name.lower() for name in cells]
                _check_unique(path, filter(None, header))
                continue
            if len(cells) != len(header):
                raise InputError(
                    f"{path}, row {number}: has {len(cells)} cells, the "
                    f"header {len(header)}; put text that contains a "
                    "separator in quotes"
                )
            row = dict(zip(header, cells, strict=True))
            rows.append((f"row {number}", row))
    except csv.Error as error:
        raise InputError(f"{path}, line {lines.line_num}: {error}") from error
    return rows


def _read_json(path, text):
    def unique(pairs):
        _check_unique(path, (name for name, _ in pairs))
        return dict(pairs)

    try:
        items = json.loads(text, object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        raise InputError(f"{path}: is not JSON ({error})") from error
    if isinstance(items, dict):
        items = [
            {**row, "id": name} if isinstance(row, dict) else row
            for name, row in items.items()
        ]
    if not isinstance(items, list) or not all(
        isinstance(row, dict) for row in items
    ):
        raise InputError(
            f"{path}: is neither a list of objects nor like {{id: {{...}}}}"
        )
    rows = [
        {
            name.lower(): "" if cell is None else str(cell).strip()
            for name, cell in row.items()
        }
        for row in items
    ]
    columns = {name: "" for row in rows for name in row}
    return [
        (f"item {number}", {**columns, **row})
        for number, row in enumerate(rows, 1)
    ]


def _check_unique(path, names):
    for name, count in Counter(names).items():
        if count > 1:
            raise InputError(f"{path}: {name!r} occurs {count} times")
