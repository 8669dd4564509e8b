"""Sets of experiments: read as they stand, refused in one sentence."""

import pytest

from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.experiments.sets import Row, read_set
from speechbrain_ptssnn.utils.own_files import HPARAMS

ROWS = """\
rows:
    - name: 1
      head: mine.yaml
      overrides: {model: one, head: {size: 8}}
      paper: {EMOVO: {WA: 50.5, parameters: 2}}
    - {name: probe, head: linear_probe.yaml, lr: [0.01, 3e-4]}
"""
SET = f"title: Mine\nreference: probe\n{ROWS}"


@pytest.fixture
def read(tmp_path):
    (tmp_path / "mine.yaml").write_text("base: linear_probe.yaml")

    def read(text):
        (tmp_path / "few.yaml").write_text(text)
        return read_set(tmp_path / "few.yaml")

    return read


def test_rows_are_read_in_order_from_files_beside_the_set_or_ours(
    read, tmp_path
):
    few = read(SET)
    assert (few.name, few.title, few.reference) == ("few", "Mine", "probe")
    assert few.rows == (
        Row(
            "1",
            tmp_path / "mine.yaml",
            {"model": "one", "head": {"size": 8}},
            {"EMOVO": {"WA": 50.5, "parameters": 2.0}},
        ),
        Row("probe", HPARAMS / "linear_probe.yaml", {}, {}, ("0.01", "0.0003")),
    )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("mine.yaml", "none.yaml", "row 1: unknown head 'none.yaml'.*pts_snn"),
        ("name: probe", "name: 1", "two rows are called '1'"),
        ("title", "tilte", "few.yaml: unknown key 'tilte'; there are .*title"),
        ("title: Mine\n", "", "few.yaml: the key 'title' is missing"),
        ("paper: {", "papers: {", "row 1: unknown key 'papers'"),
        ("{EMOVO: {", "50.5 #", "row 1: paper must be like .* got 50.5"),
        ("EMOVO:", "EMOVA:", "row 1: paper: unknown corpus 'EMOVA' .*'EMOVO'"),
        ("{WA:", "{WAR:", "row 1: paper: EMOVO: unknown key 'WAR'"),
        ("WA: 50.5", "WA: true", "paper: EMOVO: WA must be .* got True"),
        ("WA: 50.5", "WA: high", "paper: EMOVO: WA must be .* got 'high'"),
        ("overrides: {model: one, head: {size: 8}}", "overrides: 8", "overrid"),
        ("{model: one,", "{fold: 1,", "overrides cannot set 'fold'; all rows"),
        ("{model: one,", "{lr: 1,", "row 1: overrides: lr stands beside it"),
        ("[0.01, 3e-4]", "0", "row 2: lr must be a number above 0.* got '0'"),
        ("[0.01, 3e-4]", "[]", "row 2: lr must be a number above 0"),
        ("3e-4]", "0.010]", "row 2: lr must be .*, or several that differ"),
        ("3e-4]", "high]", "row 2: lr must be .* got '0.01,high'"),
        ("{model: one,", "{1: one,", "overrides: 1 is no key"),
        ("size: 8", "plif: !ref <plif>", "overrides must be plain values"),
        (
            "    - {name: probe,",
            "    - {nam: probe,",
            "row 2: unknown key 'nam",
        ),
        (
            "    - {name: probe, head: linear_probe.yaml, lr: [0.01, 3e-4]}",
            "    - a",
            "row 2: mu",
        ),
        (
            "reference: probe",
            "reference: x",
            r"one of \['1', 'probe'\], got 'x",
        ),
        (ROWS, "rows: {}", "rows must be a list of one row or more"),
        (SET, "- 1", "is not a YAML file of keys and values"),
    ],
)
def test_a_wrong_set_is_refused_in_one_sentence(old, new, message, read):
    with pytest.raises(InputError, match=message) as error:
        read(SET.replace(old, new))
    assert "\n" not in str(error.value)
    assert "few.yaml" in str(error.value)
