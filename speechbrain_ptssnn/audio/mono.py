"""Audio as a backbone takes it: one channel, one sample rate, one scale."""

from math import ceil, gcd

import soxr
import torch
from speechbrain.dataio.preprocess import AudioNormalizer

from speechbrain_ptssnn.errors import InputError

# What is subtracted from an integer sample, and what it is then divided by.
SCALES = {
    torch.uint8: (128, 2**7),
    torch.int8: (0, 2**7),
    torch.int16: (0, 2**15),
    torch.int32: (0, 2**31),
}
# No float recording reaches 30 dB above full scale; integers do at once.
HIGHEST_PEAK = 32
# In Hz; a header with another rate is damaged.
RATES = (1000, 1_000_000)
# torchaudio's resampler has about p * q weights where p / q is the reduced
# ratio of the rates: 70,560 for 44.1 kHz to 16 kHz, but 706 million (22 GB of
# memory) for 44,099 Hz. Above this number, soxr takes over. At this number
# torchaudio needs 150 MB. All the usual rates from 8 to 192 kHz lie below.
MOST_WEIGHTS = 2**22


def as_float(audio):
    """Converts integer samples by the range of their type.

    Arguments
    ---------
    audio : torch.Tensor or numpy.ndarray
        Samples of any shape.

    Returns
    -------
    torch.Tensor
        Floats; those of integers lie in [-1, 1).

    Raises
    ------
    InputError
        If the type has no range of its own, such as int64.

    Example
    -------
    >>> as_float(torch.tensor([16384, -32768], dtype=torch.int16))
    tensor([ 0.5000, -1.0000])
    >>> as_float(torch.tensor([192, 0], dtype=torch.uint8))
    tensor([ 0.5000, -1.0000])
    """
    audio = torch.as_tensor(audio)
    if audio.dtype in SCALES:
        zero, scale = SCALES[audio.dtype]
        return (audio.float() - zero) / scale
    if not audio.is_floating_point():
        raise InputError(
            f"samples of the type {str(audio.dtype).removeprefix('torch.')} "
            "have no known scale; give floats from -1 to 1, or int16"
        )
    return audio


def check_samples(audio):
    """Refuses samples that are not finite, or not on the scale of floats.

    Arguments
    ---------
    audio : torch.Tensor
        Floats.

    Raises
    ------
    InputError
        If there are none, one is NaN or infinite, or one is larger than 32.
    """
    if audio.numel() == 0:
        raise InputError("the audio holds 0 samples")
    low, high = (float(end) for end in audio.aminmax())
    peak = max(-low, high)
    if not peak < float("inf"):  # NaN too
        raise InputError("the audio holds NaN or infinite samples")
    if peak > HIGHEST_PEAK:
        raise InputError(
            f"the samples reach {peak:.6g}, but audio lies between -1 and 1; "
            "if they are integers of 16 bits, divide them by 32768"
        )


class MonoAudio(AudioNormalizer):
    """SpeechBrain's ``AudioNormalizer``, except for four things. It takes one
    channel, not the average of all, in which they may cancel. It converts
    integers by their type. It refuses audio that is empty, not finite or far
    too loud. It resamples from any rate in bounded memory.

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
            If the audio is empty, not finite or too loud, lacks the channel,
            or has an impossible sample rate.
        """
        return self.resample(self.choose(audio), sample_rate)

    def choose(self, audio):
        """Returns one channel, [time], as floats, after checking all."""
        audio = as_float(audio)
        check_samples(audio)
        channels = audio.reshape(len(audio), -1)
        return channels[:, self.number(channels)]

    def resample(self, audio, sample_rate):
        """Resamples one channel, [time]; the length is rounded up."""
        lowest, highest = RATES
        if not lowest <= sample_rate <= highest:
            raise InputError(
                f"the sample rate is {sample_rate} Hz, which is not between "
                f"{lowest} and {highest} Hz; the header is likely damaged"
            )
        divisor = gcd(sample_rate, self.sample_rate)
        weights = (sample_rate // divisor) * (self.sample_rate // divisor)
        if weights <= MOST_WEIGHTS:
            return super().__call__(audio, sample_rate)
        resampled = soxr.resample(
            audio.cpu().numpy(), sample_rate, self.sample_rate, "VHQ"
        )
        # soxr rounds the length to the nearest number.
        length = ceil(len(audio) * self.sample_rate / sample_rate)
        result = audio.new_zeros(length)
        result[: len(resampled)] = torch.from_numpy(resampled[:length])
        return result

    def number(self, channels):
        """Returns which channel of [time, channels] is taken, from 0 on."""
        if self.channel == "louder":
            return int(channels.double().square().sum(0).argmax())
        if int(self.channel) >= channels.shape[1]:
            raise InputError(
                f"there is no channel {self.channel}, the audio has "
                f"{channels.shape[1]}; set channel to 'louder' or to a lower "
                "number"
            )
        return int(self.channel)
