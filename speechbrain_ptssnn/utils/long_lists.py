"""Long lists in messages: the first items, the count, a file with all."""

import tempfile

NAMED = 3


def named(items, what, listed_in=None):
    """Names the items of a list for an error or a warning.

    Up to three items are named. Of more, the first three are named, and all
    are written to a new text file in the system's temporary folder, one a
    line. A failure to write it is ignored, so that it never hides the error.

    Arguments
    ---------
    items : iterable of str
        What the message is about, in the order of the file.
    what : str
        What the items are, in the plural; it begins the file's name.
    listed_in : str, optional
        Where all items are listed already; then no file is written.

    Returns
    -------
    str
        To be put at the end of a clause that tells how many there are.

    Example
    -------
    >>> named(["a.wav", "b.wav"], "missing files")
    'a.wav; b.wav'
    >>> files = [f"{k}.wav" for k in range(12)]
    >>> text = named(files, "missing files")
    >>> f"{len(files)} files are missing: {text}"
    '12 files are missing: 0.wav; 1.wav; 2.wav; and 9 more, all listed in \
/...missing_files_...txt'
    """
    items = list(map(str, items))
    text = "; ".join(items[:NAMED])
    if len(items) <= NAMED:
        return text
    text += f"; and {len(items) - NAMED} more"
    if listed_in:
        return f"{text}, all listed in {listed_in}"
    try:
        with tempfile.NamedTemporaryFile(
            "w",
            prefix=f"{what.replace(' ', '_')}_",
            suffix=".txt",
            delete=False,
            encoding="utf-8",
            errors="backslashreplace",  # file names may be no valid UTF-8
        ) as file:
            file.writelines(f"{item}\n" for item in items)
    except OSError:
        return text
    return f"{text}, all listed in {file.name}"
