"""Puts the files of several backbones together, for ``--backbone=A+B``."""

import re
from collections import Counter
from collections.abc import Mapping

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, TaggedScalar

KEYS = """\
backbone_name: !apply:speechbrain_ptssnn.utils.backbone_names.joined_name
    - []
backbone: !new:speechbrain_ptssnn.backbones.SideBySide
    backbones: []
normalizer: !new:speechbrain_ptssnn.nnet.stream_norm.StreamNorm
    sizes: !ref <backbone.sizes>
    rules: !ref <normalize>
    clip: !ref <clip_features>
    layer_norm: !ref <layer_norms>
layer_norm: False
"""
# What a backbone's file says of its features, beside how to compute them.
REFERENCE = re.compile(r"<(\w+)")  # in "!ref <backbone.n_layers>"
RULE = ("normalize", "clip_features", "layer_norm", "saturation")


def side_by_side(names, documents, defaults):
    """Returns the keys that stand for several backbones' files.

    A key that several files have gets the number of its file: with
    ``whisper-base+wavlm-large`` there are ``layer_1`` and ``layer_2``, with
    ``whisper-base+fbank`` there is ``layer``. ``normalize`` and
    ``clip_features`` are lists, with one value for each backbone;
    ``layer_norms`` says whose frames are normalised on their own, so the
    head's LayerNorm over all channels is off. ``saturation`` is the largest.

    Arguments
    ---------
    names : list of str
        Of the files, without ending.
    documents : list of CommentedMap
        What the files say, with their bases.
    defaults : CommentedMap
        The head's file, for what a backbone's file does not say.

    Returns
    -------
    CommentedMap

    Example
    -------
    >>> keys = {"normalize": "none", "clip_features": 9.0}
    >>> keys |= {"layer_norm": True, "saturation": 0.1}
    >>> one = CommentedMap(backbone="A", layer=3)
    >>> two = CommentedMap(backbone="B", layer=5, saturation=0.3)
    >>> joint = side_by_side(["a", "b"], [one, two], CommentedMap(keys))
    >>> joint["layer_1"], joint["layer_2"], joint["saturation"]
    (3, 5, 0.3)
    """
    counts = Counter(key for document in documents for key in document)
    joint, keys, rules = CommentedMap(), YAML().load(KEYS), []
    for number, (name, document) in enumerate(
        zip(names, documents, strict=True), 1
    ):
        rules.append({key: document.pop(key, defaults[key]) for key in RULE})
        parts = document.pop("backbone"), document.pop("backbone_name", name)
        numbered = {
            key: f"{key}_{number}" for key in document if counts[key] > 1
        }
        for key, value in document.items():
            joint[numbered.get(key, key)] = _renamed(value, numbered)
        backbone, label = (_renamed(part, numbered) for part in parts)
        keys["backbone"]["backbones"].append(backbone)
        keys["backbone_name"][0].append(label)
    for key in RULE[:2]:
        joint[key] = [rule[key] for rule in rules]
    joint["layer_norms"] = [rule["layer_norm"] for rule in rules]
    joint["saturation"] = max(rule["saturation"] for rule in rules)
    joint.update(keys)
    return joint


def _renamed(node, names):
    """Lets references lead to the new names of keys; changes the node."""
    if isinstance(node, TaggedScalar):
        node.value = REFERENCE.sub(
            lambda m: f"<{names.get(m[1], m[1])}", node.value
        )
    elif isinstance(node, Mapping):
        for key in node:
            node[key] = _renamed(node[key], names)
    elif isinstance(node, list):
        node[:] = [_renamed(each, names) for each in node]
    return node
