"""Which emotion is heard when, in recordings of any length."""

import math
from dataclasses import dataclass
from functools import partial
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import torch
from scipy.ndimage import median_filter
from torch.nn.utils.rnn import pad_sequence
from tqdm import tqdm

from speechbrain_ptssnn.audio import Levels, MonoAudio
from speechbrain_ptssnn.audio.blocks import LongAudio, cut, resample_blocks
from speechbrain_ptssnn.audio.speech import SAMPLE_RATE, SpeechFinder
from speechbrain_ptssnn.backbones import Fbank
from speechbrain_ptssnn.deploy.classify import by_label, label_of, most_likely
from speechbrain_ptssnn.deploy.streaming import WINDOW, AudioStream
from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.inference import labels_of

BATCH = 8  # windows that are classified at once
HOP, SMOOTHING = 1.0, 3.0  # seconds
SHORTEST_HOP = 0.1  # seconds
PER_SECOND = 20  # pairs of lowest and highest sample, for the waveform


@dataclass(frozen=True)
class Settings:
    """How a recording is cut and smoothed.

    Arguments
    ---------
    window : float, optional
        Seconds that are classified at once, 3 by default: training hears as
        many (``crop`` in the YAML). A causal model has no window.
    hop : float
        Seconds from one window, or one answer of a causal model, to the next,
        at most.
    smoothing : float, optional
        Seconds of the median over the steps, 3 by default; 0 is none. A causal
        model's answers are not smoothed, as that takes later audio.
    channels : str
        "model": the channel that the model's own rule takes, which is the
        louder one unless it was trained otherwise. "split": each channel is a
        track of its own. A number: that channel, counted from 0.

    Raises
    ------
    InputError
        If one is not possible.
    """

    window: float | None = None
    hop: float = HOP
    smoothing: float | None = None
    channels: str = "model"

    def __post_init__(self):
        window = self.seconds_of_window
        if not SHORTEST_HOP <= self.hop <= window < math.inf:
            raise InputError(
                f"--hop must be a number of seconds, at least {SHORTEST_HOP:g} "
                "and at most --window, so that the windows leave no gap; got "
                f"--hop={self.hop:g} --window={window:g}"
            )
        if not 0 <= self.seconds_of_median < math.inf:
            raise InputError(
                "--smoothing must be a number of seconds, 0 for none, got "
                f"{self.smoothing:g}"
            )
        if self.channels not in ("model", "split") and not (
            self.channels.isdecimal()
        ):
            raise InputError(
                "--channels must be model, split, 0, 1, ..., got "
                f"{self.channels!r}"
            )

    @property
    def seconds_of_window(self):
        """The window, given or not."""
        return WINDOW if self.window is None else self.window

    @property
    def seconds_of_median(self):
        """The smoothing, given or not."""
        return SMOOTHING if self.smoothing is None else self.smoothing

    @property
    def steps_of_median(self):
        """How many steps the median is taken over, an odd number."""
        return 2 * int(self.seconds_of_median / (2 * self.hop)) + 1


@dataclass(frozen=True)
class Span:
    """What is heard between two times.

    Arguments
    ---------
    start, end : float
        In seconds.
    label : str
        The most likely class.
    posteriors : dict
        Class to posterior probability, in index order.
    """

    start: float
    end: float
    label: str
    posteriors: dict


@dataclass(frozen=True)
class Track:
    """What is heard in one channel.

    Arguments
    ---------
    channel : int
        Counted from 0.
    speech : list of tuple
        Start and end of each stretch of speech, in seconds.
    windows : list of Span
        What was classified. Windows overlap.
    steps : list of Span
        The posteriors over time.
    segments : list of Span
        Steps in a row with the same label, and the mean of their posteriors.
    envelope : numpy.ndarray
        Lowest and highest sample of each 0.05 s, [time, 2].
    """

    channel: int
    speech: list
    windows: list
    steps: list
    segments: list
    envelope: np.ndarray


@dataclass(frozen=True)
class Timeline:
    """What is heard when in a recording.

    Arguments
    ---------
    path : str
        The recording.
    seconds : float
        How long it is, as far as it could be read.
    labels : list of str
        The model's classes, in index order.
    channels : int
        How many the recording has.
    tracks : list of Track
        One for each channel that was classified.
    rule : str
        How the posteriors over time were made, as a sentence.
    problem : str or None
        The end of a sentence that begins with the file's name, if it is
        damaged.
    notes : list of str
        Sentences on what a reader should know.
    until : float or None
        Where Ctrl-C ended the work on the last track, in seconds; None if
        nothing did.
    """

    path: str
    seconds: float
    labels: list
    channels: int
    tracks: list
    rule: str
    problem: str | None
    notes: list
    until: float | None = None


