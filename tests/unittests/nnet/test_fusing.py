"""Weights fused for evaluation must follow the parameters."""

import copy
import pickle

import pytest
import torch

from speechbrain_ptssnn import PTSSNN
from speechbrain_ptssnn.nnet.fusing import FusedWeights

CHANGED = [
    "encoder.blocks.0.linear.weight",
    "encoder.blocks.0.norm.running_var",
    "encoder.blocks.1.projection.weight",
    "attention.prompts",
    "attention.key.weight",
    "attention.norm.bias",
]


def current(layer, module, feats, grad):
    """What enters a layer of neurons when the module sees the features."""
    seen = []
    handle = layer.register_forward_pre_hook(
        lambda module, arguments: seen.append(arguments[0].detach())
    )
    with torch.set_grad_enabled(grad):  # with gradients, nothing is fused
        module(feats)
    handle.remove()
    return seen[0]


def evaluate(head, feats, grad):
    return current(head.classifier.hidden, head, feats, grad)


@pytest.fixture
def head():
    torch.manual_seed(0)
    head = PTSSNN(input_size=24, hidden_size=20, size=16)
    for _ in range(5):
        head.train()(torch.randn(4, 30, 24))
    return head.eval()


@pytest.mark.parametrize("two_sided", [False, True])
@pytest.mark.parametrize("shortcut", ["membrane", "spike", "none"])
def test_fused_and_unfused_currents_agree(shortcut, two_sided):
    torch.manual_seed(0)
    head = PTSSNN(
        24, hidden_size=20, two_sided_shift=two_sided, shortcut=shortcut
    )
    for _ in range(5):
        head.train()(torch.randn(4, 30, 24))
    block = head.eval().encoder.blocks[0]
    feats = torch.tanh(torch.randn(3, 30, 24))
    currents = [current(block.plif, block, feats, g) for g in (True, False)]
    torch.testing.assert_close(*currents, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", CHANGED)
def test_a_changed_tensor_is_fused_again(head, name):
    feats = torch.randn(3, 30, 24)
    before = evaluate(head, feats, grad=False)
    state = {k: v.clone() for k, v in head.state_dict().items()}
    state[name] = state[name] * 3 + 0.5
    head.load_state_dict(state)
    unfused, after = (evaluate(head, feats, grad) for grad in (True, False))
    torch.testing.assert_close(unfused, after, rtol=1e-4, atol=1e-4)
    assert (before - after).abs().max() > 1e-3


@pytest.mark.parametrize(
    "tensor",
    [
        torch.ones(3),
        torch.ones(2, 4).half(),
        torch.ones(5, 4).bfloat16()[:, :3],
        torch.ones(4, 3).double().t(),
        torch.ones(5)[1:],
    ],
)
def test_bits_of_any_tensor_are_seen(tensor):
    fused = FusedWeights()
    for value in (1.0, 1.5, -1.5, 3.0):
        tensor.data.fill_(value)
        assert torch.equal(fused(tensor.clone, [tensor]), tensor)
        assert torch.equal(fused(lambda: None, [tensor]), tensor)  # kept
    again = pickle.loads(pickle.dumps(fused))
    assert again(lambda: "anew", [tensor]) == "anew"


def moving_average(head):
    for each in head.parameters():
        each.data.mul_(0.9).add_(0.05)


def fused_optimizer(head):
    optimizer = torch.optim.AdamW(head.parameters(), lr=0.1, fused=True)
    head.train()(torch.randn(4, 30, 24)).sum().backward()
    optimizer.step()


def refreshed_statistics(head):
    with torch.no_grad():
        head.train()(3 * torch.randn(4, 30, 24))


def exchanged_rows(head):
    weight = head.encoder.blocks[0].linear.weight
    weight.data.copy_(weight.flip(0))


def turned_signs(head):
    head.encoder.blocks[0].linear.weight.data[:, 1].neg_()


@pytest.mark.parametrize(
    "change",
    [
        moving_average,
        fused_optimizer,
        refreshed_statistics,
        exchanged_rows,
        turned_signs,
    ],
)
def test_every_kind_of_change_is_seen(head, change):
    """PyTorch's version counter sees none of them."""
    feats = torch.randn(3, 30, 24)
    before = evaluate(head, feats, grad=False)
    change(head)
    head.eval()
    unfused, after = (evaluate(head, feats, grad) for grad in (True, False))
    torch.testing.assert_close(unfused, after, rtol=1e-4, atol=1e-4)
    assert (before - after).abs().max() > 1e-3


@pytest.mark.parametrize(
    "name",
    [
        "attention.prompts",
        "attention.norm.weight",
        "attention.value.weight",
        "encoder.blocks.0.norm.bias",
        "encoder.blocks.1.projection.weight",
    ],
)
def test_one_parameter_of_a_frozen_head_learns_in_evaluation(head, name):
    """As in prompt tuning: it has the gradient that it has among others."""
    for each in head.bias_generator.parameters():
        each.data.normal_()  # it starts at 0, and lets nothing through
    feats, parameter = torch.randn(3, 30, 24), head.get_parameter(name)
    head(feats)[:, 0].sum().backward()
    among_others, parameter.grad = parameter.grad, None
    head.requires_grad_(False)
    parameter.requires_grad_(True)
    head(feats)[:, 0].sum().backward()
    torch.testing.assert_close(parameter.grad, among_others)
    assert parameter.grad.abs().max() > 0


def test_a_copy_fuses_its_own_tensors(head):
    feats = torch.randn(3, 30, 24)
    before = evaluate(head, feats, grad=False)
    other = copy.deepcopy(head)
    with torch.no_grad():
        other.encoder.blocks[0].linear.bias += 5
    assert not torch.equal(evaluate(other, feats, grad=False), before)
    assert torch.equal(evaluate(head, feats, grad=False), before)


def test_autocast_leaves_nothing_behind(head):
    feats = torch.randn(3, 30, 24)
    plain = evaluate(copy.deepcopy(head), feats, grad=False)
    with torch.autocast("cpu", torch.bfloat16):
        evaluate(head, feats, grad=False)
    assert torch.equal(evaluate(head, feats, grad=False), plain)
