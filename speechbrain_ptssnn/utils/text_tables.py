"""Tables for people, as text or as markdown."""

from itertools import zip_longest


def columns(rows):
    """Lays cells out: names to the left, values to the right.

    Arguments
    ---------
    rows : list of list of str
        The heads, then the rows; a row may end early.

    Returns
    -------
    list of str
        One line a row.

    Example
    -------
    >>> columns([["", "WA"], ["train", "97.50%"]])
    ['            WA', 'train   97.50%']
    """
    name_width, *widths = (
        max(map(len, column)) + 2 for column in zip_longest(*rows, fillvalue="")
    )
    return [
        name.ljust(name_width) + "".join(map(str.rjust, cells, widths))
        for name, *cells in rows
    ]


def markdown(rows):
    """Lays cells out as a markdown table.

    Arguments
    ---------
    rows : list of list of str
        The heads, then the rows.

    Returns
    -------
    list of str
        One line a row, and the line below the heads.

    Example
    -------
    >>> markdown([["head", "WA"], ["linear", "97.5%"]])
    ['| head | WA |', '|---|---:|', '| linear | 97.5% |']
    """
    heads, *others = (f"| {' | '.join(cells)} |" for cells in rows)
    return [heads, f"|---|{'---:|' * (len(rows[0]) - 1)}", *others]


def percent(share, sign=""):
    """A share as text.

    Arguments
    ---------
    share : float or None
        None where there is none.
    sign : str
        "+" shows the sign of what is not negative as well.

    Returns
    -------
    str

    Example
    -------
    >>> percent(0.5), percent(0.5, "+"), percent(None)
    ('50.00%', '+50.00%', '-')
    """
    return "-" if share is None else f"{share:{sign}.2%}"


def interval(bounds, sign=""):
    """A confidence interval as text.

    Arguments
    ---------
    bounds : list of float or None
        Low and high; None where there is none.
    sign : str
        As in :func:`percent`.

    Returns
    -------
    str

    Example
    -------
    >>> interval([0.25, 0.5]), interval(None)
    ('25.0 to 50.0%', '-')
    """
    if bounds is None:
        return "-"
    low, high = (f"{100 * bound:{sign}.1f}" for bound in bounds)
    return f"{low} to {high}%"
