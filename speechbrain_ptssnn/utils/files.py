"""Files that appear whole or not at all, and folders with one owner."""

import json
import os
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from speechbrain_ptssnn.errors import InputError

try:
    import fcntl
except ImportError:  # Windows: nothing guards there
    fcntl = None


def write_text(path, text):
    """Writes a text file so that a kill leaves the old one or the new one.

    Arguments
    ---------
    path : str or Path
        The file.
    text : str
        Its content, written as UTF-8.

    Example
    -------
    >>> path = getfixture("tmp_path") / "note.txt"
    >>> write_text(path, "done")
    >>> path.read_text()
    'done'
    """
    path = Path(path)
    # Processes of several machines may write it at once.
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
        Its content.

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
    """Keeps a second process out of a folder; ends with the process.

    Arguments
    ---------
    folder : Path
        Is made; its file ``lock`` is held.

    Raises
    ------
    InputError
        If another process holds it.

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
    """Takes an open file for this process, until it is closed or killed.

    Arguments
    ---------
    file : file object
        What is locked; only other callers of this function are kept out.
    shared : bool
        Whether others may take it too, if they share it.

    Returns
    -------
    bool
        False if another process has it.

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
    if fcntl is None:
        return True
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
