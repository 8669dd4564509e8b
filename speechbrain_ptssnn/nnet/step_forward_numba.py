"""Step-forward encoding on CPU: one pass forward and one back, compiled by
numba as in :mod:`~speechbrain_ptssnn.nnet.plif_numba`.
"""

import numba
import numpy as np
import torch

from speechbrain_ptssnn.nnet.plif_numba import ONE, ZERO, kernel, run, slope


# Functions for one stream of one frame, as in plif_numba: LLVM must know that
# the arrays do not overlap to use vector instructions.
@numba.njit
def _step(residual, step, base, errors, ups, downs):
    for c in range(len(residual)):
        error = residual[c] - base[c]
        up = ONE if error >= step else ZERO
        down = ONE if -error >= step else ZERO
        base[c] += step * (up - down)
        residual[c] -= base[c]
        errors[c], ups[c], downs[c] = error, up, down


@numba.njit
def _step_back(
    errors,
    ups,
    downs,
    step,
    alpha,
    local,
    grad_ups,
    grad_downs,
    grad_base,
    later,
    grad_step,
):
    for c in range(len(errors)):
        back = grad_base[c] - (ZERO if local else later[c])
        through = ZERO if local else back * step
        up = (grad_ups[c] + through) * slope(errors[c] - step, alpha)
        down = (grad_downs[c] - through) * slope(-errors[c] - step, alpha)
        grad_step[c] += back * (ups[c] - downs[c]) - up - down
        grad_base[c] = back - (up - down)
        later[c] += up - down


@kernel
def _forward(worker, workers, x, steps, counts, spikes, errors):
    batch, _, streams, _, channels = spikes.shape
    residual = np.empty(channels, np.float32)
    base = np.empty((streams, channels), np.float32)
    for b in range(worker, batch, workers):
        base[:] = ZERO
        for t in range(counts[b]):
            residual[:] = x[b, t]
            for k in range(streams):
                up, down = spikes[b, t, k, 0], spikes[b, t, k, 1]
                _step(residual, steps[k], base[k], errors[b, t, k], up, down)


@kernel
def _backward(
    worker,
    workers,
    steps,
    counts,
    spikes,
    errors,
    alpha,
    local,
    grad_spikes,
    grad_x,
    grad_steps,
):
    """Let e be a stream's error at t, H the gradient of its base after t, g
    the gradient of a spike and S the surrogate's derivative. Then

        up = S(e - step) * (g_up + H * step),
        down = S(-e - step) * (g_down - H * step),

    and d = up - down is the gradient of e. H before t is H - d. At t, H also
    loses the d of the streams that encode what this one leaves. Each frame
    adds H * (s_up - s_down) - up - down to the gradient of the step, and the d
    of all streams to that of x. With ``local``, spikes get g alone and H loses
    nothing to other streams.
    """
    batch, _, streams, _, channels = spikes.shape
    grad_base = np.empty((streams, channels), np.float32)
    for b in range(worker, batch, workers):
        grad_base[:] = ZERO
        for t in range(counts[b] - 1, -1, -1):
            for k in range(streams - 1, -1, -1):
                _step_back(
                    errors[b, t, k],
                    spikes[b, t, k, 0],
                    spikes[b, t, k, 1],
                    steps[k],
                    alpha,
                    local,
                    grad_spikes[b, t, k, 0],
                    grad_spikes[b, t, k, 1],
                    grad_base[k],
                    grad_x[b, t],
                    grad_steps[b, k],
                )


def forward(x, steps, counts):
    """Returns spikes and errors; see :mod:`.residual_spike_encoder`."""
    batch, time, channels = x.shape
    errors = x.new_zeros(batch, time, len(steps), channels)
    spikes = x.new_zeros(batch, time, len(steps), 2, channels)
    arrays = [each.numpy() for each in (x.contiguous(), steps, counts)]
    run(_forward, x, *arrays, spikes.numpy(), errors.numpy())
    return spikes, errors


def backward(grad_spikes, steps, counts, spikes, errors, alpha, local):
    """Returns the gradients of x and the steps."""
    grad_x = torch.zeros_like(errors[:, :, 0])
    # One sum per utterance and channel, so threads do not change the result.
    grad_steps = torch.zeros_like(errors[:, 0])
    run(
        _backward,
        errors,
        *[each.numpy() for each in (steps, counts, spikes, errors)],
        np.float32(alpha),
        local,
        *[
            each.numpy()
            for each in (grad_spikes.contiguous(), grad_x, grad_steps)
        ],
    )
    return grad_x, grad_steps.sum((0, 2))
