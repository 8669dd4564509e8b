"""What several seeds gave: ``seeds.json`` and a table."""

import json
from statistics import mean, stdev

from speechbrain_ptssnn.utils.files import write_text
from speechbrain_ptssnn.utils.text_tables import percent

SHARED = ("corpus", "protocol", "backbone", "model", "folds")


def summarize_seeds(path, summaries):
    """Puts the runs of several seeds together.

    Arguments
    ---------
    path : Path
        Is written as JSON.
    summaries : list of dict
        Each run's ``summary.json``; two or more.

    Returns
    -------
    dict
        What the runs share, each seed's WA and UA, and their mean and
        standard deviation (of a sample: n - 1; None for one) over the seeds
        that have done as many folds as any.
    """
    outcome = {key: summaries[0][key] for key in SHARED}
    outcome["seeds"] = {
        str(summary["seed"]): {
            key: summary[key] for key in ("folds_done", "WA", "UA")
        }
        for summary in summaries
    }
    most = max(len(summary["folds_done"]) for summary in summaries)
    whole = [s for s in summaries if len(s["folds_done"]) == most]
    for key in ("WA", "UA"):
        values = [summary[key] for summary in whole]
        outcome[f"{key}_mean"] = mean(values)
        outcome[f"{key}_std"] = stdev(values) if len(values) > 1 else None
    write_text(path, json.dumps(outcome, indent=2))
    return outcome


def table_of_seeds(outcome):
    """The seeds as text, for people.

    Arguments
    ---------
    outcome : dict
        Of :func:`summarize_seeds`.

    Returns
    -------
    str

    Example
    -------
    >>> shared = dict.fromkeys(SHARED, "x") | {"folds": 2}
    >>> runs = [
    ...     {**shared, "seed": s, "folds_done": [1, 2], "WA": wa, "UA": 0.5}
    ...     for s, wa in ((1, 0.5), (2, 0.7))
    ... ]
    >>> path = getfixture("tmp_path") / "seeds.json"
    >>> print(table_of_seeds(summarize_seeds(path, runs)))
    x, x folds, x, x: 2 seeds
    <BLANKLINE>
    seed           folds      WA      UA
    1             2 of 2  50.00%  50.00%
    2             2 of 2  70.00%  50.00%
    mean                  60.00%  50.00%
    std                   14.14%   0.00%
    """
    o = outcome
    lines = [
        f"{o['corpus']}, {o['protocol']} folds, {o['backbone']}, {o['model']}:"
        f" {len(o['seeds'])} seeds",
        "",
        f"{'seed':10}{'folds':>10}{'WA':>8}{'UA':>8}",
    ]
    rows = {
        seed: (f"{len(s['folds_done'])} of {o['folds']}", s["WA"], s["UA"])
        for seed, s in o["seeds"].items()
    }
    for name in ("mean", "std"):
        rows[name] = "", o[f"WA_{name}"], o[f"UA_{name}"]
    for name, (folds, *scores) in rows.items():
        wa, ua = map(percent, scores)
        lines.append(f"{name:10}{folds:>10}{wa:>8}{ua:>8}")
    return "\n".join(lines)
