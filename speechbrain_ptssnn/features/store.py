"""The feature store: the backbone's output of each utterance, on disk."""

import hashlib
import time
from array import array
from bisect import bisect_left
from itertools import chain
from operator import attrgetter
from pathlib import Path

import numpy as np
import torch
from speechbrain.utils.logger import get_logger
from tqdm import tqdm

from speechbrain_ptssnn.audio import Levels, MonoAudio, load_audio
from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.features.audio_hashes import AudioHashes, part_of
from speechbrain_ptssnn.features.filler import Filler, State
from speechbrain_ptssnn.features.index import Index
from speechbrain_ptssnn.features.recordings import find_recordings
from speechbrain_ptssnn.features.shards import DTYPES, ShardReader
from speechbrain_ptssnn.utils.files import read_file, write_text
from speechbrain_ptssnn.utils.long_lists import named
from speechbrain_ptssnn.utils.processor import has_fast_bf16

logger = get_logger(__name__)

FORMAT = 1  # of the records; another format is another store
PRECISIONS = ("auto", "fp32", "bf16", "fp16")
# What is kept of each utterance: where its record is, and whether its checksum
# was compared.
LOCATION = np.dtype(
    [("shard", "u4"), ("offset", "u8"), ("frames", "u4"), ("verified", "?")]
)
NOWHERE = 2**32 - 1  # the shard of an utterance whose record is not known
BATCH = 16  # utterances that a process claims, and lists, at a time


