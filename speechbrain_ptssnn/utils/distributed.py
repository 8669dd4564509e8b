"""Errors and work that the processes of one command share."""

import os
import sys
from contextlib import contextmanager

import torch
from speechbrain.utils.distributed import if_main_process, run_on_main

from speechbrain_ptssnn.errors import InputError


@contextmanager
def one_sentence_errors():
    """Goes around a whole command: what the user can mend ends in a sentence
    instead of a traceback. Characters that the terminal does not have are
    printed as escapes.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:  # such as | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except InputError as error:
        sys.exit(f"error: {error}" if if_main_process() else 1)
    except KeyboardInterrupt:
        sys.exit("interrupted; the same command goes on from here")
    finally:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()


def on_main(function, arguments):
    """``run_on_main``, but every process learns of an InputError."""

    def attempt():
        try:
            return function(*arguments)
        except InputError as error:
            return error

    result = run_on_main(attempt)
    if isinstance(result, InputError):
        raise result
    return result
