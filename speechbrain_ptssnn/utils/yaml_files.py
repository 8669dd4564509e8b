"""YAML files of keys and values, read with one sentence about what is wrong."""

from collections.abc import Mapping
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq, TaggedScalar
from ruamel.yaml.error import YAMLError

from speechbrain_ptssnn.errors import InputError


def read_yaml(path):
    """Reads a YAML file of keys and values.

    Arguments
    ---------
    path : str or Path
        The file.

    Returns
    -------
    ruamel.yaml.comments.CommentedMap
        Tags (``!new:``) and comments are kept.

    Raises
    ------
    InputError
        If it cannot be read as one.
    """
    try:
        document = YAML().load(Path(path).read_text(encoding="utf-8"))
    except (OSError, YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as YAML ({error})") from error
    if not isinstance(document, Mapping):
        raise InputError(f"{path}: is not a YAML file of keys and values")
    return document


def plain(node):
    """A node of a YAML document as plain Python, which can be compared.

    Arguments
    ---------
    node : object
        What :func:`read_yaml` gave, or a part of it.

    Returns
    -------
    object
        Dicts, lists, text, numbers, True, False and None; a tagged node is
        ``{tag: content}``.

    Example
    -------
    >>> plain(YAML().load("loss: !new:torch.nn.MSELoss {reduction: sum}"))
    {'loss': {'!new:torch.nn.MSELoss': {'reduction': 'sum'}}}
    """
    if isinstance(node, TaggedScalar):
        content = node.value
    elif isinstance(node, Mapping):
        content = {str(key): plain(value) for key, value in node.items()}
    elif isinstance(node, list):
        content = [plain(value) for value in node]
    else:
        return _plain_scalar(node)
    has_tag = isinstance(node, CommentedMap | CommentedSeq | TaggedScalar)
    tag = node.tag.value if has_tag else None
    return {tag: content} if tag else content


def _plain_scalar(value):
    # ruamel's numbers and text are subclasses that remember how they looked.
    if isinstance(value, bool) or value is None:
        return value
    for kind in (int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return value
