"""Scores that need no recording to be heard: majority guess, speaker oracle."""

from collections import Counter, defaultdict

from speechbrain_ptssnn.metrics import unweighted_accuracy, weighted_accuracy


def chance_levels(manifest, folds, labels):
    """WA and UA of a majority guess and of a speaker oracle.

    The majority guess predicts the most frequent label of a fold's training
    and validation parts. The speaker oracle knows who speaks: it predicts the
    test speaker's most frequent label in these parts, or the majority guess
    if the speaker is not in them. Both parts count, because a run sees both:
    one trains the head, the other selects the checkpoint. Of equally frequent
    labels the first in index order is predicted.

    Arguments
    ---------
    manifest : dict
        Id to a dict with ``speaker`` and ``label``, as in ``manifest.json``.
    folds : list of dict
        Each with the ids of ``train``, ``valid`` and ``test``, as in
        ``folds.json``.
    labels : sequence of str
        In index order.

    Returns
    -------
    dict
        "majority" and "speaker_oracle", each with "WA" and "UA" in [0, 1],
        over all test utterances.

    Example
    -------
    >>> rows = {"k1": "calm", "k2": "calm", "l1": "calm", "l2": "mad"}
    >>> manifest = {
    ...     name: {"speaker": name[0], "label": label}
    ...     for name, label in rows.items()
    ... }
    >>> folds = [{"train": ["k1", "l2"], "valid": [], "test": ["k2", "l1"]}]
    >>> chance_levels(manifest, folds, ["calm", "mad"])["speaker_oracle"]
    {'WA': 0.5, 'UA': 0.5}
    """
    targets, majority, oracle = [], [], []
    for fold in folds:
        overall, by_speaker = Counter(), defaultdict(Counter)
        for name in fold["train"] + fold["valid"]:
            row = manifest[name]
            overall[row["label"]] += 1
            by_speaker[row["speaker"]][row["label"]] += 1
        for name in fold["test"]:
            row = manifest[name]
            targets.append(row["label"])
            majority.append(_most_frequent(overall, labels))
            known = by_speaker.get(row["speaker"], overall)
            oracle.append(_most_frequent(known, labels))
    guesses = {"majority": majority, "speaker_oracle": oracle}
    return {
        name: {
            "WA": weighted_accuracy(targets, predictions),
            "UA": unweighted_accuracy(targets, predictions),
        }
        for name, predictions in guesses.items()
    }


def speaker_labels(manifest, labels):
    """Counts each speaker's utterances of each label.

    Arguments
    ---------
    manifest : dict
        As in :func:`chance_levels`.
    labels : sequence of str
        In index order.

    Returns
    -------
    dict
        Speaker to the number of utterances of each label, in index order;
        speakers are sorted.

    Example
    -------
    >>> manifest = {"k1": {"speaker": "k", "label": "mad"}}
    >>> speaker_labels(manifest, ["calm", "mad"])
    {'k': [0, 1]}
    """
    counts = defaultdict(Counter)
    for row in manifest.values():
        counts[row["speaker"]][row["label"]] += 1
    return {
        speaker: [counts[speaker][label] for label in labels]
        for speaker in sorted(counts)
    }


def _most_frequent(counts, labels):
    return max(labels, key=lambda label: counts[label])
