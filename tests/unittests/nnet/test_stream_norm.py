import math
import re

import pytest
import torch
from torch.nn import functional

from speechbrain_ptssnn.nnet.normalization import FeatureNorm
from speechbrain_ptssnn.nnet.stream_norm import StreamNorm

FRAMES = [5 + 3 * torch.randn(7, 6), 5 + 3 * torch.randn(20, 6)]


def test_each_stream_is_normalised_by_its_own_rule():
    norm = StreamNorm(
        [2, 3, 1],
        [True, False, False],
        [1.0, math.inf, 6.0],
        [False, True, False],
    )
    alone = FeatureNorm(2, clip=1.0)
    norm.fit(iter(FRAMES))
    alone.fit(frames[:, :2] for frames in FRAMES)
    x = torch.stack([FRAMES[0], 9 * FRAMES[0]])
    y = norm(x)
    assert torch.allclose(y[..., :2], alone(x[..., :2]))
    assert torch.equal(y[..., 2:5], functional.layer_norm(x[..., 2:5], (3,)))
    assert torch.equal(y[..., 5:], x[..., 5:].clamp(-6, 6))


def test_statistics_are_saved():
    rule = [2, 4], [True, True], [6.0, math.inf], [False, False]
    norm, other = StreamNorm(*rule), StreamNorm(*rule)
    norm.fit(FRAMES)
    other.load_state_dict(norm.state_dict())
    assert torch.equal(norm(FRAMES[0]), other(FRAMES[0]))


def test_without_standardisation_nothing_is_read():
    norm = StreamNorm([6], [False], [math.inf], [False])
    norm.fit([])
    assert torch.equal(norm(FRAMES[0]), FRAMES[0])


@pytest.mark.parametrize("clip", [[6.0], 6.0])
def test_a_rule_that_is_not_for_all_streams_is_named(clip):
    message = (
        rf"clip_features needs .* each of the 2 .* got {re.escape(str(clip))}"
    )
    with pytest.raises(ValueError, match=message):
        StreamNorm([2, 4], [True, True], clip, [False, False])
