"""PLIF (eq. 1, 2): by hand, a NumPy loop with its own backward pass, and
SpikingJelly's neuron.
"""

import numpy as np
import pytest
import torch
from spikingjelly.activation_based import surrogate
from spikingjelly.activation_based.neuron import ParametricLIFNode

from speechbrain_ptssnn import PLIF
from speechbrain_ptssnn.nnet.plif import SingleStepPLIF


def random_current(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator) * 0.8 + 0.4


# tau = 0.5, V_th = 1; the current is 1, 0.25, 0.5, 1.5, 1.
# eq. 1:         u = 1, 0.5+0.25-1 = -0.25, 0.375, 1.6875, 0.84375+1-1
# reset decayed: u = 1, 0.5(1-1)+0.25 = 0.25, 0.625, 1.8125, 0.40625+1
# hard:          u = 1, 0.25, 0.625, 1.8125, 1
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [1.0, 0.0, 0.0, 1.0, 0.0]),
        ({"decay_reset": True}, [1.0, 0.0, 0.0, 1.0, 1.0]),
        ({"reset": "hard"}, [1.0, 0.0, 0.0, 1.0, 1.0]),
    ],
)
def test_spikes_are_those_worked_by_hand(options, expected):
    current = torch.tensor([1.0, 0.25, 0.5, 1.5, 1.0]).reshape(1, 5, 1)
    spikes = PLIF(1, **options)(current)
    assert spikes.flatten().tolist() == expected


@pytest.mark.parametrize("v_threshold", [1.0, 0.7])
@pytest.mark.parametrize("detach_reset", [True, False])
@pytest.mark.parametrize(
    ("decay_reset", "reset"),
    [(True, "subtract"), (False, "subtract"), (False, "hard")],
)
def test_spikes_and_gradients_equal_a_numpy_loop(
    decay_reset, reset, detach_reset, v_threshold, numpy_plif
):
    alpha = 5.0
    neuron = PLIF(
        4,
        v_threshold=v_threshold,
        alpha=alpha,
        detach_reset=detach_reset,
        decay_reset=decay_reset,
        reset=reset,
    ).double()
    with torch.no_grad():
        neuron.w.copy_(torch.tensor([-2.0, -0.3, 0.8, 2.5]))
    current = random_current(3, 40, 4).double().requires_grad_()
    weights = random_current(3, 40, 4, seed=1).double()
    spikes = neuron(current)
    (spikes * weights).sum().backward()

    tau = 1 / (1 + np.exp(-neuron.w.detach().numpy()))
    hard = reset == "hard"
    s, u = numpy_plif(
        current.detach().numpy(), tau, v_threshold, decay_reset, hard
    )
    assert np.array_equal(spikes.detach().numpy(), s)

    fire = 1 / (1 + np.exp(-alpha * (u - v_threshold)))
    slope = alpha * fire * (1 - fire)
    lost = u if hard else np.full_like(u, v_threshold)  # by a spike
    back = tau if decay_reset or hard else 1
    d_current, d_tau, d_u = np.zeros_like(u), 0, np.zeros_like(u[:, 0])
    for t in reversed(range(u.shape[1])):
        d_s = weights[:, t].numpy()
        if not detach_reset:
            d_s = d_s - lost[:, t] * back * d_u
        kept = 1 - s[:, t] if hard else 1
        d_u = d_s * slope[:, t] + tau * kept * d_u
        d_current[:, t] = d_u
        if t > 0:
            decayed = u[:, t - 1]
            if decay_reset or hard:
                decayed = decayed - lost[:, t - 1] * s[:, t - 1]
            d_tau = d_tau + (d_u * decayed).sum(0)
    np.testing.assert_allclose(current.grad.numpy(), d_current, atol=1e-10)
    d_w = d_tau * tau * (1 - tau)
    np.testing.assert_allclose(neuron.w.grad.numpy(), d_w, atol=1e-10)


def spikingjellys(decay, v_threshold=1.0, detach_reset=True, v_reset=None):
    # Its sigmoid(w) is the leak, 1 / tau = 1 - decay, so its w is -ours.
    return ParametricLIFNode(
        init_tau=1 / (1 - decay),
        decay_input=False,
        v_threshold=v_threshold,
        v_reset=v_reset,
        surrogate_function=surrogate.Sigmoid(alpha=5.0),
        detach_reset=detach_reset,
        step_mode="m",
    )


resets = pytest.mark.parametrize(
    ("options", "v_reset"),
    [({"decay_reset": True}, None), ({"reset": "hard"}, 0.0)],
    ids=["decayed", "hard"],
)


@pytest.mark.parametrize("v_threshold", [1.0, 0.7])
@pytest.mark.parametrize("decay", [0.1, 0.3, 0.5, 0.6, 0.95])
@resets
@torch.no_grad()
def test_these_resets_are_spikingjellys_bit_for_bit(
    options, v_reset, decay, v_threshold
):
    ours = PLIF(6, decay, v_threshold, **options)
    theirs = spikingjellys(decay, v_threshold, v_reset=v_reset)
    # In steps of 1/16, many membranes end within a rounding error of 1.
    current = (random_current(500, 100, 6) * 16).round() / 16
    spikes = ours(current)
    assert 0.05 < spikes.mean() < 0.95
    assert torch.equal(spikes.transpose(0, 1), theirs(current.transpose(0, 1)))


