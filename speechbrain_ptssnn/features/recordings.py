"""Recognises a recording, however its file was written.

Two files differ in their bytes and hold the same recording if one of them was
written again: with a comment, as FLAC, with 24 bits, or as stereo of the same
mono. What the backbone hears is the same.
"""

import hashlib

import torch
from tqdm import tqdm

from speechbrain_ptssnn.audio import MonoAudio, read_samples
from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.features.audio_hashes import KEY_BYTES

SILENT = b""


def recording(path, channel, start=0.0, end=None):
    """Returns a hash of the samples that are heard.

    It is taken after decoding and the choice of the channel, and before
    resampling, which may round differently on another machine. Zeros at the
    begin and the end do not count.

    Arguments
    ---------
    path, start, end : str or Path, float, float or None
        As in :func:`~speechbrain_ptssnn.audio.read_samples`.
    channel : str or int
        As in :class:`~speechbrain_ptssnn.audio.MonoAudio`.

    Returns
    -------
    bytes
        16 bytes; ``SILENT`` if all samples are equal.

    Raises
    ------
    InputError
        If the audio cannot be used.

    Example
    -------
    >>> import soundfile
    >>> folder = getfixture("tmp_path")
    >>> samples = [0.0, 0.5, -0.25, 0.5]
    >>> soundfile.write(folder / "a.wav", samples, 16000)
    >>> soundfile.write(folder / "b.flac", samples, 16000)
    >>> a, b = (recording(folder / f, "louder") for f in ("a.wav", "b.flac"))
    >>> a == b
    True
    """
    heard, rate = read_samples(path, start, end)
    if heard.ndim > 1:
        try:
            chosen = MonoAudio(rate, channel)(torch.from_numpy(heard), rate)
        except InputError as error:
            raise InputError(f"{path}: {error}") from error
        heard = chosen.numpy()
    return hash_samples(heard, rate)


def hash_samples(heard, rate):
    """Returns the hash of :func:`recording` for samples that were read.

    Arguments
    ---------
    heard : numpy.ndarray
        [time], float32: the chosen channel.
    rate : int
        Its sample rate, in Hz.

    Returns
    -------
    bytes
        16 bytes; ``SILENT`` if all samples are equal.
    """
    # NumPy, because it does not wait for PyTorch's threads on a busy machine.
    if (heard == heard[0]).all():
        return SILENT
    (sound,) = heard.nonzero()
    # Adding zero turns -0.0 into 0.0.
    heard = heard[sound[0] : sound[-1] + 1] + 0.0
    digest = hashlib.sha256(f"{rate} ".encode() + heard.tobytes())
    return digest.digest()[:KEY_BYTES]


def find_recordings(index, hashes, utterances, channel, progressbar=True):
    """Finds the recording of each utterance.

    An audio file is decoded once; the index remembers its recording.

    Arguments
    ---------
    index : Index
        Of the store.
    hashes : AudioHashes
        Knows the audio files of the utterances.
    utterances : list of Utterance
        In the order of ``hashes``.
    channel : str or int
        As in :func:`recording`.
    progressbar : bool
        Whether to show one after the first two seconds.

    Returns
    -------
    recordings : dict
        From an utterance's id to what :func:`recording` returns.
    bad : list of str
        The errors of audio files that cannot be used.
    """
    recordings, bad, found = {}, [], {}
    bar = tqdm(
        utterances, "recordings compared", disable=not progressbar, delay=2
    )
    for k, u in enumerate(bar):
        try:
            key = hashes.key(k)
            known = found.get(key)
            if known is None:
                known = index.find_heard(key)
            if known is None:
                with hashes.unchanged(k):
                    known = recording(u.wav, channel, u.start, u.end)
                found[key] = known
        except InputError as error:
            bad.append(str(error))
            continue
        recordings[u.id] = known
        if len(found) == 1000:
            _remember(index, found)
    _remember(index, found)
    return recordings, bad


def _remember(index, found):
    if found and not index.read_only:
        with index.writing(), index.transaction():
            for key, samples in found.items():
                index.remember_heard(key, samples)
    found.clear()
