"""Log-mel filterbanks, a backbone that needs no download."""

from speechbrain.lobes import features

from speechbrain_ptssnn.backbones.base import Backbone


class Fbank(Backbone):
    r"""SpeechBrain's ``Fbank``, with two frames of 10 ms joined into one.

    The features are in dB, so they should be standardised
    (``normalize: corpus`` in the YAML).

    Arguments
    ---------
    n_mels : int
        Mel filters; the features have twice as many channels.
    sample_rate : int
        Sample rate of the waveforms, in Hz.

    Example
    -------
    >>> backbone = Fbank()
    >>> backbone(torch.randn(16000)).shape
    torch.Size([50, 160])
    """

    def __init__(self, n_mels=80, sample_rate=16000):
        super().__init__(sample_rate, frame_rate=50.0, min_samples=400)
        self.output_size = 2 * n_mels
        self.n_mels = n_mels
        self.fbank = features.Fbank(n_mels=n_mels, sample_rate=sample_rate)
        self.freeze()

    def extract(self, wav):
        """Maps [samples] to [time, 2 * n_mels]."""
        frames = self.fbank(wav.unsqueeze(0)).squeeze(0)
        return frames[: len(frames) // 2 * 2].reshape(-1, self.output_size)

    def fingerprint(self):
        """Returns the settings, which determine the features."""
        return f"fbank n_mels={self.n_mels} sample_rate={self.sample_rate}"