@pytest.mark.parametrize("detach_reset", [True, False])
@pytest.mark.parametrize("decay", [0.1, 0.5, 0.6, 0.95])
@resets
def test_these_resets_have_spikingjellys_gradients(
    options, v_reset, decay, detach_reset
):
    gradients = []
    for neuron in (
        PLIF(6, decay, detach_reset=detach_reset, **options),
        spikingjellys(decay, detach_reset=detach_reset, v_reset=v_reset),
    ):
        current = random_current(100, 4, 6).requires_grad_()
        ours = isinstance(neuron, PLIF)
        x = current.transpose(0, 1) if ours else current
        spikes = neuron(x).transpose(0, 1) if ours else neuron(x)
        (spikes * random_current(100, 4, 6, seed=1)).sum().backward()
        w_grad = neuron.w.grad.sum()
        gradients.append((current.grad, w_grad if ours else -w_grad))
    assert gradients[0][0].abs().max() > 0.1
    torch.testing.assert_close(*gradients, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("decay", [0.01, 0.37, 0.5, 0.99])
def test_each_neuron_has_one_decay_sigmoid_of_w(decay):
    (w,) = PLIF(3, decay=decay).parameters()
    torch.testing.assert_close(w.sigmoid(), torch.full((3,), decay))


def test_a_decay_moves_its_own_neuron_only():
    neuron, current = PLIF(2), random_current(2, 50, 2)
    before = neuron(current)
    with torch.no_grad():
        neuron.w[1] = 4.0
    after = neuron(current)
    assert torch.equal(before[..., 0], after[..., 0])
    assert not torch.equal(before[..., 1], after[..., 1])


def test_one_decay_a_layer_moves_all_its_neurons():
    current = torch.rand(2, 9, 3)
    gradients = []
    for per_neuron in (True, False):
        layer = PLIF(3, decay=0.3, per_neuron=per_neuron)
        spikes = layer(current)
        (spikes * current).sum().backward()
        gradients.append(layer.w.grad)
    assert layer.w.shape == (1,)
    assert torch.equal(spikes, PLIF(3, decay=0.3)(current))
    torch.testing.assert_close(gradients[1], gradients[0].sum().view(1))


def test_spikes_are_exactly_zero_or_one():
    spikes = PLIF(5)(random_current(2, 30, 5) * 100)
    assert set(spikes.unique().tolist()) == {0.0, 1.0}
    assert spikes.dtype == torch.float32


def test_no_state_survives_a_call():
    neuron, current = PLIF(5), random_current(2, 30, 5)
    first = neuron(current)
    neuron(current * 10)
    assert torch.equal(neuron(current), first)
    assert torch.equal(neuron(current[:1, :7]), first[:1, :7])
    assert set(neuron.state_dict()) == {"w"}


def test_frames_beyond_the_lengths_never_spike():
    neuron, current = PLIF(5), random_current(3, 20, 5) + 2
    spikes = neuron(current, torch.tensor([1.0, 0.5, 0.05]))
    free = neuron(current)
    for row, n in enumerate([20, 10, 1]):
        assert torch.equal(spikes[row, :n], free[row, :n])
        assert spikes[row, n:].sum() == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"decay": 0.0}, r"decay .*\(0, 1\).* 0.0"),
        ({"decay": 1.0}, r"decay .*\(0, 1\).* 1.0"),
        ({"decay": -0.5}, r"decay .*\(0, 1\).* -0.5"),
        ({"v_threshold": 0.0}, r"v_threshold .*> 0.* 0.0"),
        ({"v_threshold": -1.0}, r"v_threshold .*> 0.* -1.0"),
        ({"reset": "soft"}, "reset must be subtract or hard, got 'soft'"),
        ({"reset": "hard", "decay_reset": True}, "needs reset: subtract"),
    ],
)
def test_arguments_out_of_range_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        PLIF(3, **arguments)


@pytest.mark.parametrize("shape", [(2, 10, 4), (10, 3), (1, 2, 10, 3)])
def test_a_current_of_another_shape_is_named(shape):
    with pytest.raises(ValueError, match=str(shape[-1])):
        PLIF(3)(torch.zeros(shape))


@pytest.mark.parametrize("v_threshold", [1.0, 0.7])
def test_single_steps_are_plif_on_each_frame_alone(v_threshold):
    current = random_current(3, 20, 5).requires_grad_()
    spikes = SingleStepPLIF(v_threshold)(current)
    frames = PLIF(5, v_threshold=v_threshold)(current.reshape(60, 1, 5))
    assert torch.equal(spikes, frames.view_as(spikes))
    torch.testing.assert_close(
        torch.autograd.grad(spikes.sum(), current),
        torch.autograd.grad(frames.sum(), current),
    )
    masked = SingleStepPLIF(v_threshold)(current, torch.tensor([1, 0.5, 0.05]))
    assert torch.equal(masked[1, :10], spikes[1, :10])
    assert masked[1, 10:].sum() == masked[2, 1:].sum() == 0
    assert not SingleStepPLIF().state_dict()


@pytest.mark.parametrize("cuts", [[1] * 12, [5, 0, 7], [11, 1]])
def test_a_stream_goes_on_from_its_membranes_bit_for_bit(cuts):
    torch.manual_seed(0)
    layer, state = PLIF(6), {}
    current = torch.randn(2, 12, 6)
    parts = [layer(block, state=state) for block in current.split(cuts, 1)]
    assert torch.equal(torch.cat(parts, 1), layer(current))
    assert state["membrane"].shape == (2, 6)
