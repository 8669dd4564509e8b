"""Protocols: which utterances train, validate and test in each fold."""

import random
from abc import ABC, abstractmethod
from collections import Counter, defaultdict
from dataclasses import dataclass

from speechbrain.utils.logger import get_logger

from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.utils.long_lists import named

logger = get_logger(__name__)

# What a protocol may keep in one part, and the attribute of Utterance for it.
UNITS = {
    "utterance": "id",
    "speaker": "speaker",
    "session": "session",
    "sentence": "sentence",
}


@dataclass(frozen=True)
class Fold:
    """The ids of one fold's three disjoint parts.

    Arguments
    ---------
    train : list of str
        Fit the head.
    valid : list of str
        Select the checkpoint; they are taken from the training folds.
    test : list of str
        Are used once, after the training.
    """

    train: list
    valid: list
    test: list


class BaseProtocol(ABC):
    """Base class of the protocols: checks each fold and cuts out validation.

    Arguments
    ---------
    unit : str
        What may not be both in the test set and outside it: "utterance",
        "speaker", "session" or "sentence".
    seed : int
        Seed of the folds. It is the same for all training seeds, so runs can
        be compared utterance by utterance.
    valid_parts : int
        The validation set is about 1 / valid_parts of the training folds.
    valid_unit : str, optional
        What may not be both in training and in validation; by default
        ``unit``.

    Raises
    ------
    ValueError
        If a unit is unknown or ``valid_parts`` is below 2.
    """

    def __init__(self, unit, seed, valid_parts=9, valid_unit=None):
        self.unit = unit
        self.seed = seed
        self.valid_parts = valid_parts
        self.valid_unit = valid_unit or unit
        for each in (self.unit, self.valid_unit):
            if each not in UNITS:
                raise ValueError(
                    f"unit must be one of {list(UNITS)}, got {each!r}"
                )
        if valid_parts < 2:
            raise ValueError(f"valid_parts must be 2 or more: {valid_parts}")

    @abstractmethod
    def partition(self, utterances):
        """Says which utterances each fold trains on and tests.

        Arguments
        ---------
        utterances : list of Utterance
            The corpus.

        Yields
        ------
        tuple of list of Utterance
            (train, test) of fold 1, 2, ...; (train, test, valid) where the
            validation set is given as well.
        """

    def split(self, utterances):
        """Splits a corpus into folds.

        Arguments
        ---------
        utterances : list of Utterance
            The corpus, in any order.

        Returns
        -------
        list of Fold
            Fold 1 first.

        Raises
        ------
        InputError
            If the corpus has too few utterances or units, an utterance has no
            unit or no fold, a unit is in two parts, or a label is not in the
            training set.
        """
        return [
            self.make_fold(number, *parts)
            for number, parts in enumerate(self.partition(utterances), 1)
        ]

    def make_fold(self, number, train, test, valid=()):
        """Makes one fold and checks it.

        Arguments
        ---------
        number : int
            Of the fold, from 1 on.
        train : list of Utterance
            The training folds.
        test : list of Utterance
            The test set.
        valid : list of Utterance
            The validation set. By default it is cut out of ``train``: of all
            parts that leave every label in training, the one whose shares of
            labels are closest to those of ``train``.

        Returns
        -------
        Fold

        Raises
        ------
        InputError
            If there is nothing to test or too little to cut, a unit is in
            two parts, or a label is not in the training set.
        """
        if not test:
            raise InputError(f"fold {number}: no utterance is tested")
        if not valid:
            parts = deal(
                train, self.valid_parts, self.valid_unit, self.seed + number - 1
            )
            valid = min(parts, key=lambda part: _distance(part, train))
            train = [u for part in parts if part is not valid for u in part]
        for one, other, unit in (
            (train, test, self.unit),
            (valid, test, self.unit),
            (train, valid, self.valid_unit),
        ):
            leaked = _values(one, unit) & _values(other, unit)
            if leaked:
                names = named(map(repr, sorted(leaked)), f"leaked {unit}s")
                raise InputError(
                    f"fold {number}: a {unit} may be in one of training, "
                    f"validation and test only, and {len(leaked)} are in two: "
                    f"{names}"
                )
        _check_labels(number, train, valid, test)
        return Fold(_ids(train), _ids(valid), _ids(test))


