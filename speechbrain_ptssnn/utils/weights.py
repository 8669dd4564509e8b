"""Files of weights: torch's, as training writes them, and safetensors."""

import json

import torch
from safetensors import safe_open
from safetensors.torch import save_file

PACKED = "speechbrain_ptssnn"  # the key of the metadata


def is_safetensors(path):
    """Whether a file begins as safetensors do: a header of JSON behind its
    length.
    """
    with open(path, "rb") as file:
        return file.read(9)[8:] == b"{"


def read_weights(path):
    """Reads tensors, and what stands with them.

    Arguments
    ---------
    path : str or Path
        A file of :func:`write_safetensors`, or one that ``torch.save`` wrote
        and that holds no pickled objects.

    Returns
    -------
    dict
        As it was written, nested dicts included.
    """
    if not is_safetensors(path):
        return torch.load(path, map_location="cpu", weights_only=True)
    with safe_open(path, framework="pt") as file:
        names = file.keys()
        tensors = {name: file.get_tensor(name) for name in names}
        tree = json.loads((file.metadata() or {}).get(PACKED, "null"))
    return tensors if tree is None else _joined(tree, tensors, "")


def write_safetensors(content, path):
    """Writes tensors as safetensors, which cannot run code.

    Arguments
    ---------
    content : dict
        Tensors, and dicts of them, beside what JSON can hold. Keys are text
        or whole numbers.
    path : str or Path
        The file.

    Raises
    ------
    ValueError
        If two nested keys have one name, such as "a/b" beside "a" with "b".

    Example
    -------
    >>> path = getfixture("tmp_path") / "head.safetensors"
    >>> write_safetensors({"layer": 3, 0: {"w": torch.ones(1)}}, path)
    >>> read_weights(path)
    {'layer': 3, 0: {'w': tensor([1.])}}
    """
    tensors = {}
    tree = _split(content, tensors, "")
    save_file(tensors, path, {PACKED: json.dumps(tree), "format": "pt"})


# A dict becomes [[key, kind, value], ...]: JSON's own keys are text only.
def _split(content, tensors, prefix):
    tree = []
    for key, value in content.items():
        name = f"{prefix}{key}"
        if torch.is_tensor(value):
            if name in tensors:
                raise ValueError(f"two tensors would be called {name!r}")
            tensors[name] = value.detach().clone().contiguous()
            tree.append([key, "tensor", None])
        elif isinstance(value, dict) and _holds_tensors(value):
            tree.append([key, "dict", _split(value, tensors, f"{name}/")])
        else:
            tree.append([key, "value", value])
    return tree


def _holds_tensors(content):
    return any(
        torch.is_tensor(value)
        or (isinstance(value, dict) and _holds_tensors(value))
        for value in content.values()
    )


def _joined(tree, tensors, prefix):
    content = {}
    for key, kind, value in tree:
        name = f"{prefix}{key}"
        if kind == "tensor":
            value = tensors[name]
        elif kind == "dict":
            value = _joined(value, tensors, f"{name}/")
        content[key] = value
    return content
