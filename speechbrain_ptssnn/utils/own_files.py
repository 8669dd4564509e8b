"""The YAML files that come with the package, found by name and listed.

The links ``speechbrain_ptssnn/hparams`` and ``speechbrain_ptssnn/recipes``
lead to the folders at the top of the repository. A wheel holds copies of the
YAML files instead of the links.
"""

import re
from pathlib import Path

from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.utils.suggestions import suggestion

_PACKAGE = Path(__file__).resolve().parents[1]
HPARAMS = (_PACKAGE / "hparams").resolve()
RECIPES = (_PACKAGE / "recipes").resolve()
# Where the files of a kind lie. Protocols lie in their corpus's folder.
HEAD_FOLDERS = (".", "ablations", "peers", "spike_encoder")
FOLDERS = {
    "head": tuple(HPARAMS / folder for folder in HEAD_FOLDERS),
    "backbone": (HPARAMS / "backbones",),
    "set": (HPARAMS / "sets",),
    "protocol": (),
}
ENDINGS = (".yaml", ".yml")


def find_yaml(kind, name, folders=(Path(),)):
    """Finds a YAML file of the user or of the package.

    If ``folders`` has the current folder, a path is taken as it is. Then the
    other folders are searched in their order, and the package's own last. A
    name without an ending stands for ``<name>.yaml`` in these, but not in the
    current folder: ``fbank`` is the package's backbone even beside a file
    ``fbank.yaml``. A path in the repository, such as
    ``hparams/pts_snn.yaml``, works everywhere.

    Arguments
    ---------
    kind : str
        "head", "backbone", "set" or "protocol".
    name : str or Path
        A name, e.g. "fbank" or "fbank.yaml", or a path.
    folders : iterable of Path
        Folders to search first; by default the current one. Protocols need
        the folder ``protocols`` of their corpus here.

    Returns
    -------
    Path

    Raises
    ------
    InputError
        If there is no such file; the message has the nearest name and the
        list of all names.

    Example
    -------
    >>> find_yaml("head", "hparams/pts_snn.yaml").name
    'pts_snn.yaml'
    >>> find_yaml("protocol", "speaker", [RECIPES / "URDU/protocols"]).name
    'speaker.yaml'
    >>> find_yaml("backbone", "fbnk")
    Traceback (most recent call last):
    speechbrain_ptssnn.errors.InputError: unknown backbone 'fbnk' (did you ...
    """
    name = str(name)
    file = Path(name)
    folders = [Path(folder) for folder in folders]
    if Path() in folders and file.suffix and file.is_file():
        return file
    if not file.name.endswith(ENDINGS):
        file = Path(f"{name}.yaml")
    others = [folder for folder in folders if folder != Path()]
    others.extend(FOLDERS[kind])
    files = [folder / file for folder in others]
    for folder in (HPARAMS, RECIPES):
        if file.parts[0] == folder.name:
            files.append(folder.parent / file)
    for each in files:
        if each.is_file():
            return each
    for each in files:
        if each.exists():
            raise InputError(f"{each}: is not an ordinary file; replace it")
    listed = (each for folder in others for each, _ in list_yaml(folder))
    known = list(dict.fromkeys(listed))
    raise InputError(
        f"unknown {kind} {name!r}{suggestion(file.stem, known)}; there are "
        f"{known}, and the path of a YAML file of yours will do"
    )


def list_yaml(folder):
    """Lists the YAML files of a folder, without those of its subfolders.

    Arguments
    ---------
    folder : Path
        A folder; if it does not exist, the list is empty.

    Returns
    -------
    list of tuple
        (name, description), sorted by name. The description is the first
        sentence of the comment with which the file begins, without its full
        stop.

    Example
    -------
    >>> dict(list_yaml(HPARAMS / "backbones"))["fbank"]
    '80 log-mel filters, ... side by side: 160 values per 20 ms'
    """
    # A pipe or a device could be read for ever.
    files = filter(Path.is_file, sorted(Path(folder).glob("*.yaml")))
    return [(file.stem, [*first_comment(file), ""][0]) for file in files]


def first_comment(file):
    """Returns the sentences of the comment with which a YAML file begins.

    Arguments
    ---------
    file : Path
        One of the package's.

    Returns
    -------
    list of str
        Without their full stops.

    Example
    -------
    >>> first_comment(HPARAMS / "backbones" / "whisper-base.yaml")
    ['Whisper base, only its encoder', 'Licence: Apache-2.0']
    """
    comment = re.match(r"(#.*\n)*", file.read_text("utf-8", "replace"))[0]
    text = " ".join(line.strip("# ") for line in comment.splitlines())
    return [each for each in re.split(r"\.(?:\s+|$)", text) if each]
