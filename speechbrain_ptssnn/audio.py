"""Reading audio files, checked, so that no bad file goes on in silence."""

from pathlib import Path

import soundfile
import torch
from speechbrain.dataio.preprocess import AudioNormalizer

from speechbrain_ptssnn.errors import InputError


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
        raise InputError(f"{path}: holds 0 samples; copy the file again")
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
    # libsndfile reads a WAV file that was cut short without a word.
    with open(path, "rb") as file:
        header = file.read(12)
    if header[:4] != b"RIFF" or header[8:] != b"WAVE":
        return
    promised = int.from_bytes(header[4:8], "little")
    size = Path(path).stat().st_size
    # Streamed files promise the largest number there is; some writers leave
    # out the last, padding byte.
    if promised + 7 > size and promised < 0x7FFFFFFF:
        raise InputError(
            f"{path}: cut short, {size} of {promised + 8} bytes are there; "
            "copy the file again"
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


def load_audio(path, normalizer):
    """Reads a file as its backbone wants it.

    Arguments
    ---------
    path : str or Path
        The file.
    normalizer : MonoAudio
        What resamples it.

    Returns
    -------
    torch.Tensor
        [time], float32; resampling may pass over 1.

    Raises
    ------
    InputError
        If the file can not be read or :class:`MonoAudio` refuses it; the
        message names the file.
    """
    audio_seconds(path)
    try:
        samples, rate = soundfile.read(str(path), dtype="float32")
        return normalizer(torch.from_numpy(samples), rate)
    except (soundfile.SoundFileError, InputError) as error:
        raise InputError(f"{path}: {error}") from error
