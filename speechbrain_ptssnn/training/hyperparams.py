"""Puts one run's YAML together: head file, backbone file, protocol file."""

import os
import re
from collections.abc import Mapping
from copy import deepcopy
from inspect import Parameter, signature
from io import StringIO
from pathlib import Path
from pydoc import locate

from hyperpyyaml import load_hyperpyyaml, resolve_references
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq, TaggedScalar
from ruamel.yaml.error import YAMLError

from speechbrain_ptssnn.errors import REFUSALS, InputError
from speechbrain_ptssnn.evaluation.run_folder import with_new_names
from speechbrain_ptssnn.training.arguments import OPTIONS
from speechbrain_ptssnn.training.side_by_side import REFERENCE, side_by_side
from speechbrain_ptssnn.utils.long_lists import named
from speechbrain_ptssnn.utils.own_files import HPARAMS, find_yaml
from speechbrain_ptssnn.utils.suggestions import suggestion
from speechbrain_ptssnn.utils.yaml_files import plain, read_yaml

# The file that has every key of a training.
BASE = "pts_snn.yaml"
# The keys that must be objects, since a bundle holds their arguments by name.
OBJECTS = ("backbone", "normalizer", "head")
# The keys, besides *_folder, whose values name files, folders or corpora.
NAMES = (
    *("base", "backbone", "protocol", "hub"),
    *("corpus", "model", "backbone_name", "train_corpus", "test_corpus"),
)
SURROGATE = re.compile("[\ud800-\udfff]")
MAY_BE_EMPTY = (
    *("data_folder", "audio_folder", "emobox_folder"),
    *("protocol", "hub"),
)


