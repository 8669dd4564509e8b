"""The running context against a loop over the equation, in float64."""

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from speechbrain_ptssnn.nnet.running_context import (
    attend_so_far,
    start_context,
)

BATCH, FRAMES, KEYS, SIZE = 2, 23, 4, 6


def tensors(n_prompts=3, scale=2.0, seed=0, frames=FRAMES):
    """Query, key and value of frames; key, value and mean query of prompts."""
    rng = np.random.default_rng(seed)
    shapes = [
        *[(BATCH, frames, KEYS)] * 2,
        (BATCH, frames, SIZE),
        (n_prompts, KEYS),
        (n_prompts, SIZE),
        (KEYS,),
    ]
    return [torch.from_numpy(rng.normal(0, scale, each)) for each in shapes]


def by_chunks(tensors, chunk=16, **options):
    query, key, value, prompt_key, prompt_value, extra = tensors
    context = start_context(prompt_key, prompt_value)
    return attend_so_far(
        query, key, value, context, extra, chunk=chunk, **options
    )


def by_numpy(tensors):
    """Each frame's and the extra query's output, by eq. 9 on its tokens."""
    query, key, value, prompt_key, prompt_value, extra = (
        each.detach().numpy() for each in tensors
    )
    frames, extras = np.empty(value.shape), np.empty(value.shape)
    for b in range(len(query)):
        for t in range(query.shape[1]):
            k = np.concatenate([prompt_key, key[b, : t + 1]])
            v = np.concatenate([prompt_value, value[b, : t + 1]])
            e = np.exp(k - k.max(0))
            context = (e / e.sum(0)).T @ v
            frames[b, t], extras[b, t] = query[b, t] @ context, extra @ context
    return frames, extras


def by_autograd(tensors):
    """The same by PyTorch, whose autograd is the reference for gradients."""
    query, key, value, prompt_key, prompt_value, extra = tensors
    frames, extras = [], []
    prompt_key = prompt_key.expand(len(query), -1, -1)
    prompt_value = prompt_value.expand(len(query), -1, -1)
    for t in range(query.shape[1]):
        k = torch.cat([prompt_key, key[:, : t + 1]], 1)
        v = torch.cat([prompt_value, value[:, : t + 1]], 1)
        context = k.softmax(1).transpose(1, 2) @ v
        frames.append((query[:, t, None] @ context)[:, 0])
        extras.append(extra @ context)
    return torch.stack(frames, 1), torch.stack(extras, 1)


@pytest.mark.parametrize("chunk", [1, 3, 16, 100])
@pytest.mark.parametrize("n_prompts", [0, 1, 5])
def test_every_frame_is_equation_9_on_the_tokens_up_to_it(n_prompts, chunk):
    given = tensors(n_prompts)
    frames, extras, _ = by_chunks(given, chunk)
    for result, expected in zip((frames, extras), by_numpy(given), strict=True):
        np.testing.assert_allclose(result, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("scale", [30.0, 300.0])
def test_exponentials_beyond_any_number_stay_exact(scale):
    given = [each.requires_grad_() for each in tensors(scale=scale)]
    frames, extras, _ = by_chunks(given)
    for result, expected in zip((frames, extras), by_numpy(given), strict=True):
        assert np.isfinite(expected).all()
        np.testing.assert_allclose(
            result.detach(), expected, rtol=1e-9, atol=1e-9 * scale**2
        )
    (frames.sum() + extras.square().sum()).backward()
    assert all(each.grad.isfinite().all() for each in given)


@pytest.mark.parametrize("period", [1, 3])
@pytest.mark.parametrize("n_prompts", [0, 2])
def test_gradients_are_those_of_the_loop(n_prompts, period):
    results = []
    for loop in (False, True):
        given = [x.requires_grad_() for x in tensors(n_prompts)]
        if loop:
            frames, extras = by_autograd(given)
            extras = extras[:, ::period]
        else:
            frames, extras, _ = by_chunks(given, 4, period=period)
        (
            frames.square().sum() + (extras * extras.detach().cos()).sum()
        ).backward()
        results.append([each.grad for each in given])
    for result, expected in zip(*results, strict=True):
        torch.testing.assert_close(result, expected, rtol=1e-10, atol=1e-10)


def test_gradients_are_finite_differences():
    given = [x.requires_grad_() for x in tensors(frames=5, scale=0.7)]
    assert torch.autograd.gradcheck(
        lambda *x: by_chunks(x, 2, period=2)[:2], given
    )


@pytest.mark.parametrize("first", [0, 1, 4])
@pytest.mark.parametrize("chunk", [1, 4, 16])
def test_the_extra_query_reads_every_so_many_frames(first, chunk):
    given = tensors()
    _, every, _ = by_chunks(given)
    _, some, _ = by_chunks(given, chunk, first=first, period=5)
    torch.testing.assert_close(some, every[:, first::5])


@pytest.mark.parametrize("cuts", [[1] * FRAMES, [5, 0, 17, 1], [22, 1]])
def test_the_context_goes_on_from_block_to_block(cuts):
    *frames, prompt_key, prompt_value, extra = given = tensors()
    context = start_context(prompt_key, prompt_value)
    results = []
    for block in zip(*(x.split(cuts, 1) for x in frames), strict=True):
        *outputs, context = attend_so_far(*block, context, extra)
        results.append(outputs)
    *whole, expected = by_chunks(given)
    for parts, each in zip(zip(*results, strict=True), whole, strict=True):
        torch.testing.assert_close(
            torch.cat(parts, 1), each, rtol=0, atol=1e-12
        )
    for name, each in expected.items():
        torch.testing.assert_close(context[name], each)


class LargestTensor(TorchDispatchMode):
    """The number of elements of the largest result, backward pass included."""

    largest = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for each in tree_leaves(result):
            if torch.is_tensor(each):
                self.largest = max(self.largest, each.numel())
        return result


def test_no_context_is_made_for_each_frame():
    n, keys, size = 512, 32, 64
    query, key = (torch.randn(1, n, keys, requires_grad=True) for _ in "qk")
    value = torch.randn(1, n, size, requires_grad=True)
    prompts = torch.randn(5, keys), torch.randn(5, size)
    with LargestTensor() as seen:
        frames, _, _ = attend_so_far(query, key, value, start_context(*prompts))
        frames.sum().backward()
    # All frames' features are the largest.
    assert seen.largest == n * size
    assert seen.largest < n * keys * size / 30
