"""R-LIF neurons against NumPy, autograd and SpikingJelly."""

import numpy as np
import pytest
import torch
from spikingjelly.activation_based import functional, layer, neuron, surrogate

from speechbrain_ptssnn.nnet.masking import frame_mask
from speechbrain_ptssnn.nnet.rlif import RLIF
from speechbrain_ptssnn.nnet.surrogate import spike

LENGTHS = torch.tensor([0.5, 1.0, 0.2, 0.7])


def layer_of(size=6, **settings):
    torch.manual_seed(0)
    return RLIF(size, recurrent_gain=1.0, **settings)


def currents(size=6, time=20):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(4, time, size, generator=generator)


def test_spikes_are_those_of_a_numpy_loop_bit_for_bit():
    # Multiples of 2^-6 add up without rounding, in any order; tau is 1/2.
    rlif, current = layer_of(decay=(0.5, 0.5)), currents()
    with torch.no_grad():
        rlif.weight.copy_((rlif.weight * 64).round() / 64)
    current = (current * 64).round() / 64
    weight, i = rlif.weight.detach().numpy(), current.numpy()
    expected = np.zeros_like(i)
    for b, frames in enumerate(i):
        u, s = np.zeros(6, np.float32), np.zeros(6, np.float32)
        for t, frame in enumerate(frames):
            heard = [
                sum(weight[n, m] * s[m] for m in range(6) if m != n)
                for n in range(6)
            ]
            u = np.float32(0.5) * u + frame + np.array(heard, np.float32) - s
            s = (u >= 1).astype(np.float32)
            expected[b, t] = s
    assert torch.equal(rlif(current), torch.from_numpy(expected))
    assert 0.05 < expected.mean() < 0.5


def autograd_loop(rlif, current, lengths=None):
    """The same equations step by step; autograd goes through them."""
    tau = torch.sigmoid(rlif.w)
    weight = rlif.weight - torch.diag(rlif.weight.diag())
    u = s = torch.zeros_like(current[:, 0])
    spikes = []
    for i in current.unbind(1):
        heard = s.detach() if rlif.local else s
        reset = s.detach() if rlif.detach_reset or rlif.local else s
        u = tau * u + i + heard @ weight.T - rlif.v_threshold * reset
        s = spike(u - rlif.v_threshold, rlif.alpha)
        spikes.append(s)
    spikes = torch.stack(spikes, 1)
    mask = frame_mask(lengths, current.shape[1])
    return spikes if mask is None else spikes * mask


def results(run, rlif, current, lengths):
    current = current.clone().requires_grad_()
    spikes = run(current, lengths)
    weights = torch.randn(spikes.shape, generator=torch.manual_seed(2))
    wanted = [current, rlif.w, rlif.weight]
    return spikes, torch.autograd.grad((weights * spikes).sum(), wanted)


@pytest.mark.parametrize("lengths", [None, LENGTHS])
@pytest.mark.parametrize(
    "settings",
    [{}, {"detach_reset": False}, {"local": True}, {"v_threshold": 0.5}],
)
def test_spikes_and_gradients_are_those_of_autograd(settings, lengths):
    rlif, current = layer_of(**settings).double(), currents().double()
    spikes, gradients = results(rlif, rlif, current, lengths)
    expected, autograds = results(
        lambda *x: autograd_loop(rlif, *x), rlif, current, lengths
    )
    assert torch.equal(spikes, expected)
    torch.testing.assert_close(gradients, autograds, rtol=1e-9, atol=1e-12)
    assert all(each.any() for each in gradients)
    assert not gradients[2].diag().any()


def test_gradients_by_finite_differences_on_a_smooth_stand_in(monkeypatch):
    """The loop that the gradients are compared with has the right ones."""
    monkeypatch.setitem(
        globals(), "spike", lambda x, alpha: torch.sigmoid(alpha * x)
    )
    rlif = layer_of(3, detach_reset=False, alpha=2.0).double()
    current = currents(3, 5).double().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda current, *_: autograd_loop(rlif, current, LENGTHS),
        (current, rlif.w, rlif.weight),
    )


def test_it_is_spikingjellys_recurrent_container():
    # SpikingJelly decays the reset: tau (u - s) = tau u - s + (1 - tau) s. The
    # last term is a diagonal of its recurrent matrix.
    ours = layer_of(decay=(0.75, 0.75), detach_reset=False).double()
    node = neuron.LIFNode(
        tau=4.0,  # 1 / (1 - 0.75)
        decay_input=False,
        v_reset=None,
        detach_reset=False,
        surrogate_function=surrogate.Sigmoid(alpha=5.0),
    )
    theirs = layer.LinearRecurrentContainer(node, 6, 6, bias=False).double()
    with torch.no_grad():
        recurrent = ours.weight.clone().fill_diagonal_(-0.25)
        theirs.rc.weight.copy_(torch.cat([torch.eye(6), recurrent], 1))
    current = currents().double()
    functional.reset_net(theirs)
    expected = torch.stack([theirs(x) for x in current.unbind(1)], 1)
    spikes = ours(current)
    assert torch.equal(spikes, expected)
    spikes.square().sum().backward()
    expected.square().sum().backward()
    theirs_grad = theirs.rc.weight.grad[:, 6:].fill_diagonal_(0)
    torch.testing.assert_close(ours.weight.grad, theirs_grad)


def test_padded_frames_never_spike_and_change_nothing():
    rlif, current = layer_of(), currents()
    together = rlif(current, LENGTHS)
    for row, alone, n in zip(together, current, (10, 20, 4, 14), strict=True):
        assert not row[n:].any()
        assert torch.equal(row[:n], rlif(alone[None, :n])[0])


@pytest.mark.parametrize(
    ("settings", "said"),
    [({"decay": (0.0, 0.5)}, "decay"), ({"v_threshold": 0}, "v_threshold")],
)
def test_settings_that_cannot_be_are_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        RLIF(3, **settings)


def test_a_current_of_another_size_is_named():
    with pytest.raises(ValueError, match=r"time, 6\].*\[4, 20, 5\]"):
        layer_of()(currents(5))
