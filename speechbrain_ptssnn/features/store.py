"""The feature store: what the backbone said about each utterance, once."""

import hashlib
import time
from array import array
from bisect import bisect_left
from itertools import chain
from operator import attrgetter
from pathlib import Path

import torch
from speechbrain.utils.logger import get_logger
from tqdm import tqdm

from speechbrain_ptssnn.audio import MonoAudio, load_audio
from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.features.audio_hashes import AudioHashes, part_of
from speechbrain_ptssnn.features.filler import Filler, State
from speechbrain_ptssnn.features.index import Index
from speechbrain_ptssnn.features.shards import DTYPES, ShardReader
from speechbrain_ptssnn.utils.files import write_text

logger = get_logger(__name__)

FORMAT = 1  # of the records; another one is another store
PRECISIONS = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}
NOWHERE = 2**32 - 1
BATCH = 16  # utterances that a process claims, and lists, at a time
NAMED_FILES = 3  # of all that cannot be used, in the error


class FeatureStore:
    r"""Features on disk, found by content.

    A record is named by the hash of the audio file's bytes, or where an
    utterance is a part of a file by that of its samples, in a folder named by
    the backbone's fingerprint: changed audio, weights or settings are
    never answered with old features. Utterances go through the backbone one
    by one, so that nothing depends on batches or processes. Any number of
    processes may fill one store and read it meanwhile; a killed one loses the
    utterance it was at. See docs/decisions/feature_store.md.

    Arguments
    ---------
    folder : str or Path
        Where stores are kept; several corpora and backbones may share it.
    backbone : Backbone
        The front-end.
    utterances : list of Utterance
        What can be asked for.
    dtype : str
        What features are kept as: "float32", or "float16" in half the room.
    precision : str
        Of the backbone's products: "fp32", or on a GPU "bf16" or "fp16".
    channel : str or int
        Which channel; see :class:`~speechbrain_ptssnn.audio.MonoAudio`.

    Raises
    ------
    InputError
        If a setting is none of these, or the folder is another backbone's or
        cannot be used.

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
        _check_choice("features_dtype", dtype, DTYPES)
        _check_choice("extraction_precision", precision, PRECISIONS)
        device = _device(backbone).type
        if precision != "fp32" and device != "cuda":
            raise InputError(
                f"extraction_precision={precision} needs a GPU, and the "
                f"backbone is on the {device}; use fp32"
            )
        self.backbone = backbone
        self.dtype = dtype
        self.precision = precision
        self.fingerprint = (
            f"{backbone.fingerprint()} channel={channel} dtype={dtype} "
            f"precision={precision} format={FORMAT}"
        )
        name = hashlib.sha256(self.fingerprint.encode()).hexdigest()[:16]
        self.folder = Path(folder, name)
        self._open_folder()
        self.audio = MonoAudio(backbone.sample_rate, channel)
        self._index = Index(self.folder)
        self._reader = ShardReader(self.folder)
        # All that is kept of an utterance, its hash included, takes 40 bytes.
        self.utterances = sorted(utterances, key=attrgetter("id"))
        n = len(self.utterances)
        self._hashes = AudioHashes(self._index, self.utterances)
        self._shards = array("I", [NOWHERE]) * n
        self._offsets = array("Q", [0]) * n
        self._frames = array("I", [0]) * n
        self._verified = bytearray(n // 8 + 1)

    def hash_audio(self, progressbar=True):
        """Hashes the audio; see :meth:`AudioHashes.find_all`."""
        return self._hashes.find_all(progressbar)

    def fill(self, progressbar=True):
        """Computes what is missing, together with whoever else does.

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
            If audio files are unusable: the message names them, and all
            others are computed first. If the folder cannot be written.
        """
        bad = self.hash_audio(progressbar)
        if not self._index.read_only:
            with self._index.writing():
                self._index.mend()
        missing = self._missing()
        computed = self._fill(missing, bad, progressbar) if missing else 0
        if bad:
            raise _refusal(bad)
        return computed

    def __getitem__(self, name):
        """Features of an utterance.

        A damaged record is told of, and computed again.

        Arguments
        ---------
        name : str
            Its id.

        Returns
        -------
        torch.Tensor
            What the backbone gave, e.g. [time, output_size]; float32.

        Raises
        ------
        InputError
            If it was not computed yet.
        """
        k = self._position(name)
        features = self._read(k)
        if features is None:  # another process may have mended it
            self._locate(k)
            features = self._read(k)
        if features is None:
            logger.warning(
                "%s: the stored features are damaged; computed again",
                self.utterances[k].wav,
            )
            features = self._mend(k)
        return features

    def n_frames(self, name):
        """Frames of an utterance, which are not read for it."""
        k = self._position(name)
        self._find(k)
        return self._frames[k]

    def audio_fingerprint(self, name):
        """Hash of an utterance's audio: of its file, or its part of one."""
        return self._hashes.key(self._position(name)).hex()

    def _open_folder(self):
        path = self.folder / "backbone.txt"
        text = f"{self.fingerprint}\n"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                write_text(path, text)
            found = path.read_text(encoding="utf-8")
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
        """Positions of the utterances that have no features."""
        missing = array("I")
        n = len(self.utterances)
        for start in range(0, n, 10_000):  # others may write in between
            with self._index.transaction(write=False):
                for k in range(start, min(start + 10_000, n)):
                    if self._hashes.is_known(k) and not self._locate(k):
                        missing.append(k)
        return missing

    def _fill(self, todo, bad, progressbar):
        """Computes what nobody else does and waits for what others do; what
        is wrong with audio files is added to ``bad``.
        """
        if self._index.read_only:
            raise InputError(
                f"{self.folder}: the features of {len(todo)} utterances are "
                f"missing, e.g. of {self.utterances[todo[0]].wav}, and the "
                "folder is read-only; choose another --features_folder"
            )
        bar = tqdm(
            desc="features",
            # A little more, so that rounding does not end beyond it.
            total=sum(self.utterances[k].duration for k in todo) + 1e-3,
            disable=not progressbar,
            unit="s",
            bar_format="{desc}: {percentage:3.0f}%|{bar}| {n:.0f}/{total:.0f} "
            "s of audio [{elapsed}<{remaining}, {rate_noinv_fmt}{postfix}]",
        )
        computed = 0
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
                                features = self._compute(k)
                            except InputError as error:
                                bad.append(str(error))
                            else:
                                filler.append(self._hashes.key(k), features)
                                computed += 1
                        bar.update(self.utterances[k].duration)
                filler.flush()
                if len(others) == len(todo):
                    bar.set_postfix_str("others are at work on the rest")
                    time.sleep(0.2)
                todo = others
        return computed

    def _compute(self, k):
        """What is to be stored for an utterance."""
        u = self.utterances[k]
        with self._hashes.unchanged(k):
            samples = load_audio(u.wav, self.audio, u.start, u.end)
        device = _device(self.backbone)
        products = PRECISIONS[self.precision]
        try:
            with torch.autocast(device.type, products, products is not None):
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

    def _mend(self, k):
        """Computes an utterance again and stores it where that is allowed."""
        features = self._compute(k)
        if not self._index.read_only:
            with self._index.writing(), Filler(self._index) as filler:
                filler.append(self._hashes.key(k), features)
            self._locate(k)
        return features.float()

    def _locate(self, k):
        """Whether the index lists an utterance; where is noted."""
        row = self._index.find(self._hashes.key(k))
        if row:
            self._shards[k], self._offsets[k], self._frames[k] = row
        return bool(row)

    def _find(self, k):
        """As :meth:`_locate`, but once, and it must be there."""
        if self._shards[k] != NOWHERE:
            return
        if not self._locate(k):
            raise InputError(
                f"{self.utterances[k].wav}: has no features in {self.folder} "
                "yet; fill the store first"
            )

    def _read(self, k):
        """Features as they are stored; None if the record is damaged."""
        self._find(k)
        byte, bit = k // 8, 1 << k % 8
        features = self._reader.read(
            self._hashes.key(k),
            self._shards[k],
            self._offsets[k],
            verify=not self._verified[byte] & bit,
        )
        if features is not None:
            self._verified[byte] |= bit
        return features


def _check_choice(key, value, allowed):
    if value not in allowed:
        raise InputError(f"{key} must be one of {list(allowed)}, got {value!r}")


def _device(module):
    tensors = chain(module.parameters(), module.buffers())
    return next((tensor.device for tensor in tensors), torch.device("cpu"))


def _refusal(bad):
    if len(bad) == 1:
        return InputError(bad[0])
    named = "; ".join(sorted(bad)[:NAMED_FILES])
    more = "; and so on" if len(bad) > NAMED_FILES else ""
    return InputError(f"{len(bad)} audio files cannot be used: {named}{more}")
