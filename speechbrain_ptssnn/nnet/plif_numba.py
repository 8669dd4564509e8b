"""The PLIF scan on CPU: one pass forward and one back, compiled by numba.

The kernels release Python's lock, so ``torch.get_num_threads()`` plain threads
share the utterances of a batch. Numba's own ``prange`` takes seconds more to
compile. Its threading layers also end the process if two threads enter them at
once (workqueue) or a forked process does (GNU OpenMP).
An utterance is never divided between threads: half rows are slower to read
than whole ones, and 225 frames take less time than waking a thread.
"""

import functools
import os
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
import torch
from numba.extending import overload

ZERO, ONE, LN2 = np.float32(0), np.float32(1), np.float32(np.log(2))
# Added to a float32 below 2**22, this puts the rounded value into the last
# bits. 127 is the exponent of 2**0 in a float32.
ROUND = np.float32(1.5 * 2**23 + 127)
# At this argument the slope is almost 0, but not yet a subnormal number.
FARTHEST = np.float32(80)
# Per thread: about 60 µs of work, twice the time to wake a thread.
MIN_ELEMENTS = 2**18


def kernel(function):
    """Compiles a function at its first call and caches the result for later
    processes.

    Arguments
    ---------
    function : callable
        ``function(worker, workers, ...)`` processes every ``workers``-th
        utterance of a batch, from number ``worker``.

    Returns
    -------
    callable
        It releases Python's lock.
    """
    try:
        return numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:  # no cache folder can be written
        return numba.njit(nogil=True)(function)


def _widen(x):
    """Returns x as float32; x is a float32 or the bits of a bfloat16."""


def _narrow(x, like):
    """Inverse of ``_widen``: x in the type of ``like``, rounded to even."""


@overload(_widen)
def _(x):
    if x == numba.float32:
        return lambda x: x
    return lambda x: np.uint32(np.uint32(x) << np.uint32(16)).view(np.float32)


@overload(_narrow)
def _(x, like):
    def narrow(x, like):
        bits = np.float32(x).view(np.uint32)
        odd = (bits >> np.uint32(16)) & np.uint32(1)
        rounded = (bits + np.uint32(0x7FFF) + odd) >> np.uint32(16)
        return np.uint16(rounded if x == x else 0x7FC0)

    return (lambda x, like: x) if like == numba.float32 else narrow


@numba.njit(forceinline=True)
def _step(membrane, leak, current, v_threshold, decay_reset, hard_reset):
    # The same operations as in the reference, without fastmath or fused
    # multiply-add, so that spikes are equal to the last bit.
    if hard_reset:
        membrane = ZERO if membrane >= v_threshold else membrane
        return membrane - membrane * leak + current
    reset = v_threshold if membrane >= v_threshold else ZERO
    if decay_reset:
        membrane = membrane - reset
        return membrane - membrane * leak + current
    return membrane - membrane * leak + current - reset


@numba.njit(forceinline=True, fastmath={"contract"}, error_model="numpy")
def slope(x, alpha):
    """Returns the derivative of sigmoid(alpha * x), relative error below 1e-5.

    It is alpha * e / (1 + e)^2 with e = exp(-alpha * abs(x)), which cannot
    overflow. The exponential is computed as 2^k * exp(r), abs(r) <= ln(2) / 2:
    unlike a call of expf, these operations compile to vector instructions.
    """
    z = alpha * abs(x)
    z = FARTHEST if z > FARTHEST else z
    shifted = ROUND - z * (ONE / LN2)
    r = (ROUND - shifted) * LN2 - z
    p = ONE + r * np.float32(1 / 6)
    p = ONE + r * np.float32(1 / 5) * p
    p = ONE + r * np.float32(1 / 4) * p
    p = ONE + r * np.float32(1 / 3) * p
    p = ONE + r * np.float32(1 / 2) * p
    p = ONE + r * p
    exponent = np.float32(shifted).view(np.uint32) << np.uint32(23)
    e = p * np.uint32(exponent).view(np.float32)
    return alpha * e / ((ONE + e) * (ONE + e))


