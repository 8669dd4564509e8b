"""Processes that do their work, die, or lose their parent."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.utils.label_map import check_label_map
from speechbrain_ptssnn.utils.processes import Died, map_in_processes

# What a process evaluates: the functions of a test cannot be imported there.
SQUARE = """lambda k: (
    __import__("os").kill(__import__("os").getpid(), 9) if k == 3
    else __import__("os")._exit(7) if k == 4
    else (k * k, __import__("os").getpid())
)"""
ENDLESS = """
from functools import partial
from speechbrain_ptssnn.utils.processes import map_in_processes
CODE = "lambda k: __import__('time').sleep(k) or __import__('os').getpid()"
if __name__ == "__main__":
    for _, pid in map_in_processes(partial(eval, CODE), [0, 0, 600, 600], 2):
        print(pid, flush=True)
"""


def test_a_dead_process_costs_its_item_only():
    found = dict(map_in_processes(partial(eval, SQUARE), [3, 1, 4, 2], 2))
    assert (found.pop(3), found.pop(4)) == (Died(-signal.SIGKILL), Died(7))
    assert {k: square for k, (square, _) in found.items()} == {1: 1, 2: 4}
    pids = {pid for _, pid in found.values()}
    assert os.getpid() not in pids
    assert not any(map(_is_alive, pids))
    assert str(Died(-9)).startswith("was killed (signal 9), perhaps for lack")
    assert str(Died(7)) == "ended with status 7"


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (partial(check_label_map, {}, ["calm"], "it"), r"lacks \['calm'\]"),
        (partial(os._exit, 3), "a process ended with status 3 while it"),
    ],
)
def test_a_process_that_cannot_begin_ends_the_work(prepare, message):
    with pytest.raises(InputError, match=message):
        list(map_in_processes(prepare, [1, 2], 1))


def test_nothing_to_do_starts_no_process():
    assert list(map_in_processes(None, [], 2)) == []


def test_processes_end_with_a_killed_parent(tmp_path):
    script = tmp_path / "endless.py"
    script.write_text(ENDLESS)
    with subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, text=True
    ) as parent:
        pids = {int(parent.stdout.readline()) for _ in range(2)}
        parent.kill()
    for _ in range(1000):
        if not any(map(_is_alive, pids)):
            return
        time.sleep(0.01)
    pytest.fail("a process lives on without its parent")


def _is_alive(pid):
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"
