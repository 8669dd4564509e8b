"""The PLIF scan on CUDA: one pass forward and one back, compiled by Triton.

A program computes BLOCK neurons of one utterance. It loads FRAMES frames at
once, so that their loads overlap, and then steps through them in registers.
"""

import torch
import triton
import triton.language as tl

BLOCK, FRAMES = 64, 16
# Without fused multiply-add every operation is rounded as on the CPU, so that
# spikes are equal to the last bit.
OPTIONS = {"num_warps": 2, "enable_fp_fusion": False}


@triton.jit
def _step(
    membrane,
    leak,
    current,
    v_threshold,
    decay_reset: tl.constexpr,
    hard_reset: tl.constexpr,
):
    fired = membrane >= v_threshold
    reset = tl.where(fired, v_threshold, 0.0)
    if hard_reset:
        membrane = tl.where(fired, 0.0, membrane)
        membrane = membrane - membrane * leak + current
    elif decay_reset:
        membrane = membrane - reset
        membrane = membrane - membrane * leak + current
    else:
        membrane = membrane - membrane * leak + current - reset
    return membrane


@triton.jit
def _slope(x, alpha):
    e = tl.exp(-alpha * tl.abs(x))
    return alpha * e / ((1.0 + e) * (1.0 + e))


@triton.jit
def _load(row, stride, t, count, valid, FRAMES: tl.constexpr):
    """Loads FRAMES frames from t on, as float32; 0 beyond the valid ones."""
    frames = ()
    for k in tl.static_range(FRAMES):
        mask = valid & (t + k < count)
        frame = tl.load(row + k * stride, mask=mask, other=0.0)
        # Triton does not support starred expressions.
        frames = frames + (frame.to(tl.float32),)  # noqa: RUF005
    return frames


# Avoids further compilations for 1 frame and for multiples of 16.
@triton.jit(do_not_specialize=["time"])
def _forward(
    current,
    stride_b,
    stride_t,
    leak,
    counts,
    v_threshold,
    v_init,
    spikes,
    membrane,
    time,
    neurons,
    decay_reset: tl.constexpr,
    hard_reset: tl.constexpr,
    BLOCK: tl.constexpr,
    FRAMES: tl.constexpr,
):
    # 64 bits, as a tensor may have more elements than 32 bits can count.
    b = tl.program_id(0).to(tl.int64)
    n = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    valid = n < neurons
    count = tl.minimum(tl.load(counts + b), time)
    loss = tl.load(leak + n, mask=valid, other=0.0)
    u = tl.load(v_init + b * neurons + n, mask=valid, other=0.0)
    i_row = current + b * stride_b + n
    s_row = spikes + b * time * neurons + n
    t = 0
    while t < time:
        i = _load(i_row, stride_t, t, count, valid, FRAMES)
        for k in tl.static_range(FRAMES):
            step = _step(u, loss, i[k], v_threshold, decay_reset, hard_reset)
            u = tl.where(t + k < count, step, u)
            s = (u >= v_threshold) & (t + k < count)
            tl.store(s_row + k * neurons, s, mask=valid & (t + k < time))
        i_row += FRAMES * stride_t
        s_row += FRAMES * neurons
        t += FRAMES
    tl.store(membrane + b * neurons + n, u, mask=valid)