class Hyperparams:
    r"""A run's settings, before the objects in them are built.

    ``base: FILE`` in a file takes all other keys from that file, which lies
    beside it or is one of ours. ``backbone: NAME`` and ``protocol: NAME`` are
    replaced by the keys of ``backbones/NAME.yaml`` (beside the head's file, or
    ours; or NAME is a path) and of ``protocols/NAME.yaml`` (in the recipe's
    folder). ``backbone: A+B`` takes several, see :func:`side_by_side`. What a
    file with a ``base`` says itself wins over these files' keys. A file's
    ``data_folder`` begins where the file lies.
    ``head: {n_prompts: 2}``, without a ``!new:``, keeps the base's head and
    its other arguments; so with every object. An override ``base: FILE`` takes
    another head than a file of the user's: that file's own ``base``, ``head``
    and ``model`` do not count.

    Arguments
    ---------
    path : str or Path
        The head's file, e.g. hparams/pts_snn.yaml.
    overrides : dict
        Key to the value that the command line gives it. A text is read as
        YAML, unless the key's default is a text: a folder may be called
        ``2026`` or ``run #2``. In a file such names need quotes. ``~/`` is
        the home folder in both.
    recipe_folder : str or Path or None
        Holds ``protocols/``; None leaves the protocol's name as it is.
    protocol : str
        Which one ``protocol: ""`` stands for.
    **fixed
        Keys that the recipe sets, e.g. corpus and n_classes.

    Raises
    ------
    InputError
        If a file or key does not exist, and the message lists those there
        are, or a value is of another kind than its default, or a key is set
        that nothing uses with this head.
    """

    def __init__(
        self, path, overrides, recipe_folder, protocol="random", **fixed
    ):
        path = find_yaml("head", path)
        overrides = with_new_names(overrides)
        other = overrides.pop("base", None)
        if other is not None and HPARAMS in path.resolve().parents:
            raise InputError(
                f"--base={other}: is for a YAML file of yours, and {path.name} "
                "is one of ours; name the head that you want instead of it"
            )
        self.document, self._defaults, self._own = _load_on_base(
            path,
            HPARAMS,
            None if other is None else find_yaml("head", other),
        )
        self.overrides = {**overrides, **fixed}
        self.backbone_name = self._choose("backbone", path.parent / "backbones")
        if recipe_folder is not None:
            self.protocol_name = self._choose(
                "protocol", Path(recipe_folder) / "protocols", protocol
            )
        base = read_yaml(HPARAMS / BASE)
        lacking = sorted(base.keys() - self.document)
        if lacking:
            raise InputError(
                f"{path}: lacks {len(lacking)} keys; write 'base: {BASE}' at "
                f"its top, which has them: {named(lacking, 'lacking keys')}"
            )
        unknown = {*self.overrides, *self._own} - {*self._defaults}
        if unknown:
            known = sorted(key for key in self._defaults if key[0] != "_")
            key = min(unknown)
            near = suggestion(key, [*known, *OPTIONS])
            raise InputError(f"unknown key {key!r}{near}; {path} has {known}")
        used = set().union(*(_needs(self.document, key) for key in OBJECTS))
        unused = _needs(base, "head") - used
        key = min(unused & self.overrides.keys(), default=None)
        if key is not None:
            _refuse_unused(path, key, self.document["head"])
        for key in self.overrides.keys() - fixed.keys():
            self.overrides[key] = self._typed(key, self.overrides[key])
        for key in self._own:
            self.document[key] = _as_kind(
                key, self._defaults[key], self.document[key]
            )

    def _choose(self, key, folder, default=None):
        """Puts the keys of a backbone's or protocol's file into the document;
        returns the file's name.
        """
        name = self.overrides.pop(key, self.document[key]) or default
        name = _name(f"--{key}", key, name)
        ours = HPARAMS / "backbones" if key == "backbone" else folder
        names = [name]
        if key == "backbone" and not Path(name).is_file():
            names = str(name).split("+")
        files = [find_yaml(key, each, [Path(), folder]) for each in names]
        stems = [file.stem for file in files]
        documents = [_load_on_base(file, ours)[0] for file in files]
        for file, document in zip(files, documents, strict=True):
            if not _has_tag(document.get(key)):
                raise InputError(
                    f"{file}: has no object {key!r}, so it is not the file of "
                    f"a {key}; write '{key}: !new:...' there"
                )
        if len(files) == 1:
            (document,) = documents
        else:
            document = side_by_side(stems, documents, self.document)
        for index, (name, value) in enumerate(document.items()):
            # In front, so that references find them built.
            mine = self.document.pop(name, None)
            self.document.ca.items.pop(name, None)  # its comment
            is_own = name in self._own and name != key
            self.document.insert(index, name, mine if is_own else value)
        self._defaults |= document
        self._own.discard(key)
        return "+".join(stems)

    def _typed(self, key, value):
        """The value of an override, in the kind of the key's default."""
        default = self._defaults[key]
        if isinstance(value, str) and not _is_text(key, default):
            try:
                value = YAML(typ="safe").load(value)
            except YAMLError as error:
                reason = " ".join(str(error).split())
                raise InputError(f"--{key}={value}: {reason}") from error
        elif value in ("null", "~") and not key.endswith("_folder"):
            value = None
        value = _as_kind(key, default, value)
        return _name(f"--{key}", key, value) if _is_name(key) else value

    def value(self, key):
        """What a plain key is set to; a mapping as it is when built."""
        value = self.document[key]
        given = self.overrides.get(key, value)
        if isinstance(value, Mapping) and isinstance(given, Mapping):
            return {**value, **given}
        return given

    def text(self, **changes):
        """The whole document, references resolved and overrides applied.

        Arguments
        ---------
        **changes
            Keys that are set otherwise than they were given.

        Returns
        -------
        str
        """
        try:
            return resolve_references(
                _dump(self.document), {**self.overrides, **changes}
            ).read()
        except (ValueError, KeyError) as error:
            raise InputError(f"hyperparameters: {error}") from error
        except RecursionError as error:
            raise InputError(
                "hyperparameters: a value is nested too deeply"
            ) from error

    def plain(self):
        """The keys that are no objects, with references resolved.

        Returns
        -------
        dict
            Key to value.
        """
        document = YAML().load(self.text())
        for key in OBJECTS:
            if key in document and not _is_object(document[key]):
                raise InputError(
                    f"{key} must be an object with named arguments, like "
                    "'!new:package.Class {name: value}'"
                )
        objects = [key for key, node in document.items() if _has_tag(node)]
        for key in objects:
            default = self._defaults.get(key)
            if default is not None and not _has_tag(default):
                raise InputError(
                    f"{key} is an object, {plain(document[key])}; write a "
                    f"plain value, like its default {plain(default)!r}"
                )
        return self.build([key for key in document if key not in objects])

    def arguments(self, key):
        """What an object is built with.

        Arguments
        ---------
        key : str
            Of the object.

        Returns
        -------
        dict
            Name of an argument to its value, references resolved.
        """
        node = YAML().load(self.text())[key]
        return {str(name): plain(value) for name, value in node.items()}

    def check_objects(self):
        """Checks the arguments' names of all objects, without building any.

        Raises
        ------
        InputError
            If an object's constructor does not have an argument.
        """
        for key, node in YAML().load(self.text()).items():
            if _is_object(node):
                _check_arguments(key, node)

    def build(self, names=None):
        """Builds the objects.

        Arguments
        ---------
        names : list of str, optional
            The keys that are wanted; all by default.

        Returns
        -------
        dict
            Key to value or object.

        Raises
        ------
        InputError
            If an object cannot be built.
        """
        self.check_objects()
        document, overrides = self.document, dict(self.overrides)
        if names is not None:
            document = YAML().load(self.text())
            document = CommentedMap({name: document[name] for name in names})
            overrides = {}
        try:
            built = load_hyperpyyaml(_dump(document), overrides)
        except InputError:
            raise
        # A constructor's refusal, or a class that does not exist.
        except (*REFUSALS, ImportError) as error:
            reason = " ".join(" ".join(map(str, error.args)).split())
            raise InputError(f"hyperparameters: {reason}") from error
        for key in built:
            if key.endswith("_folder"):  # a reference may lead anywhere
                _name(key, key, built[key])
        return built