class FeatureStore:
    r"""Features on disk, found by the content of the audio.

    The key of a record is the hash of the audio file's bytes, or the hash of
    the samples if the utterance is a part of a file. The name of the folder
    is the hash of the backbone's fingerprint. Old features are therefore never
    used for changed audio, weights or settings. Utterances go through the
    backbone one by one, so the features do not depend on batches or
    processes. Any number of processes may fill and read one store at the same
    time; a killed process loses one utterance at most. See
    docs/decisions/feature_store.md.

    Arguments
    ---------
    folder : str or Path
        Holds the stores; several corpora and backbones may share it.
    backbone : Backbone
        The front-end.
    utterances : list of Utterance
        Whose features can be read.
    dtype : str
        Type of the stored features: "float32", or "float16" in half the space.
    precision : str
        Of the backbone's matrix products: "fp32", "bf16", on a GPU "fp16", or
        "auto": bf16 where a processor multiplies it fast. ``store.precision``
        is which.
    channel : str or int
        Which channel; see :class:`~speechbrain_ptssnn.audio.MonoAudio`.

    Raises
    ------
    InputError
        If a setting is not one of these, or the folder cannot be used or was
        made with another backbone.

    Example
    -------
    >>> import soundfile
    >>> from speechbrain_ptssnn.backbones import Fbank
    >>> from speechbrain_ptssnn.corpora.common import Utterance
    >>> folder = getfixture("tmp_path")
    >>> wav = str(folder / "a.wav")
    >>> soundfile.write(wav, [0.1, -0.1] * 8000, 16000)
    >>> utterances = [Utterance("a", wav, "speaker", "calm", 1.0)]
    >>> store = FeatureStore(folder, Fbank(), utterances)
    >>> store.fill(progressbar=False), store.fill(progressbar=False)
    (1, 0)
    >>> store["a"].shape, store.n_frames("a")
    (torch.Size([50, 160]), 50)
    """

    def __init__(
        self,
        folder,
        backbone,
        utterances,
        dtype="float32",
        precision="fp32",
        channel="louder",
    ):
        check_settings(dtype, precision)
        self.backbone = backbone
        self.dtype = dtype
        self.precision = extraction_precision(precision, backbone)
        self.fingerprint = (
            f"{backbone.fingerprint()} channel={channel} dtype={dtype} "
            f"precision={self.precision} format={FORMAT}"
        )
        backbone.to_precision(self.precision)
        name = hashlib.sha256(self.fingerprint.encode()).hexdigest()[:16]
        self.folder = Path(folder, name)
        self._open_folder()
        self.audio = MonoAudio(backbone.sample_rate, channel)
        self._index = Index(self.folder)
        self._reader = ShardReader(self.folder)
        # The store itself takes 41 bytes per utterance, the hash included.
        self.utterances = sorted(utterances, key=attrgetter("id"))
        self._hashes = AudioHashes(self._index, self.utterances)
        self._locations = np.zeros(len(self.utterances), LOCATION)
        self._locations["shard"] = NOWHERE

    def hash_audio(self, progressbar=True):
        """Hashes the audio; see :meth:`AudioHashes.find_all`."""
        return self._hashes.find_all(progressbar)

    def recordings(self, progressbar=True):
        """Recognises each utterance's recording, however its file was written.

        Arguments
        ---------
        progressbar : bool
            Whether to show one after the first two seconds.

        Returns
        -------
        dict
            From an utterance's id to a hash of what the backbone hears, 16
            bytes; to ``b""`` if that is digital silence.

        Raises
        ------
        InputError
            If audio files are unusable.
        """
        recordings, bad = find_recordings(
            self._index,
            self._hashes,
            self.utterances,
            self.audio.channel,
            progressbar,
        )
        if bad:
            raise _audio_error(bad)
        return recordings

    def fill(self, progressbar=True):
        """Computes the missing features, together with other processes.

        Arguments
        ---------
        progressbar : bool
            Whether to show one.

        Returns
        -------
        int
            How many utterances this process computed.

        Raises
        ------
        InputError
            If audio files are unusable; the message names some of them, and
            the features of all others are computed first. If the folder
            cannot be written.
        """
        bad = self.hash_audio(progressbar)
        if not self._index.read_only:
            with self._index.writing():
                self._index.mend()
        missing = self._missing()
        computed = self._fill(missing, bad, progressbar) if missing else 0
        if bad:
            raise _audio_error(bad)
        return computed

    def __getitem__(self, name):
        """Returns the features of an utterance.

        A damaged record gives a warning and is computed again.

        Arguments
        ---------
        name : str
            The utterance's id.

        Returns
        -------
        torch.Tensor
            The backbone's output, e.g. [time, output_size]; float32.

        Raises
        ------
        InputError
            If it was not computed yet.
        """
        k = self._position(name)
        features = self._read(k)
        if features is None:  # another process may have computed it again
            self._locate(k)
            features = self._read(k)
        if features is None:
            logger.warning(
                "%s: the stored features are damaged; computed again",
                self.utterances[k].wav,
            )
            features = self._compute_again(k)
        return features

    def n_frames(self, name):
        """Returns an utterance's number of frames, without reading them."""
        _, _, frames, _ = self._location(self._position(name))
        return frames

    def audio_fingerprint(self, name):
        """Returns the hash of an utterance's audio, as text."""
        return self._hashes.key(self._position(name)).hex()

    def _open_folder(self):
        path = self.folder / "backbone.txt"
        text = f"{self.fingerprint}\n"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                write_text(path, text)
            found = read_file(path)
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(
                f"{self.folder}: no feature store can be opened here "
                f"({error}); choose another --features_folder"
            ) from error
        if found != text:
            raise InputError(
                f"{self.folder}: was made with another backbone, "
                f"{found.strip()!r}, not {self.fingerprint!r}; remove it or "
                "choose another --features_folder"
            )

    def _position(self, name):
        k = bisect_left(self.utterances, name, key=attrgetter("id"))
        if k == len(self.utterances) or self.utterances[k].id != name:
            raise KeyError(name)
        return k

    def _missing(self):
        """Returns the positions of the utterances that have no features."""
        missing = array("I")
        n = len(self.utterances)
        for start in range(0, n, 10_000):  # in between, others may write
            with self._index.transaction(write=False):
                for k in range(start, min(start + 10_000, n)):
                    if self._hashes.is_known(k) and not self._locate(k):
                        missing.append(k)
        return missing

    def _fill(self, todo, bad, progressbar):
        """Computes what no other process does, and waits for the others.

        Errors of audio files are appended to ``bad``.
        """
        if self._index.read_only:
            raise InputError(
                f"{self.folder}: the features of {len(todo)} utterances are "
                f"missing, e.g. of {self.utterances[todo[0]].wav}, and the "
                "folder is read-only; choose another --features_folder"
            )
        bar = tqdm(
            desc="features",
            # A little more, so that rounding errors do not exceed it.
            total=sum(self.utterances[k].duration for k in todo) + 1e-3,
            disable=not progressbar,
            unit="s",
            bar_format="{desc}: {percentage:3.0f}%|{bar}| {n:.0f}/{total:.0f} "
            "s of audio [{elapsed}<{remaining}, {rate_noinv_fmt}{postfix}]",
        )
        computed, levels = 0, Levels()
        with bar, self._index.writing(), Filler(self._index) as filler:
            while todo:
                filler.free_dead_claims()
                others = array("I")
                for start in range(0, len(todo), BATCH):
                    part = todo[start : start + BATCH]
                    states = filler.claim([self._hashes.key(k) for k in part])
                    for k, state in zip(part, states, strict=True):
                        if state is State.OTHERS:
                            others.append(k)
                            continue
                        if state is State.MINE:
                            try:
                                features = self._compute(k, levels)
                            except InputError as error:
                                bad.append(str(error))
                            else:
                                filler.append(self._hashes.key(k), features)
                                computed += 1
                        bar.update(self.utterances[k].duration)
                filler.flush()
                if len(others) == len(todo):
                    bar.set_postfix_str("other processes compute the rest")
                    time.sleep(0.2)
                todo = others
        if levels.loud:
            logger.warning("%s", levels.loudness())
        return computed

    def _compute(self, k, levels=None):
        """Computes an utterance's features, in the type to be stored."""
        u = self.utterances[k]
        with self._hashes.unchanged(k):
            samples = load_audio(u.wav, self.audio, u.start, u.end, levels)
        device = _device(self.backbone)
        try:
            features = self.backbone(samples.to(device)).cpu()
        except InputError as error:
            raise InputError(f"{u.wav}{part_of(u)}: {error}") from error
        stored = features.to(DTYPES[self.dtype])
        if not torch.isfinite(stored).all():
            raise InputError(
                f"{u.wav}{part_of(u)}: a feature of "
                f"{features.abs().max():.3g} is too large for {self.dtype}; "
                "use --features_dtype=float32"
            )
        return stored

    def _compute_again(self, k):
        """Computes an utterance again, and stores it if the folder allows."""
        features = self._compute(k)
        if not self._index.read_only:
            with self._index.writing(), Filler(self._index) as filler:
                filler.append(self._hashes.key(k), features)
            self._locate(k)
        return features.float()

    def _locate(self, k):
        """Asks the index for an utterance's record; False if there is none."""
        row = self._index.find(self._hashes.key(k))
        if row:
            self._locations[k] = (*row, False)
        return bool(row)

    def _location(self, k):
        """Returns the fields of ``LOCATION`` of a record, which must exist."""
        location = self._locations[k].item()
        if location[0] != NOWHERE:
            return location
        if not self._locate(k):
            raise InputError(
                f"{self.utterances[k].wav}: has no features in {self.folder} "
                "yet; fill the store first"
            )
        return self._locations[k].item()

    def _read(self, k):
        """Reads an utterance's features; None if the record is damaged."""
        shard, offset, _, verified = self._location(k)
        features = self._reader.read(
            self._hashes.key(k), shard, offset, verify=not verified
        )
        if features is not None and not verified:
            self._locations["verified"][k] = True
        return features


