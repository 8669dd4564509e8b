"""Hashes of audio: each file is hashed once, and the index remembers it."""

import hashlib
import os
import time
from contextlib import contextmanager

import numpy as np
from tqdm import tqdm

from speechbrain_ptssnn.audio import read_samples
from speechbrain_ptssnn.errors import InputError

KEY_BYTES = 16  # of the SHA-256 of an audio file
UNKNOWN = bytes(KEY_BYTES)
# A file written more recently may change again without a new timestamp.
RACY_NS = 2 * 10**9


class AudioHashes:
    r"""Finds one hash for each utterance.

    It is the hash of the file's bytes, or of the samples if the utterance is
    a part of a file.

    Arguments
    ---------
    index : Index
        Remembers the hash of each file with the file's size and time.
    utterances : list of Utterance
        The methods name an utterance by its position k in this list.

    Example
    -------
    >>> from speechbrain_ptssnn.corpora.common import Utterance
    >>> from speechbrain_ptssnn.features.index import Index
    >>> wav = getfixture("tmp_path") / "a.wav"
    >>> _ = wav.write_bytes(b"not read as audio here")
    >>> utterance = Utterance("a", str(wav), "speaker", "calm", 1.0)
    >>> hashes = AudioHashes(Index(getfixture("tmp_path")), [utterance])
    >>> hashes.find_all(), len(hashes.key(0))
    ([], 16)
    """

    def __init__(self, index, utterances):
        self._index = index
        self._utterances = utterances
        self._keys = np.zeros(len(utterances), f"V{KEY_BYTES}")

    def is_known(self, k):
        """Tells whether the hash of utterance k was found."""
        return self._keys[k].tobytes() != UNKNOWN

    def key(self, k):
        """Returns the hash of utterance k, and finds it first if needed.

        Arguments
        ---------
        k : int
            The utterance's position.

        Returns
        -------
        bytes
            16 bytes.

        Raises
        ------
        InputError
            If the file cannot be read.
        """
        key = self._keys[k].tobytes()
        if key == UNKNOWN:
            self._find(k)
            key = self._keys[k].tobytes()
        return key

    def find_all(self, progressbar=True):
        """Finds all hashes.

        A file is not read if it was hashed before and still has the same size
        and time.

        Arguments
        ---------
        progressbar : bool
            Whether to show one after the first two seconds.

        Returns
        -------
        list of str
            The errors of files that cannot be read.
        """
        bad, found = [], []
        for k in tqdm(
            range(len(self._utterances)),
            "audio hashes",
            disable=not progressbar,
            delay=2,
        ):
            if self.is_known(k):
                continue
            try:
                row = self._find(k)
            except InputError as error:
                bad.append(str(error))
                continue
            if row and not self._index.read_only:
                found.append(row)
            if len(found) == 1000:
                self._remember(found)
        self._remember(found)
        return bad

    @contextmanager
    def unchanged(self, k):
        """Checks that a file does not change while the context reads it.

        Arguments
        ---------
        k : int
            The position of the utterance whose audio is read.

        Raises
        ------
        InputError
            If the file is not the one that was hashed.
        """
        utterance = self._utterances[k]
        key, state = self.key(k), _state(utterance.wav)
        yield
        if _digest(utterance) != key or _state(utterance.wav) != state:
            with self._index.writing():
                self._index.forget_file(_name(utterance))
            raise _changed(utterance.wav)

    def _find(self, k):
        """Sets the hash; returns the row for the index to remember, or None."""
        now = time.time_ns()
        utterance = self._utterances[k]
        name, state = _name(utterance), _state(utterance.wav)
        known = self._index.find_file(name, *state)
        key = known or _digest(utterance)
        if _state(utterance.wav) != state:
            raise _changed(utterance.wav)
        self._keys[k] = key
        if known or now - state[1] < RACY_NS:
            return None
        return name, *state, key

    def _remember(self, found):
        if found:
            with self._index.writing(), self._index.transaction():
                for row in found:
                    self._index.remember_file(*row)
            found.clear()


def part_of(utterance):
    """Says which part of its file an utterance is; "" if it is the whole."""
    if utterance.start == 0 and utterance.end is None:
        return ""
    return f" from {utterance.start} s to {utterance.end} s"


def _state(path):
    """Returns size and time of a file, which change when it is written, or
    when another one takes its name.
    """
    try:
        status = os.stat(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error})") from error
    return status.st_size, max(status.st_mtime_ns, status.st_ctime_ns)


def _digest(utterance):
    wav = utterance.wav
    if part_of(utterance):
        samples, rate = read_samples(wav, utterance.start, utterance.end)
        text = f"{rate} {samples.shape} "
        digest = hashlib.sha256(text.encode() + samples.tobytes()).digest()
        return digest[:KEY_BYTES]
    try:
        with open(wav, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        raise InputError(f"{wav}: cannot be read ({error})") from error
    return digest[:KEY_BYTES]


def _name(utterance):
    """Returns the name under which the index remembers a hash."""
    return os.path.abspath(utterance.wav) + part_of(utterance)


def _changed(path):
    return InputError(
        f"{path}: changed while it was read; give the same command again when "
        "nothing writes to it"
    )
