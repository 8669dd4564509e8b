"""What every HTML page of this package shares: its template, look and pictures.

A page is one file that needs no network and no other file.
"""

import base64
from io import BytesIO

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from speechbrain_ptssnn.utils.text_tables import percent

REPORT = "speechbrain_ptssnn.report"


def render(template, package=REPORT, **values):
    """Fills a template that extends ``layout.html``.

    Arguments
    ---------
    template : str
        Its file name.
    package : str
        The package that it lies in. Those of this one are found too.
    **values
        What it shows.

    Returns
    -------
    str
        HTML.
    """
    environment = Environment(
        loader=ChoiceLoader(
            [PackageLoader(name, "") for name in (package, REPORT)]
        ),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters["percent"] = percent
    return environment.get_template(template).render(**values)


def picture(drawn):
    """Turns a figure into what the macro ``picture`` takes.

    Arguments
    ---------
    drawn : tuple
        A Matplotlib figure and its alternative text, of
        :mod:`~speechbrain_ptssnn.report.plots`.

    Returns
    -------
    dict
        ``src``, the figure as SVG in a data URI, and ``alt``.
    """
    figure, alt = drawn
    file = BytesIO()
    # The same run gives the same file, so without the date; and no addresses
    # of vocabularies.
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(file, format="svg", dpi=200, metadata=nothing)
    return {"src": data_uri("image/svg+xml", file.getvalue()), "alt": alt}


def data_uri(kind, content):
    """Returns bytes as an address that needs no network.

    Arguments
    ---------
    kind : str
        Their MIME type.
    content : bytes
        The content of a file.

    Returns
    -------
    str

    Example
    -------
    >>> data_uri("text/plain", b"hi")
    'data:text/plain;base64,aGk='
    """
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
