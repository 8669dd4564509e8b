"""One reader for training and prediction; it refuses what ends early."""

import mmap
import os
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import torch

from speechbrain_ptssnn.audio import ogg
from speechbrain_ptssnn.audio.containers import find_cut
from speechbrain_ptssnn.audio.kinds import HEAD, describe, to_wav
from speechbrain_ptssnn.audio.mp3 import count_frames
from speechbrain_ptssnn.errors import InputError

BLOCK = 2**20  # samples that are read at a time
# No format that is read here packs more samples into a byte.
SAMPLES_PER_BYTE = 2**16


@dataclass(frozen=True)
class Header:
    """What a file's header says.

    Arguments
    ---------
    frames : int
        Samples of each channel.
    sample_rate : int
        In Hz.
    channels : int
        How many.
    tolerance : int
        By how many samples ``frames`` may be too large, where it is an
        estimate.
    problem : str or None
        The end of a sentence that begins with the file's name, if it is cut
        short or damaged; ``frames`` are then those before the damage, as far
        as that is known.
    """

    frames: int
    sample_rate: int
    channels: int
    tolerance: int
    problem: str | None = None


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
        If the file is missing, empty, cut short, no audio, or not in the
        expected format.
    """
    header = read_header(path)
    if sample_rate not in (None, header.sample_rate):
        raise InputError(
            f"{path}: sample rate is {header.sample_rate} Hz, but this corpus "
            f"has {sample_rate} Hz; use the files as they were published"
        )
    if channels not in (None, header.channels):
        raise InputError(
            f"{path}: has {header.channels} channels, but this corpus has "
            f"{channels}; use the files as they were published"
        )
    return header.frames / header.sample_rate


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
        If the file cannot be read to its end or is shorter than the part.

    Example
    -------
    >>> wav = getfixture("tmp_path") / "a.wav"
    >>> soundfile.write(wav, [0.0] * 8000 + [0.5] * 8000, 16000)
    >>> samples, rate = read_samples(wav, 0.5, 0.75)
    >>> samples.tolist() == [0.5] * 4000, rate
    (True, 16000)
    """
    header = read_header(path)
    rate = header.sample_rate
    first = round(start * rate)
    last = header.frames if end is None else round(end * rate)
    if not 0 <= first < last <= header.frames:
        raise InputError(
            f"{path}: has no part from {start} to {end} s, as it lasts "
            f"{header.frames / rate} s; correct start and end"
        )
    try:
        with Forward(os.fsencode(path)) as file:
            skipped = first
            # DWVW says that it can seek, but cannot.
            if (
                first
                and file.can_seek
                and file.frames == header.frames
                and not file.subtype.startswith("DWVW")
            ):
                file.seek(first)
                skipped = 0
            blocks = list(file.blocks_of(skipped + last - first))
    except (soundfile.SoundFileError, OSError) as error:
        raise InputError(
            f"{path}: cannot be read to its end ({reason(error)}); the file "
            "is damaged or cut short: copy it again"
        ) from error
    samples = np.concatenate(blocks)[skipped:]
    lacking = last - first - len(samples)
    if lacking > header.tolerance or not len(samples):
        raise InputError(
            f"{path}: ends early, {lacking / rate:.3f} s before the end that "
            "its header gives; the file is damaged or cut short: copy it again"
        )
    return samples, rate


