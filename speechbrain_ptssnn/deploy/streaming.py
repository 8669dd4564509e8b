"""Audio classified as it comes, with a trained bundle."""

import json
from dataclasses import dataclass

import numpy as np
import soxr
import torch

from speechbrain_ptssnn.audio import as_float, check_samples, load_audio
from speechbrain_ptssnn.audio.mono import RATES
from speechbrain_ptssnn.backbones import Fbank
from speechbrain_ptssnn.deploy.classify import as_line, by_label, label_of
from speechbrain_ptssnn.errors import InputError

WINDOW = 3.0  # seconds; training hears as many (crop in the YAML)
# The first bytes of files that are no raw samples.
HEADERS = {
    b"RIFF": "WAV",
    b"RF64": "WAV",
    b"FORM": "AIFF",
    b"fLaC": "FLAC",
    b"OggS": "Ogg",
    b"ID3": "MP3",
    b".snd": "AU",
    b"caff": "CAF",
}


@dataclass(frozen=True)
class Heard:
    """What a bundle says about the audio so far.

    Arguments
    ---------
    seconds : float
        How much audio came.
    label : str
        The most likely class, or "unsure".
    posteriors : dict
        Class to posterior probability, in index order.
    window : float or None
        Of how many seconds, the last ones, this is said; None is all.
    is_end : bool
        Whether the audio has ended.
    """

    seconds: float
    label: str
    posteriors: dict
    window: float | None
    is_end: bool = False


class AudioStream:
    r"""Classifies audio as it comes.

    Mel filters without a floor (``fbank_stream``) and a causal head go on from
    what they have kept, so each frame is computed once. The features are
    standardised and the posteriors calibrated as the bundle says. Other
    front-ends need later audio for each frame, so the last seconds, a sliding
    window, are classified again each time.

    Arguments
    ---------
    classifier : EmotionClassifier
        Of :func:`~speechbrain_ptssnn.deploy.classify.open_bundle`; adapted to
        the speaker, if the model was trained speaker-adapted.
    window : float, optional
        Seconds of the sliding window; 3 by default. Only for front-ends that
        need one.

    Raises
    ------
    InputError
        If the front-end is ``fbank`` with its floor, or its head is not
        causal; if a window is given where there is none, or is shorter than
        the front-end's shortest audio; if the model needs recordings of the
        speaker.
    """

    def __init__(self, classifier, window=None):
        encoder = classifier.mods.embedding_model
        self.classifier = classifier
        self.sample_rate = encoder.backbone.sample_rate
        if encoder.lacks_speaker:
            raise InputError(
                "this model was trained speaker-adapted, so it needs "
                "recordings of the speaker ahead; give them with --adapt"
            )
        self.window = None
        if isinstance(encoder.backbone, Fbank):
            if window is not None:
                raise InputError(
                    "mel filters stream frame by frame, without a window; "
                    "leave out --window"
                )
            self._frames = encoder.backbone.stream()
            self._head = encoder.head.stream()
        else:
            self.window = WINDOW if window is None else window
            shortest = encoder.backbone.min_samples / self.sample_rate
            if not shortest <= self.window < float("inf"):
                raise InputError(
                    "--window must be a number of seconds, at least "
                    f"{shortest:g} for this front-end, got {self.window:g}"
                )
        self.reset()

    def reset(self):
        """Starts a new recording."""
        self._n_samples = 0
        self._outputs = None
        self._audio = torch.zeros(0)
        if self.window is None:
            self._frames.reset()
            self._head.reset()

    def __call__(self, samples):
        """Takes the next samples.

        Arguments
        ---------
        samples : torch.Tensor
            [time], at ``sample_rate``; floats from -1 to 1, or integers, which
            are converted by their type.

        Returns
        -------
        Heard or None
            None if the audio so far is too short for one frame.

        Raises
        ------
        InputError
            If the samples are not finite or far beyond 1. They are left out,
            and the stream can go on.
        """
        samples = as_float(samples)
        check_samples(samples)
        if self.window is None:
            self._classify(self._frames(samples))
        else:
            n = round(self.window * self.sample_rate)
            audio = torch.cat([self._audio, samples])[-n:]
            encoder = self.classifier.mods.embedding_model
            if len(audio) >= encoder.backbone.min_samples:
                audio_batch = audio.unsqueeze(0)
                self._outputs = self.classifier.classify_batch(audio_batch)[0]
            self._audio = audio
        self._n_samples += len(samples)
        return self._heard()

    def finish(self):
        """Says what the whole audio is, if it ends here. Call :meth:`reset`
        before the next.

        Returns
        -------
        Heard

        Raises
        ------
        InputError
            If no audio came, or it was too short for one frame.
        """
        shortest = self.classifier.mods.embedding_model.backbone.min_samples
        if self._n_samples < shortest:
            came = "no audio came"
            if self._n_samples:
                came = f"only {self._n_samples} samples came"
            raise InputError(
                f"{came} at {self.sample_rate} Hz, which is too short for one "
                f"frame: at least {shortest} are needed"
            )
        if self.window is None:
            self._classify(self._frames.finish())
        return self._heard(is_end=True)

    def _classify(self, frames):
        if len(frames):
            encoder = self.classifier.mods.embedding_model
            frames = encoder.normalizer(frames.to(self.classifier.device))
            rates = self._head(frames.unsqueeze(0))
            self._outputs = self.classifier.mods.classifier(rates)

    def _heard(self, is_end=False):
        if self._outputs is None:
            return None
        named = by_label(self.classifier, self._outputs[0])
        return Heard(
            self._n_samples / self.sample_rate,
            label_of(self.classifier, named),
            named,
            self.window,
            is_end,
        )


