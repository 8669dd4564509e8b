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
    """SpeechBrain's ``AudioNormalizer``, but it refuses what would go wrong
    in silence: several channels (an average may cancel them), values that
    are not finite, no sample at all.

    Arguments
    ---------
    sample_rate : int
        Hz; other rates are resampled to it.

    Example
    -------
    >>> MonoAudio(16000)(torch.zeros(8000, 1), 8000).shape
    torch.Size([16000])
    """

    def __init__(self, sample_rate=16000):
        super().__init__(sample_rate)

    def __call__(self, audio, sample_rate):
        """Resamples one recording.

        Arguments
        ---------
        audio : torch.Tensor
            [time] or [time, 1].
        sample_rate : int
            Its rate, in Hz.

        Returns
        -------
        torch.Tensor
            [time], at this object's rate.

        Raises
        ------
        InputError
            As said above.
        """
        if audio.ndim == 2 and audio.shape[1] > 1:
            raise InputError(
                f"the audio has {audio.shape[1]} channels; choose one of them"
            )
        if audio.numel() == 0:
            raise InputError("the audio holds 0 samples")
        if not torch.isfinite(audio).all():
            raise InputError("the audio holds NaN or infinite samples")
        return super().__call__(audio.reshape(-1), sample_rate)


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
        [time], float32, in [-1, 1].

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
