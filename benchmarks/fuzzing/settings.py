"""YAML files, values of keys, and command lines."""

import codecs
import io
import os
from functools import cache
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from fuzzing.cases import case, check_sound, check_training
from fuzzing.engine import HEAD, QUIET, RUN, Find
from fuzzing.pools import ODD_FOLDERS, ODD_VALUES, WORDS
from speechbrain_ptssnn.utils.own_files import HPARAMS
from speechbrain_ptssnn.utils.yaml_files import read_yaml

SKIPPED = ("corpus", "n_classes")  # keys that only the package sets
OBJECTS = (
    *("head", "loss", "plif", "token_plif", "normalizer"),
    *("opt_class", "lr_annealing"),
)
# Of these a large value would take hours, as asked.
SLOW = ("number_of_epochs", "jobs", "launcher", "ray_address")
SLOW_VALUES = ("1e3", "1_000", "0x10", "010", "2", "3", "1" * 400, "9" * 30)


@cache
def _yaml_keys():
    """The head's file, and its keys and those of its objects: (outer, key)."""
    document = read_yaml(HPARAMS / "pts_snn.yaml")
    keys = [("", key) for key in document if key not in SKIPPED]
    for outer in OBJECTS:
        keys += [(outer, key) for key in document[outer]]
    return document, [key for key in keys if key[1][0] != "_"]


def _pick_key(rng):
    document, keys = _yaml_keys()
    outer, key = rng.choice(keys)
    value = rng.choice(ODD_VALUES)
    if key in SLOW and value in SLOW_VALUES:
        value = "-2"
    default = document[outer][key] if outer else document[key]
    return outer, key, value, default


def _is_wrong_kind(default, value):
    """Whether a value is of another kind than a number that it replaces."""
    if not isinstance(default, int | float):
        return False
    try:
        parsed = YAML(typ="safe").load(value)
    except (YAMLError, ValueError):
        return not value.startswith("!")
    if isinstance(default, bool):
        return not isinstance(parsed, bool)
    if isinstance(default, int):
        return not isinstance(parsed, int) or isinstance(parsed, bool)
    return not isinstance(parsed, int | float) or isinstance(parsed, bool)


@case("settings", 3)
def yaml_value(rng, w):
    """A key of the YAML has an odd value."""
    outer, key, value, default = _pick_key(rng)
    text, lines = HEAD, HEAD.splitlines()
    if outer == "head":
        lines = [ln for ln in lines if not ln.startswith(f"    {key}:")]
        text = "\n".join([*lines, f"    {key}: {value}"]) + "\n"
    elif outer:
        text += f"{outer}: {{{key}: {value}}}\n"
    else:
        lines = [ln for ln in lines if not ln.startswith(f"{key}:")]
        text = "\n".join([f"{key}: {value}", *lines]) + "\n"
    (w / "cafe/tiny.yaml").write_text(text)
    end = check_sound(w, w.train())
    if end == "accepted" and not outer and _is_wrong_kind(default, value):
        raise Find(f"{key}: {value} is accepted, the default is {default}")
    w.check_leftovers()
    return end


@case("settings", 3)
def argument_value(rng, w):
    """A key has an odd value on the command line."""
    outer, key, value, default = _pick_key(rng)
    words = [f"--{key}={value}"]
    if outer:
        words = [f"--{outer}={{{key}: {value}}}"]
    if not outer and rng.random() < 0.2:
        words = [f"--{key}", value]
    w.encoding = rng.choice(["utf-8", "ascii", "latin-1"])
    end = check_sound(w, w.train(*words))
    if end == "accepted" and not outer and _is_wrong_kind(default, value):
        raise Find(f"{key}: {value} is accepted, the default is {default}")
    w.check_leftovers()
    return end


