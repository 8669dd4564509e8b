"""YAML files of keys and values: read, and made plain for comparisons."""

from collections.abc import Mapping
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq, TaggedScalar
from ruamel.yaml.error import YAMLError

from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.utils.files import read_file


def read_yaml(path):
    """Reads a YAML file of keys and values.

    Arguments
    ---------
    path : str or Path
        The file.

    Returns
    -------
    ruamel.yaml.comments.CommentedMap
        It keeps tags (``!new:``) and comments.

    Raises
    ------
    InputError
        If the file is not one.
    """
    try:
        document = YAML().load(read_file(Path(path)))
    except YAMLError as error:
        raise InputError(
            f"{path}: cannot be read as YAML ({yaml_problem(error)})"
        ) from error
    except RecursionError as error:
        raise InputError(
            f"{path}: cannot be read as YAML (it is nested too deeply)"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as YAML ({error})") from error
    if not isinstance(document, Mapping):
        raise InputError(f"{path}: is not a YAML file of keys and values")
    return _with_maps(document, {})


def parse_yaml(option, text):
    """Reads the value of a command's option as YAML.

    Arguments
    ---------
    option : str
        Its name, for errors.
    text : str
        The value.

    Returns
    -------
    object
        Of plain Python.

    Raises
    ------
    InputError
        If it is no YAML.

    Example
    -------
    >>> parse_yaml("--label_map", "{mad: bad, calm: null}")
    {'mad': 'bad', 'calm': None}
    """
    try:
        return plain(YAML().load(text))
    except (YAMLError, RecursionError) as error:
        raise InputError(
            f"{option}={text}: cannot be read as YAML ({yaml_problem(error)})"
        ) from error


def _with_maps(node, done):
    """Gives objects that have no arguments, such as ``!new:Class``, an empty
    map of them, so that all objects are alike.
    """
    is_scalar = isinstance(node, TaggedScalar) and not node.value
    if is_scalar and str(node.tag.value).startswith(("!new:", "!name:")):
        found = done.setdefault(id(node), CommentedMap())
        found.yaml_set_ctag(node.tag)
        found.fa.set_flow_style()
        return found
    if id(node) not in done:  # an alias may lead back
        done[id(node)] = node
        pairs = node.items() if isinstance(node, Mapping) else ()
        pairs = enumerate(node) if isinstance(node, list) else pairs
        for key, value in list(pairs):
            if isinstance(value, TaggedScalar | Mapping | list):
                node[key] = _with_maps(value, done)
    return node


def yaml_problem(error):
    r"""Returns what is wrong with a YAML text, and in which line, as one line.

    Arguments
    ---------
    error : ruamel.yaml.error.YAMLError
        Its own text has several lines and advice for programmers.

    Returns
    -------
    str

    Example
    -------
    >>> try:
    ...     _ = YAML().load("a: 1\na: 2")
    ... except YAMLError as error:
    ...     yaml_problem(error)
    'line 2: found duplicate key "a" with value "2" (original value: "1")'
    """
    problem = getattr(error, "problem", None)
    mark = getattr(error, "problem_mark", None)
    if problem is None or mark is None:
        return " ".join(str(error).split())
    return f"line {mark.line + 1}: {' '.join(problem.split())}"


def plain(node):
    """Converts a node of a YAML document to plain Python, for comparisons.

    Arguments
    ---------
    node : object
        The result of :func:`read_yaml`, or a part of it.

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
    # ruamel's numbers and texts are subclasses that remember their notation.
    if isinstance(value, bool) or value is None:
        return value
    for kind in (int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return value
