"""Bundles of strangers, looked at before anything of them is built.

``hyperparams.yaml`` can build any Python object, and a pickle can run any
code. :func:`check_trusted` lets through only what training writes.
"""

import importlib
import inspect
import pickletools
import re
import zipfile
from pathlib import Path

import torch
from ruamel.yaml import YAML
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode
from speechbrain.dataio.encoder import CategoricalEncoder

from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.inference import (
    HUB_ID,
    LARGEST_TEXT,
    LOADABLES,
    check_bundle,
    file_of,
    load_parts,
    reading_bundle,
)
from speechbrain_ptssnn.utils.files import read_file
from speechbrain_ptssnn.utils.weights import is_safetensors, read_weights

OURS = "speechbrain_ptssnn"
ENCODER = "speechbrain.dataio.encoder.CategoricalEncoder"
# The top of hyperparams.yaml, today and in older versions: the parts, whose
# layers may be of these packages, and what the template adds.
PARTS = {
    "backbone": (f"{OURS}.backbones.",),
    "normalizer": (f"{OURS}.nnet.",),
    "head": (f"{OURS}.lobes.", f"{OURS}.nnet."),
}
TEMPLATE = {
    "compute_features": ("!new:torch.nn.Identity",),
    "mean_var_norm": (f"!new:{OURS}.inference.PassWaveform",),
    "embedding_model": (f"!new:{OURS}.inference.UtteranceEncoder",),
    "classifier": (
        f"!new:{OURS}.inference.CalibratedLogSoftmax",
        "!new:torch.nn.LogSoftmax",
    ),
    "modules": ("map",),
    "sample_rate": ("int",),
    "audio_normalizer": (f"!new:{OURS}.audio.MonoAudio",),
    "label_encoder": (f"!new:{ENCODER}",),
    "expect_len": (f"!apply:{ENCODER}.expect_len",),
    "pretrainer": (
        f"!new:{OURS}.inference.BundlePretrainer",
        "!new:speechbrain.utils.parameter_transfer.Pretrainer",
    ),
}
PLAIN = ("str", "int", "float", "bool", "null", "seq", "map")
STANDARD = "tag:yaml.org,2002:"
# Largest whole numbers: of any key, and of those that count layers, mels, ...
LARGEST, MOST = 99_999, 1_000
COUNTS = re.compile(r"n_(?!samples).*|.*(layers|depth|blocks|mel_bins).*")
# Of the settings of a front-end, which have lengths in samples too.
LONGEST, LARGEST_FFT = 1_000_000, 4_096
# A model is built whole before the layers that its file lacks are removed.
LARGER = 50
# What is never too large: bytes of a file, or numbers of a model.
SPARE = 2**20
# What torch.save writes for tensors in dicts.
GLOBALS = re.compile(
    r"collections OrderedDict|torch \w+Storage"
    r"|torch\._utils _rebuild_tensor_v2"
)
# Keys of a transformers configuration by which it can name foreign code.
FOREIGN = re.compile("auto_map|.*implementation.*")
KINDS = (
    *("whisper", "wav2vec2", "hubert", "wavlm", "data2vec-audio"),
    *("wav2vec2-bert", "unispeech", "unispeech-sat"),
)
EXTRACTORS = tuple(
    f"{name}FeatureExtractor" for name in ("Whisper", "Wav2Vec2", "SeamlessM4T")
)


def check_trusted(folder):
    """Refuses a bundle that holds anything but what training writes.

    Nothing of it is built with its weights or run. What is loaded afterwards
    can neither run code, nor read outside the folder (but for weights from
    the hub that it names), nor ask for far more memory than its files have.

    Arguments
    ---------
    folder : str or Path
        The bundle.

    Raises
    ------
    InputError
        If it is no whole bundle, or something else is found; names the file
        and the line.
    """
    check_bundle(folder)
    folder = Path(folder)
    _check_paths(folder)
    path = folder / "hyperparams.yaml"
    with reading_bundle(path):
        names, is_pushed = _check_yaml(path)
    checks = {
        "label_encoder": _check_labels,
        "normalizer": _check_part,
        "head": _check_part,
        "backbone": _check_backbone,
    }
    for name in names:
        path = folder / file_of(name, is_pushed)
        with reading_bundle(path):
            checks[name](path)


def _refused(where, what):
    return InputError(
        f"{where}: {what}, which no training writes; --trust loads the model "
        "all the same, if you trust whoever made it"
    )