@kernel
def _forward(
    worker,
    workers,
    current,
    strides,
    leak,
    counts,
    v_threshold,
    decay_reset,
    hard_reset,
    spikes,
    membranes,
):
    batch, time, neurons = spikes.shape
    for b in range(worker, batch, workers):
        membrane = membranes[b]
        for t in range(counts[b]):
            row = b * strides[0] + t * strides[1]
            i, s = current[row : row + neurons], spikes[b, t]
            for n in range(neurons):
                u = _step(
                    membrane[n],
                    leak[n],
                    _widen(i[n]),
                    v_threshold,
                    decay_reset,
                    hard_reset,
                )
                membrane[n] = u
                s[n] = _narrow(ONE if u >= v_threshold else ZERO, s[n])
        for t in range(counts[b], time):
            for n in range(neurons):
                spikes[b, t, n] = 0


@numba.njit
def _recompute(
    before, leak, current, v_threshold, decay_reset, hard_reset, membrane
):
    for n in range(len(leak)):
        membrane[n] = _step(
            before[n],
            leak[n],
            _widen(current[n]),
            v_threshold,
            decay_reset,
            hard_reset,
        )


# A separate function for one frame, because LLVM must know that the arrays do
# not overlap to use vector instructions. Inside _backward's loop it checks this
# once for all frames, and cannot tell.
@numba.njit
def _step_back(
    before,
    membrane,
    leak,
    v_threshold,
    alpha,
    detach_reset,
    decay_reset,
    hard_reset,
    grad_spikes,
    carry,
    reset,
    grad_current,
    grad_leak,
):
    # From the last neuron to the first, as frames go backward too: the
    # processor prefetches memory that is read in one direction.
    for n in range(len(leak) - 1, -1, -1):
        d = slope(membrane[n] - v_threshold, alpha)
        d = d * (_widen(grad_spikes[n]) - reset[n]) + carry[n]
        grad_current[n] = _narrow(d, grad_current[n])
        v, lost = before[n], v_threshold
        fired = v >= v_threshold
        back = d - d * leak[n]
        carry[n] = back
        if hard_reset:
            lost = v
            if fired:
                carry[n] = ZERO
        if (decay_reset or hard_reset) and fired:
            v = v - lost
        grad_leak[n] -= d * v
        if detach_reset:
            lost = ZERO
        reset[n] = lost * (back if decay_reset or hard_reset else d)


@kernel
def _backward(
    worker,
    workers,
    current,
    strides,
    leak,
    counts,
    v_threshold,
    decay_reset,
    hard_reset,
    v_init,
    alpha,
    detach_reset,
    grad_spikes,
    grad_strides,
    grad_membranes,
    grad_current,
    grad_leak,
):
    """Let d[t] be the gradient of the membrane u[t], g[t] that of the spike
    s[t], S the surrogate's derivative at u[t] - V, and V the threshold. Then

        d[t] = S * (g[t] - r[t]) + (1 - leak) * d[t+1],

    where r[t] is the gradient through the reset at t+1: V * d[t+1], or
    V * (1 - leak) * d[t+1] if the reset is decayed, or 0 if it is detached.
    d[t] is also the gradient of i[t]. Each frame adds -d[t] * u[t-1] to the
    gradient of the leak (u[t-1] - V * s[t-1] if the reset is decayed).
    A hard reset is a decayed one that takes u[t] itself instead of V; the term
    with d[t+1] is then 0 where s[t] = 1.
    The initial membrane is u[-1], with g[-1] = 0. At the last frame, the
    gradient of the final membrane replaces (1 - leak) * d[t+1].
    """
    batch, time, neurons = grad_current.shape
    kept = np.empty((time + 1, neurons), np.float32)
    reset = np.empty(neurons, np.float32)
    for b in range(worker, batch, workers):
        carry = grad_membranes[b]
        for n in range(neurons):
            kept[0, n] = v_init[b, n]
            reset[n] = ZERO
            grad_leak[b, n] = ZERO
        for t in range(counts[b]):
            row = b * strides[0] + t * strides[1]
            _recompute(
                kept[t],
                leak,
                current[row : row + neurons],
                v_threshold,
                decay_reset,
                hard_reset,
                kept[t + 1],
            )
        for t in range(counts[b] - 1, -1, -1):
            row = b * grad_strides[0] + t * grad_strides[1]
            _step_back(
                kept[t],
                kept[t + 1],
                leak,
                v_threshold,
                alpha,
                detach_reset,
                decay_reset,
                hard_reset,
                grad_spikes[row : row + neurons],
                carry,
                reset,
                grad_current[b, t],
                grad_leak[b],
            )
        for n in range(neurons):
            carry[n] -= slope(kept[0, n] - v_threshold, alpha) * reset[n]
        for t in range(counts[b], time):
            for n in range(neurons):
                grad_current[b, t, n] = 0


