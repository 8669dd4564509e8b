"""The network behind a spike encoder: learning rules, penalty, refusals."""

import copy
from types import SimpleNamespace

import pytest
import torch
from speechbrain import Stage

from speechbrain_ptssnn import PTSSNN, FocalSmoothingLoss
from speechbrain_ptssnn.deploy.nir_export import nir_graph
from speechbrain_ptssnn.deploy.onnx_graph import Graph
from speechbrain_ptssnn.deploy.onnx_layers import HeadWriter
from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.lobes.spike_encoder_net import SpikeEncoderNet
from speechbrain_ptssnn.nnet.residual_spike_encoder import ResidualSpikeEncoder
from speechbrain_ptssnn.training.brain import SERBrain


def net(**settings):
    torch.manual_seed(0)
    return SpikeEncoderNet(8, 3, size=16, dropout=0.0, **settings)


def features():
    return torch.randn(4, 20, 8, generator=torch.Generator().manual_seed(1))


def gradients(head, penalty=False):
    outputs = head(features())
    loss = FocalSmoothingLoss()(outputs, torch.tensor([0, 1, 2, 0]))
    (loss + penalty * head.take_penalty()).backward()
    return {name: p.grad for name, p in head.named_parameters()}


def test_both_rules_start_alike_and_give_the_same_logits():
    bptt, dfa = net(), net(learning_rule="dfa")
    state = dfa.state_dict()
    for name, value in bptt.state_dict().items():
        assert torch.equal(value, state.pop(name))
    assert [*state] == [f"feedback.layer_{k}" for k in range(3)]
    assert torch.equal(bptt(features()), dfa(features()))


def test_the_rules_differ_below_the_read_out_only():
    bptt = gradients(net(penalty_weight=0.0))
    dfa = gradients(net(penalty_weight=0.0, learning_rule="dfa"))
    for name, grad in bptt.items():
        is_readout = name.startswith(("linear.", "readout."))
        assert torch.allclose(grad, dfa[name]) == is_readout, name


def test_with_dfa_no_layer_hears_from_the_next():
    head, other = net(learning_rule="dfa"), net(learning_rule="dfa")
    with torch.no_grad():
        for p in other.hidden[1].parameters():
            p.mul_(1.1)
        other.linear.weight.copy_(head.linear.weight)
    error = torch.randn(4, 3)
    for each in (head, other):
        each(features()).backward(error)
    for name, p in head.named_parameters():
        if name.startswith(("encoder", "hidden.0")):
            assert torch.equal(p.grad, other.get_parameter(name).grad), name


def test_the_penalty_is_that_of_spikes_above_the_target():
    head, rates = net(target_rate=0.02, penalty_weight=0.5), []
    for layer in (head.encoder, *head.hidden):
        layer.register_forward_hook(lambda *x: rates.append(x[-1].mean()))
    head(features())
    expected = 0.5 * sum((rate / 0.02 - 1).relu() ** 2 for rate in rates)
    assert expected > 0
    torch.testing.assert_close(head.take_penalty(), expected)
    assert head.take_penalty() == 0.0


def test_training_adds_the_penalty_and_validation_does_not():
    head, loss, targets = (
        net(),
        FocalSmoothingLoss(),
        torch.tensor([0, 1, 2, 0]),
    )
    brain = SimpleNamespace(
        head=head,
        hparams=SimpleNamespace(loss=loss),
        ids=[],
        targets=[],
        outputs=[],
    )
    batch = SimpleNamespace(id=["a"], target=targets)
    outputs = head(features())
    price = head._penalty
    assert price > 0
    for stage, expected in (
        (Stage.TRAIN, loss(outputs, targets) + price),
        (Stage.VALID, loss(outputs, targets)),
    ):
        found = SERBrain.compute_objectives(brain, outputs, batch, stage)
        assert torch.equal(found, expected)


@pytest.mark.parametrize("rule", ["bptt", "dfa"])
def test_the_penalty_makes_the_layers_quieter(rule):
    head = net(target_rate=0.02, penalty_weight=1.0, learning_rule=rule)
    optimizer = torch.optim.AdamW(head.parameters(), lr=0.01)
    penalties = []
    for _ in range(20):
        optimizer.zero_grad()
        head(features())
        penalties.append(head.take_penalty())
        penalties[-1].backward()
        optimizer.step()
    assert penalties[-1] < 0.7 * penalties[0]


@pytest.mark.parametrize("settings", [{"penalty_weight": 0.0}, {}])
def test_nothing_is_added_in_evaluation_or_without_a_weight(settings):
    head = net(**settings)
    head.train(bool(settings))(features())
    assert head.take_penalty() == 0.0


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"learning_rule": "hebb"}, "bptt or dfa, got 'hebb'"),
        ({"target_rate": 0.0}, r"in \(0, 1\], got 0.0"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        net(**settings)


@pytest.mark.parametrize("settings", [{"pooling": 3}, {"spiking_input": True}])
def test_pts_snn_takes_one_way_to_spikes(settings):
    with pytest.raises(ValueError, match="spike_encoder excludes"):
        PTSSNN(8, spike_encoder=ResidualSpikeEncoder, **settings)


def test_what_cannot_go_on_with_a_stream_says_so():
    with pytest.raises(InputError, match="SpikeEncoderNet is not causal"):
        net().stream()
    head = PTSSNN(8, causal=True, spike_encoder=ResidualSpikeEncoder)
    with pytest.raises(InputError, match="spike encoder cannot go on"):
        head.eval().stream()


def test_exports_refuse_it_by_name():
    pytest.importorskip("onnx", reason="the extra [onnx] is missing")
    pytest.importorskip("nir", reason="the extra [nir] is missing")
    with_encoder = PTSSNN(8, spike_encoder=ResidualSpikeEncoder).eval()
    for head, said in (
        (net().eval(), "SpikeEncoderNet"),
        (with_encoder, "spike_encoder.*ResidualSpikeEncoder"),
    ):
        with pytest.raises(InputError, match=said):
            HeadWriter(Graph(False), head)
        with pytest.raises(InputError, match=said):
            nir_graph(head)


def test_a_head_between_two_steps_can_be_copied():
    head = net()
    gradients(head, penalty=True)
    copied = copy.deepcopy(head)
    assert torch.equal(copied(features()), head(features()))
