"""Two corpora: one to train on, one to test on.

The protocol's YAML sets ``train_corpus``, ``test_corpus`` and, for each of
them, a map from its labels to the common classes in ``label_maps``.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from speechbrain_ptssnn.corpora.checks import check_utterances
from speechbrain_ptssnn.corpora.common import (
    Corpus,
    classes_of,
    map_labels,
)
from speechbrain_ptssnn.corpora.custom import custom_corpus
from speechbrain_ptssnn.corpora.registry import find_corpus, is_known
from speechbrain_ptssnn.errors import InputError


def cross_corpus(train, test, label_maps, columns=None, audio_folder=""):
    """Joins two corpora.

    Arguments
    ---------
    train, test : str
        Names of our corpora. Any other name is your own corpus, which is read
        from a manifest.
    label_maps : dict
        From corpus to a dict from label to class; None leaves a label out.
    columns, audio_folder : dict, str
        Of your own corpus, as in
        :func:`~speechbrain_ptssnn.corpora.custom.custom_corpus`.

    Returns
    -------
    Corpus
        Its ``data_folder`` is a dict from corpus to folder. Ids and speakers
        of its utterances begin with the corpus's name, and their ``fold`` is
        "train" or "test".

    Raises
    ------
    InputError
        If a map does not fit its corpus, or the classes of the two differ.

    Example
    -------
    >>> emovo = dict.fromkeys(find_corpus("EMOVO").labels)  # None for all
    >>> emovo.update(anger="angry", sadness="sad")
    >>> urdu = dict(Angry="angry", Happy=None, Neutral=None, Sad="sad")
    >>> cross_corpus("EMOVO", "URDU", {"EMOVO": emovo, "URDU": urdu}).labels
    ('angry', 'sad')
    """
    if train == test:
        raise InputError(f"train_corpus and test_corpus are both {train!r}")
    sides, classes = {}, {}
    for fold, name in {"train": train, "test": test}.items():
        label_map = label_maps.get(name)
        if not label_map:
            raise InputError(
                f"label_maps has no map for {name}, only for {list(label_maps)}"
            )
        corpus = (
            find_corpus(name)
            if is_known(name)
            else custom_corpus(name, label_map, columns, audio_folder)
        )
        classes[name] = classes_of(corpus, label_map)
        sides[fold] = (replace(corpus, name=name), label_map)
    odd = sorted({*classes[train]} ^ {*classes[test]})
    if odd:
        raise InputError(
            f"label_maps: {train} and {test} do not share the classes {odd}; "
            "map labels that only one of them has to null"
        )
    return Corpus("CrossCorpus", classes[train], partial(_read, sides))


def _read(sides, data_folder, complete=True):
    names = [corpus.name for corpus, _ in sides.values()]
    if not isinstance(data_folder, Mapping) or {*data_folder} - {*names}:
        raise InputError(
            f"data_folder must name the folders of {names}, as in "
            f"'{{{names[0]}: /a, {names[1]}: /b}}', got {data_folder!r}"
        )
    utterances = []
    for fold, (corpus, label_map) in sides.items():
        own = corpus.read(data_folder.get(corpus.name), complete)
        check_utterances(corpus, own)
        utterances += [
            replace(
                u,
                id=f"{corpus.name}/{u.id}",
                speaker=u.speaker and f"{corpus.name}/{u.speaker}",
                fold=fold,
            )
            for u in map_labels(own, label_map)
        ]
    return sorted(utterances, key=lambda utterance: utterance.id)


def _configure(settings):
    keys = ("train_corpus", "test_corpus", "label_maps")
    if not all(key in settings.document for key in keys):
        raise InputError(
            "CrossCorpus needs train_corpus, test_corpus and label_maps in "
            "the protocol's YAML; to extract features ahead, name one corpus, "
            "e.g. --corpus=EMOVO"
        )
    keys += ("columns", "audio_folder")
    return cross_corpus(*map(settings.value, keys))


CORPUS = Corpus(
    "CrossCorpus",
    (),
    None,
    "emovo_to_urdu",
    configure=_configure,
    description="two corpora: trained on one, tested on the other",
)
