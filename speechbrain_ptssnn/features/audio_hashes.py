"""Hashes of audio: each file is read once and remembered in the index."""

import hashlib
import os
import time
from contextlib import contextmanager

from tqdm import tqdm

from speechbrain_ptssnn.audio import read_samples
from speechbrain_ptssnn.errors import InputError

KEY_BYTES = 16  # of the SHA-256 of an audio file
UNKNOWN = bytes(KEY_BYTES)
# A file written this recently may change again within the same timestamp.
RACY_NS = 2 * 10**9


class AudioHashes:
    r"""One hash for each utterance: of its file's bytes, or of the samples
    where the utterance is a part of a file.

    Arguments
    ---------
    index : Index
        Remembers the hash of each file with the file's size and time.
    utterances : list of Utterance
        They are referred to by their position in this list.

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
        self._keys = bytearray(KEY_BYTES * len(utterances))

    def is_known(self, k):
        """Whether the hash of utterance k was found."""
        return self._get(k) != UNKNOWN

    def key(self, k):
        """The hash of utterance k, 16 bytes; found now if it is not known.

        Raises
        ------
        InputError
            If the file cannot be read.
        """
        if not self.is_known(k):
            self._find(k)
        return self._get(k)

    def find_all(self, progressbar=True):
        """Finds all hashes. A file that was hashed before and still has its
        size and time is not read.

        Arguments
        ---------
        progressbar : bool
            Whether to show one, if it takes longer than two seconds.

        Returns
        -------
        list of str
            What is wrong with the files that cannot be read.
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
        """Around reading the audio of utterance k.

        Raises
        ------
        InputError
            If the file is no longer what was hashed, or changed meanwhile.
        """
        utterance = self._utterances[k]
        key, state = self.key(k), _state(utterance.wav)
        yield
        if _digest(utterance) != key or _state(utterance.wav) != state:
            with self._index.writing():
                self._index.forget_file(_name(utterance))
            raise _changed(utterance.wav)

    def _get(self, k):
        return bytes(self._keys[KEY_BYTES * k : KEY_BYTES * (k + 1)])

    def _find(self, k):
        """Sets the hash of utterance k; returns the row that the index should
        remember, or None.
        """
        now = time.time_ns()
        utterance = self._utterances[k]
        name, state = _name(utterance), _state(utterance.wav)
        known = self._index.find_file(name, *state)
        key = known or _digest(utterance)
        if _state(utterance.wav) != state:
            raise _changed(utterance.wav)
        self._keys[KEY_BYTES * k : KEY_BYTES * (k + 1)] = key
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
    """Says which part of its file an utterance is; "" if it is all of it."""
    if utterance.start == 0 and utterance.end is None:
        return ""
    return f" from {utterance.start} s to {utterance.end} s"


def _state(path):
    """Size and time of a file, which change when it is written."""
    try:
        status = os.stat(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error})") from error
    return status.st_size, status.st_mtime_ns


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
    """The name that the index remembers a hash by."""
    return os.path.abspath(utterance.wav) + part_of(utterance)


def _changed(path):
    return InputError(
        f"{path}: changed while it was read; give the same command again when "
        "nothing writes to it"
    )
