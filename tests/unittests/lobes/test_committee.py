"""A committee against its members, one by one."""

from functools import partial

import pytest
import torch

from speechbrain_ptssnn import PTSSNN, LinearProbe
from speechbrain_ptssnn.lobes.committee import Committee
from speechbrain_ptssnn.lobes.peers.linear_svm import LinearSVM
from speechbrain_ptssnn.lobes.spike_encoder_net import SpikeEncoderNet
from speechbrain_ptssnn.lobes.spike_stages import StageMonitor
from speechbrain_ptssnn.nnet.members import repeated
from speechbrain_ptssnn.nnet.monitor import (
    FiringRates,
    LayerRecorder,
    has_collapsed,
)
from speechbrain_ptssnn.training.hyperparams import Hyperparams

SMALL = partial(PTSSNN, hidden_size=20, size=16, bias_hidden=8)


def make(member=SMALL, n_members=3, **settings):
    torch.manual_seed(0)
    return Committee(12, 4, member, n_members, **settings)


def trained(head, dtype=torch.float32):
    """Its statistics are those of data, and its neurons fire."""
    head.to(dtype)
    with torch.no_grad():
        for member in head.members:
            torch.nn.init.normal_(member.classifier.linear.weight)
            torch.nn.init.normal_(member.bias_generator.up.weight)
        for _ in range(5):
            head(2 * torch.randn(8, 30, 12, dtype=dtype))
    return head.eval()


@torch.no_grad()
def test_the_result_is_the_mean_of_the_members():
    head = trained(make())
    feats, lengths = 2 * torch.randn(3, 30, 12), torch.tensor([1.0, 0.5, 0.8])
    rates = torch.stack([each(feats, lengths) for each in head.members])
    assert rates.std(0).max() > 0.01  # they are of different minds
    torch.testing.assert_close(head(feats, lengths), rates.mean(0))


@torch.no_grad()
def test_padding_changes_nothing():
    head = trained(make())
    feats = 2 * torch.randn(2, 30, 12)
    feats[1, 12:] = 99.0
    both = head(feats, torch.tensor([1.0, 0.4]))
    torch.testing.assert_close(both[1:], head(feats[1:, :12]))


@pytest.mark.parametrize("member", [SMALL, LinearProbe])
def test_each_member_learns_as_it_would_alone(member):
    head = make(member)
    feats, targets = torch.randn(5, 9, 12), torch.tensor([0, 1, 2, 3, 0])
    outputs = head(feats)
    assert outputs.shape == (15, 4)
    loss = torch.nn.functional.cross_entropy
    loss(outputs, repeated(targets, outputs)).backward()
    shared = [p.grad.clone() for p in head.members[1].parameters()]
    head.zero_grad()
    loss(head.members[1](feats), targets).backward()
    alone = [p.grad for p in head.members[1].parameters()]
    for ours, theirs in zip(shared, alone, strict=True):
        torch.testing.assert_close(3 * ours, theirs, rtol=1e-4, atol=1e-7)


def test_members_start_from_different_weights_and_one_is_the_head_itself():
    head = make()
    first, second = (each.encoder.blocks[0].linear for each in head.members[:2])
    assert not torch.equal(first.weight, second.weight)
    (only,) = make(n_members=1).members
    torch.manual_seed(0)
    alone = SMALL(12, 4)
    feats = torch.randn(2, 9, 12)
    assert torch.equal(only.eval()(feats), alone.eval()(feats))


@pytest.mark.parametrize(
    ("member", "n_members", "words"),
    [
        (SMALL, 0, "from 1 to 50, got 0"),
        (SMALL, 51, "from 1 to 50, got 51"),
        (LinearSVM, 2, "LinearSVM cannot be a member"),
        (partial(Committee, member=SMALL), 2, "Committee cannot be a member"),
    ],
)
def test_what_cannot_be_a_committee_is_refused(member, n_members, words):
    with pytest.raises(ValueError, match=words):
        make(member, n_members)


def test_rows_in_training_go_utterance_by_utterance():
    """So that a batch which is cut in two keeps its rows together."""
    head = make()
    head.train()
    for member in head.members:
        member.forward = lambda x, lengths: x[:, 0, :4]
    outputs = head(torch.arange(5.0)[:, None, None].expand(5, 1, 12))
    assert outputs[:, 0].tolist() == repeated(torch.arange(5), outputs).tolist()


