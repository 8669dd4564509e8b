"""Bundles of strangers, looked at before anything of them is built.

``hyperparams.yaml`` can build any Python object, and a pickle can run any
code. :func:`check_trusted` lets through only what training writes.
"""

import importlib
import inspect
import re
import zipfile
from pathlib import Path

import torch
from ruamel.yaml import YAML
from ruamel.yaml.nodes import MappingNode, ScalarNode

from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.inference import (
    file_of,
    load_parts,
    reading_bundle,
)
from speechbrain_ptssnn.utils.files import read_file
from speechbrain_ptssnn.utils.weights import read_weights

# Modules of these packages may be built: layers, heads and front-ends.
PACKAGES = tuple(
    f"speechbrain_ptssnn.{name}." for name in ("nnet", "lobes", "backbones")
)
# What the template of a bundle names besides, today and in older versions.
CLASSES = (
    *("torch.nn.Identity", "torch.nn.LogSoftmax"),
    "speechbrain.dataio.encoder.CategoricalEncoder",
    "speechbrain.utils.parameter_transfer.Pretrainer",
    "speechbrain_ptssnn.audio.MonoAudio",
    "speechbrain_ptssnn.inference.BundlePretrainer",
    "speechbrain_ptssnn.inference.CalibratedLogSoftmax",
    "speechbrain_ptssnn.inference.PassWaveform",
    "speechbrain_ptssnn.inference.UtteranceEncoder",
)
CALLS = ("speechbrain.dataio.encoder.CategoricalEncoder.expect_len",)
PRETRAINERS = tuple(name for name in CLASSES if name.endswith("Pretrainer"))
# Digits of sizes, numbers of layers and sample rates.
LONGEST = 5
# Labels and the YAML are small files, in bytes.
LARGEST_TEXT = 2**20
# A model is built whole before the layers that its file lacks are removed.
LARGER = 50
# What is never too large: bytes of a file, or numbers of a model.
SPARE = 2**20
# Keys of a transformers configuration by which it can name foreign code.
FOREIGN = re.compile("auto_map|.*implementation.*")


def check_trusted(folder):
    """Refuses a bundle that holds anything but what training writes.

    Nothing of it is built or run. What is loaded afterwards can neither run
    code, nor read outside the folder (but for weights from the hub that it
    names), nor ask for far more memory than its files have.

    Arguments
    ---------
    folder : str or Path
        The bundle; a whole one, see
        :func:`~speechbrain_ptssnn.inference.check_bundle`.

    Raises
    ------
    InputError
        If something else is found; names the file and the line.
    """
    folder = Path(folder)
    _check_paths(folder)
    path = folder / "hyperparams.yaml"
    with reading_bundle(path):
        _check_yaml(path)
    checks = {
        "label_encoder": _check_labels,
        "normalizer": _check_part,
        "head": _check_part,
        "backbone": _check_backbone,
    }
    for name, check in checks.items():
        for is_pushed in (False, True):
            path = folder / file_of(name, is_pushed)
            if path.exists():
                with reading_bundle(path):
                    check(path)


def _refused(where, what):
    return InputError(
        f"{where}: {what}, which no training writes; --trust loads the model "
        "all the same, if you trust whoever made it"
    )


def _check_paths(folder):
    """Refuses links that lead out of the folder."""
    # The hub's cache has links from snapshots/<commit> to blobs.
    homes = [folder.resolve(), folder.resolve().parents[1] / "blobs"]
    if folder.resolve().parent.name != "snapshots":
        homes = homes[:1]
    for path in sorted(folder.rglob("*")):
        target = path.resolve()
        if not any(target.is_relative_to(home) for home in homes):
            raise _refused(path, "is a link out of the folder")


def _check_yaml(path):
    """Refuses objects, files and sizes that training does not write."""
    if path.stat().st_size > LARGEST_TEXT:
        raise _refused(path, "is larger than a megabyte")
    _check_node(path, YAML().compose(read_file(path)), "")