@functools.cache
def _pool():
    return ThreadPoolExecutor(os.cpu_count(), "plif")


# A forked process inherits the pool, but not its threads.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)


def run(kernel, current, *arguments):
    """Calls ``kernel(worker, workers, *arguments)`` in as many threads as a
    tensor of this size is worth.
    """
    shares = min(len(current), 1 + current.numel() // MIN_ELEMENTS)
    workers = max(1, min(torch.get_num_threads(), shares))
    others = [
        _pool().submit(kernel, worker, workers, *arguments)
        for worker in range(1, workers)
    ]
    kernel(0, workers, *arguments)
    for other in others:
        other.result()


def _numpy(x):
    x = x.detach()
    return (x.view(torch.uint16) if x.dtype == torch.bfloat16 else x).numpy()


def _flat(x):
    """Returns x's memory as one row, without a copy, and its outer strides.

    Numba's code is slow for arrays of unknown strides. Slices of a flat array
    are fast, and one compilation serves every layout.
    """
    if x.dtype == torch.float16:
        x = x.float()
    if x.stride(2) != 1:
        x = x.contiguous()
    steps = zip(x.shape, x.stride(), strict=True)
    span = 1 + sum((size - 1) * stride for size, stride in steps)
    span = span if x.numel() else 0
    return _numpy(x.as_strided((span,), (1,))), x.stride()[:2]


def _empty_like(x):
    dtype = torch.float32 if x.dtype == torch.float16 else x.dtype
    return torch.empty(x.shape, dtype=dtype)


def _inputs(current, leak, counts, v_threshold, decay_reset, hard_reset):
    counts = counts.clamp(0, current.shape[1]).long()
    return (
        *_flat(current),
        _numpy(leak.contiguous()),
        _numpy(counts),
        np.float32(v_threshold),
        decay_reset,
        hard_reset,
    )


def forward(
    current, leak, v_init, counts, v_threshold, decay_reset, hard_reset
):
    """Returns spikes and final membranes; see :mod:`.plif_scan`."""
    spikes = _empty_like(current)
    membrane = v_init.clone(memory_format=torch.contiguous_format)
    run(
        _forward,
        current,
        *_inputs(current, leak, counts, v_threshold, decay_reset, hard_reset),
        _numpy(spikes),
        _numpy(membrane),
    )
    return spikes.to(current.dtype), membrane


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
    grad_current = _empty_like(current)
    grad_init = grad_membrane.clone(memory_format=torch.contiguous_format)
    # One sum per utterance: the result does not depend on the threads.
    grad_leak = torch.empty(grad_init.shape)
    run(
        _backward,
        current,
        *_inputs(current, leak, counts, v_threshold, decay_reset, hard_reset),
        _numpy(v_init.contiguous()),
        np.float32(alpha),
        detach_reset,
        *_flat(grad_spikes),
        _numpy(grad_init),
        _numpy(grad_current),
        _numpy(grad_leak),
    )
    return grad_current.to(current.dtype), grad_leak.sum(0), grad_init
