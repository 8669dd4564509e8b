"""Files that appear whole or not at all, and locks between processes."""

import fcntl
import json
import os
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from speechbrain_ptssnn.errors import InputError


def write_text(path, text):
    """Writes a text file; if the process is killed, the old file stays.

    Arguments
    ---------
    path : str or Path
        The file.
    text : str
        The content, written as UTF-8.

    Example
    -------
    >>> path = getfixture("tmp_path") / "note.txt"
    >>> write_text(path, "done")
    >>> path.read_text()
    'done'
    """
    path = Path(path)
    # A name of its own: processes on several machines may write the file.
    partial = path.with_name(f"{path.name}.{uuid4().hex}.part")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)


def read_json(path):
    """Reads a JSON file.

    Arguments
    ---------
    path : Path
        The file, UTF-8.

    Returns
    -------
    object
        The content.

    Example
    -------
    >>> path = getfixture("tmp_path") / "numbers.json"
    >>> write_text(path, '{"WA": 0.5}')
    >>> read_json(path)
    {'WA': 0.5}
    """
    return json.loads(path.read_text(encoding="utf-8"))


@contextmanager
def only_process(folder):
    """Keeps other processes out of a folder in this context.

    The lock ends with the process, even if it is killed.

    Arguments
    ---------
    folder : Path
        It is made if needed; its file ``lock`` is locked.

    Raises
    ------
    InputError
        If another process has locked it.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> with only_process(folder):
    ...     with only_process(folder):
    ...         pass
    Traceback (most recent call last):
    speechbrain_ptssnn.errors.InputError: ...: another process is at work ...
    """
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w") as file:
        if not try_lock(file):
            raise InputError(
                f"{folder}: another process is at work here; wait for it, "
                "or train other folds with --fold"
            )
        yield


def try_lock(file, shared=False):
    """Locks an open file until it is closed or the process ends.

    Arguments
    ---------
    file : file object
        The lock keeps out other callers of this function only.
    shared : bool
        Whether other processes may have a shared lock at the same time.

    Returns
    -------
    bool
        False if another process has locked it.

    Raises
    ------
    InputError
        If the file system has no locks.

    Example
    -------
    >>> path = getfixture("tmp_path") / "lock"
    >>> with open(path, "w") as one, open(path, "w") as other:
    ...     try_lock(one), try_lock(other)
    (True, False)
    """
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise InputError(
            f"{file.name}: cannot be locked ({error.strerror}); choose a "
            "folder on a file system with locks"
        ) from error
    return True
