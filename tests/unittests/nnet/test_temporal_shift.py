"""The temporal shift (figure 3)."""

import pytest
import torch

from speechbrain_ptssnn import TemporalShift

# Three frames of four channels: 11 is frame 1, channel 1.
FRAMES = [[11, 12, 13, 14], [21, 22, 23, 24], [31, 32, 33, 34]]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"fraction": 0.0}, FRAMES),
        ({}, [[0, 12, 13, 14], [11, 22, 23, 24], [21, 32, 33, 34]]),
        (
            {"fraction": 0.5},
            [[0, 0, 13, 14], [11, 12, 23, 24], [21, 22, 33, 34]],
        ),
        (
            {"fraction": 1.0},
            [[0, 0, 0, 0], [11, 12, 13, 14], [21, 22, 23, 24]],
        ),
        (
            {"fraction": 0.25, "two_sided": True},
            [[0, 22, 13, 14], [11, 32, 23, 24], [21, 0, 33, 34]],
        ),
    ],
)
def test_channels_move_as_drawn_by_hand(arguments, expected):
    x = torch.tensor([FRAMES, FRAMES], dtype=torch.float)
    before = x.clone()
    assert TemporalShift(**arguments)(x).tolist() == [expected, expected]
    assert torch.equal(x, before)


@pytest.mark.parametrize("fraction", [0.25, 0.5, 1.0])
@pytest.mark.parametrize("t", [0, 3, 7])
def test_a_frame_changes_itself_and_the_next_only(t, fraction):
    x = torch.rand(2, 8, 4)
    other = x.clone()
    other[:, t] += 1
    shift = TemporalShift(fraction)
    changed = (shift(x) != shift(other)).any(-1).any(0).nonzero().flatten()
    assert set(changed.tolist()) <= {t, t + 1}


def test_one_frame_loses_its_shifted_channels():
    assert TemporalShift(0.5)(torch.ones(1, 1, 2)).tolist() == [[[0.0, 1.0]]]


def test_has_no_parameters():
    assert not TemporalShift().state_dict()


@pytest.mark.parametrize(
    ("fraction", "two_sided"), [(-0.1, False), (1.1, False), (0.6, True)]
)
def test_fraction_out_of_range_is_named(fraction, two_sided):
    with pytest.raises(ValueError, match=rf"fraction .*\[0, .*{fraction}"):
        TemporalShift(fraction, two_sided)


@pytest.mark.parametrize("cuts", [[1] * 9, [4, 0, 5], [8, 1]])
def test_a_stream_shifts_the_frame_before_into_the_next_block(cuts):
    torch.manual_seed(0)
    shift, state = TemporalShift(0.5), {}
    x, weight = torch.randn(2, 9, 6).double(), torch.randn(4, 6).double()
    whole, parts = torch.zeros(2, 9, 4).double(), []
    shift.add_product(whole, x, weight)
    for block in x.split(cuts, 1):
        y = torch.zeros(2, block.shape[1], 4).double()
        shift.add_product(y, block, weight, state=state)
        parts.append(y)
    torch.testing.assert_close(torch.cat(parts, 1), whole)
    assert state["before"].shape == (2, 1, 3)
