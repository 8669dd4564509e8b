"""Reads and checks audio files, so that no bad file is used unnoticed."""

import os
from pathlib import Path

import soundfile
import torch
from speechbrain.dataio.preprocess import AudioNormalizer

from speechbrain_ptssnn.errors import InputError

# A program that writes to a pipe does not know the size of the audio. It puts
# this size, or a larger one, into the WAV header.
STREAMED = 0x7FFF0000


def audio_seconds(path, sample_rate=None, channels=None):
    """Returns the duration of an audio file, after checking its header.

    Arguments
    ---------
    path : str or Path
        The file.
    sample_rate : int, optional
        The sample rate of the published corpus, in Hz; another one is an
        error.
    channels : int, optional
        Its number of channels; another one is an error.

    Returns
    -------
    float
        In seconds.

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
            f"{path}: has 0 samples according to its header; copy the file "
            "again, or repair it with ffmpeg if its recording was interrupted"
        )
    _check_not_cut(path)
    if sample_rate not in (None, info.samplerate):
        raise InputError(
            f"{path}: sample rate is {info.samplerate} Hz, but this corpus "
            f"has {sample_rate} Hz; use the files as they were published"
        )
    if channels not in (None, info.channels):
        raise InputError(
            f"{path}: has {info.channels} channels, but this corpus has "
            f"{channels}; use the files as they were published"
        )
    return info.frames / info.samplerate


def _check_not_cut(path):
    # libsndfile reads a truncated WAV file without an error. Only the data
    # chunk's size is reliable: many programs write a wrong size of the file.
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
        present = Path(path).stat().st_size - file.tell()
    if present < promised < STREAMED:
        raise InputError(
            f"{path}: is cut short, with {present} of {promised} bytes of "
            "audio; copy the file again"
        )


class MonoAudio(AudioNormalizer):
    """SpeechBrain's ``AudioNormalizer``, except for two things. It takes one
    channel, not the average of all, in which they may cancel. It refuses audio
    that is empty or not finite.

    Arguments
    ---------
    sample_rate : int
        Of the result, in Hz; other audio is resampled, without clipping.
    channel : str or int
        "louder" takes the channel with the most energy; a number takes that
        channel, counted from 0.

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
        """Returns one channel of a recording, resampled.

        Arguments
        ---------
        audio : torch.Tensor
            [time] or [time, channels].
        sample_rate : int
            Its sample rate, in Hz.

        Returns
        -------
        torch.Tensor
            [time], at this object's sample rate.

        Raises
        ------
        InputError
            If the audio is empty or not finite, or lacks the channel.
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
                f"{channels.shape[1]}; set channel to 'louder' or to a lower "
                "number"
            )
        return int(self.channel)


def read_samples(path, start=0.0, end=None):
    """Reads the samples of a file, or only of a part of it.

    Arguments
    ---------
    path : str or Path
        The file.
    start : float
        Start of the part, in seconds.
    end : float or None
        End of the part, in seconds; None is the end of the file.

    Returns
    -------
    samples : numpy.ndarray
        [time] or [time, channels], float32.
    sample_rate : int
        In Hz.

    Raises
    ------
    InputError
        If the file cannot be read or is shorter than the part.

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
                    f"{path}: has no part from {start} to {end} s, as it "
                    f"lasts {seconds} s; correct start and end"
                )
            file.seek(first)
            samples = file.read(last - first, dtype="float32")
    except soundfile.SoundFileError as error:
        raise InputError(f"{path}: {error}") from error
    return samples, rate


def load_audio(path, normalizer, start=0.0, end=None):
    """Reads a file, or a part of it, as mono audio for a backbone.

    Arguments
    ---------
    path, start, end : str or Path, float, float or None
        As in :func:`read_samples`.
    normalizer : MonoAudio
        Chooses the channel and resamples.

    Returns
    -------
    torch.Tensor
        [time], float32; resampling may give values beyond 1.

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
