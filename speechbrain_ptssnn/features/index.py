"""The feature store's index: where each record is, and who computes what.

It is an SQLite file with a rollback journal, which works on network file
systems and in read-only folders. The list of records can be rebuilt from the
shards. The hashes of audio files only save hashing them again.
"""

import errno
import os
import sqlite3
import time
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from speechbrain.utils.logger import get_logger

from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.features.shards import scan, shard_numbers, shard_path
from speechbrain_ptssnn.utils.files import try_lock

logger = get_logger(__name__)

APPLICATION = 0x50545353  # SQLite's application_id: "PTSS"
VERSION = 1  # of the tables: SQLite's user_version
SCHEMA = f"""
PRAGMA application_id = {APPLICATION};
PRAGMA user_version = {VERSION};
CREATE TABLE records (
    key BLOB PRIMARY KEY, shard INTEGER, offset INTEGER, frames INTEGER
) WITHOUT ROWID;
-- Bytes of each shard whose records are in the table above.
CREATE TABLE shards (shard INTEGER PRIMARY KEY, size INTEGER);
-- Keys being computed by the process that has locked the shard.
CREATE TABLE claims (key BLOB PRIMARY KEY, shard INTEGER) WITHOUT ROWID;
-- What audio files were found to hold.
CREATE TABLE files (
    path BLOB PRIMARY KEY, size INTEGER, mtime_ns INTEGER, key BLOB
) WITHOUT ROWID;
"""
# What is heard in audio files. Indexes of earlier versions do not have it, and
# those versions do not mind it.
HEARD = """
CREATE TABLE IF NOT EXISTS heard (key BLOB PRIMARY KEY, samples BLOB)
WITHOUT ROWID;
"""
DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
PATIENCE = 60  # seconds to wait for another process's transaction