def load_audio(path, normalizer, start=0.0, end=None, levels=None):
    """Reads a file, or a part of it, as mono audio for a backbone.

    Arguments
    ---------
    path, start, end : str or Path, float, float or None
        As in :func:`read_samples`.
    normalizer : MonoAudio
        Chooses the channel and resamples.
    levels : Levels, optional
        Notes whether the file is silent or too loud.

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
        channel = normalizer.choose(torch.from_numpy(samples))
        if levels is not None:
            levels.note(str(path), channel)
        return normalizer.resample(channel, rate)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


class Forward(soundfile.SoundFile):
    """A file that is read without seeking.

    soundfile seeks after each read. Some formats cannot, and MP3 decodes
    slightly different samples after it.
    """

    def seekable(self):
        """Returns False, so that soundfile does not seek."""
        return False

    @property
    def can_seek(self):
        """Whether the file itself can."""
        return super().seekable()

    def blocks_of(self, frames, size=None):
        """Yields blocks of [time] or [time, channels], until the file ends or
        ``frames`` are read.
        """
        size = size or max(1, BLOCK // self.channels)
        while True:
            block = self.read(min(size, frames), dtype="float32")
            yield block
            frames -= len(block)
            if not len(block) or frames <= 0:
                return


def read_header(path, damaged=False):
    """Looks at a file, before its audio is read.

    Arguments
    ---------
    path : str or Path
        The file.
    damaged : bool
        Whether a file that is cut short or damaged is described as far as it
        can be read, instead of refused.

    Returns
    -------
    Header

    Raises
    ------
    InputError
        If the file is missing, empty, no audio, or damaged; says what it is.
    """
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            kind = "folder" if stat.S_ISDIR(status.st_mode) else "device"
            raise InputError(f"{path}: is a {kind}, not an audio file")
        with open(path, "rb") as file:
            head = file.read(HEAD)
        refused = describe(path, head)
        problem, whole = None, None
        if not refused and head.startswith(b"OggS"):
            with _content(path) as data:
                problem, whole = ogg.find_problem(data)
        elif not refused:
            problem = find_cut(path)
    except FileNotFoundError as error:
        raise InputError(
            f"{path}: there is no such file; correct the path"
        ) from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from error
    if refused or (problem and not damaged):
        raise InputError(f"{path}: {refused or problem}")
    try:
        info = soundfile.info(os.fsencode(path))
    except (soundfile.SoundFileError, OSError) as error:
        raise InputError(
            f"{path}: not readable as audio ({reason(error)}); the file is "
            "damaged or in a format that is not read here: copy it again, or "
            f"convert it: {to_wav(path)}"
        ) from error
    if info.format == "XI":
        raise InputError(
            f"{path}: is an XI instrument, of which a cut cannot be told; "
            f"convert it: {to_wav(path)}"
        )
    if info.format == "RAW" and Path(path).suffix.lower() in (".au", ".snd"):
        raise InputError(
            f"{path}: has no AU header, so its sample rate is unknown; copy it "
            f"again, or say what it is: ffmpeg -f mulaw -ar 8000 "
            f"{to_wav(path).removeprefix('ffmpeg ')}"
        )
    if info.frames == 0:
        raise InputError(
            f"{path}: has 0 samples according to its header; copy the file "
            "again, or repair it with ffmpeg if its recording was interrupted"
        )
    frames, tolerance = info.frames, 0
    if problem and whole is not None:
        rate = 48000 if b"OpusHead" in head else info.samplerate
        frames = min(frames, whole * info.samplerate // rate)
    elif info.format == "MP3":
        frames, tolerance, problem = _mp3_length(path, info)
        if problem and not damaged:
            raise InputError(f"{path}: {problem}")
    elif info.format == "FLAC" and frames >= 2**36:
        frames = _count(path)  # written to a pipe
    elif frames > status.st_size * SAMPLES_PER_BYTE:
        raise InputError(
            f"{path}: has {frames} samples according to its header, more than "
            f"{status.st_size} bytes can hold; copy the file again"
        )
    return Header(frames, info.samplerate, info.channels, tolerance, problem)


@contextmanager
def _content(path):
    """The bytes of a file, which are read from the disk when they are used."""
    with (
        open(path, "rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
    ):
        yield data


def _mp3_length(path, info):
    with _content(path) as data:
        found = count_frames(data)
    if found is None:
        return info.frames, 0, None
    if found.problem:
        return found.count * found.samples, 0, found.problem
    frames = info.frames
    # A decoder may leave out the first frame, and the last one.
    tolerance = 3 * found.samples
    if found.promised is None:
        counted = found.count * found.samples
        if frames < counted - tolerance:
            problem = (
                f"is an MP3 file of {counted / info.samplerate:.3f} s "
                "whose header does not give its length, so that only "
                f"{frames / info.samplerate:.3f} s would be read; convert it: "
                f"{to_wav(path)}"
            )
            return frames, tolerance, problem
        frames = min(frames, counted)
    return frames, tolerance, None


def _count(path):
    """Counts the samples of a file whose header does not."""
    try:
        with Forward(os.fsencode(path)) as file:
            frames = sum(map(len, file.blocks_of(file.frames)))
    except (soundfile.SoundFileError, OSError) as error:
        raise InputError(
            f"{path}: cannot be read to its end ({reason(error)}); the file "
            "is damaged or cut short: copy it again"
        ) from error
    if not frames:
        raise InputError(f"{path}: holds 0 samples; copy the file again")
    return frames


def reason(error):
    """Returns libsndfile's own words; before them stands the path again."""
    text = str(getattr(error, "error_string", error))
    return text.removeprefix("Error : ").strip().rstrip(".")
