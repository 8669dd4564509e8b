"""Log-mel filterbanks, a backbone that needs no download."""

import math

import torch
from speechbrain.lobes import features
from speechbrain.processing.features import STFT, spectral_magnitude

from speechbrain_ptssnn.audio import check_samples
from speechbrain_ptssnn.backbones.base import Backbone
from speechbrain_ptssnn.backbones.signal_processing import power_spectrum
from speechbrain_ptssnn.errors import InputError

TOP_DB = 80.0  # SpeechBrain's default


class Fbank(Backbone):
    r"""SpeechBrain's ``Fbank``, with two frames of 10 ms joined into one, or
    with its own frames of 10 ms.

    The features are in dB, so they should be standardised
    (``normalize: corpus`` in the YAML).

    Arguments
    ---------
    n_mels : int
        Mel filters; the features have ``n_joined`` times as many channels.
    sample_rate : int
        Sample rate of the waveforms, in Hz.
    top_db : float or None
        Values further below the largest of the utterance are raised to this
        distance, as SpeechBrain does with 80 dB. None raises none, so that a
        frame does not depend on later ones; see :meth:`stream`.
    n_joined : int
        Frames of 10 ms that become one, side by side, 1 or more.

    Raises
    ------
    ValueError
        If ``n_joined`` is below 1.

    Example
    -------
    >>> backbone = Fbank()
    >>> backbone(torch.randn(16000)).shape
    torch.Size([50, 160])
    >>> Fbank(n_mels=40, n_joined=1)(torch.randn(16000)).shape
    torch.Size([101, 40])
    """

    def __init__(self, n_mels=80, sample_rate=16000, top_db=TOP_DB, n_joined=2):
        if n_joined < 1:
            raise ValueError(f"n_joined must be at least 1, got {n_joined}")
        super().__init__(
            sample_rate, frame_rate=100 / n_joined, min_samples=400
        )
        self.output_size = n_joined * n_mels
        self.n_mels = n_mels
        self.n_joined = n_joined
        self.top_db = top_db
        self.fbank = features.Fbank(n_mels=n_mels, sample_rate=sample_rate)
        distance = math.inf if top_db is None else top_db
        self.fbank.compute_fbanks.top_db = distance
        self.freeze()

    def extract(self, wav):
        """Maps [samples] to [time, n_joined * n_mels]."""
        frames = self.fbank(wav.unsqueeze(0)).squeeze(0)
        n_whole = len(frames) // self.n_joined * self.n_joined
        return frames[:n_whole].reshape(-1, self.output_size)

    def multiplications(self, n_samples):
        """Returns those of window, FFT, power and mel filters, for each frame
        of 10 ms.

        Example
        -------
        >>> Fbank().multiplications(16000)
        469347
        """
        stft, mel = self.fbank.compute_STFT, self.fbank.compute_fbanks
        distances = (mel.all_freqs_mat.T - mel.f_central).abs()
        n_weights = int((distances < mel.band).sum())
        # Silence of half an FFT stands before and after the audio.
        n_frames = 1 + n_samples // stft.hop_length
        return n_frames * (
            power_spectrum(stft.win_length, stft.n_fft) + n_weights
        )

    def fingerprint(self):
        """Returns the settings, which determine the features."""
        settings = f"fbank n_mels={self.n_mels} sample_rate={self.sample_rate}"
        # Only where they differ, so that older stores are found.
        if self.top_db != TOP_DB:
            settings += f" top_db={self.top_db}"
        if self.n_joined != 2:
            settings += f" n_joined={self.n_joined}"
        return settings

    def stream(self):
        """Returns the same features of audio as it comes.

        Returns
        -------
        FbankStream

        Raises
        ------
        InputError
            If ``top_db`` is not None.
        """
        return FbankStream(self)


