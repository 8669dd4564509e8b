"""Work shared out to processes, of which any may die."""

import os
import signal
import threading
from collections import deque
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait

from speechbrain_ptssnn.errors import InputError

PREPARING = object()  # what a process has before its first item


@dataclass(frozen=True)
class Died:
    """The outcome of an item whose process ended.

    Arguments
    ---------
    status : int
        The exit status; negative: the signal that ended it.
    """

    status: int

    def __str__(self):
        if self.status < 0:
            return (
                f"was killed (signal {-self.status}), perhaps for lack of "
                "memory"
            )
        return f"ended with status {self.status}"


def map_in_processes(prepare, items, jobs):
    """Calls a function for each item, in processes of their own.

    Each process has one item at a time, so it is known which item a dead one
    had; another process takes its place. The processes end with this one,
    even if it is killed. Ctrl-C reaches this one only.

    Arguments
    ---------
    prepare : callable
        Called once in each process; returns the function. It must be
        picklable, such as a ``functools.partial`` of a module's function.
    items : iterable
        What the function is called with.
    jobs : int
        Number of processes; no more than there are items are started.

    Yields
    ------
    tuple
        (item, what the function returned or :class:`Died`), as they come.

    Raises
    ------
    InputError
        If ``prepare`` raised one, or a process died in it.
    """
    queue, busy = deque(items), {}
    try:
        while queue or busy:
            idle = sum(item is PREPARING for _, item in busy.values())
            while len(busy) < jobs and idle < len(queue):
                process, connection = _start(prepare)
                busy[connection] = process, PREPARING
                idle += 1
            for connection in wait(list(busy)):
                process, item = busy[connection]
                try:
                    outcome = connection.recv()
                except (EOFError, OSError):
                    process.join()
                    del busy[connection]
                    connection.close()
                    outcome = Died(process.exitcode)
                else:
                    _send_next(queue, busy, connection)
                if isinstance(outcome, InputError):
                    raise outcome
                if item is not PREPARING:
                    yield item, outcome
                elif isinstance(outcome, Died):
                    raise InputError(
                        f"a process {outcome} while it prepared its work; "
                        "take fewer --jobs"
                    )
    finally:
        for process, _ in busy.values():
            process.kill()
            process.join()


def _start(prepare):
    # A forked process would hang in torch, whose threads are not copied.
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs, prepare), daemon=True)
    with _without_interrupts():
        process.start()
    theirs.close()
    return process, ours


def _send_next(queue, busy, connection):
    """Sends a process its next item, or lets it end."""
    process, _ = busy[connection]
    if not queue:
        del busy[connection]
        connection.close()
        process.join()
        return
    busy[connection] = process, queue.popleft()
    with suppress(BrokenPipeError):  # it died since; its end is read next
        connection.send(busy[connection][1])


@contextmanager
def _without_interrupts():
    """A process that is started in this context ignores Ctrl-C."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _work(connection, prepare):
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        function = prepare()
    except InputError as error:
        connection.send(error)
        return
    connection.send(None)  # ready
    with suppress(EOFError, ConnectionError):
        while True:
            connection.send(function(connection.recv()))


def _end_with_parent():
    parent_process().join()
    os._exit(1)