class Index:
    """Opens the index of a folder; makes or rebuilds it if needed.

    Arguments
    ---------
    folder : Path
        Holds the shards.

    Raises
    ------
    InputError
        If the index belongs to another program, or if it is damaged and
        cannot be rebuilt, because the folder is read-only or another process
        writes to it.

    Example
    -------
    >>> index = Index(getfixture("tmp_path"))
    >>> with index.writing(), index.transaction():
    ...     index.add(0, 128, [(b"k" * 16, 0, 50)])
    >>> index.find(b"k" * 16)
    (0, 0, 50)
    """

    def __init__(self, folder):
        self.folder = Path(folder)
        self.path = self.folder / "index.sqlite"
        self.read_only = not os.access(folder, os.W_OK)
        self._connections = {}
        deadline = time.monotonic() + PATIENCE
        while not self._is_whole():
            if self.read_only:
                raise InputError(
                    f"{self.path}: is missing or damaged and the folder is "
                    "read-only; make it writable once"
                )
            with self._open_lock() as lock:
                if try_lock(lock):
                    if not self._is_whole():
                        self._rebuild()
                    continue
            if time.monotonic() > deadline:
                raise InputError(
                    f"{self.path}: is damaged while another process writes "
                    "to the store; end that one first"
                )
            time.sleep(0.1)
        if not self.read_only:
            self._execute(HEARD)

    def __getstate__(self):
        return {**self.__dict__, "_connections": {}}

    def find(self, key):
        """Returns where a record is, (shard, offset, frames), or None."""
        return self._fetch(
            "SELECT shard, offset, frames FROM records WHERE key = ?", key
        )

    def find_file(self, path, size, mtime_ns):
        """Returns the key of an audio file if it is unchanged, or None."""
        row = self._fetch(
            "SELECT key FROM files WHERE path = ? AND size = ? "
            "AND mtime_ns = ?",
            os.fsencode(path),
            size,
            mtime_ns,
        )
        return row and row[0]

    def remember_file(self, path, size, mtime_ns, key):
        """Stores the key that :meth:`find_file` returns."""
        self._execute(
            "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)",
            os.fsencode(path),
            size,
            mtime_ns,
            key,
        )

    def forget_file(self, path):
        """Deletes the key of an audio file, so that it is hashed again."""
        self._execute("DELETE FROM files WHERE path = ?", os.fsencode(path))

    def find_heard(self, key):
        """Returns what :meth:`remember_heard` stored for a key, or None."""
        if self.read_only and not self._fetch(
            "SELECT 1 FROM sqlite_master WHERE name = 'heard'"
        ):
            return None
        row = self._fetch("SELECT samples FROM heard WHERE key = ?", key)
        return row and row[0]

    def remember_heard(self, key, samples):
        """Stores the hash of the samples that are heard in an audio file."""
        self._execute(
            "INSERT OR REPLACE INTO heard VALUES (?, ?)", key, samples
        )

    def add(self, shard, size, rows):
        """Lists new records of a shard and frees the claims of its owner.

        Arguments
        ---------
        shard : int
            The shard's number.
        size : int
            Its size in bytes with the new records.
        rows : list of tuple
            (key, offset, frames) of each record.
        """
        for key, offset, frames in rows:
            self._execute(
                "INSERT OR REPLACE INTO records VALUES (?, ?, ?, ?)",
                key,
                shard,
                offset,
                frames,
            )
        self._execute(
            "INSERT OR REPLACE INTO shards VALUES (?, ?)", shard, size
        )
        self._execute("DELETE FROM claims WHERE shard = ?", shard)

    def claim(self, key, shard):
        """Claims a key for a shard's owner; False if it is claimed already."""
        cursor = self._execute(
            "INSERT OR IGNORE INTO claims VALUES (?, ?)", key, shard
        )
        return cursor.rowcount == 1

    def free_dead_claims(self):
        """Frees the claims of processes that ended before their work."""
        claims = self._execute("SELECT DISTINCT shard FROM claims").fetchall()
        for (shard,) in claims:
            with self._alone(shard) as is_alone:
                if is_alone:
                    self._execute("DELETE FROM claims WHERE shard = ?", shard)

    def mend(self):
        """Lists the shards again whose size is not the listed one.

        That adds records of processes that were killed before listing them,
        and removes records that were cut off. Shards that a process writes to
        are left alone.
        """
        listed = dict(self._execute("SELECT * FROM shards").fetchall())
        for shard in sorted({*listed, *shard_numbers(self.folder)}):
            if _size(self.folder, shard) == listed.get(shard, 0):
                continue
            with self._alone(shard) as is_alone:
                if is_alone:
                    with self.transaction():
                        self.list_shard(shard)

    def list_shard(self, shard):
        """Lists the records after a shard's listed size, or all if it shrank.

        Arguments
        ---------
        shard : int
            The shard's number; the caller holds its lock.
        """
        row = self._fetch("SELECT size FROM shards WHERE shard = ?", shard)
        start, size = row[0] if row else 0, _size(self.folder, shard)
        if size < start:
            self._execute("DELETE FROM records WHERE shard = ?", shard)
            start = 0
        rows = (
            (record.key, offset, record.shape[-2])
            for offset, record in scan(shard_path(self.folder, shard), start)
        )
        self.add(shard, size, rows if size else ())

    @contextmanager
    def writing(self):
        """Keeps other processes from rebuilding the index in this context."""
        with self._open_lock() as lock:
            while not try_lock(lock, shared=True):
                time.sleep(0.1)
            self._connect()  # it may have been rebuilt
            yield

    @contextmanager
    def transaction(self, write=True):
        """Applies all changes of the context, or none if it raises."""
        self._execute("BEGIN IMMEDIATE" if write else "BEGIN")
        try:
            yield
            self._execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.rollback()
            raise

    def _open_lock(self):
        path = self.folder / "lock"
        try:
            return open(path, "a+")
        except OSError as error:
            raise InputError(
                f"{path}: cannot be opened ({error.strerror}); check the "
                "folder's permissions"
            ) from error

    @contextmanager
    def _alone(self, shard):
        path = shard_path(self.folder, shard)
        if not path.exists():
            yield True
            return
        with open(path, "r+b") as file:  # NFS locks only what can be written
            yield try_lock(file)

    def _fetch(self, query, *values):
        return self._execute(query, *values).fetchone()

    def _execute(self, query, *values):
        try:
            return self._connection.execute(query, values)
        except sqlite3.DatabaseError as error:
            raise self._refusal(error) from error

    @property
    def _connection(self):
        # Each process has its own: a fork must not use its parent's.
        return self._connections.get(os.getpid()) or self._connect()

    def _connect(self):
        mode = "ro" if self.read_only else "rwc"
        try:
            connection = sqlite3.connect(
                f"file:{quote(str(self.path.absolute()))}?mode={mode}",
                timeout=PATIENCE,
                isolation_level=None,
                check_same_thread=False,
                uri=True,
            )
        except sqlite3.DatabaseError as error:
            raise self._refusal(error) from error
        self._connections[os.getpid()] = connection
        return connection

    def _refusal(self, error):
        code = error.sqlite_errorcode & 0xFF
        if code in DAMAGE:
            advice = "give the same command again, which repairs it"
        elif code == sqlite3.SQLITE_FULL:
            error = os.strerror(errno.ENOSPC)
            advice = "free some space; the same command goes on from here"
        else:
            advice = (
                "check the free disk space and the folder's permissions, "
                "then give the same command again"
            )
        return InputError(f"{self.path}: {error}; {advice}")

    def _is_whole(self):
        """Tells whether the index exists and is not damaged."""
        if not self.path.exists() or not self.path.stat().st_size:
            return False
        connection = self._connect()
        try:
            (application,) = connection.execute(
                "PRAGMA application_id"
            ).fetchone()
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            (check,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode & 0xFF in DAMAGE:
                return False
            raise self._refusal(error) from error
        if (application, version) != (APPLICATION, VERSION):
            raise InputError(
                f"{self.path}: is not the index of a feature store of this "
                "version; move it away, and a new one is made from the shards"
            )
        return check == "ok"

    def _rebuild(self):
        """Makes the index again, in a file that replaces the old one."""
        shards = shard_numbers(self.folder)
        if shards:
            logger.warning(
                "%s: is missing or damaged; it is made again from %d shards, "
                "no features are lost",
                self.path,
                len(shards),
            )
        target, self._connections = self.path, {}
        self.path = target.with_suffix(".part")
        for leftover in (
            self.path,
            f"{self.path}-journal",
            f"{target}-journal",
        ):
            Path(leftover).unlink(missing_ok=True)
        connection = self._connect()
        try:
            connection.executescript(SCHEMA)
        except sqlite3.DatabaseError as error:
            raise self._refusal(error) from error
        with self.transaction():
            for shard in shards:
                self.list_shard(shard)
        self._connections.pop(os.getpid()).close()
        os.replace(self.path, target)
        self.path = target


def _size(folder, shard):
    try:
        return shard_path(folder, shard).stat().st_size
    except FileNotFoundError:
        return 0
