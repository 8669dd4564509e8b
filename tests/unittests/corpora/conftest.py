import numpy as np
import pytest
import soundfile


@pytest.fixture
def write_wav():
    """Writes noise as a file of a corpus, and gives its path."""

    def write(path, seconds=0.1, rate=44100, channels=1):
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(0).normal(
            0, 0.1, (int(seconds * rate), 2)
        )
        soundfile.write(path, noise[:, :channels], rate)
        return path

    return write
