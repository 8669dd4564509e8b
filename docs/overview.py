"""README's own tables: the paper's models in every condition, and front-ends.

They show less than those of ``speechbrain_ptssnn.experiments.table``, from
the same records.
"""

import json
from dataclasses import replace
from pathlib import PurePath

from speechbrain_ptssnn.experiments.table import title
from speechbrain_ptssnn.utils.text_tables import interval, markdown, number

SETS = ("table5", "table4")  # whose rows are the columns of the overview
FRONT_ENDS = "front_ends"  # the set that compares front-ends
COMMITTEES = "committees"  # and this one adds rows to it
SIGNIFICANT = 0.05
LEGEND = """\
WA of all test utterances, the mean over seeds, with its 95 % interval
(bootstrap over speakers). \\*: differs from PTS-SNN with p < 0.05 (paired
permutation test over speakers, not corrected for multiple tests). EMOVO has six
speakers: the smallest possible p is 0.031. Oracle: accuracy if one only knows
who speaks, and always answers this speaker's most frequent training label; for
unseen speakers the most frequent of all, which in balanced EMOVO is rarely
right. Seeds: number of seeds, unless the cell gives another. In brackets: the
head's name in the commands. The paper's values are quoted."""

FRONT_ENDS_LEGEND = (
    "\\*: differs from PTS-SNN, of the same seeds, with p < 0.05. "
    "[Seeds, intervals](docs/results.md)."
)


def overview(records):
    """One line a condition, one column a model.

    Leaves out models that have not finished all folds of the whole corpus. Of
    a condition's records the first one in :data:`SETS` names the reference; a
    record with another run as its reference is left out, and named below.

    Arguments
    ---------
    records : list of Record
        Of :func:`speechbrain_ptssnn.experiments.record.collect`.

    Returns
    -------
    str
        Markdown; empty if there is nothing to show.
    """
    records = [record for record in records if record.set in SETS]
    records.sort(key=lambda record: SETS.index(record.set))
    names, paper, conditions, references = {}, {}, {}, {}
    left_out = []
    for record in records:
        reference = _reference_run(record)
        known = references.setdefault(record.condition, reference)
        if known != reference:
            left_out.append(
                f"\n{title(record)}: left out, because its {record.reference} "
                "is another run."
            )
            continue
        for row in record.rows:
            model = _model(row)
            names.setdefault(model, _named(row))
            quoted = row.paper.get("IEMOCAP", {})
            if "WA" in quoted:
                paper[model] = f"{quoted['WA']:g}"
            if is_whole(row.values):
                shown = conditions.setdefault(record.condition, {})
                shown.setdefault(model, row)
    if not conditions:
        return ""
    header = ["corpus, folds, backbone", *names.values(), "oracle", "seeds"]
    lines = [
        _condition_cells(condition, conditions[condition], names)
        for condition in sorted(conditions)
    ]
    quoted = [paper.get(model, "-") for model in names]
    rows = [header, *lines, ["the paper, IEMOCAP", *quoted, "-", "-"]]
    return "\n".join(
        [
            *("### The paper's models, WA in %", "", *markdown(rows), ""),
            *(LEGEND, *left_out),
        ]
    )


def front_ends(records):
    """One line a front-end, one column a condition.

    Leaves out models that have not finished all folds of the whole corpus.
    Heads that the set of committees has with more seeds, or alone, are taken
    from there.

    Arguments
    ---------
    records : list of Record
        Of :func:`speechbrain_ptssnn.experiments.record.collect`.

    Returns
    -------
    str
        Markdown; empty if there is nothing to show.
    """
    own = [record for record in records if record.set == FRONT_ENDS]
    if not own:
        return ""
    committees = [record for record in records if record.set == COMMITTEES]
    shown = {}
    for record in [*own, *committees]:
        for row in filter(lambda row: is_whole(row.values), record.rows):
            if record.set != FRONT_ENDS:
                # Its difference is to another reference.
                row = replace(row, difference=None)
            condition = shown.setdefault(record.condition, {})
            known = condition.get(row.name)
            if not known or len(row.values.seeds) > len(known.values.seeds):
                condition[row.name] = row
    # Older records lack the heads that the set has got since.
    names = [row.name for row in max((each.rows for each in own), key=len)]
    corpora = sorted({condition[:2] for condition in shown})
    rows = [
        [
            f"`{backbone}`",
            *(_cells(shown.get((*each, backbone)), names) for each in corpora),
            _total(shown, backbone, names),
        ]
        for backbone in sorted({condition[2] for condition in shown})
    ]
    heads = " / ".join(names)
    header = ["front-end", *map(", ".join, corpora), "mJ, head and all"]
    return "\n".join(
        [
            *(f"### Front-ends, WA in %: {heads}", ""),
            *markdown([header, *rows]),
            *("", FRONT_ENDS_LEGEND),
        ]
    )


def _cells(rows, names):
    """The accuracies of a condition's heads, starred as in the overview."""
    if not rows:
        return "-"
    cells, reference = [], rows.get(names[0])
    for name in names:
        row = rows.get(name)
        is_like = (
            row
            and reference
            and row.values.seeds.keys() == reference.values.seeds.keys()
        )
        star = " \\*" if is_like and _differs(row) else ""
        cells.append(f"{100 * row.values.WA:.1f}{star}" if row else "-")
    return " / ".join(cells)


def _total(shown, backbone, names):
    """The energy of front-end and head for an utterance, of the first head
    that was counted.
    """
    energies = (
        rows[head].values.energy
        for (*_, name), rows in sorted(shown.items())
        for head in names
        if name == backbone and head in rows
    )
    totals = (energy.total_mJ for energy in energies if energy)
    return number(next(filter(None, totals), None), ".3g")


def _reference_run(record):
    """What identifies the run that a record's rows are compared with."""
    for row in record.rows:
        if row.name == record.reference and row.values:
            return row.values.lr, row.values.seeds
    return None


def is_whole(values):
    """True if all folds of the whole corpus are done."""
    return (
        values is not None
        and values.is_complete
        and len(values.folds_done) == values.folds
    )


def _named(row):
    """A row's name, and the name of its head in the commands."""
    return f"{row.name} (`{PurePath(row.head).stem}`)"


def _model(row):
    """What a row trains, which does not depend on its name."""
    return row.head, json.dumps(row.overrides, sort_keys=True)


def _condition_cells(condition, rows, names):
    corpus, protocol, backbone = condition
    shown = [row.values for row in rows.values()]
    n_seeds = max(len(values.seeds) for values in shown)
    return [
        f"{corpus}, {protocol}, `{backbone}`",
        *(_accuracy(rows.get(model), n_seeds) for model in names),
        f"{100 * shown[0].speaker_oracle['WA']:.1f}",
        str(n_seeds),
    ]


def _differs(row):
    """Whether a row differs from the reference significantly."""
    return row.difference and row.difference.WA.p < SIGNIFICANT


def _accuracy(row, n_seeds):
    if row is None:
        return "-"
    values = row.values
    parts = [f"{100 * values.WA:.1f}"]
    bounds = values.interval("WA")
    if bounds:
        parts.append(f"({interval(bounds).rstrip('%')})")
    if _differs(row):
        parts.append("*")
    own = len(values.seeds)
    seeds = f", {own} seed{'s'[: own > 1]}" if own < n_seeds else ""
    return " ".join(parts) + seeds
