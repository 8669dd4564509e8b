"""The record of a set as text or as markdown."""

from speechbrain_ptssnn.evaluation.uncertainty import smallest_p
from speechbrain_ptssnn.utils.text_tables import (
    columns,
    difference_cells,
    interval,
    markdown,
    number,
    part_of,
    percent,
    percent_and_std,
)

# Columns that a table leaves out if no row has a value.
OPTIONAL = ("ECE", "paper", "head mJ", "front-end mJ", "total mJ", "ms")
VALUES = [
    "model",
    *("WA", "95 % interval", "UA", "95 % interval", "ECE"),
    "paper",
    *("parameters", "head mJ", "front-end mJ", "total mJ", "ms"),
    *("lr", "seeds", "epochs", "folds"),
]
DIFFERENCES = [
    "model",
    *("WA", "95 % interval", "p", "UA", "95 % interval", "p", "folds"),
]
# Of any table.
NOTES = (
    "WA: share of test utterances classified correctly; UA: mean recall of the",
    "classes. Both are means over seeds (± standard deviation, n - 1), of the",
    "folds that all seeds have done. Intervals: 95 %, bootstrap over speakers;",
    "p: paired permutation test over speakers. ECE: expected calibration error",
    "of the posteriors. Paper: WA / UA, parameters, energy, quoted. If several",
    "learning rates were tried, the one with the best validation is shown.",
)


def table(record, as_markdown=False):
    """A record for people.

    Arguments
    ---------
    record : Record
        Of :func:`speechbrain_ptssnn.experiments.record.collect`.
    as_markdown : bool
        Markdown; text otherwise.

    Returns
    -------
    str
    """
    lines = [title(record), "", *body(record, as_markdown), "", *NOTES]
    return "\n".join(lines)


def title(record):
    """One line that says what a table shows."""
    return (
        f"{record.title}: {record.corpus}, {record.protocol} folds, "
        f"{record.backbone}"
    )


def body(record, as_markdown):
    """The lines of a table between its title and :data:`NOTES`.

    Arguments
    ---------
    record : Record
        Of :func:`speechbrain_ptssnn.experiments.record.collect`.
    as_markdown : bool
        Markdown; text otherwise.

    Returns
    -------
    list of str
    """
    lay_out = markdown if as_markdown else columns
    return [
        *lay_out(_value_lines(record)),
        "",
        f"Row minus {record.reference} (common folds only):",
        "",
        *lay_out([DIFFERENCES, *map(_difference_cells, record.rows)]),
        "",
        *(f"- {remark}" for remark in _remarks(record)),
    ]


def _cost_cells(values):
    energy, latency = values.energy, values.latency
    spent = [None] * 3
    if energy:
        spent = [energy.mJ, energy.front_end_mJ, energy.total_mJ]
    return [
        f"{values.trainable_params:,}",
        *(number(mJ, ".3f") for mJ in spent),
        number(latency and latency.ms, ".2f"),
    ]


def _cost_remarks(shown):
    """Says what the columns of energy and time are about."""
    remarks = []
    energies = [values.energy for values in shown if values.energy]
    sizes = {(each.frames, each.channels) for each in energies}
    if sizes:
        lengths = " or ".join(
            f"{t} frame{'s'[: t > 1]} of {c}" for t, c in sorted(sizes)
        )
        remarks.append(f"mJ: strict count, an utterance of {lengths} channels.")
    known = {each.front_end_mJ is not None for each in energies}
    if True in known:
        remarks.append(
            "front-end mJ: all MACs of the frozen backbone, for the audio of "
            "that utterance."
        )
    if known == {True, False}:
        remarks.append("front-end mJ -: not counted for that row.")
    latencies = [values.latency for values in shown if values.latency]
    ways = {(each.frames, each.threads, each.processor) for each in latencies}
    if ways:
        names = " or ".join(
            f"{t} frames, {n} CPU thread{'s'[: n > 1]} of {cpu}"
            for t, n, cpu in sorted(ways)
        )
        remarks.append(f"ms: median of one utterance of {names}.")
    return remarks


