"""The allocator's setting."""

import ctypes

import torch

from speechbrain_ptssnn.utils import memory


def test_a_process_without_glibc_goes_on(monkeypatch):
    class Library:
        def __init__(self, name):
            pass

    monkeypatch.setattr(ctypes, "CDLL", Library)
    memory.keep_freed_memory()


def test_large_blocks_work_afterwards():
    memory.keep_freed_memory()
    x = torch.ones(2**24)
    assert x.sum().item() == 2**24
