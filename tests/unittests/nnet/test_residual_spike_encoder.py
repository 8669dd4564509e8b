"""Step-forward streams against a loop in NumPy and against autograd."""

import numpy as np
import pytest
import torch

from speechbrain_ptssnn.nnet import residual_spike_encoder
from speechbrain_ptssnn.nnet.residual_spike_encoder import (
    ResidualSpikeEncoder,
    step_forward,
    step_forward_reference,
)

STEPS = torch.tensor([1.0, 0.3])
COUNTS = torch.tensor([40, 23, 1])


def features(seed=0, batch=3, time=40, channels=5):
    """Walks that sometimes jump, as mel filters do."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(batch, time, channels, generator=generator)
    return 0.7 * x.cumsum(1) + x.sign()


def numpy_loop(x, steps, counts):
    """The equations of the docstring, one value at a time, in float32."""
    x, steps = x.numpy(), steps.numpy()
    batch, time, channels = x.shape
    spikes = np.zeros((batch, time, len(steps), 2, channels), np.float32)
    for b in range(batch):
        for c in range(channels):
            bases = [np.float32(0)] * len(steps)
            for t in range(counts[b]):
                r = x[b, t, c]
                for k, step in enumerate(steps):
                    e = r - bases[k]
                    up, down = e >= step, -e >= step
                    if up:
                        bases[k] = bases[k] + step
                    if down:
                        bases[k] = bases[k] - step
                    r = r - bases[k]
                    spikes[b, t, k, :, c] = up, down
    return torch.from_numpy(spikes.reshape(batch, time, -1))


@pytest.mark.parametrize("steps", [[1.0, 0.3], [0.5], [2.0, 0.7, 0.1]])
@pytest.mark.parametrize("encode", [step_forward, step_forward_reference])
def test_spikes_are_those_of_a_numpy_loop_bit_for_bit(encode, steps):
    x, steps = features(), torch.tensor(steps)
    spikes = encode(x, steps, COUNTS)
    expected = numpy_loop(x, steps, COUNTS)
    assert torch.equal(spikes, expected)
    for stream in expected.unflatten(2, (len(steps), 2, -1)).unbind(2):
        assert 0.02 < stream.mean() < 0.6


def test_the_bases_follow_the_signal():
    x = features().clamp(-3, 3)
    up, down = (
        step_forward(x, STEPS).unflatten(2, (2, 2, -1)).cumsum(1).unbind(3)
    )
    rebuilt = ((up - down) * STEPS[:, None]).sum(2)
    slow = (x[:, 1:] - x[:, :-1]).abs().amax(2).lt(0.8)
    error = (x - rebuilt)[:, 1:][slow]
    assert slow.any()
    assert error.abs().mean() < 0.6 * x.abs().mean()


def gradients(encode, x, steps, local):
    x, steps = x.clone().requires_grad_(), steps.clone().requires_grad_()
    spikes = encode(x, steps, COUNTS, 5.0, local)
    weights = torch.randn(spikes.shape, generator=torch.manual_seed(3))
    return torch.autograd.grad((weights * spikes).sum(), [x, steps])


@pytest.mark.parametrize("local", [False, True])
@pytest.mark.parametrize("steps", [[1.0, 0.3], [0.5], [2.0, 0.7, 0.1]])
def test_the_kernels_gradients_are_autograds(steps, local):
    arguments = features(), torch.tensor(steps), local
    result = gradients(step_forward, *arguments)
    expected = gradients(step_forward_reference, *arguments)
    torch.testing.assert_close(result, expected, rtol=1e-4, atol=1e-5)
    assert all(each.any() for each in result)


def smooth(x, alpha=2.0):
    """What the surrogate's derivative belongs to, in place of the step."""
    return torch.sigmoid(alpha * x)


def test_gradients_by_finite_differences_on_a_smooth_stand_in(monkeypatch):
    monkeypatch.setattr(residual_spike_encoder, "spike", smooth)
    x = features(time=6, channels=2).double().requires_grad_()
    steps = STEPS.double().requires_grad_()
    counts = torch.tensor([6, 4, 1])
    assert torch.autograd.gradcheck(
        lambda x, steps: step_forward_reference(x, steps, counts), (x, steps)
    )


def test_a_local_gradient_by_hand():
    # Two frames, one stream, step 1: e = 1.5 and 1.0; the base is 1 between
    # them, so the error of frame 2 falls by 2 as the step grows by 1.
    x = torch.tensor([[[1.5], [2.0]]])
    steps = torch.tensor([1.0], requires_grad=True)
    spikes = step_forward(x, steps, local=True)
    assert spikes[0].tolist() == [[1.0, 0.0], [1.0, 0.0]]
    spikes[..., 0].sum().backward()
    s = 1 / (1 + np.exp(-2.5))
    slopes = 5 * s * (1 - s), 5 / 4  # at 0.5 and 0
    expected = -1 * slopes[0] - 2 * slopes[1]
    assert steps.grad.item() == pytest.approx(expected, rel=1e-5)


def test_padded_frames_have_no_spike_and_no_gradient():
    x = features().requires_grad_()
    spikes = ResidualSpikeEncoder(5)(x, COUNTS / 40)
    spikes.sum().backward()
    for row, grad, n in zip(spikes, x.grad, COUNTS, strict=True):
        assert not row[n:].any()
        assert not grad[n:].any()


def test_half_precision_has_the_spikes_of_its_values():
    x = features().bfloat16()
    spikes = step_forward(x, STEPS)
    assert spikes.dtype == torch.bfloat16
    assert torch.equal(spikes.float(), step_forward(x.float(), STEPS))


def test_steps_start_as_given_and_stay_above_0():
    encoder = ResidualSpikeEncoder(2, steps=[1.5, 0.01])
    assert encoder.steps.tolist() == pytest.approx([1.5, 0.01], rel=1e-4)
    optimizer = torch.optim.SGD(encoder.parameters(), lr=10.0)
    encoder.steps.sum().backward()
    optimizer.step()
    assert (encoder.steps > 0).all()


def test_fixed_steps_are_no_parameters():
    encoder = ResidualSpikeEncoder(2, steps=[0.5], learnable=False)
    assert not [*encoder.parameters()]
    assert encoder.output_size == 4


@pytest.mark.parametrize("steps", [[], [1.0, 0.0], [-1.0]])
def test_steps_that_cannot_be_are_refused(steps):
    with pytest.raises(ValueError, match="all above 0"):
        ResidualSpikeEncoder(2, steps=steps)