def test_a_silent_member_is_noticed_among_others_that_fire():
    head = trained(make())
    quiet = head.members[1].classifier.hidden
    quiet.v_threshold = 100.0
    with FiringRates(head) as firing, torch.no_grad():
        head(2 * torch.randn(2, 30, 12))
    found = firing.summary()["classifier.hidden"]
    assert found["silent"] + found["saturated"] < 0.5 < found["worst"] == 1
    assert has_collapsed(found)


def test_a_file_changes_one_argument_of_the_members(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "base: committee.yaml\nhead:\n  member:\n    causal: True\n"
    )
    settings = Hyperparams(
        path, {"backbone": "fbank"}, None, corpus="Cafe", n_classes=3
    )
    head = settings.build(["backbone", "plif", "token_plif", "head"])["head"]
    assert head.causal
    assert head.members[0].encoder.blocks[0].linear.out_features == 112


@torch.no_grad()
def test_of_spike_encoders_the_first_members_stages_are_watched():
    head = make(partial(SpikeEncoderNet, size=16)).eval()
    feats = torch.randn(4, 9, 12)
    with StageMonitor(head) as stages:
        head(feats)
    with StageMonitor(head.members[0]) as alone:
        head.members[0](feats)
    assert stages.names == alone.names
    assert len(stages.means("layer 2")) == 4
    assert stages.errors() == alone.errors()
    # Their encoders differ, as after training.
    head.members[-1].encoder.w += 0.5
    seen, of_first = LayerRecorder(head), LayerRecorder(head.members[0])
    with seen:
        head(feats[:1])
    with of_first:
        head.members[0](feats[:1])
    for name, spikes in of_first.encoded.items():
        assert torch.equal(seen.encoded[name], spikes)


@torch.no_grad()
def test_the_members_share_the_mixture_of_layers():
    head = make(n_layers=3)
    assert next(name for name, _ in head.named_parameters()) == "mixture.logits"
    assert not any(
        "members" in name and "mixture" in name
        for name, _ in head.named_parameters()
    )
    assert head(torch.randn(2, 5, 12)).shape == (6, 4)


@torch.no_grad()
def test_a_causal_committee_classifies_a_stream():
    member = partial(SMALL, causal=True, pooling=3, bias_period=2)
    head = trained(make(member), torch.float64)
    feats = 2 * torch.randn(2, 31, 12, dtype=torch.float64)
    stream = head.stream(2)
    seen = 0
    for block in feats.split([1, 7, 3, 20], 1):
        seen += block.shape[1]
        assert torch.equal(stream(block), head(feats[:, :seen]))
    assert not make().causal


@torch.no_grad()
def test_the_members_neurons_are_one_population():
    head = trained(make())
    feats = 2 * torch.randn(1, 30, 12)
    with FiringRates(head) as firing:
        head(feats)
    alone = []
    for member in head.members:
        with FiringRates(member) as each:
            member(feats)
        alone.append(each.summary())
    together = firing.summary()
    assert together.keys() == alone[0].keys()
    for layer, rates in together.items():
        assert rates.pop("worst") == pytest.approx(
            max(
                each[layer]["silent"] + each[layer]["saturated"]
                for each in alone
            )
        )
        for key, value in rates.items():
            mean = sum(each[layer][key] for each in alone) / 3
            assert value == pytest.approx(mean, abs=1e-6)


@torch.no_grad()
def test_each_member_has_a_bias_of_its_own():
    head = trained(make())
    with LayerRecorder(head) as seen:
        head(2 * torch.randn(1, 30, 12))
    assert list(seen.biases) == [
        f"members.{k}.classifier.hidden" for k in range(3)
    ]
    assert seen.biases.keys() <= seen.currents.keys()


def test_penalties_are_averaged():
    member = partial(SpikeEncoderNet, size=16, target_rate=0.01)
    head = make(member)
    head(torch.randn(2, 9, 12))
    penalties = [each._penalty.item() for each in head.members]
    expected = sum(penalties) / 3
    assert expected > 0
    assert head.take_penalty().item() == pytest.approx(expected)
    assert head.take_penalty() == 0