def _check_node(path, node, key):
    where = f"{path}, line {node.start_mark.line + 1}"
    if node.anchor is not None:  # a few can stand for billions of nodes
        raise _refused(where, f"has the anchor {node.anchor!r}")
    tag = str(node.tag)
    if tag.startswith("!"):
        _check_tag(where, tag, node)
    if isinstance(node, ScalarNode):
        if not tag.startswith("!"):
            _check_value(where, key, tag, node.value)
        return
    if not isinstance(node, MappingNode):
        for each in node.value:
            _check_node(path, each, key)
        return
    is_pretrainer = tag.removeprefix("!new:") in PRETRAINERS
    for name, each in node.value:
        where = f"{path}, line {name.start_mark.line + 1}"
        if not isinstance(name, ScalarNode) or str(name.tag).startswith("!"):
            raise _refused(where, "has a key that is no word")
        if is_pretrainer and name.value not in ("loadables", "safetensors"):
            raise _refused(where, f"gives the pretrainer {name.value!r}")
        _check_node(path, each, name.value)


def _check_tag(where, tag, node):
    kind, _, name = tag.partition(":")
    if kind == "!ref" and not name:
        if re.fullmatch(r"<\w+>", node.value):
            return
        raise _refused(where, f"computes {node.value!r}")
    is_known = kind in ("!new", "!name") and (
        name in CLASSES or (name.startswith(PACKAGES) and _is_module(name))
    )
    if not is_known and not (kind == "!apply" and name in CALLS):
        raise _refused(where, f"wants {tag!r}")


def _is_module(name):
    """Whether a name in one of our packages is a torch.nn.Module of it."""
    module, _, attribute = name.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError):
        return False
    return (
        inspect.isclass(found)
        and issubclass(found, torch.nn.Module)
        and found.__module__.startswith(PACKAGES)
    )


def _check_value(where, key, tag, value):
    is_large = tag.endswith(":int") and len(value) > LONGEST
    if is_large or (key == "allow_pickle" and value.lower() != "false"):
        raise _refused(where, f"sets {key} to {value:.40}")
    parts = value.replace("\\", "/").split("/")
    if value.startswith(("/", "~", "\\")) or ".." in parts:
        raise _refused(where, f"names the path {value!r}")


def _check_labels(path):
    if path.stat().st_size > LARGEST_TEXT:
        raise _refused(path, "is larger than a megabyte")


def _read(path):
    """Reads weights, if they do not unpack to more than their file has."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(each.file_size for each in archive.infolist())
        if unpacked > path.stat().st_size + SPARE:
            raise _refused(path, f"unpacks to {unpacked / 2**20:,.0f} MiB")
    return read_weights(path)


def _check_part(path):
    """Refuses a head or normalizer that is far larger than its file."""
    with torch.device("meta"):  # which has shapes and no numbers
        (part,) = load_parts(path.parent, [path.stem], weights=False)
    _check_size(path, path.stem, part, _read(path).values())


def _check_backbone(path):
    """Refuses a front-end that names code, or is far larger than its file."""
    saved = _read(path)
    (backbone,) = load_parts(path.parent, ["backbone"], weights=False)
    if "settings" in saved:
        pairs = [(backbone, saved)]
    else:  # several, side by side, by their numbers
        pairs = [(backbone.backbones[k], saved[k]) for k in saved]
    for part, packed in pairs:
        for name, value in _pairs(packed["settings"]):
            is_class = name == "feature_extractor_type"
            if (FOREIGN.fullmatch(name) and "/" in str(value)) or (
                is_class and not re.fullmatch(r"\w+FeatureExtractor", value)
            ):
                raise _refused(path, f"sets {name} to {value!s:.80}")
        with torch.device("meta"):
            part.restore(packed["settings"])
        _check_size(path, "front-end", part.model, packed["weights"].values())


def _pairs(node):
    """All keys and values of nested dicts and lists."""
    pairs = node.items() if isinstance(node, dict) else ()
    for name, value in pairs:
        yield str(name), value
        yield from _pairs(value)
    if isinstance(node, list | tuple):
        for value in node:
            yield from _pairs(value)


def _check_size(path, name, module, weights):
    wanted = sum(each.numel() for each in module.state_dict().values())
    given = sum(each.numel() for each in weights)
    if wanted > LARGER * given + SPARE:
        raise _refused(
            path,
            f"holds {given:,} numbers for a {name} that is built with "
            f"{wanted:,}",
        )