@case("settings", 2)
def yaml_file(rng, w):
    """One of the YAML files is damaged or odd as a whole."""
    name = rng.choice(
        ["tiny.yaml", "two_folds.yaml", "backbones/tiny_fbank.yaml"]
    )
    file = w / "cafe" / name
    data = file.read_bytes()
    lines = data.splitlines(keepends=True)
    k = rng.randrange(len(lines))
    must = "any"
    change = rng.randrange(16)
    if change == 0:
        data = data[: rng.randrange(len(data))]
    elif change == 1:
        position = rng.randrange(len(data))
        data = bytearray(data)
        data[position] ^= 1 << rng.randrange(8)
        data = bytes(data)
    elif change == 2:
        lines.insert(k, lines[k])
        data, must = b"".join(lines), "refused"
    elif change == 3:
        del lines[k]
        data = b"".join(lines)
    elif change == 4:
        data = data.replace(b"    ", b"\t")
    elif change == 5:
        data, must = codecs.BOM_UTF8 + data, "either"
    elif change == 6:
        data, must = data.decode().encode("utf-16"), "either"
    elif change == 7:
        data, must = data.replace(b"\n", b"\r\n"), "same"
    elif change == 8:
        data = data + b"---\n" + data
    elif change == 9:
        data = b"a: " + b"[" * 3000 + b"\n" + data
    elif change == 10:
        data = rng.choice(
            [
                b"",
                b"\n",
                b"# nothing\n",
                b"- a\n",
                b"a\n",
                b"1",
                b"null\n",
                b"\0",
                b"\xff\xfe",
                rng.randbytes(300),
            ]
        )
    elif change == 11:
        data, must = b"nosuchkey: 1\n" + data, "refused"
        must = "any" if name != "tiny.yaml" else must
    elif change == 12:
        data = b"&a " + data
    elif change == 13:
        data = data + b"<<: {seed: 3}\n"
    elif change == 14:
        data, must = b"%YAML 1.1\n---\n" + data, "either"
    else:
        data = data.replace(b":", b": ", 1).replace(b": ", b":", 1)
    file.write_bytes(data)
    if must != "any":
        return check_training(w, must)
    return check_sound(w, w.train())


@case("settings", 2)
def results_folder(rng, w):
    """The results lie in the folder of exactly the name that was given."""
    name = rng.choice(ODD_FOLDERS)
    key = rng.choice(["results_folder", "features_folder"])
    words = (f"--{key}={name}",)
    w.encoding = rng.choice(["utf-8", "ascii", "latin-1"])
    if rng.random() < 0.5:
        if "\0" in name:
            name = "a b"
        words = ()
        dump = io.StringIO()
        YAML().dump({key: name}, dump)
        (w / "cafe/tiny.yaml").write_text(HEAD + dump.getvalue(), "utf-8")
    outcome = w.train(*words)
    end = outcome.judge()
    if end == "refused":
        return end
    folder = Path(os.path.normpath(w / name)) if name else w.path
    if name == "~" or name.startswith("~/"):
        folder = w / "home" / name[2:]
    below = folder.glob("Cafe" if key == "results_folder" else "*/index.sqlite")
    if not any(below):
        raise Find(f"{key} {name!r}: written elsewhere")
    return end


@case("words", 3)
def any_words(rng, w):
    """Commands with arguments that people mix up."""
    w.add_run()
    run = f"results/{RUN}"
    (w / "empty").mkdir()
    command = rng.choice(
        [
            "train",
            "extract",
            "classify",
            "experiments",
            "compare",
            "energy",
            "report",
            "list",
            "trian",
            "--version",
            "help",
            "",
        ]
    )
    words = rng.choices(WORDS, k=rng.randrange(5))
    if command in ("train", "extract") and rng.random() < 0.7:
        words = ["cafe/tiny.yaml", *words]
    if command == "classify" and rng.random() < 0.5:
        words = [f"{run}/fold_1/model", *words]
    if command in ("compare", "energy", "report") and rng.random() < 0.5:
        words = [run, *words]
    if command in ("train", "extract", "experiments"):
        words += rng.sample(QUIET, rng.choice([0, 2, 2, 2]))
    w.encoding = rng.choice(["utf-8", "ascii", "latin-1"])
    end = w.run(command, *words).judge()
    w.check_same()
    w.check_leftovers()
    return end
