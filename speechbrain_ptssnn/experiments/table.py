"""What the rows of a set gave, side by side."""

from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.evaluation.compare import compare_answers
from speechbrain_ptssnn.evaluation.scores import read_seeds, scores_of
from speechbrain_ptssnn.utils.text_tables import (
    columns,
    interval,
    markdown,
    percent,
)

PLACE = ("corpus", "protocol", "backbone")
FIGURES = [
    "model",
    *("WA", "95 % interval", "UA", "95 % interval"),
    "paper, IEMOCAP",
    *("parameters", "mJ", "ms", "lr", "seeds", "epochs", "folds"),
]
DIFFERENCES = [
    "model",
    *("WA", "95 % interval", "p", "UA", "95 % interval", "p", "folds"),
]
# Of any table.
NOTES = (
    "WA, UA: means over the seeds (± standard deviation, n - 1), of all test",
    "utterances of the folds that all of them have done. Intervals: 95 %,",
    "bootstrap over speakers; p: paired permutation test over them. Paper: WA",
    "and UA on IEMOCAP, quoted. Of several learning rates the one with the",
    "best validation is shown.",
)


def collect(experiments, folders):
    """Reads the figures of all rows.

    Arguments
    ---------
    experiments : ExperimentSet
        The set.
    folders : dict
        Name of a row to its models' folders, one a learning rate. Of several,
        the one with the most folds and seeds done counts, then the one with
        the best validation. No fold's own test has a say; but what one fold
        validates on others test, for all rows alike.

    Returns
    -------
    dict
        "set", "title", "reference", the "corpus", "protocol" and "backbone"
        that the folders name, and "rows": each with "name", "folder", "head",
        "overrides", "paper" (percent, as quoted), "rates" (of all its models
        that have a fold done: "lr", "valid_UA", "runs": how many folds of all
        seeds), "figures" (of
        :func:`~speechbrain_ptssnn.evaluation.scores.scores_of`; None before a
        fold is done) and "difference" to the reference, as
        :func:`~speechbrain_ptssnn.evaluation.compare.compare_answers` gives
        it, with the "folds" that both have done; None where there are none.
        "why_not" says what cannot be read or compared.
    """
    rows, shown = [], {}
    for row in experiments.rows:
        tried, why_not = _read_all(folders[row.name])
        best = max(tried, key=lambda each: _merit(tried[each]), default=None)
        shown[row.name], figures = tried.get(best), None
        if best:
            try:
                figures = scores_of(tried[best])
            except InputError as error:
                why_not = str(error)
        rates = [
            {
                "lr": each.hyperparams["lr"],
                "valid_UA": each.valid_UA,
                "runs": len(each.folders) * len(each.done),
            }
            for each in tried.values()
        ]
        rows.append(
            {
                "name": row.name,
                "folder": str(best or folders[row.name][0]),
                "head": row.head.name,
                "overrides": row.overrides,
                "paper": row.paper,
                "rates": rates,
                "figures": figures,
                "difference": None,
                "why_not": why_not,
            }
        )
    reference = shown[experiments.reference]
    for row in rows:
        own = shown[row["name"]]
        if own and reference and own is not reference:
            try:
                row["difference"] = _difference(own, reference)
            except InputError as error:
                row["why_not"] = str(error)
    places = next(iter(folders.values()))[0].parts[-4:-1]
    return {
        "set": experiments.name,
        "title": experiments.title,
        "reference": experiments.reference,
        **dict(zip(PLACE, places, strict=True)),
        "rows": rows,
    }


def _read_all(folders):
    """The seeds of each folder that has some; why others cannot be read."""
    tried, why_not = {}, None
    for folder in folders:
        try:
            seeds = read_seeds(folder)
        except InputError as error:
            why_not = str(error)
            continue
        if seeds:
            tried[folder] = seeds
    return tried, why_not


def _merit(seeds):
    return len(seeds.folders) * len(seeds.done), seeds.valid_UA


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
    lines = [title(outcome), "", *body(outcome, as_markdown), "", *NOTES]
    return "\n".join(lines)


def title(outcome):
    """What a table shows, in a line."""
    return (
        f"{outcome['title']}: {outcome['corpus']}, {outcome['protocol']} "
        f"folds, {outcome['backbone']}"
    )


def body(outcome, as_markdown):
    """The lines of a table between its title and :data:`NOTES`.

    Arguments
    ---------
    outcome : dict
        Of :func:`collect`.
    as_markdown : bool
        Whether it is markdown; text otherwise.

    Returns
    -------
    list of str
    """
    lay_out = markdown if as_markdown else columns
    rows = outcome["rows"]
    return [
        *lay_out([FIGURES, *map(_figure_cells, rows)]),
        "",
        f"Row minus {outcome['reference']}:",
        "",
        *lay_out([DIFFERENCES, *map(_difference_cells, rows)]),
        "",
        *_remarks(outcome),
    ]


