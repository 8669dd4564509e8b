"""Reading audio files, checked, so that no bad file goes on in silence."""

import os
from pathlib import Path

import soundfile
import torch
from speechbrain.dataio.preprocess import AudioNormalizer

from speechbrain_ptssnn.errors import InputError

# What writes to a pipe cannot know the size, and promises one from here on.
STREAMED = 0x7FFF0000


def audio_seconds(path, sample_rate=None, channels=None):
    """Duration of an audio file, from its header, which is checked.

    Arguments
    ---------
    path : str or Path
        The file.
    sample_rate : int, optional
        What the corpus was published with, in Hz; another rate is an error.
    channels : int, optional
        Likewise for the number of channels.

    Returns
    -------
    float
        Seconds.

    Raises
    ------
    InputError
        If the file is missing, empty, cut short, or not in the expected
        format.
    """
    try:
        info = soundfile.info(str(path))
    except (soundfile.SoundFileError, OSError) as error:
        raise InputError(
            f"{path}: not readable as audio ({error}); the file is damaged, "
            "empty or missing: copy it again"
        ) from error
    if info.frames == 0:
        raise InputError(
            f"{path}: holds 0 samples by its header; copy the file again, or "
            "have ffmpeg write it anew if its recording was broken off"
        )
    _check_not_cut(path)
    if sample_rate not in (None, info.samplerate):
        raise InputError(
            f"{path}: sample rate is {info.samplerate} Hz, this corpus has "
            f"{sample_rate} Hz; use the files as they were published"
        )
    if channels not in (None, info.channels):
        raise InputError(
            f"{path}: has {info.channels} channels, this corpus has "
            f"{channels}; use the files as they were published"
        )
    return info.frames / info.samplerate


def _check_not_cut(path):
    # libsndfile reads a WAV file that was cut short without a word. Only the
    # data chunk tells: writers set the size of the whole file wrongly.
    with open(path, "rb") as file:
        header = file.read(12)
        if header[:4] != b"RIFF" or header[8:] != b"WAVE":
            return
        name, promised = b"", 0
        while name != b"data":
            file.seek(promised + promised % 2, os.SEEK_CUR)
            chunk = file.read(8)
            if len(chunk) < 8:
                return
            name, promised = chunk[:4], int.from_bytes(chunk[4:], "little")
        there = Path(path).stat().st_size - file.tell()
    if there < promised < STREAMED:
        raise InputError(
            f"{path}: cut short, {there} of {promised} bytes of audio are "
            "there; copy the file again"
        )


class MonoAudio(AudioNormalizer):
    """SpeechBrain's ``AudioNormalizer``, but it takes one of several channels,
    whose average may cancel them, and refuses what would go wrong in silence:
    values that are not finite, no sample at all.

    Arguments
    ---------
    sample_rate : int
        Hz; other rates are resampled to it, and nothing is clipped.
    channel : str or int
        "louder" takes the channel with the most energy, a number that one.

    Raises
    ------
    InputError
        If ``channel`` is neither.

    Example
    -------
    >>> audio = torch.tensor([[0.1, 0.3], [-0.1, -0.3]])
    >>> MonoAudio(16000)(audio, 16000)
    tensor([ 0.3000, -0.3000])
    >>> MonoAudio(16000, channel=0)(audio, 16000)
    tensor([ 0.1000, -0.1000])
    """

    def __init__(self, sample_rate=16000, channel="louder"):
        super().__init__(sample_rate)
        if channel != "louder" and not str(channel).isdecimal():
            raise InputError(
                f"channel must be 'louder', 0, 1, ..., got {channel!r}"
            )
        self.channel = channel

    def __call__(self, audio, sample_rate):
        """Makes one recording mono, at this object's rate.

        Arguments
        ---------
        audio : torch.Tensor
            [time] or [time, channels].
        sample_rate : int
            Its rate, in Hz.

        Returns
        -------
        torch.Tensor
            [time], at this object's rate.

        Raises
        ------
        InputError
            As said above, or if there is no such channel.
        """
        if audio.numel() == 0:
            raise InputError("the audio holds 0 samples")
        if not torch.isfinite(audio).all():
            raise InputError("the audio holds NaN or infinite samples")
        channels = audio.reshape(len(audio), -1)
        return super().__call__(
            channels[:, self._choose(channels)], sample_rate
        )

    def _choose(self, channels):
        if self.channel == "louder":
            return channels.double().square().sum(0).argmax()
        if int(self.channel) >= channels.shape[1]:
            raise InputError(
                f"there is no channel {self.channel}, the audio has "
                f"{channels.shape[1]}; set channel to 'louder' or to less"
            )
        return int(self.channel)


def read_samples(path, start=0.0, end=None):
    """Reads a file, or a part of it and nothing else.

    Arguments
    ---------
    path : str or Path
        The file.
    start : float
        Where the part begins, in seconds.
    end : float or None
        Where it ends; None is the file's end.

    Returns
    -------
    tuple
        (numpy.ndarray, [time] or [time, channels], float32; Hz).

    Raises
    ------
    InputError
        If the file cannot be read or does not hold that part.

    Example
    -------
    >>> wav = getfixture("tmp_path") / "a.wav"
    >>> soundfile.write(wav, [0.0] * 8000 + [0.5] * 8000, 16000)
    >>> samples, rate = read_samples(wav, 0.5, 0.75)
    >>> samples.tolist() == [0.5] * 4000, rate
    (True, 16000)
    """
    seconds = audio_seconds(path)
    try:
        with soundfile.SoundFile(str(path)) as file:
            rate = file.samplerate
            first = round(start * rate)
            last = file.frames if end is None else round(end * rate)
            if not 0 <= first < last <= file.frames:
                raise InputError(
                    f"{path}: has no part from {start} to {end} s, it lasts "
                    f"{seconds} s"
                )
            file.seek(first)
            samples = file.read(last - first, dtype="float32")
    except soundfile.SoundFileError as error:
        raise InputError(f"{path}: {error}") from error
    return samples, rate


def load_audio(path, normalizer, start=0.0, end=None):
    """Reads a file, or a part of it, as its backbone wants it.

    Arguments
    ---------
    path : str or Path
        The file.
    normalizer : MonoAudio
        What resamples it.
    start : float
        Where the part begins, in seconds.
    end : float or None
        Where it ends; None is the file's end.

    Returns
    -------
    torch.Tensor
        [time], float32; resampling may pass over 1.

    Raises
    ------
    InputError
        If the file cannot be read or :class:`MonoAudio` refuses it; the
        message names the file.
    """
    samples, rate = read_samples(path, start, end)
    try:
        return normalizer(torch.from_numpy(samples), rate)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
