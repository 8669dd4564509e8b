"""The launchers with tasks that need no training."""

import json
import time

import pytest

from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.evaluation.run_folder import FoldFolder
from speechbrain_ptssnn.training.launchers import (
    Task,
    local_launcher,
    ray_launcher,
    run_task,
    run_tasks,
)

DONE = """\
import json, os
print("threads", os.environ["OMP_NUM_THREADS"])
json.dump({"WA": 0.5}, open("result.json", "w"))
"""
FAILS = "import sys; print('first line'); sys.exit('the reason')"
KILLED = "import os; os.kill(os.getpid(), 9)"
ENDS_WITH_STDIN = """\
import os
open("begun", "w").close()
os.read(0, 1)
open("ended", "w").close()
"""


@pytest.fixture
def make_task(tmp_path):
    def make(fold, code, threads=1):
        folder = tmp_path / f"fold_{fold}"
        folder.mkdir()
        files = FoldFolder(folder)
        return Task(1, fold, files, ("-c", code), str(folder), threads)

    return make


def test_failures_are_told_in_a_line_each_and_stop_nothing(make_task, capsys):
    tasks = [
        make_task(1, FAILS),
        make_task(2, KILLED),
        make_task(3, DONE, threads=3),
        make_task(4, DONE),
    ]
    tasks[3].files.path.joinpath("log.txt").mkdir()  # cannot be written
    assert run_tasks(tasks, local_launcher(2), show=False) == 3
    said = sorted(capsys.readouterr().out.splitlines())
    log = tasks[0].files.log
    assert said[0] == f"seed 1, fold 1 failed: the reason; see {log}"
    assert "fold 2 failed: it was killed by signal 9; see" in said[1]
    assert "fold 4 failed: [Errno 21] Is a directory" in said[2]
    assert len(said) == 3
    assert log.read_text() == "first line\nthe reason\n"
    assert tasks[2].files.log.read_text() == "threads 3\n"
    assert json.loads((tasks[2].files.path / "result.json").read_text())


def test_leaving_a_launcher_ends_what_runs_and_starts_no_more(make_task):
    tasks = [make_task(1, ENDS_WITH_STDIN), make_task(2, ENDS_WITH_STDIN)]
    begun, ended = (tasks[0].files.path / name for name in ("begun", "ended"))
    with pytest.raises(KeyboardInterrupt), local_launcher(1) as submit:
        futures = [submit(task) for task in tasks]
        while not begun.exists():
            time.sleep(0.005)
        raise KeyboardInterrupt
    assert ended.exists()
    assert futures[1].cancelled()
    assert not (tasks[1].files.path / "begun").exists()


def test_a_task_runs_as_long_as_who_waits_for_it(make_task):
    assert run_task(make_task(1, DONE)) == 0
    with pytest.raises(ChildProcessError, match="signal 9"):
        run_task(make_task(2, KILLED))


@pytest.mark.parametrize("address", ["cluster", "localhost:1", "localhost:x"])
def test_a_cluster_that_is_not_there_is_named(address):
    pytest.importorskip("ray", reason="the extra [ray] is missing")
    with (
        pytest.raises(InputError, match=f"host:port.*got '{address}'"),
        ray_launcher(2, address, n_gpus=0),
    ):
        pass
