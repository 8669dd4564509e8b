"""Packages of the extras, imported when they are needed."""

from importlib import import_module

from speechbrain_ptssnn.errors import InputError


def extra_package(name, need, extra):
    """Imports a package that only an extra brings.

    Arguments
    ---------
    name : str
        The package.
    need : str
        What needs it, for the error.
    extra : str
        The extra's name in setup.cfg.

    Returns
    -------
    module

    Raises
    ------
    InputError
        If it is not installed; says how to.

    Example
    -------
    >>> extra_package("no_such", "this page needs no_such", "demo")
    Traceback (most recent call last):
    speechbrain_ptssnn.errors.InputError: this page needs no_such (...): \
pip install 'speechbrain-ptssnn[demo]'
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise InputError(
            f"{need} ({error}): pip install 'speechbrain-ptssnn[{extra}]'"
        ) from error
