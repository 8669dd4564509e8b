"""What every head shares."""

import pytest
import torch

from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.lobes.base import Head, projector


@pytest.mark.parametrize("shape", [(2, 5, 9), (5, 8), (2, 0, 8)])
def test_features_of_another_shape_are_named(shape):
    message = (
        r"^Head needs features \[batch, time, 8\].*got " + rf"\[{shape[0]}"
    )
    with pytest.raises(InputError, match=message):
        Head(8).mix(torch.zeros(shape))


def test_hidden_states_are_mixed():
    head = Head(8, n_layers=2)
    feats = torch.arange(8.0).expand(1, 3, 8)
    assert head.feature_size == 4
    assert head.mix(feats)[0, 0].tolist() == [2.0, 3.0, 4.0, 5.0]


def test_one_hidden_state_is_left_as_it_is():
    feats = torch.randn(1, 3, 8)
    assert Head(8).mix(feats) is feats


def test_a_projector_is_linear_only_where_sizes_differ():
    assert isinstance(projector(8, 8), torch.nn.Identity)
    assert projector(8, 4)(torch.ones(1, 8)).shape == (1, 4)
