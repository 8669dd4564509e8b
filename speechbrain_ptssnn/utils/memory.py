"""The process's memory."""

import ctypes
import os

# malloc.h
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4


def keep_freed_memory():
    """Lets glibc keep what is freed for what is allocated next.

    It gives large blocks back to the system at once, so that every training
    step faults all its pages in again: 17,000 faults and a tenth of the
    step's time on two cores (benchmarks/train_step.py). The process's peak
    stays as it is, and is kept until its end. Other systems' memory is left
    as it is.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # not glibc
        return
    mallopt(M_MMAP_MAX, 0)
    mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def bound_kernel_cache():
    """Lets oneDNN keep the kernels of the last few shapes only.

    It keeps 1,024 with their working memory, several for every length of
    audio: after forty utterances through a WavLM of base size the process
    holds 1.94 GB, with 128 of them 1.69 GB.
    A training step of the head uses some fifty. Works before the first
    product only.
    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "128")