def _is_name(key):
    return key.endswith("_folder") or key in NAMES


def _is_text(key, default):
    """Whether a key's value is a text, whatever it looks like."""
    if isinstance(default, TaggedScalar | Mapping):
        return False
    return isinstance(default, str) or _is_name(key)


def _name(location, key, value):
    """The name of a file, folder or corpus, with ``~/`` as the home folder.

    Raises an InputError if YAML took it for anything but a text, or if it is
    empty where it must not be. ``location`` says where it stands.
    """
    if _has_tag(value):  # an object or a reference
        return value
    if isinstance(value, Mapping):
        return {
            each: _name(f"{location}: {each}", key, name)
            for each, name in value.items()
        }
    if value is None or (isinstance(value, str) and not value.strip()):
        if key in MAY_BE_EMPTY:
            return value
        raise InputError(f"{location} is empty; write a name there")
    if not isinstance(value, str):
        raise InputError(
            f"{location} is {value!r} to YAML, not a text; put the name in "
            "quotes"
        )
    # Zero bytes, which no file's name has, and names that are not UTF-8.
    if "\0" in value or SURROGATE.search(value):
        raise InputError(
            f"{location} is {value!r}, which cannot be a name in UTF-8; "
            "choose another"
        )
    is_at_home = value == "~" or value.startswith("~/")
    return os.path.expanduser(value) if is_at_home else value


def _as_kind(key, default, value):
    """The value as its default's kind, or a clear refusal."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if _has_own_tag(value):  # an object or a reference
        return value
    if isinstance(default, bool):
        right, kind = isinstance(value, bool), "True or False"
    elif isinstance(default, int):
        right = is_number and isinstance(value, int)
        kind = "a whole number"
    elif isinstance(default, float):
        right, kind = is_number, "a number"
    elif isinstance(default, Mapping):
        right, kind = isinstance(value, Mapping), "like '{name: value}'"
        if right:
            value = _with_kinds(key, default, value)
    elif isinstance(default, list):  # one value for each backbone
        values = value if isinstance(value, list) else [value] * len(default)
        if len(values) == len(default):
            pairs = zip(default, values, strict=True)
            return [_as_kind(key, *pair) for pair in pairs]
        right, kind = False, f"one value, or a list of {len(default)}"
    else:  # a text, such as a layer's number
        right = value is None or isinstance(value, str | Mapping) or is_number
        value, kind = str(value) if is_number else value, "a text"
    if not right:
        raise InputError(f"{key} must be {kind}, got {value!r}")
    return value


def _with_kinds(key, default, value):
    """The arguments of an object, each as its default's kind."""
    for name, each in value.items():
        known = default.get(name)
        if known is not None and not _has_tag(known):
            value[name] = _as_kind(f"{key}: {name}", known, each)
    return value


