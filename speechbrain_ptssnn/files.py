"""Files that appear whole or not at all."""

import os
from pathlib import Path


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
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)
