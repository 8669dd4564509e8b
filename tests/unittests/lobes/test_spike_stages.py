"""The stages of a spike encoder's network, worked by hand."""

import math

import pytest
import torch

from speechbrain_ptssnn import PTSSNN
from speechbrain_ptssnn.lobes.baselines import LinearProbe
from speechbrain_ptssnn.lobes.spike_encoder_net import SpikeEncoderNet
from speechbrain_ptssnn.lobes.spike_stages import StageMonitor
from speechbrain_ptssnn.nnet.fixed_spike_encoders import DeltaEncoder
from speechbrain_ptssnn.nnet.residual_spike_encoder import ResidualSpikeEncoder

# One channel. The bases follow to 1, 1, 0 (coarse) and to 0.25, 0.5, 0.25
# (fine), so what is missed is 0.5, 0.5, -0.75 and then 0.25, 0, -1.
X = torch.tensor([[[1.5], [1.5], [-0.75]]])


def encoder(size):
    return ResidualSpikeEncoder(size, steps=[1.0, 0.25])


def watched(head, *args, **settings):
    with StageMonitor(head.eval(), **settings) as stages, torch.no_grad():
        head(*args)
    return stages


def test_means_and_errors_by_hand():
    head = SpikeEncoderNet(1, 2, size=3, encoder=encoder)
    stages = watched(head, X, shares=[0.5, 1.0])  # 2 frames of 3, and all
    assert stages.means("mel").flatten().tolist() == [1.5, 0.75]
    third, sixth = 1 / 3, 2 / 3
    for stage, means in {
        "coarse": [[0.5, 0.0], [third, third]],
        "fine": [[1.0, 0.0], [sixth, third]],
        "encoder": [[0.5, 0.0, 1.0, 0.0], [third, third, sixth, third]],
    }.items():
        assert stages.means(stage)[0].numpy() == pytest.approx(
            torch.tensor(means).numpy()
        )
    assert stages.errors() == pytest.approx(
        {
            "coarse": math.sqrt((0.25 + 0.25 + 0.5625) / 3),
            "encoder": math.sqrt((0.0625 + 0 + 1) / 3),
        }
    )


def test_padding_and_other_utterances_change_nothing():
    torch.manual_seed(0)
    head = SpikeEncoderNet(4, 2, size=8)
    short, long = torch.randn(5, 4), torch.randn(9, 4)
    batch = torch.nn.utils.rnn.pad_sequence([short, long], batch_first=True)
    batch[0, 5:] = 99.0
    together = watched(head, batch, torch.tensor([5 / 9, 1.0]), shares=[0.3, 1])
    alone = StageMonitor(head, [0.3, 1])
    with alone, torch.no_grad():
        head(short[None])
        head(long[None])
    assert alone.names == together.names
    for stage in alone.names:
        assert torch.allclose(
            alone.means(stage), together.means(stage), atol=1e-6
        )
    assert alone.errors() == pytest.approx(together.errors(), abs=1e-6)


def test_other_encoders_and_heads_have_fewer_stages():
    delta = SpikeEncoderNet(4, 2, size=8, n_hidden=1, encoder=DeltaEncoder)
    stages = watched(delta, torch.randn(1, 5, 4))
    assert stages.names == ["mel", "encoder", "layer 1"]
    assert stages.errors() == {}
    without = SpikeEncoderNet(4, 2, size=8, encoder=None)
    for head in (without, LinearProbe(4, 2, size=4)):
        assert watched(head, torch.randn(1, 5, 4)).names == []
    inside = PTSSNN(4, 2, pooling=1, spike_encoder=encoder)
    stages = watched(inside, torch.randn(1, 5, 4))
    assert stages.names == ["mel", "coarse", "fine", "encoder"]
    assert [*stages.errors()] == ["coarse", "encoder"]
