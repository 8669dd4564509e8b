"""openSMILE's features, a backbone that needs no download."""

import numpy as np
import torch

from speechbrain_ptssnn.backbones import signal_processing
from speechbrain_ptssnn.backbones.base import Backbone
from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.utils.extras import extra_package

# The largest sample that openSMILE's 16 bits hold; 1.0 would become -1.0.
FULL_SCALE = 32767 / 32768


class OpenSmile(Backbone):
    r"""Descriptors and, where the set has them, their deltas. Two frames of
    10 ms are averaged into one: 130 channels for ComParE 2016, 25 for eGeMAPS.
    With ``functionals``, their statistics over the utterance are one frame:
    6373 channels for ComParE 2016, 88 for eGeMAPS.

    The channels have different units, so they should be standardised
    (``normalize: corpus`` in the YAML). openSMILE is free for research
    and private use only, not for products.

    Arguments
    ---------
    feature_set : str
        "ComParE_2016" or "eGeMAPSv02".
    sample_rate : int
        Sample rate of the waveforms, in Hz.
    functionals : bool
        Whether there is one vector for an utterance, not one for a frame. The
        frame rate is 1 then, which has no meaning: a shorter crop than the
        utterance leaves the vector as it is, and heads that look at
        neighbouring frames see none.

    Raises
    ------
    InputError
        If opensmile is not installed or has no such set.
    """

    def __init__(
        self,
        feature_set="ComParE_2016",
        sample_rate=16000,
        functionals=False,
    ):
        # The longest window lasts 60 ms.
        super().__init__(
            sample_rate,
            frame_rate=1.0 if functionals else 50.0,
            min_samples=round(0.06 * sample_rate),
        )
        need = "openSMILE's features need the package opensmile"
        opensmile = extra_package("opensmile", need, "opensmile")
        levels = {
            "ComParE_2016": ["lld", "lld_de"],
            "eGeMAPSv02": ["lld"],
        }
        if feature_set not in levels:
            raise InputError(
                f"feature_set must be one of {sorted(levels)}, got "
                f"{feature_set!r}"
            )
        self.extractors = [
            opensmile.Smile(
                opensmile.FeatureSet[feature_set], opensmile.FeatureLevel(level)
            )
            for level in (["func"] if functionals else levels[feature_set])
        ]
        self.feature_set = feature_set
        self.functionals = self.is_pooled = functionals
        self.version = opensmile.__version__
        self.output_size = sum(each.num_features for each in self.extractors)

    def extract(self, wav):
        """Maps [samples] to [time, output_size]."""
        peak = wav.abs().max()
        if peak > FULL_SCALE:
            wav = wav * (FULL_SCALE / peak)
        samples = wav.cpu().numpy()
        parts = [
            extractor.process_signal(samples, self.sample_rate).to_numpy()
            for extractor in self.extractors
        ]
        if self.functionals:
            return torch.tensor(parts[0], device=wav.device)
        # The deltas have two frames more, at the end.
        n_pairs = min(map(len, parts)) // 2
        frames = np.concatenate([part[: 2 * n_pairs] for part in parts], axis=1)
        pairs = frames.reshape(n_pairs, 2, self.output_size)
        return torch.from_numpy(pairs.mean(axis=1)).to(wav.device)

    def multiplications(self, n_samples):
        """Returns an estimate from the set's published configuration; see
        :func:`~speechbrain_ptssnn.backbones.signal_processing.opensmile`.
        """
        parts = signal_processing.opensmile(
            self.feature_set, n_samples, self.sample_rate, self.functionals
        )
        return sum(parts.values())

    def fingerprint(self):
        """Returns openSMILE's version and the settings."""
        level = " functionals" if self.functionals else ""
        return (
            f"opensmile {self.version} {self.feature_set} "
            f"sample_rate={self.sample_rate}{level}"
        )
