"""Folds and seeds in processes of their own, here or on a Ray cluster.

A task is the recipe's command for one seed and one fold. A launcher decides
where it runs, and nothing else.
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
from pathlib import Path

import torch
from tqdm import tqdm

from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.utils.files import read_json

# In the environment of a task's process.
MARK = "SPEECHBRAIN_PTSSNN_TASK"
LAUNCHERS = ("local", "ray")


@dataclass(frozen=True)
class Task:
    """One seed's one fold.

    Arguments
    ---------
    seed : int
        The seed.
    fold : int
        The fold's number.
    folder : Path
        The fold's, absolute.
    command : tuple of str
        What Python is to run: the recipe's script and its arguments.
    working_folder : str
        Where; relative paths among the arguments start here.
    threads : int
        CPU threads of the process.
    """

    seed: int
    fold: int
    folder: Path
    command: tuple
    working_folder: str
    threads: int

    @property
    def log(self):
        """The file that holds all the task says."""
        return self.folder / "log.txt"


def is_task():
    """Whether this process is a task's."""
    return MARK in os.environ


def end_with_parent():
    """Ends this task when the process that started it ends or lets it go.

    Otherwise the task of a killed parent or Ray worker would go on, and keep
    the one that takes its place out of the fold's folder.
    """

    def watch():
        os.read(sys.stdin.fileno(), 1)  # nothing, when the other end is closed
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def run_task(task, stdin=subprocess.PIPE):
    """Runs a task to its end.

    Arguments
    ---------
    task : Task
        What to run.
    stdin : int
        A pipe that ends the task when it is closed; by default one of this
        process.

    Returns
    -------
    int
        The exit status.

    Raises
    ------
    ChildProcessError
        If the process was killed by a signal.
    """
    task.folder.mkdir(parents=True, exist_ok=True)
    with (
        open(task.log, "ab") as log,
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


def threads_per_job(jobs):
    """CPU threads of each of several processes; 1 at least.

    Not of those that are left to do: a resumed run has the same threads, and
    so the same results.
    """
    return max(1, torch.get_num_threads() // jobs)


def run_tasks(tasks, launcher, show=True):
    """Runs tasks, as many at once as the launcher likes.

    Arguments
    ---------
    tasks : list of Task
        What is to be done.
    launcher : context manager
        :func:`local_launcher` or :func:`ray_launcher`; gives a function from
        a task to its ``Future``. On leaving it, what still runs is ended.
    show : bool
        Whether there is a progress bar.

    Returns
    -------
    int
        How many failed; each is reported in a line.
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
                bar.write(f"{name} failed: {reason}; see {task.log}")
            else:
                result = read_json(task.folder / "result.json")
                bar.set_postfix_str(f"{name}: WA {result['WA']:.1%}")
            bar.update()
    return failed


def _failure(future, task):
    """The last line of what a failed task said, or None."""
    if future.exception():
        return str(future.exception()).strip().splitlines()[-1]
    if future.result():
        said = task.log.read_text(encoding="utf-8", errors="replace")
        return (said.strip().splitlines() or ["it said nothing"])[-1]
    return None


@contextmanager
def local_launcher(jobs):
    """Runs tasks on this machine.

    Arguments
    ---------
    jobs : int
        How many at once.
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
    """Runs tasks on a Ray cluster, which starts them again if it loses them.

    Arguments
    ---------
    jobs : int
        How many at once on this machine; on a cluster, the tasks ask for as
        many CPUs and as much of a GPU as they would get here.
    address : str
        The cluster's; empty starts one on this machine.
    n_gpus : int
        Those of this machine that are to be used.

    Raises
    ------
    InputError
        If Ray is not installed or the cluster cannot be reached.
    """
    try:
        import ray
    except ImportError as error:
        raise InputError(
            f"launcher=ray needs the package ray ({error}): "
            "pip install -e '.[ray]'"
        ) from error
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
            object_store_memory=80 * 2**20,  # the least; no data go through it
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
    """Ray itself would try for many minutes."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except (OSError, ValueError) as error:
        raise InputError(
            f"ray_address must be host:port of a running cluster, got "
            f"{address!r} ({error})"
        ) from error
