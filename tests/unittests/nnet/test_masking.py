"""Which frames are valid."""

import pytest
import torch
from speechbrain.dataio.batch import PaddedBatch

from speechbrain_ptssnn.errors import InputError
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


@pytest.mark.parametrize(
    ("dtype", "most"), [(torch.bfloat16, 128), (torch.float16, 1024)]
)
def test_lengths_too_coarse_to_tell_frames_apart_are_refused(dtype, most):
    counts = torch.arange(1, most + 1)
    lengths = (counts.float() / most).to(dtype)
    assert torch.equal(frame_counts(lengths, most), counts)
    for count in (frame_counts, frame_mask):
        with pytest.raises(InputError, match=rf"{dtype} .* {most} .*float32"):
            count(lengths, most + 1)


def test_lengths_may_be_whole_numbers():
    assert frame_counts(torch.tensor([1, 1]), 500).tolist() == [500, 500]


def test_a_batch_cast_to_bfloat16_does_not_give_wrong_frames():
    batch = PaddedBatch([{"feats": torch.ones(n, 1)} for n in (500, 333, 251)])
    feats, lengths = batch.feats
    assert frame_counts(lengths, 500).tolist() == [500, 333, 251]
    feats, lengths = batch.to(dtype=torch.bfloat16).feats
    with pytest.raises(InputError, match="keep lengths in float32"):
        masked_mean(feats, lengths)


def test_counts_compile_for_any_number_of_frames():
    compiled = torch.compile(
        frame_counts, fullgraph=True, dynamic=True, backend="aot_eager"
    )
    for n_frames in (10, 500):
        assert compiled(torch.tensor([0.5]), n_frames) == n_frames / 2


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
