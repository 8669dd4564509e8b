"""Jobs that share the processor."""

import torch

from speechbrain_ptssnn.utils.processor import threads_per_job


def test_threads_are_shared_out(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 5)
    assert [threads_per_job(n) for n in (1, 2, 5, 9)] == [5, 2, 1, 1]
