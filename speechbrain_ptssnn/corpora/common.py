"""What every corpus reader returns, and the checks they share.

A corpus is one module here: it defines ``CORPUS`` (a :class:`Corpus`), whose
``read`` lists the utterances. Adding a corpus takes that one file and a
folder in ``recipes/``.
"""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from importlib import import_module
from pkgutil import iter_modules

from speechbrain_ptssnn import corpora
from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.utils.files import write_text

# Modules beside the corpora that are none.
TOOLS = ("common", "folds", "given_folds", "release")


@dataclass(frozen=True)
class Utterance:
    """One labelled recording.

    Arguments
    ---------
    id : str
        Unique within the corpus; names the row in ``predictions.csv``.
    wav : str
        Path of the audio file.
    speaker : str
        Who speaks; the speaker-independent protocol splits by this.
    label : str
        One of the corpus's labels.
    duration : float
        Seconds.
    session : str
        Recording session, "" where the corpus has none.
    sex : str
        "f", "m", or "" where the corpus does not say.
    sentence : str
        Which sentence is spoken, where sentences repeat.
    text : str
        What is said.
    fold : str
        The corpus's own assignment: a fold's number, or "train", "valid" or
        "test".
    start : float
        Where the utterance begins in the file, in seconds.
    end : float or None
        Where it ends; None is the file's end.
    """

    id: str
    wav: str
    speaker: str
    label: str
    duration: float
    session: str = ""
    sex: str = ""
    sentence: str = ""
    text: str = ""
    fold: str = ""
    start: float = 0.0
    end: float | None = None


@dataclass(frozen=True)
class Corpus:
    """What the training needs to know of a corpus.

    Arguments
    ---------
    name : str
        As it is written in tables and result folders.
    labels : tuple of str
        In index order: label ``labels[k]`` is output neuron k.
    read : callable
        ``read(data_folder, complete=True)`` lists the :class:`Utterance` s,
        sorted by id; ``complete`` asks for the published counts.
    protocol : str
        The paper's, which is taken if none is asked for: a file of the
        recipe's ``protocols/``.
    configure : callable or None
        ``configure(settings)`` gives the Corpus of one run, where the run's
        YAML says what its name or labels are.
    """

    name: str
    labels: tuple
    read: Callable
    protocol: str = "random"
    configure: Callable | None = None


def find_corpus(name):
    """The :class:`Corpus` called ``name``, in any case.

    Arguments
    ---------
    name : str
        The module's name in ``speechbrain_ptssnn.corpora``, e.g. "urdu".

    Returns
    -------
    Corpus

    Raises
    ------
    InputError
        If there is no such corpus; the message lists those there are.

    Example
    -------
    >>> find_corpus("URDU").labels
    ('Angry', 'Happy', 'Neutral', 'Sad')
    """
    if not is_known(name):
        raise InputError(f"unknown corpus {name!r}; there are {_known()}")
    return import_module(f"{corpora.__name__}.{name.lower()}").CORPUS


def is_known(name):
    """Whether there is a reader for the corpus of this name."""
    return name.lower() in _known()


def _known():
    return sorted(
        module.name
        for module in iter_modules(corpora.__path__)
        if module.name not in TOOLS
    )


def check_counts(corpus, utterances, expected, hint, by="label"):
    """Compares numbers of utterances with the published ones.

    Arguments
    ---------
    corpus : str
        The corpus's name, for the message.
    utterances : list of Utterance
        What was found.
    expected : dict
        Label, or what else is counted, to number.
    hint : str
        What to do, or what the folder should hold and where it is had.
    by : str
        What is counted: an attribute of :class:`Utterance`.

    Raises
    ------
    InputError
        If a count differs; the message tells those that do, and what is
        likely wrong.

    Example
    -------
    >>> check_counts("URDU", [], {"Angry": 100}, "see recipes/URDU/README.md")
    Traceback (most recent call last):
    speechbrain_ptssnn.errors.InputError: URDU: found {'Angry': 0}, expected \
{'Angry': 100} by label; a partial download? see recipes/URDU/README.md
    """
    counts = Counter(getattr(utterance, by) for utterance in utterances)
    values = sorted({*counts, *expected})
    odd = [k for k in values if counts[k] != expected.get(k, 0)]
    if odd:
        found = {k: counts[k] for k in odd}
        wanted = {k: expected.get(k, 0) for k in odd}
        fewer = all(found[k] < wanted[k] for k in odd)
        reason = "a partial download?" if fewer else "another release, copies?"
        raise InputError(
            f"{corpus}: found {found}, expected {wanted} by {by}; {reason} "
            f"{hint}"
        )


