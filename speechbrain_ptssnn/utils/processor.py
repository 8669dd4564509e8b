"""What this machine's processor can do."""

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
