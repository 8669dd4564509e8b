"""README's own tables: the paper's models at every place, and what heads cost.

They show less than the tables of :mod:`.experiment_tables`, from the same
records.
"""

import json

from speechbrain_ptssnn.experiment_tables import PLACE, title
from speechbrain_ptssnn.tables import interval, markdown, percent

SETS = ("table4", "table5")  # whose rows the overview has, as columns
COSTS = "peers"  # the set whose rows' costs are shown
SIGNIFICANT = 0.05
LEGEND = """\
WA, the mean over seeds of all test utterances, with its 95 % interval
(bootstrap over speakers); \\* differs from PTS-SNN with p < 0.05 (paired
permutation test over speakers, not corrected for their number; with six
speakers only a difference for each of them can). Speaker oracle: what saying
the test speaker's commonest training label gets. Paper: IEMOCAP, quoted."""


def overview(records):
    """One line a corpus, protocol and backbone, one column a model.

    Arguments
    ---------
    records : list of dict
        Of :func:`speechbrain_ptssnn.experiment_tables.collect`.

    Returns
    -------
    str
        Markdown; empty if no record is of :data:`SETS`.
    """
    records = [each for each in records if each["set"] in SETS]
    if not records:
        return ""
    records.sort(key=lambda each: SETS.index(each["set"]))
    names, paper, places = {}, {}, {}
    for record in records:
        place = tuple(record[key] for key in PLACE)
        cells = places.setdefault(place, {})
        for row in record["rows"]:
            model = _model(row)
            names.setdefault(model, row["name"])
            if "WA" in row["paper"]:
                paper[model] = f"{row['paper']['WA']:g}"
            if row["figures"]:
                cells.setdefault(model, row)
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
        Of :func:`speechbrain_ptssnn.experiment_tables.collect`.

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
    return "\n".join([f"### {title(record)}", "", *markdown(rows)])


def _model(row):
    """What a row trains, whatever its set calls it."""
    return row["head"], json.dumps(row["overrides"], sort_keys=True)


def _line(place, cells, names):
    corpus, protocol, backbone = place
    rows = cells.values()
    seeds = {len(row["figures"]["seeds"]) for row in rows}
    oracles = {row["figures"]["speaker_oracle"]["WA"] for row in rows}
    return [
        f"{corpus}, {protocol}, `{backbone}`",
        *(_accuracy(cells.get(model)) for model in names),
        f"{100 * max(oracles):.1f}" if oracles else "-",
        " or ".join(map(str, sorted(seeds))),
    ]


def _accuracy(row):
    if row is None:
        return "-"
    figures = row["figures"]
    bounds = (figures["interval_95"] or {}).get("WA")
    spread = f" ({interval(bounds).rstrip('%')})" if bounds else ""
    difference = (row["difference"] or {}).get("WA")
    differs = difference and difference["p"] < SIGNIFICANT
    return f"{100 * figures['WA']:.1f}{spread}{' *' if differs else ''}"


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
