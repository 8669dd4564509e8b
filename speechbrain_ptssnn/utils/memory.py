"""Settings for the memory of this process."""

import ctypes
import os

# From malloc.h.
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4


def keep_freed_memory():
    """Lets glibc keep freed memory for later allocations.

    By default glibc returns large blocks to the system at once. Then every
    training step causes page faults for all its memory: 17,000 faults and a
    tenth of the step's time on two cores (benchmarks/train_step.py). With
    this setting the process keeps the memory of its peak, which is not
    higher, until it ends. Without glibc nothing is changed.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # not glibc
        return
    mallopt(M_MMAP_MAX, 0)
    mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def bound_kernel_cache():
    """Lets oneDNN keep only the last 128 kernels.

    By default it keeps 1,024 with their working memory, and every length of
    audio needs several. After forty utterances through a WavLM of base size
    the process takes 1.94 GB; with 128 kernels it takes 1.69 GB. A training
    step of the head uses about fifty. Call this before the first matrix
    product: later it has no effect.
    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "128")
