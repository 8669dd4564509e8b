"""What this machine's processor can do, and how jobs share it."""

import torch


def has_fast_bf16():
    """Whether the processor has instructions for products of bfloat16.

    Returns
    -------
    bool
        Others can multiply bfloat16 too, but slower than float32.

    Example
    -------
    >>> has_fast_bf16() in (True, False)
    True
    """
    has = torch.cpu.get_capabilities()
    return bool(has.get("avx512_bf16") or has.get("amx_bf16"))


def threads_per_job(jobs):
    """Divides the CPU threads by ``jobs``; at least 1.

    By ``jobs``, not by the number of unfinished tasks, so that a resumed run
    has the same threads and the same results.
    """
    return max(1, torch.get_num_threads() // jobs)
