"""What several test files need: real speech and an independent neuron."""

from pathlib import Path

import numpy as np
import pytest
import torch

# These tensors are tiny: a second thread only waits, up to 40 times as long
# where the cores are shared.
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def shared_data():
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no real speech here: shared/data is not beside the clone")
    return folder


@pytest.fixture(scope="session")
def numpy_plif():
    def plif(current, tau, v_threshold=1.0, decay_reset=False):
        """Eq. 1 and 2, frame by frame: (spikes, membrane before reset)."""
        u, s = np.zeros(current[:, 0].shape), np.zeros(current[:, 0].shape)
        spikes, membranes = [], []
        for t in range(current.shape[1]):
            if decay_reset:
                u = tau * (u - v_threshold * s) + current[:, t]
            else:
                u = tau * u + current[:, t] - v_threshold * s
            s = np.where(u >= v_threshold, 1.0, 0.0)
            spikes.append(s)
            membranes.append(u)
        return np.stack(spikes, 1), np.stack(membranes, 1)

    return plif
