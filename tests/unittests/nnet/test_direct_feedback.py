"""Direct feedback alignment, worked by hand on two layers."""

import numpy as np
import torch
from torch import nn

from speechbrain_ptssnn.nnet.direct_feedback import DirectFeedback
from speechbrain_ptssnn.nnet.rlif import RLIF

TAU, ALPHA, SIZES, CLASSES = (0.5, 0.75), 5.0, (4, 3), 2


def network():
    torch.manual_seed(0)
    layers = nn.ModuleList(
        RLIF(n, decay=(tau, tau), recurrent_gain=1.0, local=True)
        for n, tau in zip(SIZES, TAU, strict=True)
    )
    weights = nn.ParameterList(
        nn.Parameter(torch.randn(n, m)) for n, m in ((4, 5), (3, 4), (2, 3))
    )
    return layers, weights, DirectFeedback(SIZES, CLASSES)


def forward(x, layers, weights, feedback):
    spikes = []
    for layer, weight in zip(layers, weights, strict=False):
        x = layer(x @ weight.T)
        spikes.append(x)
        x = x.detach()
    logits = (x @ weights[-1].T).mean(1)
    return feedback(logits, spikes), spikes


def slope(x):
    s = 1 / (1 + np.exp(-ALPHA * x))
    return ALPHA * s * (1 - s)


def by_hand(x, error, layer, weight, matrix, tau):
    """delta[t] = B e / T * S(u[t]) times the traces at t, frame by frame."""
    recurrent = layer.weight.detach().numpy().copy()
    np.fill_diagonal(recurrent, 0)
    weight, n_frames = weight.detach().numpy(), len(x)
    u = s = heard_trace = np.zeros(len(recurrent))
    trace = np.zeros(weight.shape[1])
    grad, grad_recurrent, spikes = 0, 0, []
    for frame in x:
        trace = tau * trace + frame
        heard_trace = tau * heard_trace + s
        u = tau * u + weight @ frame + recurrent @ s - s
        s = (u >= 1).astype(float)
        delta = error @ matrix / n_frames * slope(u - 1)
        grad = grad + np.outer(delta, trace)
        grad_recurrent = grad_recurrent + np.outer(delta, heard_trace)
        spikes.append(s)
    np.fill_diagonal(grad_recurrent, 0)
    return np.array(spikes), grad, grad_recurrent


def test_two_layers_learn_what_a_loop_over_traces_says():
    layers, weights, feedback = (part.double() for part in network())
    x = torch.randn(1, 12, 5, generator=torch.manual_seed(1)).double()
    logits, spikes = forward(x, layers, weights, feedback)
    logits.retain_grad()
    (logits * torch.tensor([[0.7, -1.1]], dtype=torch.float64)).sum().backward()
    error, h = np.array([0.7, -1.1]), x[0].numpy()
    for k, layer in enumerate(layers):
        matrix = getattr(feedback, f"layer_{k}").numpy()
        tau = layer.w.sigmoid()[0].item()
        h, grad, grad_recurrent = by_hand(
            h, error, layer, weights[k], matrix, tau
        )
        assert np.array_equal(spikes[k][0].detach().numpy(), h)
        assert 0.05 < h.mean() < 0.9
        np.testing.assert_allclose(weights[k].grad, grad, rtol=1e-9)
        np.testing.assert_allclose(
            layer.weight.grad, grad_recurrent, rtol=1e-9, atol=1e-15
        )
    # The read-out has its exact gradient.
    exact = np.outer(error, h.mean(0))
    np.testing.assert_allclose(weights[2].grad, exact, rtol=1e-9)


def test_an_utterances_frames_share_its_error_and_padding_gets_none():
    feedback = DirectFeedback([3], 2)
    spikes = torch.zeros(2, 4, 3, requires_grad=True)
    logits = torch.zeros(2, 2, requires_grad=True)
    out = feedback(logits, [spikes], torch.tensor([1.0, 0.5]))
    error = torch.tensor([[1.0, 2.0], [-1.0, 0.5]])
    out.backward(error)
    fed_back = error @ feedback.layer_0
    expected = torch.stack([fed_back[0] / 4] * 4)
    torch.testing.assert_close(spikes.grad[0], expected)
    torch.testing.assert_close(spikes.grad[1, :2].sum(0), fed_back[1])
    assert not spikes.grad[1, 2:].any()
    assert torch.equal(logits.grad, error)


def test_the_matrices_are_saved_and_not_learnt():
    torch.manual_seed(1)
    feedback = DirectFeedback([300, 200], 4)
    assert not [*feedback.parameters()]
    shapes = {k: v.shape for k, v in feedback.state_dict().items()}
    assert shapes == {"layer_0": (4, 300), "layer_1": (4, 200)}
    assert abs(feedback.layer_0.std().item() - 0.5) < 0.05  # 1 / sqrt(4)
