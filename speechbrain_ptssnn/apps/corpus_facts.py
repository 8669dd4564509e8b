"""What can be known of a corpus before training, and what should warn of it.

A confound is something beside the emotion that tells the class: who speaks,
the session, the channel. Each warning has a rule, which stands at its
function.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import chi2_contingency
from tqdm import tqdm

from speechbrain_ptssnn.audio import Levels, MonoAudio, read_samples
from speechbrain_ptssnn.audio.measures import measure
from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.evaluation.chance_levels import chance_levels
from speechbrain_ptssnn.features.recordings import hash_samples

# Attributes of an utterance that may tell the class, and their plurals.
KEYS = {
    "speaker": "speakers",
    "session": "sessions",
    "sex": "sexes",
    "sentence": "sentences",
}
GAIN = 0.1  # of accuracy, from which a guess or a gap is a warning
DIFFERENCE = 0.1  # between the shares of two classes, from which it is one
P = 0.001  # of the chi-squared test, below which the classes differ
UNLIKE = 0.5  # correlation of two channels below which they are unlike
UNEQUAL = 6.0  # dB


@dataclass(frozen=True)
class Heard:
    """What the audio files hold.

    Arguments
    ---------
    measures : dict
        From an utterance's id to its
        :class:`~speechbrain_ptssnn.audio.measures.Measures`.
    recordings : dict
        From its id to the hash of its recording; empty if it is silent.
    unreadable : list of str
        The errors of the files that cannot be read.
    levels : Levels
        Which are silent or too loud.
    """

    measures: dict
    recordings: dict
    unreadable: list
    levels: Levels


@dataclass(frozen=True)
class Guess:
    """How often the class is guessed right from something else.

    Arguments
    ---------
    values : int
        How many speakers, sessions, ...
    single : int
        How many of them show one class only.
    single_utterances : float
        The share of all utterances that are theirs.
    WA, UA : float
        Of guessing each value's commonest class in the training part.
    majority : float
        WA of guessing the commonest class of all.
    """

    values: int
    single: int
    single_utterances: float
    WA: float
    UA: float
    majority: float


def listen(utterances, channel="louder", progressbar=True):
    """Reads and measures every recording; bad files do not stop it.

    Arguments
    ---------
    utterances : list of Utterance
        The corpus.
    channel : str or int
        As in :class:`~speechbrain_ptssnn.audio.MonoAudio`.
    progressbar : bool
        Whether to show one after the first two seconds.

    Returns
    -------
    Heard
    """
    audio = MonoAudio(channel=channel)
    heard = Heard({}, {}, [], Levels())
    for u in tqdm(
        utterances, "recordings measured", disable=not progressbar, delay=2
    ):
        try:
            samples, rate = read_samples(u.wav, u.start, u.end)
            channels = torch.from_numpy(samples.reshape(len(samples), -1))
            chosen = audio.choose(channels)
        except InputError as error:
            text = str(error)
            named = text if u.wav in text else f"{u.wav}: {text}"
            heard.unreadable.append(named)
            continue
        heard.levels.note(u.id, chosen)
        heard.measures[u.id] = measure(samples, rate, audio.number(channels))
        heard.recordings[u.id] = hash_samples(chosen.numpy(), rate)
    return heard


def known_keys(utterances):
    """Finds what beside the class is known of all utterances and recurs.

    Arguments
    ---------
    utterances : list of Utterance
        The corpus.

    Returns
    -------
    list of str
        Of ``KEYS``: those that have at least two values, and at most half as
        many as there are utterances.
    """
    values = {key: [getattr(u, key) for u in utterances] for key in KEYS}
    return [
        key
        for key, each in values.items()
        if all(each) and 2 <= len(set(each)) <= len(each) / 2
    ]


def guess_from(key, utterances, score, classes):
    """Guesses the class from a key alone, in the folds of the linear head.

    Arguments
    ---------
    key : str
        One of ``KEYS``.
    utterances : list of Utterance
        The rows of the linear head.
    score : LinearScore
        Of the class; its folds are used.
    classes : sequence of str
        In index order.

    Returns
    -------
    Guess
    """
    used = [utterances[k] for k in score.used]
    manifest = {
        u.id: {"speaker": getattr(u, key), "label": u.label} for u in used
    }
    folds = [
        {
            "train": [used[k].id for k in train],
            "valid": [],
            "test": [used[k].id for k in test],
        }
        for train, test in score.folds
    ]
    levels = chance_levels(manifest, folds, classes)
    shown = defaultdict(set)
    for u in utterances:
        shown[getattr(u, key)].add(u.label)
    single = {value for value, labels in shown.items() if len(labels) == 1}
    theirs = sum(getattr(u, key) in single for u in utterances)
    return Guess(
        values=len(shown),
        single=len(single),
        single_utterances=theirs / len(utterances),
        WA=levels["speaker_oracle"]["WA"],
        UA=levels["speaker_oracle"]["UA"],
        majority=levels["majority"]["WA"],
    )


def flags_of(measures):
    """Says for each recording what may be tied to the class.

    Arguments
    ---------
    measures : list of Measures
        Of the utterances.

    Returns
    -------
    dict
        What it is, in words, to a list of bool.
    """
    flags = {
        "clipped": [m.is_clipped for m in measures],
        "without energy above 5 kHz": [m.is_band_limited for m in measures],
        "offset from zero by 1 % or more": [m.has_offset for m in measures],
        "silent (zeros) for the first 0.2 s or more": [
            m.starts_silent for m in measures
        ],
    }
    for text, attribute in (
        ("stored at {:,} Hz", "sample_rate"),
        ("stored with {} channel(s)", "channels"),
        ("read from channel {}", "channel"),
    ):
        found = Counter(getattr(m, attribute) for m in measures)
        # Of two, the other one says the same.
        for value, _ in found.most_common()[: len(found) - (len(found) == 2)]:
            flags[text.format(value)] = [
                getattr(m, attribute) == value for m in measures
            ]
    return flags


def tie(flags, labels):
    """Says in which classes something is rare and common, if it is tied to
    the class: if two classes differ by 10 points or more and the chi-squared
    test over all classes gives p < 0.001.

    Arguments
    ---------
    flags : list of bool
        One a recording.
    labels : list of str
        Their classes.

    Returns
    -------
    tuple or None
        (class, share) where it is commonest, and where it is rarest.

    Example
    -------
    >>> tie([True] * 30 + [False] * 30, ["calm"] * 30 + ["angry"] * 30)
    (('calm', 1.0), ('angry', 0.0))
    >>> tie([True, False] * 30, ["calm"] * 30 + ["angry"] * 30)
    """
    totals = Counter(labels)
    counts = Counter(
        label for label, flag in zip(labels, flags, strict=True) if flag
    )
    if len(totals) < 2 or counts.total() in (0, len(labels)):
        return None
    shares = {label: counts[label] / totals[label] for label in totals}
    high, low = (f(shares, key=shares.get) for f in (max, min))
    table = [[counts[k], totals[k] - counts[k]] for k in totals]
    differ = shares[high] - shares[low] >= DIFFERENCE
    if not differ or chi2_contingency(table).pvalue >= P:
        return None
    return (high, shares[high]), (low, shares[low])


def twins(utterances, recordings):
    """Finds the utterances that share a recording.

    Arguments
    ---------
    utterances : list of Utterance
        In the order of the result.
    recordings : dict
        As in :class:`Heard`.

    Returns
    -------
    list of list of Utterance
        Groups of two or more; silent ones are no twins.
    """
    groups = defaultdict(list)
    for u in utterances:
        if recordings.get(u.id):
            groups[recordings[u.id]].append(u)
    return [group for group in groups.values() if len(group) > 1]


def warn(utterances, heard, scores, guesses):
    """Writes a sentence on each sign of a confound.

    Arguments
    ---------
    utterances : list of Utterance
        Those that could be read.
    heard : Heard
        Of them.
    scores : dict
        What is told to its :class:`LinearScore`: "class" and "class, unseen
        speakers", as far as they could be computed.
    guesses : dict
        Of ``KEYS`` to its :class:`Guess`.

    Returns
    -------
    list of str
        The gravest first; empty if there is none.
    """
    labels = [u.label for u in utterances]
    measures = [heard.measures[u.id] for u in utterances]
    return [
        *_one_class(labels),
        *_guessed(guesses),
        *_gap(scores),
        *_twins(utterances, heard.recordings),
        *_tied(measures, labels),
        *_band(measures),
        *_unlike_channels(measures),
        *heard.levels.warnings(),
    ]


def _one_class(labels):
    if len(set(labels)) == 1:
        yield (
            f"There is one class only, {labels[0]}: a head needs two or more."
        )


def _guessed(guesses):
    """Rule: guessing from the key beats the commonest class by 10 points."""
    for key, guess in guesses.items():
        if guess.WA - guess.majority < GAIN:
            continue
        text = (
            f"The {key} gives the class away: guessing the class from it "
            f"alone is right for {guess.WA:.1%} of the utterances (the "
            f"commonest class: {guess.majority:.1%})"
        )
        if guess.single:
            text += (
                f"; {guess.single} of {guess.values} {KEYS[key]} show one "
                "class only"
            )
        if key in ("speaker", "session"):
            text += (
                f". In random folds a model may score as high by the {key} "
                f"alone: train with --protocol={key} as well"
            )
        yield f"{text}."


def _gap(scores):
    """Rule: unseen speakers cost the linear head 10 points."""
    if "class, unseen speakers" not in scores or "class" not in scores:
        return
    known, unseen = (
        scores[name].WA for name in ("class", "class, unseen speakers")
    )
    if known - unseen >= GAIN:
        yield (
            "Voices that were heard in training help: a linear head tells the "
            f"class of {known:.1%} of the utterances in random folds, of "
            f"{unseen:.1%} if the speakers are unseen."
        )


def _twins(utterances, recordings):
    groups = twins(utterances, recordings)
    across = [g for g in groups if len({u.label for u in g}) > 1]
    alike = len(groups) - len(across)
    if across:
        first = ", ".join(f"{u.id} ({u.label})" for u in across[0])
        yield (
            f"{_count(across, 'recording')} under two or more classes, such "
            f"as {first}: one of the labels is wrong; training refuses them."
        )
    if alike:
        yield (
            f"{alike} recording{'s are' if alike > 1 else ' is'} there twice "
            "or more under one class, and may be trained on and tested."
        )


def _tied(measures, labels):
    """Rule: that of :func:`tie`."""
    for what, flags in flags_of(measures).items():
        found = tie(flags, labels)
        if found:
            (high, most), (low, least) = found
            yield (
                f"Recordings that are {what} go with the class: {most:.0%} "
                f"of {high}, {least:.0%} of {low}."
            )


def _band(measures):
    """Rule: any recording has less than -55 dB of its energy above 5 kHz."""
    limited = [m for m in measures if m.is_band_limited]
    if not limited:
        return
    rates = sorted({m.sample_rate for m in limited})
    stored = " and ".join(f"{rate:,}" for rate in rates)
    some = len(limited) < len(measures)
    yield (
        f"{'' if some else 'All '}{len(limited):,}"
        f"{f' of {len(measures):,}' if some else ''} recordings hold nothing "
        f"above 5 kHz, as a telephone's 8 kHz audio does (stored at {stored} "
        "Hz): a front-end that was trained on wide-band speech has not heard "
        "such audio."
    )


def _unlike_channels(measures):
    """Rule: the median correlation is below 0.5, or the median level
    difference is above 6 dB.
    """
    found = [m for m in measures if m.correlation is not None]
    if not found:
        return
    correlation = np.median([m.correlation for m in found])
    difference = np.median([abs(m.level_difference) for m in found])
    if correlation >= UNLIKE and difference <= UNEQUAL:
        return
    taken = Counter(m.channel for m in found)
    text = (
        f"The two channels of {len(found):,} recordings are unlike "
        f"(correlation {correlation:.2f}, levels {difference:.1f} dB apart; "
        "medians): their mean would lose sound, so one is taken"
    )
    if len(taken) > 1:
        each = ", ".join(f"{n} in {taken[n]:,}" for n in sorted(taken))
        text += (
            f", channel {each}; --channel=0 takes the same in all recordings"
        )
    yield f"{text}."


def _count(items, noun):
    many = len(items) > 1
    return f"{len(items)} {noun}{'s are' if many else ' is'} there"
