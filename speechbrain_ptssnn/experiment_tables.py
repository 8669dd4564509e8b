"""What the rows of a set gave, side by side."""

from speechbrain_ptssnn.compare import compare_answers
from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.scores import read_seeds, scores_of
from speechbrain_ptssnn.tables import columns, interval, markdown, percent

PLACE = ("corpus", "protocol", "backbone")
FIGURES = [
    "model",
    *("WA", "95 % interval", "UA", "95 % interval"),
    "paper, IEMOCAP",
    *("parameters", "mJ", "seeds", "epochs", "folds"),
]
DIFFERENCES = [
    "model",
    *("WA", "95 % interval", "p", "UA", "95 % interval", "p", "folds"),
]


def collect(experiments, folders):
    """Reads the figures of all rows.

    Arguments
    ---------
    experiments : ExperimentSet
        The set.
    folders : dict
        Name of a row to its model's folder.

    Returns
    -------
    dict
        "title", "reference", the "corpus", "protocol" and "backbone" that the
        folders name, and "rows": each with "name", "folder", "head",
        "overrides", "paper" (percent, as quoted), "figures" (of
        :func:`~speechbrain_ptssnn.scores.scores_of`; None before a fold is
        done) and "difference" to the reference, as
        :func:`~speechbrain_ptssnn.compare.compare_answers` gives it, with the
        "folds" that both have done; None where there are none. "why_not" says
        what can not be read or compared.
    """
    rows, seeds = [], {}
    for row in experiments.rows:
        rows.append(
            {
                "name": row.name,
                "folder": str(folders[row.name]),
                "head": row.head.name,
                "overrides": row.overrides,
                "paper": row.paper,
                "figures": None,
                "difference": None,
                "why_not": None,
            }
        )
        try:
            seeds[row.name] = read_seeds(folders[row.name])
            if seeds[row.name]:
                rows[-1]["figures"] = scores_of(seeds[row.name])
        except InputError as error:
            rows[-1]["why_not"] = str(error)
            seeds[row.name] = None
    reference = seeds[experiments.reference]
    for row in rows:
        own = seeds[row["name"]]
        if own and reference and own is not reference:
            try:
                row["difference"] = _difference(own, reference)
            except InputError as error:
                row["why_not"] = str(error)
    places = next(iter(folders.values())).parts[-4:-1]
    return {
        "title": experiments.title,
        "reference": experiments.reference,
        **dict(zip(PLACE, places, strict=True)),
        "rows": rows,
    }


def _difference(own, reference):
    both = sorted({*own.done} & {*reference.done})
    if not both:
        return None
    compared = compare_answers(own.answers(both), reference.answers(both))
    return {"folds": both, **compared["difference"]}


def table(outcome, as_markdown=False):
    """The rows for people.

    Arguments
    ---------
    outcome : dict
        Of :func:`collect`.
    as_markdown : bool
        Whether it is markdown; text otherwise.

    Returns
    -------
    str
    """
    lay_out = markdown if as_markdown else columns
    rows = outcome["rows"]
    parts = [
        [
            f"{outcome['title']}: {outcome['corpus']}, {outcome['protocol']} "
            f"folds, {outcome['backbone']}"
        ],
        lay_out([FIGURES, *map(_figure_cells, rows)]),
        [f"Row minus {outcome['reference']}:"],
        lay_out([DIFFERENCES, *map(_difference_cells, rows)]),
        _notes(rows),
    ]
    return "\n\n".join("\n".join(lines) for lines in parts if lines)


def _figure_cells(row):
    quoted = [f"{value:.2f}" for value in row["paper"].values()]
    paper = f"{' / '.join(quoted)}%" if quoted else "-"
    figures = row["figures"]
    if not figures:
        return [row["name"], *"----", paper, *"-----"]
    bounds = figures["interval_95"] or {}
    energy = figures["energy"]
    return [
        row["name"],
        *(
            cell
            for key in ("WA", "UA")
            for cell in (percent(figures[key]), interval(bounds.get(key)))
        ),
        paper,
        f"{figures['trainable_params']:,}",
        f"{energy['mJ']:.3f}" if energy else "-",
        ", ".join(figures["seeds"]),
        str(figures["epochs"]),
        f"{len(figures['folds_done'])} of {figures['folds']}",
    ]


def _difference_cells(row):
    cells = [row["name"]]
    for key in ("WA", "UA"):
        each = (row["difference"] or {}).get(key)
        if each:
            bounds = interval(each["interval_95"], "+")
            cells += [percent(each["value"], "+"), bounds, f"{each['p']:.4f}"]
        else:
            cells += "---"
    done = row["difference"] and len(row["difference"]["folds"])
    return [*cells, str(done or "-")]


def _notes(rows):
    notes = [
        "WA, UA: means over the seeds, of all test utterances of the folds "
        "that all of them have done.",
        "Intervals: 95 %, bootstrap over speakers; p: paired permutation test "
        "over them.",
        "Paper: WA / UA on IEMOCAP, quoted.",
    ]
    frames = {
        row["figures"]["energy"]["frames"]
        for row in rows
        if row["figures"] and row["figures"]["energy"]
    }
    if frames:
        lengths = " or ".join(map(str, sorted(frames)))
        notes.append(f"mJ: strict count, an utterance of {lengths} frames.")
    notes += [f"{r['name']}: {r['why_not']}" for r in rows if r["why_not"]]
    return notes
