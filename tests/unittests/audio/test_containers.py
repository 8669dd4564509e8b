"""Lengths in headers against sizes of files."""

import numpy as np
import soundfile

from speechbrain_ptssnn.audio.containers import find_cut


def test_bytes_behind_the_audio_of_a_w64_are_not_audio(tmp_path):
    path = tmp_path / "a.w64"
    soundfile.write(path, np.full(4000, 0.1), 16000, format="W64")
    whole = path.read_bytes()
    assert find_cut(path) is None
    path.write_bytes(whole + b"\1" * 5000)
    assert "other bytes follow" in find_cut(path)
