"""Long recordings, read block by block: hours in constant memory."""

import math
import os

import numpy as np
import soundfile
import torch

from speechbrain_ptssnn.audio.files import Forward, read_header, reason
from speechbrain_ptssnn.audio.mono import check_samples
from speechbrain_ptssnn.errors import InputError

# Seconds that are resampled again on both sides of a block. torchaudio's filter
# reaches 6 samples of the lower rate, so the result is that of the whole.
MARGIN = 0.05


class LongAudio:
    """A recording that is read in blocks of a second.

    What is damaged is read up to the damage, which :attr:`problem` then names.
    A file that grows is read as far as it went at first.

    Arguments
    ---------
    path : str or Path
        The file.

    Raises
    ------
    InputError
        If the file is missing, empty or no audio; says what it is.

    Example
    -------
    >>> wav = getfixture("tmp_path") / "a.wav"
    >>> soundfile.write(wav, np.zeros((40000, 2)), 16000)
    >>> audio = LongAudio(wav)
    >>> [block.shape for block in audio.blocks()]
    [(16000, 2), (16000, 2), (8000, 2)]
    >>> audio.seconds, audio.problem
    (2.5, None)
    """

    def __init__(self, path):
        header = read_header(path, damaged=True)
        self.path = str(path)
        self.sample_rate = header.sample_rate
        self.channels = header.channels
        self.frames = header.frames
        self.problem = header.problem
        self._tolerance = header.tolerance
        self._n_bytes = os.stat(path).st_size

    @property
    def seconds(self):
        """How long the recording is, as far as it can be read."""
        return self.frames / self.sample_rate

    @property
    def has_grown(self):
        """Whether the file is larger than when it was opened."""
        return os.stat(self.path).st_size > self._n_bytes

    def blocks(self):
        """Yields the recording, in blocks of a second.

        Returns
        -------
        iterator of numpy.ndarray
            [time, channels], float32. It ends at the first damage, which then
            is the end for later calls too.
        """
        n_read = 0
        try:
            with Forward(os.fsencode(self.path)) as file:
                for block in file.blocks_of(self.frames, self.sample_rate):
                    if not len(block):
                        break
                    check_samples(torch.from_numpy(block))
                    yield block.reshape(len(block), -1)
                    n_read += len(block)
        except (soundfile.SoundFileError, OSError) as error:
            self._stop(n_read, f"cannot be read on ({reason(error)})")
        except InputError as error:
            self._stop(n_read, f"{error}")
        if n_read + self._tolerance < self.frames:
            self._stop(n_read, "ends before the length that its header gives")
        self.frames = n_read

    def _stop(self, n_read, problem):
        at = n_read / self.sample_rate
        self.problem = f"is damaged at {at:.1f} s: {problem}"
        self.frames = n_read

    def loudest(self):
        """Returns the channel with the most energy, counted from 0."""
        if self.channels == 1:
            return 0
        energy = np.zeros(self.channels)
        for block in self.blocks():
            energy += np.square(block, dtype=np.float64).sum(0)
        return int(energy.argmax())

    def channel(self, k):
        """Yields one channel in blocks of a second, [time]."""
        for block in self.blocks():
            yield block[:, k]


def resample_blocks(blocks, sample_rate, normalizer):
    """Resamples audio that comes in blocks, as if it came at once.

    Arguments
    ---------
    blocks : iterable of numpy.ndarray
        [time] each, float32.
    sample_rate : int
        Their sample rate, in Hz.
    normalizer : MonoAudio
        Resamples.

    Returns
    -------
    iterator of numpy.ndarray
        The audio at the normalizer's sample rate.

    Example
    -------
    >>> from speechbrain_ptssnn.audio import MonoAudio
    >>> audio = np.random.default_rng(0).normal(size=24000).astype("f")
    >>> mono = MonoAudio(16000)
    >>> cut = np.split(audio, [1000, 9000])
    >>> cut = np.concatenate(list(resample_blocks(cut, 44100, mono)))
    >>> whole = mono.resample(torch.from_numpy(audio), 44100).numpy()
    >>> len(cut) == len(whole), bool(np.abs(cut - whole).max() < 1e-6)
    (True, True)
    """
    target = normalizer.sample_rate
    if sample_rate == target:
        yield from blocks
        return
    # Blocks begin where a sample of the one rate meets one of the other.
    divisor = math.gcd(sample_rate, target)
    period, new_period = sample_rate // divisor, target // divisor
    margin = math.ceil(MARGIN * sample_rate / period)  # in periods
    held, skipped = np.zeros(0, np.float32), 0
    for block in blocks:
        held = np.concatenate([held, block])
        ready = len(held) // period - margin - skipped
        if ready > 0:
            result = _resample(held, sample_rate, normalizer)
            first = skipped * new_period
            yield result[first : first + ready * new_period]
            drop = max(0, skipped + ready - margin)
            held, skipped = held[drop * period :], skipped + ready - drop
    rest = held[:0]
    if len(held):
        result = _resample(held, sample_rate, normalizer)
        rest = result[skipped * new_period :]
    if len(rest):
        yield rest


def _resample(audio, sample_rate, normalizer):
    return normalizer.resample(torch.from_numpy(audio), sample_rate).numpy()


def cut(blocks, spans):
    """Cuts pieces out of audio that comes in blocks.

    Arguments
    ---------
    blocks : iterable of numpy.ndarray
        [time] each.
    spans : iterable of tuple
        First sample, and the one after the last, sorted by the first; they
        may overlap. Only the samples from the next span's first one on are
        kept.

    Returns
    -------
    iterator of numpy.ndarray
        One piece a span, shorter where the audio ends within it; it ends where
        the audio ends before one.

    Example
    -------
    >>> blocks = np.split(np.arange(10), [4, 7])
    >>> [each.tolist() for each in cut(blocks, [(1, 3), (2, 6), (8, 99)])]
    [[1, 2], [2, 3, 4, 5], [8, 9]]
    """
    blocks = iter(blocks)
    held, first = np.zeros(0, np.float32), 0
    for start, end in spans:
        while first + len(held) < end:
            drop = min(max(0, start - first), len(held))
            held, first = held[drop:], first + drop
            block = next(blocks, None)
            if block is None:
                break
            held = np.concatenate([held, block]) if len(held) else block
        piece = held[max(0, start - first) : max(0, end - first)]
        if not len(piece):
            return
        yield piece