def _check_paths(folder):
    """Refuses links that lead out of the folder, and what is no file."""
    # The hub's cache has links from snapshots/<commit> to blobs.
    homes = [folder.resolve()]
    if homes[0].parent.name == "snapshots":
        homes.append(homes[0].parents[1] / "blobs")
    for path in sorted(folder.rglob("*")):
        target = path.resolve()
        if not any(target.is_relative_to(home) for home in homes):
            raise _refused(path, "is a link out of the folder")
        if not (target.is_file() or target.is_dir()):
            raise _refused(path, "is no ordinary file")


def _check_yaml(path):
    """Refuses objects, files and sizes that training does not write. Returns
    the names of what is loaded, and whether its weights are safetensors.
    """
    text = read_file(path)
    if re.search("(?m)^%", text):  # which can give other tags our names
        raise _refused(path, "has a directive")
    root = YAML().compose(text)
    if not isinstance(root, MappingNode):
        raise _refused(path, "holds no keys")
    _check_node(path, root, "", None)
    top = {name.value: node for name, node in root.value}
    odd = top.keys() ^ (PARTS.keys() | TEMPLATE.keys())
    if odd or len(top) != len(root.value):
        raise _refused(path, f"has or lacks {min(odd, default='a key twice')}")
    for key, tags in TEMPLATE.items():
        where = _where(path, top[key])
        if _tag(top[key]) not in tags:
            raise _refused(where, f"{key} is {_tag(top[key])!r}")
        _check_simple(where, key, top[key])
    return _check_pretrainer(path, top["pretrainer"])


def _where(path, node):
    return f"{path}, line {node.start_mark.line + 1}"


def _tag(node):
    return str(node.tag).removeprefix(STANDARD)


def _check_node(path, node, key, packages):
    """Refuses a tag, a value or a key anywhere. Objects may only be layers of
    these packages; without any, only what the template has.
    """
    where, tag = _where(path, node), _tag(node)
    if node.anchor is not None:  # a few can stand for billions of nodes
        raise _refused(where, f"has the anchor {node.anchor!r:.40}")
    if tag == "!ref":
        if not re.fullmatch(r"<\w+>", str(node.value)):
            raise _refused(where, f"computes {node.value!r:.40}")
        return
    if tag not in PLAIN:
        _check_object(where, node, packages)
    if isinstance(node, ScalarNode):
        if tag in PLAIN:
            _check_value(where, key, tag, node.value)
        return
    if isinstance(node, SequenceNode):
        for each in node.value:
            _check_node(path, each, key, packages)
        return
    for name, each in node.value:
        if _tag(name) != "str" or not re.fullmatch(r"\w+", str(name.value)):
            raise _refused(_where(path, name), "has a key that is no word")
        inside = packages
        if packages is None:
            inside = PARTS.get(name.value, ())
        _check_node(path, each, name.value, inside)
        _check_key(_where(path, name), name.value, each)


def _check_object(where, node, packages):
    kind, _, name = str(node.tag).partition(":")
    if packages:
        is_known = (
            kind in ("!new", "!name")
            and name.startswith(packages)
            and _is_module(name)
        )
    else:
        is_known = any(str(node.tag) in tags for tags in TEMPLATE.values())
    if not is_known:
        raise _refused(where, f"wants {_tag(node)!r:.100}")
    if kind != "!apply" and isinstance(node, SequenceNode):
        raise _refused(where, "gives arguments by position")


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
        and found.__module__.startswith(f"{OURS}.")
    )


def _check_value(where, key, tag, value):
    # hyperpyyaml takes "<...>" for a reference and "(...)" for a tuple.
    if re.search(r"[<>]|^\(", value):
        raise _refused(where, f"sets {key} to {value!r:.60}")
    parts = value.replace("\\", "/").split("/")
    if value.startswith(("/", "~", "\\")) or ".." in parts:
        raise _refused(where, f"names the path {value!r:.60}")
    if tag == "int" and len(value) > len(str(LARGEST)):
        raise _refused(where, f"sets {key} to {value!r:.40}")


def _check_key(where, key, node):
    """Refuses values that only some keys may not have."""
    if not isinstance(node, ScalarNode) or _tag(node) == "!ref":
        return
    value = node.value
    is_large = (
        _tag(node) == "int"
        and COUNTS.fullmatch(key)
        and len(value) >= len(str(MOST))
    )
    if is_large or (key == "allow_pickle" and value.lower() != "false"):
        raise _refused(where, f"sets {key} to {value!r:.40}")
    is_named = key == "source" and _tag(node) != "null"
    if is_named and (not HUB_ID.fullmatch(value) or Path(value).exists()):
        raise _refused(where, f"names the path {value!r:.60}")


