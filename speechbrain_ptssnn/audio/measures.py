"""What a recording is like before anything is learnt from it: level, clipping,
silence, bandwidth, and how its channels differ.
"""

from dataclasses import dataclass

import numpy as np
from scipy.signal import welch

FLAT = 3  # equal samples in a row that make a flat top
FLAT_TOPS = 3  # of which a clipped recording has at least so many
OFFSET = 0.01  # of full scale
SILENT_START = 0.2  # seconds of zeros
QUIET = 40.0  # dB below the loudest frame
FRAME = 0.02  # seconds
# A band of 4 kHz ends here: 1 kHz higher, as resamplers leave something just
# above 4 kHz. Speech of URDU and EMOVO has -49 dB or more above it; cut to
# 8 kHz and resampled to 16 kHz, it has -58 dB or less.
BAND = 5000.0  # Hz
BAND_LIMITED = -55.0  # dB of all energy
LOWEST = -120.0  # dB that stand for nothing at all
WINDOW = 0.032  # seconds of a spectrum


@dataclass(frozen=True)
class Measures:
    """One recording in numbers. Of several channels, they are those of the
    chosen one.

    Arguments
    ---------
    sample_rate : int
        In Hz, of the file.
    channels : int
        Of the file.
    channel : int
        Which one was chosen, from 0 on.
    peak : float
        Largest absolute sample; 1 is full scale.
    level : float
        Root mean square in dB of full scale, without the offset.
    flat_tops : int
        Runs of at least 3 equal samples at the largest or smallest value.
    offset : float
        Mean of the samples.
    leading_zeros : float
        Seconds of exact zeros at the start.
    quiet : float
        Share of the 20 ms frames that are 40 dB or more below the loudest.
    above_band : float
        Energy above 5 kHz in dB of all energy.
    correlation : float or None
        Of the first two channels; None if there is one, or one is silent.
    level_difference : float or None
        Of the first two channels, the first minus the second, in dB.
    """

    sample_rate: int
    channels: int
    channel: int
    peak: float
    level: float
    flat_tops: int
    offset: float
    leading_zeros: float
    quiet: float
    above_band: float
    correlation: float | None = None
    level_difference: float | None = None

    @property
    def is_clipped(self):
        """Whether it has at least 3 flat tops: a wave may reach its largest
        value once in a flat top by chance.
        """
        return self.flat_tops >= FLAT_TOPS

    @property
    def has_offset(self):
        """Whether its mean is 1 % of full scale or more."""
        return abs(self.offset) >= OFFSET

    @property
    def starts_silent(self):
        """Whether it begins with 0.2 s of zeros or more."""
        return self.leading_zeros >= SILENT_START

    @property
    def is_band_limited(self):
        """Whether it holds nothing above 5 kHz, as a telephone's audio does,
        at whichever rate it is stored. Digital silence does not count.
        """
        return self.level > LOWEST and self.above_band < BAND_LIMITED


def measure(samples, sample_rate, channel=0):
    """Measures a recording.

    Arguments
    ---------
    samples : numpy.ndarray
        [time] or [time, channels]; floats.
    sample_rate : int
        In Hz.
    channel : int
        Which channel is measured, from 0 on.

    Returns
    -------
    Measures

    Example
    -------
    >>> import numpy as np
    >>> time = np.arange(16000) / 16000
    >>> wave = np.sin(2 * np.pi * 440 * time)
    >>> found = measure(np.clip(wave, -0.5, 0.5), 16000)
    >>> found.is_clipped, found.peak, measure(wave, 16000).is_clipped
    (True, 0.5, False)
    """
    channels = samples.reshape(len(samples), -1).astype(np.float64)
    chosen = channels[:, channel]
    offset = chosen.mean()
    frames = _frame_energies(chosen - offset, round(FRAME * sample_rate))
    (sound,) = chosen.nonzero()
    start = sound[0] if len(sound) else len(chosen)
    correlation, difference = _compare(channels)
    return Measures(
        sample_rate=sample_rate,
        channels=channels.shape[1],
        channel=channel,
        peak=float(np.abs(chosen).max()),
        level=_decibels(np.square(chosen - offset).mean()),
        flat_tops=_flat_tops(chosen),
        offset=float(offset),
        leading_zeros=float(start / sample_rate),
        quiet=float((frames <= frames.max() * 10 ** (-QUIET / 10)).mean()),
        above_band=_above_band(chosen, sample_rate),
        correlation=correlation,
        level_difference=difference,
    )


def _decibels(ratio):
    return max(LOWEST, 10 * float(np.log10(ratio))) if ratio > 0 else LOWEST


def _frame_energies(samples, size):
    size = max(1, min(size, len(samples)))
    whole = samples[: len(samples) // size * size]
    return np.square(whole).reshape(-1, size).sum(1)


def _flat_tops(samples):
    low, high = samples.min(), samples.max()
    if low == high:
        return 0
    count = 0
    for value in (low, high):
        edges = np.diff(np.r_[False, samples == value, False].astype(np.int8))
        runs = np.flatnonzero(edges < 0) - np.flatnonzero(edges > 0)
        count += int((runs >= FLAT).sum())
    return count


def _above_band(samples, sample_rate):
    size = min(len(samples), round(WINDOW * sample_rate))
    frequencies, energy = welch(samples, sample_rate, nperseg=size)
    total = energy.sum()
    return _decibels(energy[frequencies > BAND].sum() / total if total else 0)


def _compare(channels):
    if channels.shape[1] < 2:
        return None, None
    first, second = (each - each.mean() for each in channels.T[:2])
    energies = [np.square(each).sum() for each in (first, second)]
    if not all(energies):
        return None, None
    correlation = (first * second).sum() / np.sqrt(np.prod(energies))
    return float(correlation), 10 * float(np.log10(energies[0] / energies[1]))
