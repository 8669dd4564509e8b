"""Reads and checks audio files, so that no bad file is used unnoticed."""

from speechbrain_ptssnn.audio.files import (
    audio_seconds,
    load_audio,
    read_samples,
)
from speechbrain_ptssnn.audio.levels import Levels
from speechbrain_ptssnn.audio.mono import MonoAudio, as_float, check_samples

__all__ = [
    "Levels",
    "MonoAudio",
    "as_float",
    "audio_seconds",
    "check_samples",
    "load_audio",
    "read_samples",
]