def timeline(classifier, path, settings=None, show=False):
    """Classifies the speech of a recording, however long it is.

    The recording is read twice, block by block: first its speech is found,
    then classified. Ctrl-C ends the work, not the command, and returns what is
    done, unless nothing is.

    Arguments
    ---------
    classifier : EmotionClassifier
        Of :func:`~speechbrain_ptssnn.deploy.classify.open_bundle`.
    path : str or Path
        The recording.
    settings : Settings, optional
        How it is cut and smoothed.
    show : bool
        Whether to show progress.

    Returns
    -------
    Timeline

    Raises
    ------
    InputError
        If the file is no audio, lacks the channel, or is too short for the
        front-end; if the package silero-vad is missing; if a window is given
        for a causal model, or is too short for the front-end.
    """
    settings = settings or Settings()
    method = (_Stream if _streams(classifier) else _Windows)(
        classifier, settings
    )
    audio = LongAudio(path)
    tracks, notes, levels, until = [], [], Levels(), None
    is_split = settings.channels == "split" and audio.channels > 1
    if audio.sample_rate < method.sample_rate:
        notes.append(
            f"{path}: ends at {audio.sample_rate // 2} Hz, but the model hears "
            f"up to {method.sample_rate // 2} Hz; what is missing costs "
            "accuracy, unless it was trained on such recordings"
        )
    for channel in _channels(audio, settings, classifier, notes):
        speech, envelope, heard = [], np.zeros((0, 2), np.float32), []
        try:
            speech, envelope = _find_speech(audio, channel, show)
            heard = [[] for _ in speech]
            for k, span in method.hear(audio, channel, speech, show):
                heard[k].append(span)
        except KeyboardInterrupt:
            until = max((spans[-1].end for spans in heard if spans), default=0)
            if not until and not tracks:
                raise
        except InputError as error:
            raise InputError(f"{path}: {error}") from error
        if not audio.frames:
            raise InputError(f"{path}: {audio.problem}")
        if len(envelope):
            name = f"{path}, channel {channel}" if is_split else str(path)
            levels.note(name, torch.from_numpy(envelope))
        windows = [span for spans in heard for span in spans]
        steps = [
            step
            for (start, end), spans in zip(speech, heard, strict=True)
            if spans
            for step in method.steps(spans, start, min(end, spans[-1].end))
        ]
        tracks.append(
            Track(channel, speech, windows, steps, segments(steps), envelope)
        )
        if until is not None:
            break
    if audio.has_grown:
        notes.append(
            f"{path}: grew while it was read; the timeline ends at "
            f"{audio.seconds:.1f} s, where the file ended at first"
        )
    if not any(track.speech for track in tracks):
        notes.append(
            f"{path}: no speech was found in {audio.seconds:.1f} s, so the "
            "timeline is empty"
        )
    return Timeline(
        str(path),
        audio.seconds,
        labels_of(classifier),
        audio.channels,
        tracks,
        method.rule,
        audio.problem,
        [*levels.warnings(), *notes],
        until,
    )


def smooth(windows, start, end, settings, name_of=most_likely):
    r"""Makes steps of a stretch of speech from its overlapping windows.

    The stretch is divided into equal steps of about ``settings.hop``. A step
    has the mean of the posteriors of the windows that cover its middle. Of each
    class the median over ``settings.steps_of_median`` steps is taken, where the
    first and last step stand for those beyond them, and the medians are
    divided by their sum. Where all are 0, the mean stays.

    Arguments
    ---------
    windows : list of Span
        Sorted; they leave no gap.
    start, end : float
        The stretch, in seconds.
    settings : Settings
        Hop and smoothing.
    name_of : callable
        From the posteriors, a dict, to the label of a step.

    Returns
    -------
    list of Span

    Example
    -------
    >>> def window(start, p):
    ...     return Span(start, start + 3, "", {"calm": p, "mad": 1 - p})
    >>> windows = [window(0, 1.0), window(1, 0.5), window(2, 0.0)]
    >>> steps = smooth(windows, 0, 5, Settings(smoothing=0))
    >>> [round(step.posteriors["calm"], 3) for step in steps]
    [1.0, 0.75, 0.5, 0.25, 0.0]
    >>> [step.label for step in steps]
    ['calm', 'calm', 'calm', 'mad', 'mad']
    """
    labels = list(windows[0].posteriors)
    values = np.array([list(each.posteriors.values()) for each in windows])
    edges = _edges(start, end, settings.hop)
    middles = [(a + b) / 2 for a, b in pairwise(edges)]
    first = np.searchsorted([each.end for each in windows], middles)
    last = np.searchsorted([each.start for each in windows], middles, "right")
    means = np.array(
        [values[i:j].mean(0) for i, j in zip(first, last, strict=True)]
    )
    medians = median_filter(
        means, (settings.steps_of_median, 1), mode="nearest"
    )
    sums = medians.sum(1, keepdims=True)
    medians = np.divide(medians, sums, out=means, where=sums > 0)
    return [
        Span(*ends, name_of(posteriors), posteriors)
        for ends, row in zip(pairwise(edges), medians.tolist(), strict=True)
        for posteriors in [dict(zip(labels, row, strict=True))]
    ]


