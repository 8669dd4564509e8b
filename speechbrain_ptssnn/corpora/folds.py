"""Protocols: who is trained on, who validates, who is tested."""

import random
from collections import Counter, defaultdict
from dataclasses import dataclass

from speechbrain_ptssnn.errors import InputError


@dataclass(frozen=True)
class Fold:
    """Ids of one fold's three disjoint parts.

    Arguments
    ---------
    train : list of str
        What the head is fitted to.
    valid : list of str
        What selects the checkpoint; taken out of the training folds.
    test : list of str
        What is looked at once.
    """

    train: list
    valid: list
    test: list


class Protocol:
    """Cuts a corpus into folds, each of which is tested once.

    Random folds are stratified by label. Speaker-independent ones keep each
    speaker whole: speakers are dealt, largest first, to the fold whose label
    counts stay most even. The training folds are dealt to ``valid_parts``
    parts in the same way, and the part whose labels are most like theirs
    validates. Only ``random.random`` is drawn from,
    whose sequence Python guarantees, so that a seed gives the same folds on
    every machine and version.

    Arguments
    ---------
    n_folds : int
        Number of folds.
    unit : str
        "utterance" for random folds, "speaker" for unseen speakers.
    seed : int
        Of the folds; the same for every training seed, so that runs can be
        compared utterance by utterance.
    valid_parts : int
        The validation set is about 1 / valid_parts of the training folds.

    Raises
    ------
    ValueError
        If ``unit`` is unknown or a number is below 2.

    Example
    -------
    >>> from speechbrain_ptssnn.corpora.common import Utterance
    >>> corpus = [
    ...     Utterance(f"{speaker}{n}", "", speaker, "calm", 1.0)
    ...     for speaker in "abc"
    ...     for n in range(2)
    ... ]
    >>> folds = Protocol(3, "speaker", seed=1, valid_parts=2).split(corpus)
    >>> sorted(fold.test for fold in folds)
    [['a0', 'a1'], ['b0', 'b1'], ['c0', 'c1']]
    """

    def __init__(self, n_folds, unit, seed, valid_parts=9):
        if unit not in ("utterance", "speaker"):
            raise ValueError(
                f"unit must be 'utterance' or 'speaker', got {unit!r}"
            )
        if n_folds < 2 or valid_parts < 2:
            raise ValueError(
                "n_folds and valid_parts must be at least 2, got "
                f"{n_folds} and {valid_parts}"
            )
        self.n_folds = n_folds
        self.unit = unit
        self.seed = seed
        self.valid_parts = valid_parts

    def split(self, utterances):
        """Assigns every utterance.

        Arguments
        ---------
        utterances : list of Utterance
            The corpus.

        Returns
        -------
        list of Fold

        Raises
        ------
        InputError
            If there are too few utterances or speakers, or a label occurs in
            a test fold but not in its training set.
        """
        parts = self._deal(utterances, self.n_folds, self.seed)
        folds = []
        for k, test in enumerate(parts):
            rest = [u for part in parts if part is not test for u in part]
            candidates = self._deal(rest, self.valid_parts, self.seed + k)
            valid = min(candidates, key=lambda part: _distance(part, rest))
            train = [
                u for part in candidates if part is not valid for u in part
            ]
            self._check(k + 1, train, valid, test)
            folds.append(Fold(_ids(train), _ids(valid), _ids(test)))
        return folds

    def _deal(self, utterances, n_parts, seed):
        speakers = {u.speaker for u in utterances}
        units = len(utterances if self.unit == "utterance" else speakers)
        if units < n_parts:
            raise InputError(
                f"{units} {self.unit}s can not be dealt to {n_parts} parts; "
                "lower n_folds or valid_parts in the protocol's YAML"
            )
        draw = random.Random(seed).random
        groups = defaultdict(list)
        for u in sorted(utterances, key=lambda u: u.id):
            groups[u.label if self.unit == "utterance" else u.speaker].append(u)
        parts = [[] for _ in range(n_parts)]
        if self.unit == "utterance":
            # Each label goes on where the one before stopped, which keeps
            # the parts' sizes equal as well.
            order = [
                u
                for label in sorted(groups)
                for u in sorted(groups[label], key=lambda u: draw())
            ]
            for k, u in enumerate(order):
                parts[k % n_parts].append(u)
            return parts
        order = sorted(sorted(groups), key=lambda speaker: draw())
        order.sort(key=lambda speaker: -len(groups[speaker]))
        counts = [Counter() for _ in range(n_parts)]
        for speaker in order:
            labels = Counter(u.label for u in groups[speaker])
            # An empty part first; then the one whose sum of squared label
            # counts grows least.
            k = min(
                range(n_parts),
                key=lambda k: (
                    bool(parts[k]),
                    sum(
                        2 * n * counts[k][label] for label, n in labels.items()
                    ),
                    len(parts[k]),
                ),
            )
            parts[k].extend(groups[speaker])
            counts[k] += labels
        return parts

    def _check(self, number, train, valid, test):
        ids = [set(_ids(part)) for part in (train, valid, test)]
        leaked = ids[0] & ids[1] | ids[0] & ids[2] | ids[1] & ids[2]
        if self.unit == "speaker":
            sets = [{u.speaker for u in part} for part in (train, valid, test)]
            leaked |= sets[0] & sets[1] | sets[0] & sets[2] | sets[1] & sets[2]
        if leaked:
            raise InputError(
                f"fold {number}: {sorted(leaked)[:3]} stand on two sides"
            )
        missing = {u.label for u in test} - {u.label for u in train}
        if missing:
            raise InputError(
                f"fold {number}: {sorted(missing)} is tested but not in the "
                "training set; use fewer folds"
            )


def _distance(part, whole):
    # How far the labels' counts are from the whole's, scaled to the part.
    counts, expected = (Counter(u.label for u in us) for us in (part, whole))
    return sum(
        abs(counts[label] / len(part) - n / len(whole))
        for label, n in expected.items()
    )


def _ids(utterances):
    return sorted(u.id for u in utterances)
