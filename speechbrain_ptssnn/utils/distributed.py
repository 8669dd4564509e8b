"""Errors and work shared by the processes of one command."""

import gc
import os
import re
import sys
import threading
from contextlib import contextmanager

import torch
from speechbrain.utils.distributed import if_main_process, run_on_main

from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.utils.files import system_errors


@contextmanager
def one_sentence_errors():
    """Ends a command with one sentence instead of a traceback.

    That holds for an InputError, which the user can correct, for errors of the
    disk and of rights, and for Ctrl-C.
    Characters that the terminal cannot show are printed as escapes.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    threading.excepthook = _thread_failed
    try:
        with system_errors():
            yield
            sys.stdout.flush()
    except BrokenPipeError:  # such as | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except InputError as error:
        # A name in it may hold line breaks, or be an argument of any length.
        sentence = " ".join(f"error: {error}".splitlines())
        sentence = re.sub(r"(\S{400})\S{200,}(\S{400})", r"\1...\2", sentence)
        sys.exit(sentence if if_main_process() else 1)
    except KeyboardInterrupt:
        sys.exit("interrupted; the same command goes on from here")
    finally:
        _end_process_group()


def _end_process_group():
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
        # A Brain and its modules refer to each other, and so keep the group's
        # threads, which may abort a process that ends with them.
        gc.collect()


def _thread_failed(args):
    # TensorBoard's writer raises its error again in the main thread.
    if not type(args.thread).__module__.startswith("tensorboard."):
        threading.__excepthook__(args)


def on_main(function, arguments):
    """Calls a function in the main process; every process gets the result.

    Arguments
    ---------
    function : callable
        What is called.
    arguments : list
        Its arguments.

    Returns
    -------
    object
        The function's result.

    Raises
    ------
    InputError
        In every process, if the function raised it in the main process.
    """

    def attempt():
        try:
            return function(*arguments)
        except InputError as error:
            return error

    result = run_on_main(attempt)
    if isinstance(result, InputError):
        raise result
    return result