def _load(path):
    document = read_yaml(path)
    renamed = with_new_names(document)
    if renamed.keys() != document.keys():
        document = CommentedMap(renamed)
    for key in filter(_is_name, document):
        document[key] = _name(f"{path}: {key}", key, document[key])
    if "data_folder" in document:
        document["data_folder"] = _begin_in(
            Path(path).parent, document["data_folder"]
        )
    return document


def _begin_in(folder, value):
    if isinstance(value, Mapping):
        return {key: _begin_in(folder, each) for key, each in value.items()}
    return str(folder / str(value)) if value else value


def _load_on_base(path, folder, other=None):
    """The document, the base below all others, what the others say. The file
    ``other`` is taken instead of the first base that is one of ours.
    """
    first, document, changes = path, _load(path), []
    while "base" in document:
        name = document.pop("base")
        base = Path(path).parent / name
        is_beside = base.is_file() and base != Path(path)
        if not is_beside and not (folder / name).is_file():
            ours = [str(each.relative_to(folder)) for each in folder.rglob("*")]
            raise InputError(
                f"{path}: its base {name!r}{suggestion(name, ours)} is neither "
                "beside it nor one of ours, which 'ptssnn list' names"
            )
        path = base if is_beside else folder / name
        changes.append(document)
        if other and HPARAMS in path.resolve().parents:
            for each in changes:
                each.pop("head", None)
                each.pop("model", None)
            path, other = other, None
        document = _load(path)
    if other:
        raise InputError(
            f"{first}: has no base of ours that {other.stem} could stand in "
            f"for; write 'base: {BASE}' at its top"
        )
    defaults = deepcopy(document)
    for each in reversed(changes):
        _update(document, each)
    return document, defaults, {key for each in changes for key in each}


def _update(document, changes):
    for key, value in changes.items():
        is_arguments = isinstance(value, Mapping) and not _is_object(value)
        if is_arguments and _is_object(document.get(key)):
            _update(document[key], value)
        else:
            document[key] = value


def _needs(document, key):
    """The keys that an object refers to, itself or through other keys."""
    needs, nodes = set(), [document.get(key)]
    while nodes:
        node = nodes.pop()
        if isinstance(node, TaggedScalar):
            names = {*REFERENCE.findall(node.value)} - needs
            needs |= names
            nodes += map(document.get, names)
        elif isinstance(node, Mapping | list):
            nodes += node.values() if isinstance(node, Mapping) else node
    return needs


def _refuse_unused(path, key, head):
    """Tells that a key would change nothing with this head."""
    has_own = isinstance(head, Mapping) and key in head
    hint = f"write --head='{{{key}: ...}}'" if has_own else "leave it out"
    raise InputError(
        f"--{key} has no effect on the head of {path}, which does not use it; "
        f"{hint}"
    )


def _is_object(value):
    return isinstance(value, CommentedMap) and value.tag.value is not None


def _has_own_tag(node):
    tagged = isinstance(node, TaggedScalar | CommentedMap | CommentedSeq)
    return tagged and node.tag.value is not None


def _has_tag(node):
    if _has_own_tag(node):
        return True
    parts = node.values() if isinstance(node, Mapping) else node
    is_list = isinstance(node, Mapping | list)
    return is_list and any(map(_has_tag, parts))


def _check_arguments(key, node):
    kind, _, name = node.tag.value.partition(":")
    target = locate(name) if kind in ("!new", "!name") else None
    if not callable(target):  # building it is refused
        return
    parameters = signature(target).parameters
    if any(each.kind is Parameter.VAR_KEYWORD for each in parameters.values()):
        return
    for argument in node:
        if argument not in parameters:
            raise InputError(
                f"{key}: {target.__name__} has no argument {argument!r}"
                f"{suggestion(argument, parameters)}; it has "
                f"{list(parameters)}"
            )


def _dump(document):
    stream = StringIO()
    YAML().dump(document, stream)
    return stream.getvalue()
