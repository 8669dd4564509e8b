"""The nearest right name, for errors about a misspelt one."""

from difflib import get_close_matches


def suggestion(name, known):
    """Says which known name was likely meant.

    Arguments
    ---------
    name : str
        What was given.
    known : iterable of str
        The names that there are.

    Returns
    -------
    str
        To be put behind the name; "" where no name is near.

    Example
    -------
    >>> suggestion("EMVO", ["URDU", "EMOVO"]), suggestion("x", ["URDU"])
    (" (did you mean 'EMOVO'?)", '')
    """
    by_lower_case = {each.lower(): each for each in known}
    near = get_close_matches(str(name).lower(), by_lower_case, n=1)
    return f" (did you mean {by_lower_case[near[0]]!r}?)" if near else ""