class KFold(BaseProtocol):
    """Cuts a corpus into folds, each of which is tested once.

    Random folds are stratified by label. The other units are kept whole:
    speakers, sessions or sentences are dealt, the largest first, each to the
    fold whose label counts it keeps most even. Validation is cut out of the
    training folds in the same way. Only ``random.random`` is used, whose
    sequence Python guarantees, so a seed gives the same folds on every
    machine and version.

    Arguments
    ---------
    n_folds : int
        Number of folds.
    unit : str
        "utterance" for random folds; "speaker", "session" or "sentence" for
        folds that test unseen ones.
    seed : int
        As in :class:`BaseProtocol`, like the arguments that follow.
    valid_parts : int
        The validation set is about 1 / valid_parts of the training folds.
    valid_unit : str, optional
        By what validation is cut out; by default ``unit``.

    Raises
    ------
    ValueError
        If a unit is unknown or a number is below 2.

    Example
    -------
    >>> from speechbrain_ptssnn.corpora.common import Utterance
    >>> corpus = [
    ...     Utterance(f"{speaker}{n}", "", speaker, "calm", 1.0)
    ...     for speaker in "abc"
    ...     for n in range(2)
    ... ]
    >>> folds = KFold(3, "speaker", seed=1, valid_parts=2).split(corpus)
    >>> sorted(fold.test for fold in folds)
    [['a0', 'a1'], ['b0', 'b1'], ['c0', 'c1']]
    """

    def __init__(self, n_folds, unit, seed, valid_parts=9, valid_unit=None):
        super().__init__(unit, seed, valid_parts, valid_unit)
        if n_folds < 2:
            raise ValueError(f"n_folds must be at least 2, got {n_folds}")
        self.n_folds = n_folds

    def partition(self, utterances):
        """Yields (train, test): each of the dealt parts is tested once."""
        parts = deal(utterances, self.n_folds, self.unit, self.seed)
        for test in parts:
            yield [u for part in parts if part is not test for u in part], test


# The name in the protocols' YAML files and in the results made with them.
Protocol = KFold


def deal(utterances, n_parts, unit, seed):
    """Deals utterances to parts with label counts as even as possible.

    Arguments
    ---------
    utterances : list of Utterance
        In any order.
    n_parts : int
        Number of parts.
    unit : str
        What is kept whole; see :class:`KFold`.
    seed : int
        Seed of the shuffling.

    Returns
    -------
    list of list of Utterance

    Raises
    ------
    InputError
        If there are fewer units than parts, or an utterance has no unit.
    """
    n_units = len(_values(utterances, unit))
    if n_units < n_parts:
        raise InputError(
            f"{n_units} {unit}{'s' * (n_units != 1)} cannot be dealt to "
            f"{n_parts} parts; lower n_folds or valid_parts in the protocol's "
            "YAML, or choose a protocol of another unit"
        )
    draw = random.Random(seed).random
    by_unit = unit != "utterance"
    groups = defaultdict(list)
    for u in sorted(utterances, key=lambda u: u.id):
        groups[getattr(u, UNITS[unit]) if by_unit else u.label].append(u)
    parts = [[] for _ in range(n_parts)]
    if not by_unit:
        # Each label continues at the part where the one before stopped, so
        # the parts' sizes are equal as well.
        order = [
            u
            for label in sorted(groups)
            for u in sorted(groups[label], key=lambda u: draw())
        ]
        for k, u in enumerate(order):
            parts[k % n_parts].append(u)
        return parts
    order = sorted(sorted(groups), key=lambda name: draw())
    order.sort(key=lambda name: -len(groups[name]))
    counts = [Counter() for _ in range(n_parts)]
    for name in order:
        labels = Counter(u.label for u in groups[name])
        # Empty parts come first, then the part whose sum of squared label
        # counts grows least.
        k = min(
            range(n_parts),
            key=lambda k: (
                bool(parts[k]),
                sum(2 * n * counts[k][label] for label, n in labels.items()),
                len(parts[k]),
            ),
        )
        parts[k].extend(groups[name])
        counts[k] += labels
    return parts


def _values(utterances, unit):
    without = [u.id for u in utterances if not getattr(u, UNITS[unit])]
    if without:
        raise InputError(
            f"{len(without)} of {len(utterances)} utterances have no {unit}, "
            "by which the protocol splits; choose another protocol: "
            f"{named(without, f'utterances without {unit}')}"
        )
    return {getattr(u, UNITS[unit]) for u in utterances}


def _check_labels(number, train, valid, test):
    parts = {"training": train, "validation": valid, "test": test}
    labels = {u.label for part in parts.values() for u in part}
    lacking = {
        name: sorted(labels - {u.label for u in part})
        for name, part in parts.items()
    }
    if lacking["training"]:
        raise InputError(
            f"fold {number}: {lacking['training']} is tested or validated but "
            "not in the training set; use fewer folds, or leave it out with "
            "label_map"
        )
    for name, missing in lacking.items():
        if missing:
            logger.warning(
                "fold %d: the %s set has no utterance of %s",
                number,
                name,
                missing,
            )


def _distance(part, whole):
    # First the number of labels that only this part has, then the difference
    # between the labels' shares of the part and of the whole.
    counts, expected = (Counter(u.label for u in us) for us in (part, whole))
    taken = sum(counts[label] == n for label, n in expected.items())
    return taken, sum(
        abs(counts[label] / len(part) - n / len(whole))
        for label, n in expected.items()
    )


def _ids(utterances):
    return sorted(u.id for u in utterances)
