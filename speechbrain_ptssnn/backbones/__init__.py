"""Frozen front-ends: waveform in, features out, never trained."""

from speechbrain_ptssnn.backbones.fbank import Fbank
from speechbrain_ptssnn.backbones.huggingface import HuggingFace

__all__ = ["Fbank", "HuggingFace"]
