"""Files that appear whole or not at all, locks between processes, and errors
of the disk as sentences.
"""

import errno
import fcntl
import json
import os
import sqlite3
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from speechbrain_ptssnn.errors import InputError

# What to do about an error of the operating system.
ADVICE = {
    errno.ENOSPC: "free some space; the same command goes on from here",
    errno.EDQUOT: "free some space; the same command goes on from here",
    errno.EACCES: "choose another path, or get the right to use this one",
    errno.EPERM: "choose another path, or get the right to use this one",
    errno.EROFS: "choose a path that can be written",
    errno.ENOTDIR: "a file stands where a folder is needed; remove it or "
    "choose another path",
    errno.EEXIST: "a file stands where a folder is needed; remove it or "
    "choose another path",
    errno.ENAMETOOLONG: "choose a shorter one",
    errno.EMFILE: "allow more open files with 'ulimit -n'",
}
NEARLY_FULL = 2**20  # bytes of free space; the file that did not fit is gone
# What torch says, in a RuntimeError, if a file cannot be written.
TORCH_CANNOT_WRITE = ("PytorchStreamWriter", "inline_container", "iostream")


@contextmanager
def system_errors(path=""):
    """Turns errors of the disk and of rights into an :class:`InputError`.

    Those are every OSError, and what torch and SQLite raise if they cannot
    write.

    Arguments
    ---------
    path : str or Path
        What is named if the error does not name a path.

    Raises
    ------
    InputError
        With the path, the system's reason and what to do.

    Example
    -------
    >>> with system_errors():
    ...     raise OSError(28, "No space left on device", "a.ckpt")
    Traceback (most recent call last):
    speechbrain_ptssnn.errors.InputError: a.ckpt: No space left on device; ...
    """
    try:
        yield
    except (BrokenPipeError, InputError):
        raise
    except OSError as error:
        name = error.filename if error.filename is not None else path
        reason = error.strerror or str(error) or type(error).__name__
        raise InputError(_sentence(name, reason, error.errno)) from error
    except sqlite3.OperationalError as error:
        number = errno.ENOSPC if "full" in str(error) else None
        raise InputError(_sentence(path, str(error), number)) from error
    except RuntimeError as error:
        if not any(word in str(error) for word in TORCH_CANNOT_WRITE):
            raise
        reason = os.strerror(errno.ENOSPC)
        if not _is_full(path):
            first, *_ = str(error).strip().splitlines()
            reason = f"cannot be written ({first})"
        raise InputError(_sentence(path, reason, errno.ENOSPC)) from error


def _is_full(path):
    """Whether the disk of a path, or of the folder above it, has no space."""
    path = Path(path).absolute()
    paths = (path, *path.parents)
    found = next(each for each in paths if os.path.exists(each))
    space = os.statvfs(found)
    return space.f_bavail * space.f_frsize < NEARLY_FULL


def _sentence(name, reason, number):
    text = f"{os.fsdecode(name)}: {reason}" if name else reason
    return "; ".join(filter(None, [text, ADVICE.get(number)]))


def write_text(path, text):
    """Writes a text file; if the process is killed, the old file stays.

    The content is on the disk before the file has its name, so a power cut
    leaves the old file or the new one, never an empty one.

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
    write_bytes(path, text.encode())


def write_bytes(path, content):
    """Writes a file as :func:`write_text` does, with any content.

    Arguments
    ---------
    path : str or Path
        The file.
    content : bytes
        The content.

    Example
    -------
    >>> path = getfixture("tmp_path") / "note"
    >>> write_bytes(path, b"done")
    >>> path.read_bytes()
    b'done'
    """
    path = Path(path)
    # A name of its own: processes on several machines may write the file.
    partial = path.with_name(f"{path.name}.{uuid4().hex}.part")
    try:
        with open(partial, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        raise OSError(error.errno, error.strerror, str(path)) from error
    _sync(path.parent)


def sync_folder(folder):
    """Waits until the files of a folder and its subfolders are on the disk.

    Arguments
    ---------
    folder : Path
        The folder.
    """
    for path in (*folder.rglob("*"), folder):
        _sync(path)


def _sync(path):
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:  # some network file systems sync no folder
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


def read_file(path):
    """Reads an ordinary file.

    A pipe would wait for ever, and a device such as ``/dev/zero`` has no end.

    Arguments
    ---------
    path : Path
        The file.

    Returns
    -------
    str
        The content, read as UTF-8.

    Raises
    ------
    OSError
        If it is a pipe, a device or a folder, or cannot be read.
    UnicodeDecodeError
        If it is not UTF-8.
    """
    if path.exists() and not path.is_file():
        reason = "is not an ordinary file"
        raise OSError(errno.EINVAL, reason, str(path))
    return path.read_text(encoding="utf-8")


def read_json(path, kind=dict):
    """Reads a JSON file.

    Arguments
    ---------
    path : Path
        The file, UTF-8.
    kind : type
        Objects of JSON become this.

    Returns
    -------
    object
        The content.

    Raises
    ------
    InputError
        If the file is empty or damaged.

    Example
    -------
    >>> path = getfixture("tmp_path") / "numbers.json"
    >>> write_text(path, '{"WA": 0.5}')
    >>> read_json(path)
    {'WA': 0.5}
    """
    try:
        return json.loads(read_file(path), object_hook=kind)
    except (ValueError, RecursionError) as error:  # no UTF-8, or no JSON
        raise InputError(f"{path}: is {damage(path)}, no JSON") from error


def damage(path):
    """Says "empty" or "damaged" of a file that cannot be read."""
    return "damaged" if Path(path).stat().st_size else "empty"


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
        _lock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def share_lock(file):
    """Locks an open file for this process and others that share the lock.

    Waits while another process has it for itself; if this process has, the
    others may share it from now on.

    Arguments
    ---------
    file : file object
        As in :func:`try_lock`.

    Raises
    ------
    InputError
        If the file system has no locks.

    Example
    -------
    >>> path = getfixture("tmp_path") / "lock"
    >>> with open(path, "w") as one, open(path, "w") as other:
    ...     share_lock(one)
    ...     share_lock(other)
    ...     try_lock(one)
    False
    """
    _lock(file, fcntl.LOCK_SH)


def _lock(file, kind):
    try:
        fcntl.flock(file, kind)
    except BlockingIOError:
        raise
    except OSError as error:
        raise InputError(
            f"{file.name}: cannot be locked ({error.strerror}); choose a "
            "folder on a file system with locks"
        ) from error
