"""Which frames are valid."""

import pytest
import torch

from speechbrain_ptssnn.nnet.masking import (
    frame_counts,
    frame_mask,
    masked_mean,
)


@pytest.mark.parametrize("n_frames", [1, 7, 226, 1499, 3000])
def test_counts_survive_float32_ratios(n_frames):
    counts = torch.arange(1, n_frames + 1)
    lengths = counts.float() / n_frames
    assert torch.equal(frame_counts(lengths, n_frames), counts)


def test_a_tiny_length_keeps_one_frame():
    assert frame_counts(torch.tensor([1e-6]), 10).tolist() == [1]


def test_mask_is_true_on_each_utterances_own_frames():
    mask = frame_mask(torch.tensor([1.0, 0.25, 0.5]), 4)
    assert mask.shape == (3, 4, 1)
    assert mask.sum((1, 2)).tolist() == [4, 1, 2]
    assert mask[1, :, 0].tolist() == [True, False, False, False]


@pytest.mark.parametrize("lengths", [None, torch.ones(3)])
def test_no_padding_needs_no_mask(lengths):
    assert frame_mask(lengths, 4) is None


def test_mean_and_its_gradient_ignore_padding():
    x = torch.randn(2, 6, 3)
    x[1, 2:] = 1e30
    x.requires_grad_()
    mean = masked_mean(x, torch.tensor([1.0, 2 / 6]))
    torch.testing.assert_close(mean[0], x[0].mean(0))
    torch.testing.assert_close(mean[1], x[1, :2].mean(0))
    mean.sum().backward()
    assert x.grad[1, :2].eq(0.5).all()
    assert x.grad[1, 2:].eq(0).all()