def check_settings(dtype, precision):
    """Raises an InputError unless a store can have this type and precision."""
    for key, value, allowed in (
        ("features_dtype", dtype, DTYPES),
        ("extraction_precision", precision, PRECISIONS),
    ):
        if value not in list(allowed):  # a list has no hash
            raise InputError(
                f"{key} must be one of {list(allowed)}, got {value!r}"
            )


def extraction_precision(wanted, backbone):
    """The precision of a backbone's matrix products.

    Arguments
    ---------
    wanted : str
        "fp32", "bf16", "fp16", or "auto": bf16 on a processor that multiplies
        it fast, if the backbone has weights, else fp32. On a GPU, one
        utterance at a time gains nothing from bf16.
    backbone : Backbone
        On its device.

    Returns
    -------
    str

    Raises
    ------
    InputError
        If it is fp16 without a GPU.

    Example
    -------
    >>> from speechbrain_ptssnn.backbones import Fbank
    >>> extraction_precision("auto", Fbank())
    'fp32'
    """
    device = _device(backbone).type
    if wanted == "fp16" and device != "cuda":
        raise InputError(
            "extraction_precision=fp16 needs a GPU, and the backbone is on "
            f"the {device}; use fp32 or bf16"
        )
    if wanted != "auto":
        return wanted
    has_weights = next(backbone.parameters(), None) is not None
    is_fast = device == "cpu" and has_fast_bf16()
    return "bf16" if has_weights and is_fast else "fp32"


def _device(module):
    tensors = chain(module.parameters(), module.buffers())
    return next((tensor.device for tensor in tensors), torch.device("cpu"))


def _audio_error(bad):
    if len(bad) == 1:
        return InputError(bad[0])
    texts = named(sorted(bad), "unusable audio files")
    return InputError(f"{len(bad)} audio files cannot be used: {texts}")
