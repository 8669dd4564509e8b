"""The CSV of many classified files: it grows row by row, and survives kills."""

import csv
import json
import os
from contextlib import suppress
from io import StringIO
from pathlib import Path

from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.utils.files import (
    read_json,
    system_errors,
    try_lock,
    write_bytes,
    write_text,
)

# The columns after the posteriors. Size and time tell whether a file was
# changed after it was classified.
FACTS = ("warning", "error", "bytes", "modified_ns")


class AnswerTable:
    r"""A CSV with one row a file, sorted by path.

    While files are classified, their rows are appended to ``<path>.part``,
    each on the disk before the next; :meth:`finish` puts all rows into the
    CSV. If the process is killed, another table of the same path has the rows
    that were appended; the last one, if it was cut, is left out. What the
    rows depend on is in ``<path>.json``.

    Paths that are no UTF-8 are written with ``\udcff`` for the byte 255.

    Arguments
    ---------
    path : str or Path
        The CSV.
    labels : sequence of str
        Of the posteriors, in their order.
    settings : dict
        What the rows depend on, for JSON. With other ones an older table is
        refused.
    model : str
        The model's name, for people.

    Attributes
    ----------
    rows : dict
        From path to cells; the columns' names are in ``columns``.

    Example
    -------
    >>> path = getfixture("tmp_path") / "out.csv"
    >>> with AnswerTable(path, ["calm", "mad"], {"unsure": 0.6}, "m") as table:
    ...     table.append("a.wav", "calm", {"calm": 0.75, "mad": 0.25}, size=44)
    ...     table.finish({})
    >>> print(path.read_text())
    path,label,p_calm,p_mad,warning,error,bytes,modified_ns
    a.wav,calm,0.750000,0.250000,,,44,
    >>> with AnswerTable(path, ["calm", "mad"], {"unsure": 0.5}, "m") as table:
    ...     pass
    Traceback (most recent call last):
    speechbrain_ptssnn.errors.InputError: ...: unsure was 0.6 and is 0.5 ...
    """

    def __init__(self, path, labels, settings, model):
        self.path = Path(path)
        self.part = self.path.with_name(f"{self.path.name}.part")
        self.about = self.path.with_name(f"{self.path.name}.json")
        self.columns = ["path", "label", *(f"p_{x}" for x in labels), *FACTS]
        self.settings = settings
        self.model = model
        self.rows = {}

    def __enter__(self):
        with system_errors(self.part):
            for path in (self.path, self.part, self.about):
                if path.exists() and not path.is_file():
                    raise InputError(
                        f"{path}: is not an ordinary file; give another --csv"
                    )
            self._file = self._lock()
        try:
            with system_errors(self.path):
                self._open()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if not os.fstat(self._file.fileno()).st_size:
            self.part.unlink(missing_ok=True)
        self._file.close()

    def _lock(self):
        while True:
            file = open(self.part, "ab", buffering=0)  # noqa: SIM115
            if not try_lock(file):
                file.close()
                raise InputError(
                    f"{self.path}: another process is writing it; wait for "
                    "it, or give another --csv"
                )
            # Whoever had the lock before may have removed the file since.
            with suppress(FileNotFoundError):
                if os.path.samefile(file.fileno(), self.part):
                    return file
            file.close()

    def _open(self):
        self._check_settings()
        if self.path.exists():
            data = self.path.read_bytes()
            rows, end = self._read(self.path, data)
            if end < len(data):
                raise self._foreign(self.path)
            self.rows |= rows
        rows, end = self._read(self.part, self.part.read_bytes())
        self.rows |= rows
        self._file.truncate(end)
        self._describe()
        if not end:
            self._write(self.columns)

    def _check_settings(self):
        is_new = not self.part.stat().st_size and not self.path.exists()
        if is_new:
            return
        if not self.about.is_file():
            raise InputError(
                f"{self.path}: is there, but not {self.about.name}, which "
                "tells of which model it is; give another --csv"
            )
        about = read_json(self.about)
        try:
            model, before = about["model"], about["settings"]
            for key, now in self.settings.items():
                if before[key] != now:
                    raise InputError(
                        f"{self.path}: was written with other settings, by "
                        f"{model}: {key} was {_shown(before[key])} and is "
                        f"{_shown(now)} now; give another --csv, or remove it "
                        "to start anew"
                    )
        except (KeyError, TypeError) as error:
            raise self._foreign(self.about) from error

    def _read(self, path, data):
        """The rows of a file, and where the last whole one ends, in bytes."""
        data = data[: data.rfind(b"\n") + 1]
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            raise self._foreign(path) from error
        lines = list(StringIO(text, newline=""))
        reader = csv.reader(lines, strict=True)
        records, end = [], 0
        try:
            for record in reader:
                records.append(record)
                end = reader.line_num
        except csv.Error as error:
            if reader.line_num < len(lines):
                raise self._foreign(path) from error
        if records and records[0] != self.columns:
            raise self._foreign(path)
        if any(len(record) != len(self.columns) for record in records):
            raise self._foreign(path)
        rows = {record[0]: record for record in records[1:]}
        return rows, len("".join(lines[:end]).encode())

    def _foreign(self, path):
        return InputError(
            f"{path}: is not as 'ptssnn classify' wrote it; give another "
            "--csv, or remove it to start anew"
        )

    def has(self, path, size, time):
        """Whether a file was classified, and not changed since.

        Arguments
        ---------
        path : str
            The file.
        size, time : int or None
            Its present size and time of change.

        Returns
        -------
        bool
        """
        cells = self.rows.get(_text(path))
        if cells is None:
            return False
        *_, error, old_size, old_time = cells
        return not error and [old_size, old_time] == _cells(size, time)

    def row(self, path):
        """Returns a file's row, from column to cell."""
        return dict(zip(self.columns, self.rows[_text(path)], strict=True))

    def append(
        self,
        path,
        label="",
        posteriors=None,
        warning="",
        error="",
        size=None,
        time=None,
    ):
        """Adds a row, or replaces the file's older one.

        Arguments
        ---------
        path : str
            The file.
        label : str
            Its label; "" if it could not be classified.
        posteriors : dict, optional
            From label to posterior.
        warning, error : str
            What is wrong with the file.
        size, time : int or None
            The file's size in bytes and time of change in nanoseconds.

        Raises
        ------
        InputError
            If the disk is full, or cannot be written.
        """
        n = len(self.columns) - len(FACTS) - 2
        values = [f"{p:.6f}" for p in (posteriors or {}).values()] or [""] * n
        facts = [warning, error, *_cells(size, time)]
        cells = [_text(path), label, *values, *facts]
        self._write(cells)
        self.rows[cells[0]] = cells

    def _write(self, cells):
        with system_errors(self.part):
            line = _line(cells)
            while line:  # of a nearly full disk, a part may fit
                line = line[self._file.write(line) :]
            os.fsync(self._file.fileno())

    def finish(self, skipped):
        """Writes the CSV, and what was skipped into ``<path>.json``.

        Arguments
        ---------
        skipped : dict
            From path to reason.
        """
        rows = [self.columns, *(row for _, row in sorted(self.rows.items()))]
        with system_errors(self.path):
            self._describe(skipped=skipped)
            write_bytes(self.path, b"".join(map(_line, rows)))
            self.part.unlink()

    def _describe(self, **more):
        about = {"model": self.model, "settings": self.settings, **more}
        write_text(self.about, json.dumps(about, indent=1))


def _text(path):
    return path.encode("utf-8", "backslashreplace").decode()


def _cells(size, time):
    return ["" if each is None else str(each) for each in (size, time)]


def _line(cells):
    # Python 3.11 puts a cell with \r in quotes only if lines end with it.
    stream = StringIO(newline="")
    csv.writer(stream, lineterminator="\r\n").writerow(cells)
    line = stream.getvalue().removesuffix("\r\n") + "\n"
    return line.encode("utf-8", "backslashreplace")


def _shown(value):
    return json.dumps(value, ensure_ascii=False)
