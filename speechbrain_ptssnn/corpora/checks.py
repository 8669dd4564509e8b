"""Checks of a corpus: number of utterances, ids, labels, same audio twice."""

from collections import Counter, defaultdict

from speechbrain.utils.logger import get_logger

from speechbrain_ptssnn.errors import InputError

logger = get_logger(__name__)


def check_counts(corpus, utterances, expected, hint, by="label"):
    """Compares the numbers of utterances with the published ones.

    Arguments
    ---------
    corpus : str
        The corpus's name, for the message.
    utterances : list of Utterance
        What was found.
    expected : dict
        From value to number of utterances, e.g. from label to number.
    hint : str
        The end of the message: what to do, or what the folder should hold.
    by : str
        The attribute of :class:`Utterance` that is counted.

    Raises
    ------
    InputError
        If a number differs; the message lists those that do and the likely
        reason.

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
    """Checks that ids are unique and labels are known.

    Arguments
    ---------
    corpus : Corpus
        Has the allowed labels.
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


def check_same_audio(utterances, folds, hash_of):
    """Checks that no audio is both trained on and tested, under two ids.

    A copy that has the same label and stays in the same part of every fold
    only counts twice: that is a warning.

    Arguments
    ---------
    utterances : list of Utterance
        The corpus.
    folds : list of Fold
        How it is split.
    hash_of : callable
        From an utterance's id to the hash of its audio.

    Raises
    ------
    InputError
        If the same audio has two labels, or is in two parts of a fold.

    Example
    -------
    >>> from speechbrain_ptssnn.corpora.common import Utterance
    >>> from speechbrain_ptssnn.corpora.folds import Fold
    >>> us = [Utterance(name, "x.wav", "s", "calm", 1.0) for name in "abc"]
    >>> fold = Fold(["a"], ["b"], ["c"])
    >>> check_same_audio(us, [fold], hash_of=str)
    >>> check_same_audio(us, [fold], hash_of=len)
    Traceback (most recent call last):
    speechbrain_ptssnn.errors.InputError: 'a' (x.wav), 'b' (x.wav), ...
    """
    groups = defaultdict(list)
    for utterance in utterances:
        groups[hash_of(utterance.id)].append(utterance)
    copies = [same for same in groups.values() if len(same) > 1]
    for same in copies:
        names = ", ".join(f"{u.id!r} ({u.wav})" for u in same)
        labels = sorted({u.label for u in same})
        if len(labels) > 1:
            raise InputError(
                f"{names} are the same audio, labelled {labels}; keep one"
            )
        ids = {u.id for u in same}
        for number, fold in enumerate(folds, 1):
            parts = [
                part
                for part, members in vars(fold).items()
                if not ids.isdisjoint(members)
            ]
            if len(parts) > 1:
                raise InputError(
                    f"{names} are the same audio, which fold {number} has in "
                    f"{parts}; keep one"
                )
    if copies:
        logger.warning(
            "%d utterances have the same audio as another and count beside "
            "it, e.g. %r and %r",
            sum(len(same) - 1 for same in copies),
            *(u.id for u in copies[0][:2]),
        )
