"""Errors and work that the processes of one command share."""

import sys
from contextlib import contextmanager

import torch
from speechbrain.utils.distributed import if_main_process, run_on_main

from speechbrain_ptssnn.errors import InputError


@contextmanager
def one_sentence_errors():
    """Around a whole command: what the user can mend is no traceback."""
    try:
        yield
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
