"""The process's memory."""

import ctypes

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