def segments(steps):
    """Joins steps in a row that have the same label.

    Arguments
    ---------
    steps : list of Span
        Sorted.

    Returns
    -------
    list of Span
        Each has the mean posteriors of its steps.

    Example
    -------
    >>> steps = [
    ...     Span(0, 1, "calm", {"calm": 0.9, "mad": 0.1}),
    ...     Span(1, 2, "calm", {"calm": 0.7, "mad": 0.3}),
    ...     Span(2, 3, "mad", {"calm": 0.2, "mad": 0.8}),
    ... ]
    >>> [(each.start, each.end, each.label) for each in segments(steps)]
    [(0, 2, 'calm'), (2, 3, 'mad')]
    """
    runs = []
    for step in steps:
        last = runs[-1][-1] if runs else None
        if last and (last.label, last.end) == (step.label, step.start):
            runs[-1].append(step)
        else:
            runs.append([step])
    return [
        Span(
            run[0].start,
            run[-1].end,
            run[0].label,
            {
                label: sum(step.posteriors[label] for step in run) / len(run)
                for label in run[0].posteriors
            },
        )
        for run in runs
    ]


def _streams(classifier):
    encoder = classifier.mods.embedding_model
    backbone = encoder.backbone
    is_exact = isinstance(backbone, Fbank) and backbone.top_db is None
    return is_exact and encoder.head.causal


class _Method:
    """How a stretch of speech is classified; ``rule`` says it."""

    def __init__(self, classifier, settings):
        self.classifier = classifier
        self.settings = settings
        self.sample_rate = classifier.hparams.sample_rate

    def pieces(self, audio, channel, spans, show):
        """Cuts a channel, at the model's sample rate."""

        def blocks():
            with _bar(audio, "emotion", show) as bar:
                for block in audio.channel(channel):
                    yield block
                    bar.update(len(block) / audio.sample_rate)

        normalizer = self.classifier.audio_normalizer
        yield from map(
            torch.from_numpy,
            cut(
                resample_blocks(blocks(), audio.sample_rate, normalizer), spans
            ),
        )


