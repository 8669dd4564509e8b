"""Databases in audformat (https://audeering.github.io/audformat), the format
in which audEERING gives out emotion corpora: a folder with ``db.yaml``, tables
``db.<table>.csv`` or ``.parquet``, and the audio.

Pickled tables (``db.<table>.pkl``) are not opened, since a pickle can run
code. The header is read by a loader that makes no objects before audformat
reads it.
"""

import os
import tempfile
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from speechbrain.utils.logger import get_logger

from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.utils.extras import extra_package
from speechbrain_ptssnn.utils.suggestions import suggestion

logger = get_logger(__name__)

HEADER = "db.yaml"
STORED = (".csv", ".parquet")
# Where our columns are found if the YAML does not say.
USUAL = {
    "label": ("emotion",),
    "speaker": ("speaker",),
    "session": ("session",),
    "sex": ("sex", "gender"),
    "sentence": ("sentence",),
    "text": ("text", "transcription"),
}
SEXES = {"female": "f", "male": "m"}
PARTS = {"train": "train", "dev": "valid", "test": "test"}


def is_database(path):
    """Tells whether a path is the folder of an audformat database.

    Arguments
    ---------
    path : str or Path
        May not exist.

    Returns
    -------
    bool
    """
    return bool(path) and Path(os.path.expanduser(path), HEADER).is_file()


class Database:
    """A database, of which nothing is read but what is asked for.

    Arguments
    ---------
    folder : str or Path
        Has ``db.yaml``.
    columns : dict
        From our name of a column to a scheme or column of the database; by
        default those of ``USUAL`` that exist.
    table : str
        The table whose labels count, or several, separated by commas; "" is
        all tables that have the label.

    Raises
    ------
    InputError
        If audformat is not installed, a file cannot be read, or the database
        lacks a table, scheme or column.
    """

    def __init__(self, folder, columns=None, table=""):
        self.folder = Path(os.path.expanduser(folder))
        self._db = _load(self.folder)
        self.name = self._db.name
        self.tables = self._tables(table)
        self.columns = self._columns(dict(columns or {}))

    def labels(self):
        """Lists the labels that occur, in the order of their scheme.

        Returns
        -------
        tuple of str

        Raises
        ------
        InputError
            If they are numbers without names.
        """
        scheme = self.columns["label"]
        values = self._frame([])[scheme].dropna()
        if not hasattr(values, "cat"):
            raise InputError(
                f"{self.folder}: {scheme} has no list of labels, but values "
                f"such as {values.iloc[0]!r}; set columns: {{label: ...}} to "
                "another scheme, or write each label and its class in label_map"
            )
        there = set(values)
        return tuple(str(v) for v in values.cat.categories if v in there)

    def rows(self):
        """Lists the labelled files and segments as rows of a manifest.

        Returns
        -------
        list of tuple
            (location, row), as of
            :func:`~speechbrain_ptssnn.corpora.manifests.read_manifest`. The
            row's columns have our names. ``fold`` is the split, if all rows
            are in one: train, valid (dev) or test.
        """
        others = {k: v for k, v in self.columns.items() if k != "label"}
        frame = self._frame(list(others.values()))
        label = self.columns["label"]
        known = frame[frame[label].notna()]
        if len(known) < len(frame):
            logger.warning(
                "%s: %d of %d rows have no %s and are left out",
                self.folder,
                len(frame) - len(known),
                len(frame),
                label,
            )
        values = {
            name: _texts(known[source]) for name, source in self.columns.items()
        }
        splits = self._splits()
        values.setdefault("fold", [splits.get(key, "") for key in known.index])
        for name in ("speaker", "session", "fold"):
            lacking = values.get(name, []).count("")
            if lacking:
                if lacking < len(known):
                    logger.warning(
                        "%s: %d of %d rows have no %s or several, so it is "
                        "not used",
                        self.folder,
                        lacking,
                        len(known),
                        name,
                    )
                del values[name]
        values["sex"] = [SEXES.get(v, v) for v in values.get("sex", ())]
        rows = []
        for k, key in enumerate(known.index):
            file, start, end = _place(key)
            row = {"path": file, "start": start, "end": end}
            row |= {name: each[k] for name, each in values.items() if each}
            part = f" from {start or 0} to {end or 'its end'}"
            rows.append((f"{file}{part if start or end else ''}", row))
        return rows

    def _tables(self, table):
        wanted = [each.strip() for each in table.split(",") if each.strip()]
        for each in wanted:
            if each not in self._db.tables:
                raise InputError(
                    f"{self.folder}: has no table {each!r}"
                    f"{suggestion(each, self._db.tables)}; it has "
                    f"{list(self._db.tables)}"
                )
        return wanted or None

    def _columns(self, columns):
        names = _names(self._db)
        for ours, source in columns.items():
            if ours not in (*USUAL, "id", "fold"):
                raise InputError(
                    f"columns: {ours} comes from {self.folder} itself; leave "
                    "it out"
                )
            if source not in names:
                raise InputError(
                    f"{self.folder}: has no scheme or column {source!r}, which "
                    f"columns names for {ours}{suggestion(source, names)}; it "
                    f"has {names}"
                )
        for ours, usual in USUAL.items():
            found = [name for name in usual if name in names]
            if ours not in columns and found:
                columns[ours] = found[0]
        if "label" not in columns:
            raise InputError(
                f"{self.folder}: has no scheme or column 'emotion'; write "
                f"columns: {{label: NAME}} in your YAML, with one of {names}"
            )
        return columns

    def _frame(self, others):
        """The labels, and beside them what other schemes say."""
        label = self.columns["label"]
        frame = self._get(others)
        if not frame[label].notna().any():
            where = self.tables or list(self._db.tables)
            raise InputError(
                f"{self.folder}: the tables {where} hold no {label}; choose "
                "others with 'table'"
            )
        return frame

    def _splits(self):
        """The split of each row that is in one only."""
        found = {}
        for name, split in self._db.splits.items():
            part = PARTS.get(split.type, name)
            for key in self._get([], splits=[name]).index:
                found.setdefault(key, set()).add(part)
        return {key: min(p) for key, p in found.items() if len(p) == 1}

    def _get(self, others, **options):
        label = self.columns["label"]
        try:
            return self._db.get(label, others, tables=self.tables, **options)
        except (KeyError, RuntimeError, TypeError, ValueError) as error:
            reason = str(error).splitlines()[0].strip(" :'\"")
            raise InputError(
                f"{self.folder}: its tables do not go together ({reason}); "
                "choose with 'table' those that count, of "
                f"{list(self._db.tables)}"
            ) from error


