"""Log-mel filterbanks, a backbone that needs no download."""

from speechbrain.lobes import features

from speechbrain_ptssnn.backbones.base import Backbone
from speechbrain_ptssnn.backbones.signal_processing import power_spectrum


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
        return f"fbank n_mels={self.n_mels} sample_rate={self.sample_rate}"