def check_utterances(corpus, utterances):
    """Refuses what no training can use: duplicates and unknown labels.

    Arguments
    ---------
    corpus : Corpus
        Whose labels are allowed.
    utterances : list of Utterance
        What its reader returned.

    Raises
    ------
    InputError
        If there is no utterance, an id occurs twice or a label is unknown.
    """
    if not utterances:
        raise InputError(f"{corpus.name}: no utterance was found")
    seen = {}
    for utterance in utterances:
        if utterance.id in seen:
            raise InputError(
                f"{corpus.name}: id {utterance.id!r} occurs twice, in "
                f"{seen[utterance.id]} and {utterance.wav}; remove one"
            )
        seen[utterance.id] = utterance.wav
        if utterance.label not in corpus.labels:
            raise InputError(
                f"{utterance.wav}: label {utterance.label!r} is not one of "
                f"{list(corpus.labels)}"
            )


def classes_of(corpus, label_map):
    """The classes that are trained, in index order.

    Arguments
    ---------
    corpus : Corpus
        Whose labels there are.
    label_map : dict
        Label to class, or to None where its utterances are left out; empty
        for the corpus's own labels.

    Returns
    -------
    tuple of str

    Raises
    ------
    InputError
        If a label is not in the map or not the corpus's, or fewer than two
        classes are left.

    Example
    -------
    >>> urdu = find_corpus("URDU")
    >>> high_low = dict(Angry="high", Happy="high", Neutral=None, Sad="low")
    >>> classes_of(urdu, high_low)
    ('high', 'low')
    """
    if not label_map:
        return corpus.labels
    for text in (*label_map, *label_map.values()):
        if text is not None and not isinstance(text, str):
            raise InputError(f"label_map: write {text!r} in quotes")
    odd = sorted(set(label_map) ^ set(corpus.labels), key=str)
    if odd:
        raise InputError(
            f"label_map must name each label of {corpus.name}, "
            f"{list(corpus.labels)}, and no other; see {odd}"
        )
    if "" in label_map.values():
        raise InputError("label_map: a class is empty; null leaves a label out")
    classes = tuple(dict.fromkeys(filter(None, label_map.values())))
    if len(classes) < 2:
        raise InputError(f"label_map leaves {len(classes)} classes; 2 needed")
    return classes


def map_labels(utterances, label_map):
    """The utterances whose label has a class, labelled with it.

    Arguments
    ---------
    utterances : list of Utterance
        Checked by :func:`check_utterances`.
    label_map : dict
        As in :func:`classes_of`.

    Returns
    -------
    list of Utterance
    """
    if not label_map:
        return utterances
    return [
        replace(u, label=label_map[u.label])
        for u in utterances
        if label_map[u.label] is not None
    ]


def write_manifest(path, utterances):
    """Writes SpeechBrain's JSON manifest, ``{id: {wav, speaker, ...}}``.

    Arguments
    ---------
    path : str or Path
        The file; ``DynamicItemDataset.from_json`` reads it.
    utterances : list of Utterance
        Its rows, in this order.
    """
    rows = {}
    for utterance in utterances:
        row = asdict(utterance)
        rows[row.pop("id")] = row
    write_text(path, json.dumps(rows, indent=1, ensure_ascii=False))
