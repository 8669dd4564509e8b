"""A command line's ``--key=value``, before SpeechBrain reads them."""

from speechbrain_ptssnn.errors import InputError


def check_arguments(argv):
    """Refuses what SpeechBrain would glue to the value before.

    Arguments
    ---------
    argv : list of str
        A YAML file, then ``--key=value`` or ``--key value``.

    Raises
    ------
    InputError
        If an argument stands alone, is given twice or holds a second "=".
    """
    seen = set()
    takes_value = False
    for argument in argv[1:]:
        key, is_pair, value = argument.partition("=")
        if not key.startswith("--"):
            if not takes_value:
                raise InputError(
                    f"unexpected argument {argument!r}; write --key=value"
                )
            takes_value = False
            continue
        if key in seen:
            raise InputError(f"{key} is given twice")
        if "=" in value:
            raise InputError(f"{argument}: a value cannot hold '='")
        seen.add(key)
        takes_value = not is_pair


def value_of(argv, key):
    """What a key is set to.

    Arguments
    ---------
    argv : list of str
        The command line.
    key : str
        Without its dashes.

    Returns
    -------
    str or None
        None if the key is not there.

    Example
    -------
    >>> value_of(["file.yaml", "--seed", "1", "--fold=2"], "seed")
    '1'
    """
    for argument, following in zip(argv, [*argv[1:], ""], strict=True):
        name, is_pair, value = argument.partition("=")
        if name == f"--{key}":
            return value if is_pair else following
    return None


def with_values(argv, **values):
    """The command line with keys set to other values.

    Arguments
    ---------
    argv : list of str
        The command line; stays as it is.
    **values
        Key to value.

    Returns
    -------
    list of str

    Example
    -------
    >>> with_values(["file.yaml", "--seed", "1,2", "--debug"], seed=2, fold=1)
    ['file.yaml', '--debug', '--seed=2', '--fold=1']
    """
    kept, is_value = [], False
    for argument in argv:
        key, is_pair, _ = argument.partition("=")
        if is_value:
            is_value = False
        elif key.startswith("--") and key[2:] in values:
            is_value = not is_pair
        else:
            kept.append(argument)
    return kept + [f"--{key}={value}" for key, value in values.items()]


def several_seeds(argv):
    """The seeds of ``--seed=1,2,3``.

    Arguments
    ---------
    argv : list of str
        The command line.

    Returns
    -------
    tuple of int
        Empty where there is no comma.

    Raises
    ------
    InputError
        If one is no whole number or stands there twice.

    Example
    -------
    >>> several_seeds(["file.yaml", "--seed=1,2,3"])
    (1, 2, 3)
    """
    text = value_of(argv, "seed") or ""
    if "," not in text:
        return ()
    try:
        seeds = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise InputError(
            f"seed must be a whole number, or several like 1,2,3, got {text!r}"
        ) from None
    if len(set(seeds)) < len(seeds):
        raise InputError(f"seed={text} names one twice")
    return seeds