def _devices(rows):
    """Where the rows were trained; records of before it was noted are mute."""
    where = {}
    for row in rows:
        if row["figures"]:
            devices = " and ".join(row["figures"].get("devices", []))
            where.setdefault(devices, []).append(row["name"])
    return [
        f"Trained on {devices}"
        + (f": {', '.join(names)}." if len(where) > 1 else ".")
        for devices, names in where.items()
        if devices
    ]


def _figure_cells(row):
    paper = _quoted(row["paper"])
    figures = row["figures"]
    if not figures:
        return [row["name"], *"----", paper, *"-------"]
    bounds = figures["interval_95"] or {}
    energy, latency = figures["energy"], figures["latency"]
    return [
        row["name"],
        *(
            cell
            for key in ("WA", "UA")
            for cell in (_score(figures, key), interval(bounds.get(key)))
        ),
        paper,
        f"{figures['trainable_params']:,}",
        f"{energy['mJ']:.3f}" if energy else "-",
        f"{latency['ms']:.2f}" if latency else "-",
        figures["lr"],
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


def _quoted(paper):
    scores = [f"{paper[key]:.2f}" for key in ("WA", "UA") if key in paper]
    cells = [f"{' / '.join(scores)}%"] if scores else []
    if "mJ" in paper:
        cells.append(f"{paper['mJ']:.2f} mJ")
    return ", ".join(cells) or "-"


def _score(figures, key):
    std = figures[f"{key}_std"]
    spread = "" if std is None else f" ± {100 * std:.1f}"
    return f"{percent(figures[key])}{spread}"


def _remarks(outcome):
    """What is to be said of this table and of no other."""
    rows, remarks = outcome["rows"], []
    shown = [row["figures"] for row in rows if row["figures"]]
    if shown:
        widest = max(shown, key=lambda figures: len(figures["folds_done"]))
        majority, oracle = (
            percent(widest[key]["WA"]) for key in ("majority", "speaker_oracle")
        )
        n = widest["n_speakers"]
        remarks.append(
            f"WA without hearing any emotion: majority {majority}, speaker "
            f"oracle {oracle}."
        )
        remarks.append(
            f"{n} speakers: no p below {2 / 2**n:.2g}; not corrected for the "
            "number of rows."
        )
    if not all(figures["is_complete"] for figures in shown):
        remarks.append("Of a part of the corpus (complete: False).")
    if len({len(figures["seeds"]) for figures in shown}) > 1:
        remarks.append("Not all rows have as many seeds.")
    remarks += [
        f"{row['name']}: seeds left out, with fewer folds done: "
        f"{', '.join(map(str, row['figures']['left_out']))}."
        for row in rows
        if row["figures"] and row["figures"].get("left_out")
    ]
    remarks += [*_devices(rows), *cost_remarks(shown)]
    for row in rows:
        if len(row["rates"]) > 1:
            tried = (
                f"{each['lr']} ({percent(each['valid_UA'])})"
                for each in row["rates"]
            )
            remarks.append(f"{row['name']}, lr (valid UA): {', '.join(tried)}.")
    remarks += [f"{r['name']}: {r['why_not']}" for r in rows if r["why_not"]]
    return [f"- {remark}" for remark in remarks]


def cost_remarks(shown):
    """What the columns of energy and time are about.

    Arguments
    ---------
    shown : list of dict
        Figures, of :func:`~speechbrain_ptssnn.evaluation.scores.scores_of`.

    Returns
    -------
    list of str
        A sentence for each column that has something.
    """
    remarks = []
    energies = [each["energy"] for each in shown if each["energy"]]
    if energies:
        sizes = {(e["frames"], e["channels"]) for e in energies}
        lengths = " or ".join(f"{t} frames of {c}" for t, c in sorted(sizes))
        remarks.append(f"mJ: strict count, an utterance of {lengths} channels.")
    latencies = [each["latency"] for each in shown if each["latency"]]
    if latencies:
        sizes = {(e["frames"], e["threads"], e["processor"]) for e in latencies}
        ways = " or ".join(
            f"{t} frames, {n} CPU thread{'s'[: n > 1]} of {cpu}"
            for t, n, cpu in sorted(sizes)
        )
        remarks.append(f"ms: median of one utterance of {ways}.")
    return remarks