def _quoted_corpus(record):
    """The corpus whose values are quoted from the paper: the record's own if
    the set has any of it, otherwise IEMOCAP.
    """
    of_its_own = any(record.corpus in row.paper for row in record.rows)
    return record.corpus if of_its_own else "IEMOCAP"


def _value_lines(record):
    """The cells of the table of values, its header first."""
    quoted = _quoted_corpus(record)
    cells = [_value_cells(row, quoted) for row in record.rows]
    kept = [
        k
        for k, key in enumerate(VALUES)
        if key not in OPTIONAL or any(row[k] != "-" for row in cells)
    ]
    header = [f"paper, {quoted}" if key == "paper" else key for key in VALUES]
    return [[row[k] for k in kept] for row in (header, *cells)]


def _value_cells(row, quoted):
    paper, values = _paper_cell(row.paper.get(quoted, {})), row.values
    if not values:
        return [row.name, *"-----", paper, *"---------"]
    return [
        row.name,
        percent_and_std(values.WA, values.WA_std),
        interval(values.interval("WA")),
        percent_and_std(values.UA, values.UA_std),
        interval(values.interval("UA")),
        number(values.ECE, ".3f"),
        paper,
        *_cost_cells(values),
        values.lr if row.rates else "-",
        ", ".join(values.seeds),
        str(values.epochs),
        part_of(values.folds_done, values.folds),
    ]


def _difference_cells(row):
    difference = row.difference
    if not difference:
        return [row.name, *"-------"]
    cells = [
        cell
        for each in (difference.WA, difference.UA)
        for cell in difference_cells(each.value, each.interval_95, each.p)
    ]
    return [row.name, *cells, str(len(difference.folds))]


def _paper_cell(paper):
    scores = [f"{paper[key]:.2f}" for key in ("WA", "UA") if key in paper]
    cells = [f"{' / '.join(scores)}%"] if scores else []
    if "parameters" in paper:
        cells.append(f"{paper['parameters']:.2f} M")
    if "mJ" in paper:
        cells.append(f"{paper['mJ']:.2f} mJ")
    return ", ".join(cells) or "-"


def _remarks(record):
    """What holds for this table, a sentence each."""
    shown = record.values
    return [
        *_chance_remarks(shown),
        *_part_remarks(record),
        *_device_remarks(record.rows),
        *_cost_remarks(shown),
        *map(_rate_remark, (row for row in record.rows if len(row.rates) > 1)),
        *(f"{row.name}: {row.why_not}" for row in record.rows if row.why_not),
    ]


def _chance_remarks(shown):
    if not shown:
        return []
    widest = max(shown, key=lambda values: len(values.folds_done))
    n = widest.n_speakers
    return [
        "WA without hearing the recordings: majority "
        f"{percent(widest.majority['WA'])}, speaker oracle "
        f"{percent(widest.speaker_oracle['WA'])}.",
        f"{n} speakers: the smallest possible p is {smallest_p(n):.2g}; not "
        "corrected for multiple tests.",
    ]


def _part_remarks(record):
    shown, remarks = record.values, []
    if not all(values.is_complete for values in shown):
        remarks.append("Of a part of the corpus (complete: False).")
    if len({len(values.seeds) for values in shown}) > 1:
        remarks.append("Not all rows have the same number of seeds.")
    for row in record.rows:
        if row.values and row.values.left_out:
            seeds = ", ".join(map(str, row.values.left_out))
            remarks.append(
                f"{row.name}: seeds left out, with fewer folds done: {seeds}."
            )
    return remarks


def _device_remarks(rows):
    """Where the rows were trained. Old runs do not name their device."""
    names = {}
    for row in rows:
        if row.values:
            devices = " and ".join(row.values.devices)
            names.setdefault(devices, []).append(row.name)
    return [
        f"Trained on {devices}"
        + (f": {', '.join(rows_there)}." if len(names) > 1 else ".")
        for devices, rows_there in names.items()
        if devices
    ]


def _rate_remark(row):
    tried = (
        f"{each.lr} ({percent(each.valid_UA)}, {each.runs})"
        for each in row.rates
    )
    return f"{row.name}, lr (valid UA, trainings): {', '.join(tried)}."
