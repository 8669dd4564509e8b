"""Manifests, the tables of a corpus: those of users are read, ours written.

Users write CSV in a spreadsheet or JSON in a program. A run writes its
``manifest.json`` in SpeechBrain's form.
"""

import codecs
import csv
import json
import re
from collections import Counter
from dataclasses import asdict
from io import StringIO
from pathlib import Path

from speechbrain.utils.logger import get_logger

from speechbrain_ptssnn.corpora.common import Utterance
from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.utils.files import read_json, write_text
from speechbrain_ptssnn.utils.long_lists import named

logger = get_logger(__name__)

SEPARATORS = ",;\t|"
# Excel's first line, which a spreadsheet does not count as a row.
SEPARATOR_LINE = re.compile(
    r'"?sep=([^\r\n"])"?[^\S\t\r\n]*(?:\r\n?|\n|$)', re.I
)
INVISIBLE = "\ufeff\u200b"  # byte order mark, space without width
# How programs write an empty cell. "Nan" and "Na" are names of people.
EMPTY = frozenset(
    (
        "-",
        "--",
        "–",
        "—",
        "nan",
        "NaN",
        "NAN",
        "NaT",
        "none",
        "None",
        "NONE",
        "null",
        "Null",
        "NULL",
        "na",
        "NA",
        "n/a",
        "N/A",
        "#N/A",
        "#NA",
        "<NA>",
        "<na>",
    )
)
# Columns in which these may be meant: the label of no emotion, a text.
MAY_SAY_SO = ("label", "text")


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
    try:
        return [Utterance(id=id, **row) for id, row in read_json(path).items()]
    except (AttributeError, TypeError) as error:
        raise InputError(
            f"{path}: is no manifest of utterances ({error}); the training's "
            "command, given again, writes it"
        ) from error


def read_manifest(path):
    r"""Reads a user's table: a CSV file with a header, or a JSON file.

    The cells of a CSV file are separated by commas, semicolons, tabs or
    vertical bars. Before the header there may be a byte order mark, Excel's
    line ``sep=;``, and comments: lines that begin with "#" or have one cell
    only. JSON is a list of objects, or SpeechBrain's ``{id: {...}}``, whose
    keys become the column ``id``.

    Arguments
    ---------
    path : str or Path
        The file, UTF-8 or UTF-16; unless its name ends in ``.json`` it is CSV.

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
        text = _decode(path, path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error})") from error
    if path.suffix.lower() == ".json":
        return _read_json(path, text)
    return _read_csv(path, text)


def clean_cell(column, cell):
    """Returns a cell's text; "" if it says that the value is not known.

    Programs write an empty cell as "nan", "None", "NA", "-" and so on. In the
    columns of ``MAY_SAY_SO`` these may be meant, so they are kept.

    Arguments
    ---------
    column : str
        What the cell means: "speaker", "label", ...
    cell : str
        As :func:`read_manifest` returns it.

    Returns
    -------
    str

    Example
    -------
    >>> clean_cell("speaker", "NaN"), clean_cell("label", "None")
    ('', 'None')
    >>> clean_cell("speaker", "Nan")  # a first name
    'Nan'
    """
    return "" if cell in EMPTY and column not in MAY_SAY_SO else cell


def _decode(path, data):
    if data.startswith(b"PK"):
        raise InputError(
            f"{path}: is a workbook or another ZIP file; save the table as "
            "'CSV UTF-8'"
        )
    # UTF-16 without a byte order mark has a zero in every second byte.
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    elif data[1:2] == b"\0":
        encoding = "utf-16-le"
    elif data[:1] == b"\0":
        encoding = "utf-16-be"
    else:
        encoding = "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: is not UTF-8 text; save it as 'CSV UTF-8', or as JSON"
        ) from error
    # Old programs on the Mac end lines by a carriage return alone.
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _read_csv(path, text):
    separators = SEPARATORS
    if match := SEPARATOR_LINE.match(text):
        separators, text = match[1], text[match.end() :]
    tables = [_Table(text, separator) for separator in separators]
    table = max(tables, key=_Table.fit)
    if table.error is not None:
        raise InputError(f"{path}, {table.error}")
    if table.comments:
        logger.warning(
            "%s: begins with %d rows that are no header and are left out: %s",
            path,
            len(table.comments),
            named(table.comments, "rows before the header"),
        )
    columns = [name.lower() for name in table.header]
    _check_unique(path, filter(None, columns))
    odd = [
        f"row {number}: has {len(cells)} cells"
        for number, cells in table.rows
        if len(cells) != len(columns)
    ]
    if odd:
        raise InputError(
            f"{path}: the header has {len(columns)} cells, but "
            f"{len(odd)} of {len(table.rows)} rows have more or fewer; put "
            "text that contains a separator in quotes: "
            f"{named(odd, 'rows of another length')}"
        )
    return [
        (f"row {number}", dict(zip(columns, cells, strict=True)))
        for number, cells in table.rows
    ]


class _Table:
    """A CSV file, parsed with one separator.

    Arguments
    ---------
    text : str
        The file.
    separator : str
        One character.
    """

    def __init__(self, text, separator):
        self.header, self.comments, self.error = [], [], None
        self.rows = rows = []
        lines = csv.reader(StringIO(text), delimiter=separator, strict=True)
        try:
            for number, cells in enumerate(lines, 1):
                cells = [_strip(cell) for cell in cells]
                if any(cells):
                    rows.append((number, cells))
        except csv.Error as error:
            self.error = f"line {lines.line_num}: {error}"
        for k, (_, cells) in enumerate(rows):
            if not cells[0].startswith("#") and sum(map(bool, cells)) > 1:
                self.header, self.rows = cells, rows[k + 1 :]
                self.comments = [
                    f"row {number}: {separator.join(cells)}"
                    for number, cells in rows[:k]
                ]
                return
        if rows:  # no row has two cells: what is wrong is for others to say
            self.header, self.rows = rows[0][1], rows[1:]

    def fit(self):
        """How well the separator fits: rows as long as the header, cells."""
        width = len(self.header)
        if width < 2:
            return 0, width
        return 1 + sum(len(cells) == width for _, cells in self.rows), width


def _read_json(path, text):
    def unique(pairs):
        _check_unique(path, (name for name, _ in pairs))
        return dict(pairs)

    try:
        # NaN, as pandas writes an empty cell, becomes None.
        items = json.loads(
            text,
            object_pairs_hook=unique,
            parse_constant=lambda name: None if name == "NaN" else name,
        )
    except json.JSONDecodeError as error:
        raise InputError(f"{path}: is not JSON ({error})") from error
    except RecursionError as error:
        raise InputError(f"{path}: is nested too deeply for a table") from error
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
    nested = [
        f"item {number}: {name!r}"
        for number, row in enumerate(items, 1)
        for name, cell in row.items()
        if isinstance(cell, dict | list)
    ]
    if nested:
        raise InputError(
            f"{path}: {len(nested)} values are lists or objects, not text or "
            f"numbers: {named(nested, 'values that are lists')}"
        )
    rows = [
        {
            _strip(name).lower(): ("" if cell is None else _strip(str(cell)))
            for name, cell in row.items()
        }
        for row in items
    ]
    columns = {name: "" for row in rows for name in row}
    return [
        (f"item {number}", {**columns, **row})
        for number, row in enumerate(rows, 1)
    ]


def _strip(text):
    return text.strip().strip(INVISIBLE).strip()


def _check_unique(path, names):
    for name, count in Counter(names).items():
        if count > 1:
            raise InputError(f"{path}: {name!r} occurs {count} times")
