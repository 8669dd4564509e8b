"""The end of a command that several processes share."""

import sys
from pathlib import Path

import pytest
import torch
import torch.distributed.nn  # else DDP does, and its defaults keep the group

from speechbrain_ptssnn.utils.distributed import one_sentence_errors


def gloo_threads():
    names = Path("/proc/self/task").glob("*/comm")
    return [n for n in names if n.read_text().startswith("pt_gloo")]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_no_thread_of_the_process_group_outlives_the_command(tmp_path):
    with one_sentence_errors():
        torch.distributed.init_process_group(
            "gloo", f"file://{tmp_path / 'group'}", rank=0, world_size=1
        )
        brain = {}  # holds itself, as a Brain does
        brain["modules"] = torch.nn.parallel.DistributedDataParallel(
            torch.nn.Linear(2, 2)
        )
        brain["brain"] = brain
        assert gloo_threads()
        del brain
    assert not gloo_threads()
