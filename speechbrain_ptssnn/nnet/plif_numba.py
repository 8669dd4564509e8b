"""The PLIF scan on CPU: one pass forward and one back, compiled by numba.

The kernels release Python's lock and share their rows out to plain threads,
as many as ``torch.get_num_threads()``. Numba's own ``prange`` would compile
for seconds, and its threading layers end the process when two threads call
them at once (workqueue) or when a forked process does (GNU OpenMP).
"""

import functools
import os
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
import torch
from numba.extending import overload

LN2 = np.float32(np.log(2))
# Added to a float32 below 2**22, it leaves the rounded value in the last bits;
# 127 is a float32's exponent for 2**0.
ROUND = np.float32(1.5 * 2**23 + 127)
# A smaller share than this is not worth the waking of a thread (about 30 µs).
MIN_ELEMENTS = 2**16


def _jit(**options):
    def decorate(function):
        try:
            return numba.njit(cache=True, **options)(function)
        except RuntimeError:  # no folder, not even the user's, is writable
            return numba.njit(**options)(function)

    return decorate


def _widen(x):
    """A float32 of x, a float32 or the bits of a bfloat16."""


def _narrow(x, like):
    """``_widen``'s inverse, rounded to nearest even, for ``like``'s type."""


@overload(_widen)
def _(x):
    if x == numba.float32:
        return lambda x: x
    return lambda x: np.uint32(np.uint32(x) << np.uint32(16)).view(np.float32)


@overload(_narrow)
def _(x, like):
    if like == numba.float32:
        return lambda x, like: x

    def narrow(x, like):
        bits = np.float32(x).view(np.uint32)
        odd = (bits >> np.uint32(16)) & np.uint32(1)
        rounded = (bits + np.uint32(0x7FFF) + odd) >> np.uint32(16)
        return np.uint16(rounded if x == x else 0x7FC0)

    return narrow


@_jit()
def _step(membrane, leak, current, v_threshold, decay_reset):
    # As the reference, operation by operation: no fastmath, no fused
    # multiply-add, so that spikes are equal to the last bit.
    reset = v_threshold if membrane >= v_threshold else np.float32(0)
    if decay_reset:
        membrane = membrane - reset
        return membrane - membrane * leak + current
    return membrane - membrane * leak + current - reset


@_jit(nogil=True)
def _forward(
    current,
    strides,
    leak,
    counts,
    v_threshold,
    decay_reset,
    spikes,
    membrane,
    width,
    first,
    stride,
):
    batch, time, neurons = spikes.shape
    columns = -(-neurons // width)
    silent = spikes.dtype.type(0)
    for task in range(first, batch * columns, stride):
        b, start = task // columns, task % columns * width
        stop = min(start + width, neurons)
        u, tau = membrane[b, start:stop], leak[start:stop]