def _package():
    need = "a database needs the package audformat"
    return extra_package("audformat", need, "audformat")


def _load(folder):
    """Opens a database without its pickles.

    audformat prefers a pickle to the same table as CSV or Parquet; it is given
    a folder of links that has none.
    """
    audformat = _package()
    header = folder / HEADER
    try:
        document = YAML(typ="safe").load(header)
        tables = [
            name
            for kind in ("tables", "misc_tables")
            for name in document.get(kind) or ()
        ]
        with tempfile.TemporaryDirectory() as links:
            Path(links, HEADER).symlink_to(header.resolve())
            for name in tables:
                for path in _stored(folder, name):
                    Path(links, path.name).symlink_to(path.resolve())
            return audformat.Database.load(links, load_data=True)
    except InputError:
        raise
    except (YAMLError, AttributeError, KeyError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{header}: is not the header of an audformat database ({reason})"
        ) from error
    except (OSError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{folder}: the database cannot be read ({reason}); get it again"
        ) from error


def _stored(folder, name):
    paths = [folder / f"db.{name}{ending}" for ending in STORED]
    found = [path for path in paths if path.is_file()]
    pickled = folder / f"db.{name}.pkl"
    if not found and pickled.is_file():
        raise InputError(
            f"{pickled}: is a pickle, which can run code, so it is not opened; "
            "save the database with storage_format='csv' or 'parquet'"
        )
    if not found:
        raise InputError(
            f"{folder}: lacks db.{name}.csv or .parquet, a table that its "
            f"{HEADER} names; get the database again"
        )
    return found


def _names(db):
    """Every scheme, column and field of a label, as ``db.get`` finds them."""
    names = dict.fromkeys(db.schemes)
    for name, scheme in db.schemes.items():
        if scheme.uses_table and name in db.misc_tables:
            names |= dict.fromkeys(db[name].columns)
        elif isinstance(scheme.labels, dict):
            for fields in scheme.labels.values():
                if isinstance(fields, dict):
                    names |= dict.fromkeys(fields)
    for table in db.tables.values():
        names |= dict.fromkeys(table.columns)
    return list(names)


def _place(key):
    """File, start and end of a row; the times are "" where they are open."""
    if isinstance(key, str):
        return key, "", ""
    file, start, end = key
    start = "" if start.total_seconds() == 0 else repr(start.total_seconds())
    is_open = end != end  # NaT
    return file, start, "" if is_open else repr(end.total_seconds())


def _texts(values):
    """A column's values as text; "" where nothing is known."""
    return [
        "" if is_missing else str(value).strip()
        for value, is_missing in zip(values, values.isna(), strict=True)
    ]
