"""README's own tables: the paper's models at every place, and what heads cost.

They show less than those of ``speechbrain_ptssnn.experiments.table``, from
the same records.
"""

import json

from speechbrain_ptssnn.experiments.table import PLACE, cost_remarks, title
from speechbrain_ptssnn.utils.text_tables import interval, markdown, percent

SETS = ("table4", "table5")  # whose rows the overview has, as columns
COSTS = "peers"  # the set whose rows' costs are shown
SIGNIFICANT = 0.05
LEGEND = """\
WA of all test utterances, the mean over seeds, with its 95 % interval
(bootstrap over speakers). \\* differs from PTS-SNN with p < 0.05 (paired
permutation test over speakers, not corrected for their number; with six
speakers only a difference for each of them can). Oracle: what saying the test
speaker's commonest training label gets. Seeds: the most of any model; others
say theirs. Paper: IEMOCAP, quoted."""
COST_LEGEND = """\
WA, its interval and p as above; differences are over the folds that both have
done."""


def overview(records):
    """One line a corpus, protocol and backbone, one column a model.

    Models that have not done all folds of the whole corpus are left out; so is
    a table whose reference is another run than that of the place's first.

    Arguments
    ---------
    records : list of dict
        Of :func:`speechbrain_ptssnn.experiments.table.collect`.

    Returns
    -------
    str
        Markdown; empty if there is nothing to show.
    """
    records = [each for each in records if each["set"] in SETS]
    records.sort(key=lambda each: SETS.index(each["set"]))
    names, paper, places, references = {}, {}, {}, {}
    for record in records:
        place = tuple(record[key] for key in PLACE)
        reference = _reference_scores(record)
        if references.setdefault(place, reference) != reference:
            continue
        for row in record["rows"]:
            model = _model(row)
            names.setdefault(model, row["name"])
            if "WA" in row["paper"]:
                paper[model] = f"{row['paper']['WA']:g}"
            if _is_whole(row["figures"]):
                places.setdefault(place, {}).setdefault(model, row)
    if not places:
        return ""
    heads = ["corpus, folds, backbone", *names.values(), "oracle", "seeds"]
    lines = [_line(place, places[place], names) for place in sorted(places)]
    quoted = [paper.get(model, "-") for model in names]
    rows = [heads, *lines, ["the paper, IEMOCAP", *quoted, "-", "-"]]
    return "\n".join(
        ["### The paper's models, WA in %", "", *markdown(rows), "", LEGEND]
    )


def costs(record):
    """Accuracy beside parameters, energy and time.

    Arguments
    ---------
    record : dict
        Of :func:`speechbrain_ptssnn.experiments.table.collect`.

    Returns
    -------
    str
        Markdown.
    """
    shown = [row for row in record["rows"] if row["figures"]]
    heads = [
        *("model", "WA", "95 % interval", f"minus {record['reference']}", "p"),
        *("parameters", "mJ", "ms", "seeds", "folds"),
    ]
    rows = [heads, *map(_cost_cells, shown)]
    remarks = cost_remarks([row["figures"] for row in shown])
    return "\n".join(
        [
            *(f"### {title(record)}", "", *markdown(rows), "", COST_LEGEND),
            *remarks,
        ]
    )


def _reference_scores(record):
    """What tells the run that a table's rows are compared with."""
    for row in record["rows"]:
        if row["name"] == record["reference"] and row["figures"]:
            return row["figures"]["lr"], row["figures"]["seeds"]
    return None


def _is_whole(figures):
    return (
        figures is not None
        and figures["is_complete"]
        and len(figures["folds_done"]) == figures["folds"]
    )


def _model(row):
    """What a row trains, whatever its set calls it."""
    return row["head"], json.dumps(row["overrides"], sort_keys=True)


def _line(place, cells, names):
    corpus, protocol, backbone = place
    shown = [row["figures"] for row in cells.values()]
    n_seeds = max(len(figures["seeds"]) for figures in shown)
    return [
        f"{corpus}, {protocol}, `{backbone}`",
        *(_accuracy(cells.get(model), n_seeds) for model in names),
        f"{100 * shown[0]['speaker_oracle']['WA']:.1f}",
        str(n_seeds),
    ]


def _accuracy(row, n_seeds):
    if row is None:
        return "-"
    figures = row["figures"]
    parts = [f"{100 * figures['WA']:.1f}"]
    bounds = (figures["interval_95"] or {}).get("WA")
    if bounds:
        parts.append(f"({interval(bounds).rstrip('%')})")
    difference = (row["difference"] or {}).get("WA")
    if difference and difference["p"] < SIGNIFICANT:
        parts.append("*")
    own = len(figures["seeds"])
    seeds = f", {own} seed{'s'[: own > 1]}" if own < n_seeds else ""
    return " ".join(parts) + seeds


def _cost_cells(row):
    figures = row["figures"]
    difference = (row["difference"] or {}).get("WA")
    energy, latency = figures["energy"], figures["latency"]
    return [
        row["name"],
        percent(figures["WA"]),
        interval((figures["interval_95"] or {}).get("WA")),
        percent(difference["value"], "+") if difference else "-",
        f"{difference['p']:.3f}" if difference else "-",
        f"{figures['trainable_params']:,}",
        f"{energy['mJ']:.3g}" if energy else "-",
        f"{latency['ms']:.3g}" if latency else "-",
        str(len(figures["seeds"])),
        f"{len(figures['folds_done'])} of {figures['folds']}",
    ]
