"""The figures in sentences and tables of the pages are those of the records."""

import json
import re
from pathlib import Path

import pytest

from speechbrain_ptssnn.utils.yaml_files import read_yaml

ROOT = Path(__file__).resolve().parents[2]
FILE = Path(__file__).with_name("claims.yaml")
CLAIMS = read_yaml(FILE)
ALL = [
    (page, record, claim)
    for page, records in CLAIMS["claims"].items()
    for record, claims in records.items()
    for claim in claims
]


def points(value, sign):
    """A difference in points with its interval; -1 turns it round."""
    ends = sorted(100 * sign * end for end in value["interval_95"])
    low, high = (f"{e:+.1f}" if abs(e) >= 0.05 else "0.0" for e in ends)
    return f"{100 * sign * value['value']:+.1f} ({low} to {high})"


def value_of(row, field):
    """A value of a record's row, as the pages write it."""
    figures, difference = row["figures"], row["difference"]
    match field:
        case "WA":
            return f"{100 * figures['WA']:.1f}"
        case "std":
            return f"{100 * figures['WA_std']:.1f}"
        case "ECE":
            return f"{figures['ECE']:.3f}"
        case "head":
            return f"{figures['energy']['mJ']:.3f}"
        case "plus":
            return points(difference["WA"], 1)
        case "minus":
            return points(difference["WA"], -1)
    assert field == "p", field
    p = difference["WA"]["p"]
    return f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


@pytest.mark.parametrize(("page", "record", "claim"), ALL)
def test_a_claim_has_the_figures_of_its_record(page, record, claim):
    path = ROOT / "docs" / "results" / f"{record}.json"
    rows = {row["name"]: row for row in json.loads(path.read_text())["rows"]}
    filled = re.sub(
        r"\{(\w+) (\w+)\}",
        lambda found: value_of(rows[CLAIMS["rows"][found[1]]], found[2]),
        claim,
    )
    assert filled in " ".join((ROOT / page).read_text("utf-8").split())
