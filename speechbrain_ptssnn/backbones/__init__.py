"""Frozen backbones: they map waveforms to features and are never trained."""

from speechbrain_ptssnn.backbones.emotion2vec import Emotion2vec
from speechbrain_ptssnn.backbones.fbank import Fbank
from speechbrain_ptssnn.backbones.huggingface import HuggingFace
from speechbrain_ptssnn.backbones.opensmile import OpenSmile
from speechbrain_ptssnn.backbones.side_by_side import SideBySide

__all__ = ["Emotion2vec", "Fbank", "HuggingFace", "OpenSmile", "SideBySide"]