class _Windows(_Method):
    def __init__(self, classifier, settings):
        super().__init__(classifier, settings)
        backbone = classifier.mods.embedding_model.backbone
        window, hop = settings.seconds_of_window, settings.hop
        self.n_samples = round(window * self.sample_rate)
        self.shortest = backbone.min_samples
        if self.n_samples < self.shortest:
            raise InputError(
                "--window must be a number of seconds, at least "
                f"{self.shortest / self.sample_rate:g} for this front-end, got "
                f"{window:g}"
            )
        self.rule = (
            f"Windows of {window:g} s, at most {hop:g} s apart, inside speech. "
            f"A step, of about {hop:g} s, has the mean posteriors of the "
            "windows that cover its middle"
        )
        if settings.steps_of_median > 1:
            self.rule += (
                f", then the median of {settings.steps_of_median} steps"
            )
        self.rule += "."

    def hear(self, audio, channel, speech, show):
        total = math.ceil(audio.seconds * self.sample_rate)
        plan = [
            (k, span)
            for k, (start, end) in enumerate(speech)
            for span in self.plan(start, end, total)
        ]
        spans = [span for _, span in plan]
        pieces = self.pieces(audio, channel, spans, show)
        for (k, (first, last)), posteriors in zip(
            plan, self.classify(pieces), strict=False
        ):
            ends = first / self.sample_rate, last / self.sample_rate
            label = label_of(self.classifier, posteriors)
            yield k, Span(*ends, label, posteriors)

    def plan(self, start, end, total):
        """Windows in samples, evenly over a stretch of speech."""
        first, last = (
            round(start * self.sample_rate),
            round(end * self.sample_rate),
        )
        lacking = self.shortest - (last - first)
        if lacking > 0:  # with what stands around the speech
            first = max(0, min(first - lacking // 2, total - self.shortest))
            last = first + self.shortest
        rest = last - first - self.n_samples
        if rest <= 0:
            return [(first, last)]
        n_windows = 1 + math.ceil(rest / (self.settings.hop * self.sample_rate))
        starts = np.linspace(first, first + rest, n_windows).round()
        return [(n, n + self.n_samples) for n in starts.astype(int).tolist()]

    def classify(self, pieces):
        while batch := list(islice(pieces, BATCH)):
            lengths = torch.tensor([len(each) for each in batch])
            outputs = self.classifier.classify_batch(
                pad_sequence(batch, batch_first=True), lengths / lengths.max()
            )[0]
            yield from (by_label(self.classifier, each) for each in outputs)

    def steps(self, windows, start, end):
        name_of = partial(label_of, self.classifier)
        return smooth(windows, start, end, self.settings, name_of)


class _Stream(_Method):
    def __init__(self, classifier, settings):
        super().__init__(classifier, settings)
        if (settings.window, settings.smoothing) != (None, None):
            raise InputError(
                "this model is causal, so it has no window and is not "
                "smoothed; leave out --window and --smoothing"
            )
        self.stream = AudioStream(classifier)
        self.rule = (
            "This model is causal. A step, of about "
            f"{settings.hop:g} s, has the posteriors of the speech from the "
            "start of its stretch to the end of the step; nothing is smoothed."
        )

    def hear(self, audio, channel, speech, show):
        plan = []
        for k, (start, end) in enumerate(speech):
            edges = _edges(start, end, self.settings.hop)
            plan += [(k, each) for each in pairwise(edges)]
        spans = [
            tuple(round(each * self.sample_rate) for each in span)
            for _, span in plan
        ]
        pieces = self.pieces(audio, channel, spans, show)
        for (k, (start, end)), piece in zip(plan, pieces, strict=False):
            if start == speech[k][0]:
                self.stream.reset()
            heard = self.stream(piece)
            if end == speech[k][1]:
                heard = self.stream.finish()
            yield k, Span(start, end, heard.label, heard.posteriors)

    def steps(self, answers, start, end):
        return answers


def _edges(start, end, hop):
    """Divides a stretch into equal steps of about ``hop``."""
    n_steps = max(1, round((end - start) / hop))
    return np.linspace(start, end, n_steps + 1).tolist()


def _bar(audio, what, show):
    return tqdm(
        desc=f"{Path(audio.path).name}: {what}",
        total=math.ceil(audio.seconds),  # a bar beyond its end warns
        bar_format="{l_bar}{bar}| {n:.0f}/{total} s of audio, {remaining} left",
        disable=not show,
        delay=1,
    )


def _channels(audio, settings, classifier, notes):
    """The channels that become tracks."""
    rule = settings.channels
    if rule == "split":
        return range(audio.channels)
    if rule == "model":
        rule = str(classifier.audio_normalizer.channel)
    channel = audio.loudest() if rule == "louder" else int(rule)
    if channel >= audio.channels:
        raise InputError(
            f"{audio.path}: there is no channel {channel}, the audio has "
            f"{audio.channels}; set --channels to model, split or a lower "
            "number"
        )
    if audio.channels > 1:
        notes.append(
            f"{audio.path}: of {audio.channels} channels, {channel} was taken "
            "(counted from 0); --channels=split makes a track of each"
        )
    return [channel]


def _find_speech(audio, channel, show):
    """Start and end of each stretch of speech, and the envelope."""
    finder, low, high = SpeechFinder(), [], []

    def blocks():
        with _bar(audio, "speech", show) as bar:
            for block in audio.channel(channel):
                seconds = len(block) / audio.sample_rate
                n = max(1, round(PER_SECOND * seconds))
                starts = np.arange(n) * len(block) // n
                low.append(np.minimum.reduceat(block, starts))
                high.append(np.maximum.reduceat(block, starts))
                yield block
                bar.update(seconds)

    for block in resample_blocks(
        blocks(), audio.sample_rate, MonoAudio(SAMPLE_RATE)
    ):
        finder(block)
    if not low:
        return [], np.zeros((0, 2), np.float32)
    envelope = np.stack([np.concatenate(low), np.concatenate(high)], axis=1)
    return finder.finish(), envelope
