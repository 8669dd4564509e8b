"""The one exception for what a user can mend: data, settings, file names."""


class InputError(ValueError):
    """Bad input: the message names the file, key or shape at fault and says
    what to do. ``recipe.main`` prints it as one line, without a traceback.

    Example
    -------
    >>> raise InputError("happy.wav: 0 samples; replace or remove the file")
    Traceback (most recent call last):
    speechbrain_ptssnn.errors.InputError: happy.wav: 0 samples; replace or ...
    """