@triton.jit(do_not_specialize=["time"])
def _backward(
    current,
    stride_b,
    stride_t,
    leak,
    counts,
    v_threshold,
    v_init,
    alpha,
    grad_spikes,
    grad_stride_b,
    grad_stride_t,
    grad_membrane,
    kept,
    grad_current,
    grad_leak,
    grad_init,
    time,
    neurons,
    detach_reset: tl.constexpr,
    decay_reset: tl.constexpr,
    hard_reset: tl.constexpr,
    BLOCK: tl.constexpr,
    FRAMES: tl.constexpr,
):
    """The CPU's backward kernel has the equation. Membranes are computed
    twice: first from the start, keeping every FRAMES-th, then again from each
    kept one, in registers.
    """
    b = tl.program_id(0).to(tl.int64)
    n = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    valid = n < neurons
    count = tl.minimum(tl.load(counts + b), time)
    loss = tl.load(leak + n, mask=valid, other=0.0)
    e = b * neurons + n
    first = tl.load(v_init + e, mask=valid, other=0.0)
    chunks = tl.cdiv(time, FRAMES)
    i_row = current + b * stride_b + n
    g_row = grad_spikes + b * grad_stride_b + n
    d_row = grad_current + b * time * neurons + n
    kept_row = kept + b * chunks * neurons + n

    u = first
    t = 0
    while t < time:
        tl.store(kept_row, u, mask=valid)
        i = _load(i_row, stride_t, t, count, valid, FRAMES)
        for k in tl.static_range(FRAMES):
            u = _step(u, loss, i[k], v_threshold, decay_reset, hard_reset)
        i_row += FRAMES * stride_t
        kept_row += neurons
        t += FRAMES
    # A thread may load what another thread of the program has stored.
    tl.debug_barrier()

    carry = tl.load(grad_membrane + e, mask=valid, other=0.0)
    reset = tl.zeros_like(carry)
    d_leak = tl.zeros_like(carry)
    g_row += chunks.to(tl.int64) * FRAMES * grad_stride_t
    d_row += chunks.to(tl.int64) * FRAMES * neurons
    while t > 0:
        t -= FRAMES
        i_row -= FRAMES * stride_t
        g_row -= FRAMES * grad_stride_t
        d_row -= FRAMES * neurons
        kept_row -= neurons
        i = _load(i_row, stride_t, t, count, valid, FRAMES)
        g = _load(g_row, grad_stride_t, t, count, valid, FRAMES)
        us = (tl.load(kept_row, mask=valid, other=0.0),)
        for k in tl.static_range(FRAMES):
            after = _step(
                us[k], loss, i[k], v_threshold, decay_reset, hard_reset
            )
            us = us + (after,)  # noqa: RUF005
        for k in tl.static_range(FRAMES - 1, -1, -1):
            slope = _slope(us[k + 1] - v_threshold, alpha)
            d = slope * (g[k] - reset) + carry
            active = t + k < count
            before = us[k]
            fired = before >= v_threshold
            back = d - d * loss
            if hard_reset:
                pull = before * back
                before = tl.where(fired, 0.0, before)
                back = tl.where(fired, 0.0, back)
            elif decay_reset:
                pull = v_threshold * back
                before -= tl.where(fired, v_threshold, 0.0)
            else:
                pull = v_threshold * d
            d_leak = tl.where(active, d_leak - d * before, d_leak)
            carry = tl.where(active, back, carry)
            if not detach_reset:
                reset = tl.where(active, pull, reset)
            tl.store(
                d_row + k * neurons,
                tl.where(active, d, 0.0),
                mask=valid & (t + k < time),
            )
    carry -= _slope(first - v_threshold, alpha) * reset
    tl.store(grad_leak + e, d_leak, mask=valid)
    tl.store(grad_init + e, carry, mask=valid)


def _launch(kernel, current, *arguments):
    batch, _, neurons = current.shape
    grid = (batch, triton.cdiv(neurons, BLOCK))
    with torch.cuda.device_of(current):
        if batch and neurons:
            kernel[grid](*arguments, BLOCK=BLOCK, FRAMES=FRAMES, **OPTIONS)


def _rows(x):
    """Returns x, its neurons contiguous, and its two outer strides."""
    x = x if x.stride(2) == 1 else x.contiguous()
    return x, *x.stride()[:2]


def _inputs(current, leak, v_init, counts, v_threshold):
    return (
        *_rows(current),
        leak.contiguous(),
        counts,
        v_threshold,
        v_init.contiguous(),
    )


def forward(
    current, leak, v_init, counts, v_threshold, decay_reset, hard_reset
):
    """Returns spikes and final membranes; see :mod:`.plif_scan`."""
    spikes = torch.empty(
        current.shape, dtype=current.dtype, device=current.device
    )
    membrane = torch.empty(v_init.shape, device=v_init.device)
    _launch(
        _forward,
        current,
        *_inputs(current, leak, v_init, counts, v_threshold),
        spikes,
        membrane,
        *current.shape[1:],
        decay_reset,
        hard_reset,
    )
    return spikes, membrane


def backward(
    grad_spikes,
    grad_membrane,
    current,
    leak,
    v_init,
    counts,
    v_threshold,
    alpha,
    detach_reset,
    decay_reset,
    hard_reset,
):
    """Returns the gradients of current, leak and initial membranes."""
    batch, time, neurons = current.shape
    grad_current = torch.empty(
        current.shape, dtype=current.dtype, device=current.device
    )
    # One sum per utterance: atomic additions would have a random order.
    grad_leak = torch.empty(v_init.shape, device=v_init.device)
    grad_init = torch.empty_like(grad_leak)
    kept = grad_leak.new_empty(batch, triton.cdiv(time, FRAMES), neurons)
    _launch(
        _backward,
        current,
        *_inputs(current, leak, v_init, counts, v_threshold),
        alpha,
        *_rows(grad_spikes),
        grad_membrane.contiguous(),
        kept,
        grad_current,
        grad_leak,
        grad_init,
        time,
        neurons,
        detach_reset,
        decay_reset,
        hard_reset,
    )
    return grad_current, grad_leak.sum(0), grad_init