def file_blocks(path, classifier, seconds, levels=None):
    """Yields a recording in blocks, read as ``ptssnn classify`` reads it.

    Arguments
    ---------
    path : str
        The file.
    classifier : EmotionClassifier
        Whose channel and sample rate it takes.
    seconds : float
        Length of a block; the last one may be shorter.
    levels : Levels, optional
        Notes whether the file is silent or too loud.

    Returns
    -------
    iterator of torch.Tensor

    Raises
    ------
    InputError
        If the file cannot be read.
    """
    wav = load_audio(path, classifier.audio_normalizer, levels=levels)
    yield from wav.split(
        max(1, round(seconds * classifier.hparams.sample_rate))
    )


def pcm_blocks(file, rate, sample_rate, seconds):
    """Yields raw samples in blocks as they come.

    Arguments
    ---------
    file : binary file
        Samples of 16 bits, little-endian, one channel, without a header.
    rate : int
        Their sample rate, in Hz.
    sample_rate : int
        Of the result; other audio is resampled.
    seconds : float
        Length of a block; the last one may be shorter, and one of resampled
        audio a little longer or shorter.

    Returns
    -------
    iterator of torch.Tensor

    Raises
    ------
    InputError
        If the rate is impossible, nothing comes, or it is a file with a
        header.

    Example
    -------
    >>> from io import BytesIO
    >>> file = BytesIO(bytes([0, 64, 0, 128, 7]))
    >>> [block.tolist() for block in pcm_blocks(file, 16000, 16000, 1.0)]
    [[0.5, -1.0]]
    """
    lowest, highest = RATES
    if not lowest <= rate <= highest:
        raise InputError(
            f"--rate must be between {lowest} and {highest} Hz, got {rate}"
        )
    resampler = None
    if rate != sample_rate:
        resampler = soxr.ResampleStream(rate, sample_rate, 1, quality="VHQ")
    n_bytes, is_start = 2 * max(1, round(seconds * rate)), True
    while data := file.read(n_bytes):
        if is_start:
            _check_raw(data)
            is_start = False
        # Where the audio was cut in the middle of a sample, half of it is left.
        samples = np.frombuffer(data[: len(data) // 2 * 2], "<i2")
        block = as_float(torch.from_numpy(samples.astype(np.int16)))
        if resampler is not None:
            is_last = len(data) < n_bytes
            resampled = resampler.resample_chunk(block.numpy(), last=is_last)
            block = torch.from_numpy(resampled)
        if len(block):
            yield block
    if is_start:
        raise InputError("no audio came on standard input; it was empty")
    if resampler is not None and not is_last:
        rest = resampler.resample_chunk(np.zeros(0, np.float32), last=True)
        if len(rest):
            yield torch.from_numpy(rest)


def _check_raw(data):
    for start, name in HEADERS.items():
        if data.startswith(start):
            raise InputError(
                f"standard input holds a {name} file, not raw samples of 16 "
                "bits; give the file's name instead"
            )


def as_text(heard, layout="text"):
    r"""What was heard, as a line for people or programs.

    Arguments
    ---------
    heard : Heard
        One result.
    layout : str
        "text", or "json": an object in one line.

    Returns
    -------
    str

    Example
    -------
    >>> heard = Heard(1.5, "calm", {"calm": 0.75, "mad": 0.25}, None)
    >>> as_text(heard)
    '1.50 s: calm (calm 0.750, mad 0.250)\n'
    >>> as_text(heard, "json")[:33]
    '{"seconds": 1.5, "label": "calm",'
    """
    if layout == "json":
        return json.dumps(vars(heard), ensure_ascii=False) + "\n"
    name = f"{heard.seconds:.2f} s"
    if heard.window is not None:
        name += f", the last {heard.window:g} s"
    if heard.is_end:
        name += ", end"
    return as_line(name, heard.label, heard.posteriors)
