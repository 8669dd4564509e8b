"""Parallel folds and seeds: processes of their own, here or on a Ray cluster.

A task is the training's command for one seed and one fold. A launcher only
decides where the task runs.
"""

import math
import os
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from tqdm import tqdm

from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.evaluation.run_folder import FoldFolder
from speechbrain_ptssnn.utils.extras import extra_package
from speechbrain_ptssnn.utils.files import read_json
from speechbrain_ptssnn.utils.processor import threads_per_job

# This environment variable marks the process of a task.
MARK = "SPEECHBRAIN_PTSSNN_TASK"
LAUNCHERS = ("local", "ray")


@dataclass(frozen=True)
class Task:
    """One fold of one seed.

    Arguments
    ---------
    seed : int
        The seed.
    fold : int
        The fold's number.
    files : FoldFolder
        The fold's files; an absolute path.
    command : tuple of str
        Python's arguments: what it runs, and the arguments of that.
    working_folder : str
        Relative paths in ``command`` start here.
    threads : int
        CPU threads of the process.
    """

    seed: int
    fold: int
    files: FoldFolder
    command: tuple
    working_folder: str
    threads: int


def is_task():
    """Whether this process runs a task."""
    return MARK in os.environ


def end_with_parent():
    """Ends this task when the process that started it ends.

    Otherwise the task of a killed parent or Ray worker would go on, and its
    lock would keep the next task out of the fold's folder.
    """

    def watch():
        os.read(sys.stdin.fileno(), 1)  # returns when the pipe is closed
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def run_task(task, stdin=subprocess.PIPE):
    """Runs a task to its end.

    Arguments
    ---------
    task : Task
        The fold to train.
    stdin : int
        A pipe; closing it ends the task. By default a new one, which this
        process closes at its end.

    Returns
    -------
    int
        The exit status.

    Raises
    ------
    ChildProcessError
        If the process was killed by a signal.
    """
    task.files.path.mkdir(parents=True, exist_ok=True)
    with (
        open(task.files.log, "ab") as log,
        subprocess.Popen(
            [sys.executable, *task.command],
            cwd=task.working_folder,
            env={
                **os.environ,
                MARK: "1",
                "OMP_NUM_THREADS": str(task.threads),
            },
            stdin=stdin,
            stdout=log,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        status = process.wait()
    if status < 0:
        raise ChildProcessError(f"it was killed by signal {-status}")
    return status


def run_tasks(tasks, launcher, show=True):
    """Runs all tasks; the launcher limits how many run at once.

    Arguments
    ---------
    tasks : list of Task
        The folds to train.
    launcher : context manager
        :func:`local_launcher` or :func:`ray_launcher`; gives a function from
        a task to its ``Future``, and ends unfinished tasks when it is left.
    show : bool
        Whether there is a progress bar.

    Returns
    -------
    int
        The number of failed tasks; each is reported in a line.
    """
    failed = 0
    with (
        launcher as submit,
        tqdm(total=len(tasks), unit="fold", disable=not show) as bar,
    ):
        futures = {submit(task): task for task in tasks}
        for future in as_completed(futures):
            task = futures[future]
            name = f"seed {task.seed}, fold {task.fold}"
            reason = _failure(future, task)
            if reason:
                failed += 1
                bar.write(f"{name} failed: {reason}; see {task.files.log}")
            else:
                result = read_json(task.files.result)
                bar.set_postfix_str(f"{name}: WA {result['WA']:.1%}")
            bar.update()
    return failed


def _failure(future, task):
    """The last line of a failed task's log; None if the task succeeded."""
    if future.exception():
        return str(future.exception()).strip().splitlines()[-1]
    if future.result():
        said = task.files.log.read_text(encoding="utf-8", errors="replace")
        return (said.strip().splitlines() or ["it said nothing"])[-1]
    return None


@contextmanager
def local_launcher(jobs):
    """Runs tasks on this machine.

    Arguments
    ---------
    jobs : int
        Number of tasks at once.
    """
    reader, writer = os.pipe()
    pool = ThreadPoolExecutor(jobs)
    try:
        yield partial(pool.submit, run_task, stdin=reader)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        os.close(writer)  # ends the tasks that still run
        pool.shutdown()
        os.close(reader)


@contextmanager
def ray_launcher(jobs, address, n_gpus):
    """Runs tasks on a Ray cluster, which restarts a task that it loses.

    Arguments
    ---------
    jobs : int
        Number of tasks at once on this machine. On a cluster, each task asks
        for the share of CPUs and GPUs that it would get here.
    address : str
        Address of the cluster; empty starts one on this machine.
    n_gpus : int
        Number of this machine's GPUs to use.

    Raises
    ------
    InputError
        If Ray is not installed or the cluster cannot be reached.
    """
    ray = extra_package("ray", "launcher=ray needs the package ray", "ray")
    threads = threads_per_job(jobs)
    if address:
        _check_address(address)
        try:
            ray.init(address, log_to_driver=False)
        except ConnectionError as error:
            raise InputError(
                f"ray_address={address}: {error}; Ray says above why"
            ) from error
    else:
        ray.init(
            "local",
            num_cpus=jobs * threads,
            include_dashboard=False,
            object_store_memory=80 * 2**20,  # the minimum; no data pass here
            log_to_driver=False,
        )
    remote = ray.remote(
        num_cpus=threads,
        num_gpus=1 / math.ceil(jobs / n_gpus) if n_gpus else 0,
        max_retries=3,
        retry_exceptions=[ChildProcessError],
    )(run_task)
    try:
        yield lambda task: remote.remote(task).future()
    finally:
        ray.shutdown()


def _check_address(address):
    """Fails at once where Ray would try for many minutes."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except (OSError, ValueError) as error:
        raise InputError(
            f"ray_address must be host:port of a running cluster, got "
            f"{address!r} ({error})"
        ) from error