def _check_simple(where, key, node):
    """Refuses objects within what the template writes."""
    if isinstance(node, ScalarNode):
        return
    for each in node.value:
        inner = each[1] if isinstance(each, tuple) else each
        if _tag(inner) not in (*PLAIN, "!ref"):
            raise _refused(where, f"{key} holds {_tag(inner)!r:.100}")
        _check_simple(where, key, inner)


def _check_pretrainer(path, node):
    """What is loaded has to be the parts that are looked at."""
    keys = {name.value: each for name, each in node.value}
    where = _where(path, node)
    if not {"loadables"} <= keys.keys() <= {"loadables", "safetensors"}:
        odd = min(keys.keys() ^ {"loadables"})
        raise _refused(where, f"has or lacks {odd!r} in the pretrainer")
    loaded = {name.value: each for name, each in keys["loadables"].value}
    for name, each in loaded.items():
        if _tag(each) != "!ref" or each.value != f"<{name}>":
            raise _refused(where, f"loads something else as {name!r}")
    if not {*LOADABLES} <= loaded.keys() <= {*LOADABLES, "backbone"}:
        odd = min(loaded.keys() ^ {*LOADABLES})
        raise _refused(where, f"loads or does not load {odd!r}")
    is_pushed = "safetensors" in keys and keys["safetensors"].value == "True"
    return list(loaded), is_pushed


def _check_labels(path):
    if path.stat().st_size > LARGEST_TEXT:
        raise _refused(path, "is larger than a megabyte")
    encoder = CategoricalEncoder()
    encoder.load(path)
    for label in encoder.lab2ind:
        is_word = isinstance(label, str) and label.isprintable()
        if not is_word or len(label) > 100:
            raise _refused(path, f"has the label {label!r:.60}")


def _check_weights(path):
    """Refuses a file that holds more than tensors, or is packed."""
    if is_safetensors(path):
        return
    if not zipfile.is_zipfile(path):
        raise _refused(path, "is no file of weights")
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(each.file_size for each in archive.infolist())
        if unpacked > path.stat().st_size + SPARE:
            raise _refused(path, f"unpacks to {unpacked / 2**20:,.0f} MiB")
        for name in archive.namelist():
            if name.endswith(".pkl"):
                _check_pickle(path, archive.read(name))


def _check_pickle(path, data):
    for code, argument, _ in pickletools.genops(data):
        is_tensor = code.name == "GLOBAL" and GLOBALS.fullmatch(argument)
        if "GLOBAL" in code.name and not is_tensor:
            raise _refused(path, f"wants {argument or code.name!r}")


def _check_part(path):
    """Refuses a head or normalizer that is far larger than its file."""
    _check_weights(path)
    with torch.device("meta"):  # which has shapes and no numbers
        (part,) = load_parts(path.parent, [path.stem], weights=False)
    _check_size(path, path.stem, part)


def _check_backbone(path):
    """Refuses a front-end that names code, or is far larger than its file."""
    _check_weights(path)
    saved = read_weights(path)
    (backbone,) = load_parts(path.parent, ["backbone"], weights=False)
    if "settings" in saved:
        pairs = [(backbone, saved)]
    else:  # several, side by side, by their numbers
        pairs = [(backbone.backbones[k], saved[k]) for k in saved]
    for part, packed in pairs:
        for name, value in _pairs(packed["settings"]):
            _check_setting(path, name, value)
        with torch.device("meta"):
            part.restore(packed["settings"])
        _check_size(path, "front-end", part.model)


def _check_setting(path, name, value):
    most = LONGEST
    if COUNTS.fullmatch(name):
        most = MOST
    if name in ("n_fft", "feature_size"):
        most = LARGEST_FFT
    is_large = isinstance(value, int) and abs(value) > most
    is_foreign = FOREIGN.fullmatch(name) and "/" in str(value)
    is_other = (name == "model_type" and value not in KINDS) or (
        name == "feature_extractor_type" and value not in EXTRACTORS
    )
    if is_large or is_foreign or is_other:
        raise _refused(path, f"sets {name} to {value!r:.80}")


def _pairs(node):
    """All keys and values of nested dicts and lists."""
    pairs = node.items() if isinstance(node, dict) else ()
    for name, value in pairs:
        yield str(name), value
        yield from _pairs(value)
    if isinstance(node, list | tuple):
        for value in node:
            yield from _pairs(value)


def _check_size(path, name, module):
    wanted = sum(each.numel() for each in module.state_dict().values())
    given = path.stat().st_size // 2  # bytes of bfloat16
    if wanted > LARGER * given + SPARE:
        raise _refused(
            path,
            f"has {path.stat().st_size:,} bytes for a {name} of {wanted:,} "
            "numbers",
        )