class FbankStream:
    r"""The frames of :class:`Fbank` from audio as it comes.

    Calling it with some samples returns the frames that they complete. They
    equal those of the whole audio, however it is cut, to 1e-5 dB, or to two
    units in the last place of a float32 (1.5e-5 at -96 dB). At 16 kHz a frame
    is complete 2.5 ms after its end.

    Arguments
    ---------
    backbone : Fbank
        With ``top_db=None``.

    Raises
    ------
    InputError
        If ``top_db`` is not None.

    Example
    -------
    >>> backbone, audio = Fbank(top_db=None), torch.randn(16000)
    >>> stream = backbone.stream()
    >>> frames = [stream(block) for block in audio.split(1000)]
    >>> frames = torch.cat([*frames, stream.finish()])
    >>> torch.allclose(frames, backbone(audio), atol=1e-5)
    True
    """

    def __init__(self, backbone):
        if backbone.top_db is not None:
            raise InputError(
                f"fbank with top_db={backbone.top_db:g} compares each value "
                "with the largest of the whole audio, so it cannot stream; "
                "train with --backbone=fbank_stream, where top_db is null"
            )
        self.backbone = backbone
        stft = backbone.fbank.compute_STFT
        # The same windows; those of a whole audio begin half an FFT before it.
        self._stft = STFT(backbone.sample_rate, n_fft=stft.n_fft, center=False)
        self._silence = torch.zeros(stft.n_fft // 2)
        self._step = backbone.n_joined * stft.hop_length
        # Of the joined frames together.
        self._window = stft.n_fft - stft.hop_length + self._step
        self.reset()

    @property
    def state(self):
        """What the stream keeps between two calls: a dict of tensors, whose
        sizes never change.
        """
        return dict(self._state)

    def reset(self):
        """Starts a new utterance."""
        self._keep(self._silence)

    def load_state(self, state):
        """Goes on from the :attr:`state` of a stream of the same settings.

        Arguments
        ---------
        state : dict
            The state.

        Raises
        ------
        InputError
            If it has other names or sizes.
        """
        mine = {name: each.shape for name, each in self._state.items()}
        if {name: each.shape for name, each in state.items()} != mine:
            raise InputError(
                "this is not a state of this fbank; load the state of a stream "
                "with the same sample rate"
            )
        self._state = {name: each.clone() for name, each in state.items()}

    @torch.no_grad()
    def __call__(self, samples):
        """Takes the next samples.

        Arguments
        ---------
        samples : torch.Tensor
            [time], at the backbone's sample rate, from -1 to 1.

        Returns
        -------
        torch.Tensor
            The frames that are complete now, [frames, output_size]; there may
            be none.

        Raises
        ------
        InputError
            If the samples are not one channel, none, not finite or far beyond
            1. The state is then unchanged.
        """
        if samples.ndim != 1:
            raise InputError(
                "a stream takes one channel [samples], got shape "
                f"{list(samples.shape)}"
            )
        check_samples(samples)
        samples = torch.cat([self._held(), samples.cpu()])
        frames = self._frames(samples)
        self._keep(samples[len(frames) * self._step :])
        return frames

    @torch.no_grad()
    def finish(self):
        """Returns the last frames, [frames, output_size], if the audio ends
        here: those that need silence behind it. The state is unchanged.
        """
        return self._frames(torch.cat([self._held(), self._silence]))

    def _held(self):
        return self._state["samples"][: int(self._state["n_held"])]

    def _keep(self, samples):
        held = torch.zeros(self._window - 1)
        held[: len(samples)] = samples
        self._state = {"samples": held, "n_held": torch.tensor(len(samples))}

    def _frames(self, samples):
        n_frames = 1 + (len(samples) - self._window) // self._step
        if n_frames < 1:
            return samples.new_zeros(0, self.backbone.output_size)
        samples = samples[: (n_frames - 1) * self._step + self._window]
        spectrum = spectral_magnitude(self._stft(samples.unsqueeze(0)))
        frames = self.backbone.fbank.compute_fbanks(spectrum)
        return frames.reshape(n_frames, self.backbone.output_size)
