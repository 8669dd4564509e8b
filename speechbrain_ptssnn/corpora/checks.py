"""Checks of a corpus: number of utterances, ids, labels, same audio twice."""

import re
import unicodedata
from collections import Counter, defaultdict

from speechbrain.utils.logger import get_logger

from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.utils.long_lists import named

logger = get_logger(__name__)
# Seconds that two parts of a file may share: times are often rounded.
OVERLAP = 0.1


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


def check_speakers(utterances):
    """Checks that features can be standardised by speaker, and warns of
    speakers whose recordings all show one label.

    Arguments
    ---------
    utterances : list of Utterance
        The corpus.

    Raises
    ------
    InputError
        If the speaker of an utterance is not known.
    """
    unknown = [u.id for u in utterances if not u.speaker]
    if unknown:
        raise InputError(
            "normalize=speaker standardises the recordings of each speaker, "
            f"and {len(unknown)} of {len(utterances)} utterances have none: "
            f"{named(unknown, 'utterances without a speaker')}; name their "
            "speakers, or write --normalize=corpus"
        )
    labels = defaultdict(set)
    for u in utterances:
        labels[u.speaker].add(u.label)
    single = sorted(f"{k} ({min(v)})" for k, v in labels.items() if len(v) < 2)
    if single:
        logger.warning(
            "normalize=speaker: of %d speakers %d show one label only: %s; "
            "what their recordings have in common is their label, and this "
            "is what standardising by speaker removes",
            len(labels),
            len(single),
            named(single, "speakers with one label"),
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
    seen, twice, unknown = {}, [], []
    for u in utterances:
        other = seen.setdefault(u.id, u)
        if other is not u:
            twice.append(f"{u.id!r} in {other.wav} and {u.wav}")
        if u.label not in corpus.labels:
            unknown.append(f"{u.label!r} of {u.wav}")
    if twice:
        raise InputError(
            f"{corpus.name}: the same id twice, in {_count(twice, 'case')}; "
            f"remove one file of each: {named(twice, 'ids that occur twice')}"
        )
    if unknown:
        raise InputError(
            f"{corpus.name}: labels outside {list(corpus.labels)}, in "
            f"{_count(unknown, 'utterance')}: "
            f"{named(unknown, 'unknown labels')}"
        )


def warn_of_similar_names(source, utterances):
    """Warns of speakers, sessions and sentences that may be the same.

    These are names that differ only by upper and lower case, leading zeros,
    blanks, or ".0" at the end of a number. A protocol takes them for two, so
    that one may be trained on and the other tested.

    Arguments
    ---------
    source : str or Path
        Where the names stand, for the message.
    utterances : list of Utterance
        What its reader returned.
    """
    for attribute in ("speaker", "session", "sentence"):
        alike = defaultdict(set)
        for name in {getattr(u, attribute) for u in utterances} - {""}:
            alike[_simple(name)].add(name)
        texts = [
            " and ".join(map(repr, sorted(names)))
            for _, names in sorted(alike.items())
            if len(names) > 1
        ]
        if texts:
            logger.warning(
                "%s: %ss that differ only by case, leading zeros or blanks, "
                "%d times; if they are the same, write them alike, since one "
                "may be trained on and the other tested: %s",
                source,
                attribute,
                len(texts),
                named(texts, f"{attribute}s that are alike"),
            )


def _simple(name):
    name = "".join(unicodedata.normalize("NFKC", name).casefold().split())
    return re.sub(r"(?<!\d)0+(?=\d)", "", re.sub(r"^(\d+)\.0+$", r"\1", name))


def check_tested_once(folds):
    """Checks that no utterance is tested by two folds: a run has one prediction
    of each.

    Arguments
    ---------
    folds : list of Fold
        Of any protocol.

    Raises
    ------
    InputError
        If there is one; names it.

    Example
    -------
    >>> from speechbrain_ptssnn.corpora.folds import Fold
    >>> folds = [Fold(["a"], ["b"], ["c"]), Fold(["b"], ["a"], ["c"])]
    >>> check_tested_once(folds)
    Traceback (most recent call last):
    speechbrain_ptssnn.errors.InputError: several folds test the same ... c
    """
    tested = Counter(name for fold in folds for name in fold.test)
    twice = [name for name, n in tested.items() if n > 1]
    if twice:
        raise InputError(
            "several folds test the same utterances, of which a run has one "
            "prediction; make a protocol of each repetition "
            f"({len(twice)}): {named(twice, 'utterances tested twice')}"
        )


def check_same_audio(utterances, folds, recordings):
    """Checks that no recording is both trained on and tested, under two ids.

    A copy that has the same label and stays in the same part of every fold
    only counts twice: that is a warning. Digital silence is no recording: two
    silent utterances are not compared, and a warning counts them.

    Arguments
    ---------
    utterances : list of Utterance
        The corpus.
    folds : list of Fold
        How it is split.
    recordings : dict
        From an utterance's id to the hash of its recording, which is empty
        if the utterance is silent.

    Raises
    ------
    InputError
        If the same recording has two labels or is in two parts of a fold, or
        if all utterances are silent.

    Example
    -------
    >>> from speechbrain_ptssnn.corpora.common import Utterance
    >>> from speechbrain_ptssnn.corpora.folds import Fold
    >>> us = [Utterance(name, "x.wav", "s", "calm", 1.0) for name in "abc"]
    >>> fold = Fold(["a"], ["b"], ["c"])
    >>> check_same_audio(us, [fold], {"a": b"1", "b": b"2", "c": b"3"})
    >>> check_same_audio(us, [fold], {"a": b"1", "b": b"1", "c": b"3"})
    Traceback (most recent call last):
    speechbrain_ptssnn.errors.InputError: the same recording ... in 1 pair ... \
[fold 1: train and valid]
    """
    check_silence(utterances, recordings)
    groups = defaultdict(list)
    for u in utterances:
        if recordings[u.id]:
            groups[recordings[u.id]].append(u)
    groups = [same for same in groups.values() if len(same) > 1]
    parts = _parts_of({u.id for same in groups for u in same}, folds)
    harmful, harmless = [], []
    for first, *others in groups:
        # If any two of a group differ, one of them differs from the first.
        for other in others:
            sides = _sides(parts[first.id], parts[other.id])
            text = f"{_describe(first)} and {_describe(other)}{sides}"
            is_harmless = first.label == other.label and not sides
            (harmless if is_harmless else harmful).append(text)
    if harmful:
        raise InputError(
            "the same recording has two labels or is on two sides of a fold, "
            f"in {_count(harmful, 'pair')} of utterances; keep one of each: "
            f"{named(harmful, 'pairs of the same recording')}"
        )
    if harmless:
        logger.warning(
            "%s of utterances with the same recording, which counts twice: %s",
            _count(harmless, "pair"),
            named(harmless, "pairs of the same recording"),
        )


def warn_of_overlaps(utterances, folds):
    """Warns of parts of one file that overlap and are on two sides of a fold:
    what is tested, or chosen on, there was partly trained on.

    Arguments
    ---------
    utterances, folds : list of Utterance, list of Fold
        As in :func:`check_same_audio`.
    """
    files = defaultdict(list)
    for u in utterances:
        files[u.wav].append(u)
    pairs = []
    for same in files.values():
        same.sort(key=lambda u: u.start)
        for k, one in enumerate(same):
            end = one.start + one.duration - OVERLAP
            for other in same[k + 1 :]:
                if other.start >= end:
                    break
                pairs.append((one, other))
    parts = _parts_of({u.id for pair in pairs for u in pair}, folds)
    leaks = [
        f"{one.id!r} and {other.id!r}{sides}"
        for one, other in pairs
        if (sides := _sides(parts[one.id], parts[other.id]))
    ]
    if leaks:
        logger.warning(
            "%s of utterances overlap in one file and are on two sides of a "
            "fold, so the accuracy may be too high; keep a file on one side, "
            "e.g. by --protocol=session with the file as session: %s",
            _count(leaks, "pair"),
            named(leaks, "overlapping pairs"),
        )


def check_silence(utterances, recordings):
    """Warns of digital silence; refuses a corpus of nothing else.

    Arguments
    ---------
    utterances, recordings : list of Utterance, dict
        As in :func:`check_same_audio`.

    Raises
    ------
    InputError
        If all utterances are silent.
    """
    silent = [u.wav for u in utterances if not recordings[u.id]]
    if not silent:
        return
    what = (
        f"digital silence in {len(silent)} of {len(utterances)} utterances: "
        f"{named(silent, 'silent utterances')}"
    )
    if len(silent) == len(utterances):
        raise InputError(f"{what}; check how the audio was exported")
    logger.warning("%s", what)


def _describe(utterance):
    return f"{utterance.id!r} ({utterance.wav}, {utterance.label})"


def _parts_of(ids, folds):
    """Returns for each id its part of each fold."""
    parts = {each: [None] * len(folds) for each in ids}
    for k, fold in enumerate(folds):
        for part, members in vars(fold).items():
            for each in ids.intersection(members):
                parts[each][k] = part
    return parts


def _sides(ones, others):
    """Says in which folds two utterances are in different parts, if both are
    in one.
    """
    folds = defaultdict(list)
    for number, (one, other) in enumerate(zip(ones, others, strict=True), 1):
        if one and other and one != other:
            folds[f"{one} and {other}"].append(str(number))
    return "".join(
        f" [fold {', '.join(numbers)}: {sides}]"
        for sides, numbers in folds.items()
    )


def _count(items, noun):
    return f"{len(items)} {noun}{'s' * (len(items) != 1)}"
