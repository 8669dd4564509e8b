"""The exception for errors that a user can correct."""


class InputError(ValueError):
    """A wrong file, setting or shape. The message names it and says what to
    do. Commands print it as one line, without a traceback.

    Example
    -------
    >>> raise InputError("happy.wav: 0 samples; replace or remove the file")
    Traceback (most recent call last):
    speechbrain_ptssnn.errors.InputError: happy.wav: 0 samples; replace or ...
    """


# What objects of other libraries raise when they refuse their settings.
REFUSALS = (TypeError, ValueError, ArithmeticError, RuntimeError)
