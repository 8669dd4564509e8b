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
        ["corpus", "none", "none"],
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
    rule = [2, 4], ["corpus", "corpus"], [6.0, math.inf], [False, False]
    norm, other = StreamNorm(*rule), StreamNorm(*rule)
    norm.fit(FRAMES)
    other.load_state_dict(norm.state_dict())
    assert torch.equal(norm(FRAMES[0]), other(FRAMES[0]))


def test_without_standardisation_nothing_is_read():
    norm = StreamNorm([6], ["none"], [math.inf], [False])
    norm.fit([])
    assert torch.equal(norm(FRAMES[0]), FRAMES[0])


@pytest.mark.parametrize("clip", [[6.0], 6.0])
def test_a_rule_that_is_not_for_all_streams_is_named(clip):
    message = (
        rf"clip_features needs .* each of the 2 .* got {re.escape(str(clip))}"
    )
    with pytest.raises(ValueError, match=message):
        StreamNorm([2, 4], ["none", "none"], clip, [False, False])


def test_only_the_streams_by_speaker_are_adapted():
    norm = StreamNorm(
        [2, 4], ["corpus", "speaker"], [math.inf, math.inf], [False, False]
    )
    norm.fit(FRAMES)
    own = [9 - torch.randn(12, 6)]
    adapted = norm.adapted(iter(own))
    one, two = FeatureNorm(2), FeatureNorm(4)
    one.fit(x[:, :2] for x in FRAMES)
    two.fit(x[:, 2:] for x in own)
    assert torch.allclose(adapted(own[0])[:, :2], one(own[0][:, :2]))
    assert torch.allclose(adapted(own[0])[:, 2:], two(own[0][:, 2:]), atol=1e-5)
    # A channel that is constant in the speaker's frames keeps the corpus's.
    one = norm.adapted([own[0][:1]])
    assert torch.equal(one.norms[1].mean, own[0][0, 2:])
    assert torch.equal(one.norms[1].std, norm.norms[1].std)
    assert norm.by_speaker
    assert not StreamNorm([6], ["corpus"], [6.0], [False]).by_speaker
