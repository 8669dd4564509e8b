"""The feature store: what the backbone said about each utterance, once."""

import hashlib
import os
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from speechbrain_ptssnn.audio import MonoAudio, load_audio
from speechbrain_ptssnn.errors import InputError


class FeatureStore:
    r"""Features on disk, found by content.

    A record is named by the hash of the audio file's bytes, in a folder named
    by the backbone's fingerprint: changed audio, weights or settings are
    never answered with old features. Records appear whole or not at all, so a
    killed :meth:`fill` goes on where it was.

    Arguments
    ---------
    folder : str or Path
        Where stores are kept; several corpora and backbones may share it.
    backbone : Backbone
        The front-end.
    utterances : list of Utterance
        What can be asked for.
    channel : str or int
        Which channel; see :class:`~speechbrain_ptssnn.audio.MonoAudio`.

    Raises
    ------
    InputError
        If an audio file can not be read.
    """

    def __init__(self, folder, backbone, utterances, channel="louder"):
        self.backbone = backbone
        self.audio = MonoAudio(backbone.sample_rate, channel)
        self.fingerprint = f"{backbone.fingerprint()} channel={channel}"
        self.folder = Path(folder, _digest(self.fingerprint.encode())[:16])
        self.wavs = {u.id: u.wav for u in utterances}
        self.records = {
            name: f"{_digest(_read(wav))[:32]}.npy"
            for name, wav in self.wavs.items()
        }

    def fill(self, progressbar=True):
        """Computes what is missing.

        Arguments
        ---------
        progressbar : bool
            Whether to show one.

        Returns
        -------
        int
            How many utterances were computed.

        Raises
        ------
        InputError
            If an audio file is unusable; the message names it. What was
            computed before stays.
        """
        missing = [name for name in self.wavs if not self._is_whole(name)]
        if not missing:
            return 0
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "backbone.txt").write_text(self.fingerprint + "\n")
        device = _device(self.backbone)
        for name in tqdm(missing, "features", disable=not progressbar):
            wav = self.wavs[name]
            samples = load_audio(wav, self.audio).to(device)
            try:
                features = self.backbone(samples)
            except InputError as error:
                raise InputError(f"{wav}: {error}") from error
            path = self.folder / self.records[name]
            partial = path.with_suffix(f".{os.getpid()}.part")
            with open(partial, "wb") as file:
                np.save(file, features.cpu().numpy())
            os.replace(partial, path)
        return len(missing)

    def __getitem__(self, name):
        """Features of an utterance.

        Arguments
        ---------
        name : str
            Its id.

        Returns
        -------
        torch.Tensor
            [time, output_size], float32.
        """
        return torch.from_numpy(np.load(self.folder / self.records[name]))

    def n_frames(self, name):
        """Frames of an utterance, which are not read for it."""
        return len(np.load(self.folder / self.records[name], mmap_mode="r"))

    def audio_fingerprint(self, name):
        """Hash of an utterance's audio file."""
        return Path(self.records[name]).stem

    def _is_whole(self, name):
        try:
            # A file that was cut is smaller than its own header says.
            record = np.load(self.folder / self.records[name], mmap_mode="r")
        except (OSError, ValueError, EOFError):
            return False
        return record.shape[1:] == (self.backbone.output_size,)


def _device(module):
    tensors = [*module.parameters(), *module.buffers()]
    return tensors[0].device if tensors else torch.device("cpu")


def _digest(data):
    return hashlib.sha256(data).hexdigest()


def _read(path):
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"{path}: can not be read ({error})") from error
