"""Tables as text or as markdown, and the cells that they share.

A value that is None is shown as "-".
"""

from itertools import zip_longest


def columns(rows):
    """Aligns cells in columns: the first to the left, the others to the right.

    Arguments
    ---------
    rows : list of list of str
        The header, then the rows; a row may end early.

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
    """Writes cells as a markdown table.

    Arguments
    ---------
    rows : list of list of str
        The header, then the rows.

    Returns
    -------
    list of str
        One line a row, and the line below the header.

    Example
    -------
    >>> markdown([["head", "WA"], ["linear", "97.5%"]])
    ['| head | WA |', '|---|---:|', '| linear | 97.5% |']
    """
    header, *others = (f"| {' | '.join(cells)} |" for cells in rows)
    return [header, f"|---|{'---:|' * (len(rows[0]) - 1)}", *others]


def number(value, form):
    """A number as text.

    Arguments
    ---------
    value : float or None
        The number.
    form : str
        Python's format of it, like ".3f".

    Returns
    -------
    str

    Example
    -------
    >>> number(0.1236, ".3f"), number(None, ".3f")
    ('0.124', '-')
    """
    return "-" if value is None else format(value, form)


def percent(share, sign=""):
    """A share as text.

    Arguments
    ---------
    share : float or None
        In [0, 1], or a difference of shares.
    sign : str
        "+" shows the sign of positive values too.

    Returns
    -------
    str

    Example
    -------
    >>> percent(0.5), percent(0.5, "+"), percent(None)
    ('50.00%', '+50.00%', '-')
    """
    return number(share, f"{sign}.2%")


def percent_and_std(share, std):
    """A mean share and its standard deviation as text.

    Arguments
    ---------
    share : float
        In [0, 1].
    std : float or None
        None leaves it out.

    Returns
    -------
    str

    Example
    -------
    >>> percent_and_std(0.5, 0.0123), percent_and_std(0.5, None)
    ('50.00% ± 1.2', '50.00%')
    """
    return percent(share) + ("" if std is None else f" ± {100 * std:.1f}")


def interval(bounds, sign=""):
    """A confidence interval as text.

    Arguments
    ---------
    bounds : list of float or None
        Low and high, shares.
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


def difference_cells(value, bounds, p):
    """Three cells: a difference of shares, its interval and its p value.

    Arguments
    ---------
    value : float or None
        The difference.
    bounds : list of float or None
        Low and high.
    p : float or None
        In [0, 1].

    Returns
    -------
    list of str

    Example
    -------
    >>> difference_cells(0.1, [-0.05, 0.2], 0.125)
    ['+10.00%', '-5.0 to +20.0%', '0.1250']
    """
    return [percent(value, "+"), interval(bounds, "+"), number(p, ".4f")]


def part_of(done, total):
    """How many of all, as text.

    Example
    -------
    >>> part_of([1, 2], 10)
    '2 of 10'
    """
    return f"{len(done)} of {total}"
