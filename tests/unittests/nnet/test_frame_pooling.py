import pytest
import torch

from speechbrain_ptssnn import PTSSNN
from speechbrain_ptssnn.nnet.frame_pooling import FramePooling


def direct(x, k):
    """The definition, group by group."""
    return torch.stack([run.mean(0) for run in x.split(k)])


@pytest.mark.parametrize("k", [1, 2, 3, 7])
@pytest.mark.parametrize("n", [1, 6, 13])
def test_it_averages_runs_of_frames(k, n):
    x = torch.randn(2, n, 5)
    pooled, lengths = FramePooling(k)(x)
    assert lengths is None
    torch.testing.assert_close(pooled[1], direct(x[1], k))


def test_padding_is_not_averaged():
    x = torch.randn(1, 12, 5)
    padded = torch.cat([x[:, :7], torch.full((1, 5, 5), 99.0)], 1)
    batch, lengths = torch.cat([x, padded]), torch.tensor([1.0, 7 / 12])
    pooled, new_lengths = FramePooling(3)(batch, lengths)
    assert new_lengths.tolist() == [1.0, 0.75]
    torch.testing.assert_close(pooled[1, :3], direct(x[0, :7], 3))


def test_a_pooling_head_is_padding_exact():
    torch.manual_seed(0)
    head = PTSSNN(8, 3, hidden_size=16, size=8, pooling=3).eval()
    x = torch.randn(1, 20, 8) * 5
    padded = torch.cat([x, torch.randn(1, 9, 8)], 1)
    both = torch.cat([padded, torch.randn(1, 29, 8)])
    torch.testing.assert_close(
        head(both, torch.tensor([20 / 29, 1.0]))[:1], head(x)
    )


def test_no_frames_are_refused():
    with pytest.raises(ValueError, match="at least 1, got 0"):
        FramePooling(0)
