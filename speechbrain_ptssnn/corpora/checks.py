"""The same audio under two ids: a test utterance that was trained on."""

from collections import defaultdict

from speechbrain.utils.logger import get_logger

from speechbrain_ptssnn.errors import InputError

logger = get_logger(__name__)


def check_same_audio(utterances, folds, hash_of):
    """Refuses audio that occurs twice and would make results wrong.

    Twice with one label and on one side of every fold, it counts twice, which
    is warned of.

    Arguments
    ---------
    utterances : list of Utterance
        The corpus.
    folds : list of Fold
        What it was cut into.
    hash_of : callable
        Id to the hash of the utterance's audio.

    Raises
    ------
    InputError
        If the same audio has two labels, or stands on two sides of a fold.

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
            sides = [
                side
                for side, part in vars(fold).items()
                if not ids.isdisjoint(part)
            ]
            if len(sides) > 1:
                raise InputError(
                    f"{names} are the same audio, which fold {number} has in "
                    f"{sides}; keep one"
                )
    if copies:
        logger.warning(
            "%d utterances have the same audio as another and count beside "
            "it, e.g. %r and %r",
            sum(len(same) - 1 for same in copies),
            *(u.id for u in copies[0][:2]),
        )
