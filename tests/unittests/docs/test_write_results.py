"""The measured tables: order, what is missing, where they stand."""

import pytest

from write_results import (
    BEGIN,
    END,
    main,
    section,
    tables,
    with_section,
)

FIGURES = {
    "trainable_params": 1234,
    "epochs": 30,
    "lr": "0.001",
    "folds": 10,
    "folds_done": [1, 2],
    "seeds": {"1": {}, "2": {}},
    "WA": 0.5,
    "UA": 0.25,
    "WA_std": 0.0123,
    "UA_std": None,
    "interval_95": {"WA": [0.4, 0.6], "UA": None},
    "majority": {"WA": 0.1},
    "speaker_oracle": {"WA": 0.9},
    "n_speakers": 6,
    "is_complete": True,
    "energy": {"folds": [1], "channels": 160, "frames": 226, "mJ": 0.1236},
    "latency": {"frames": 226, "threads": 1, "processor": "X", "ms": 2.345},
}
ROW = {
    "name": "PTS-SNN",
    "folder": "URDU/random/fbank/pts_snn",
    "head": "pts_snn.yaml",
    "overrides": {},
    "paper": {"WA": 73.34},
    "rates": [{"lr": "0.001", "valid_UA": 0.7, "runs": 4}],
    "figures": FIGURES,
    "difference": None,
    "why_not": None,
}
RECORD = {
    "set": "table4",
    "title": "Adaptations",
    "reference": "PTS-SNN",
    "corpus": "URDU",
    "protocol": "random",
    "backbone": "fbank",
    "rows": [ROW],
}


def test_a_row_says_what_its_record_says():
    text = tables([RECORD])
    assert (
        "| PTS-SNN | 50.00% ± 1.2 | 40.0 to 60.0% | 25.00% | - | 73.34% | "
        "1,234 | 0.124 | 2.35 | 0.001 | 1, 2 | 30 | 2 of 10 |"
    ) in text.splitlines()
    assert "majority 10.00%, speaker oracle 90.00%" in text
    for remark in (
        "6 speakers: no p below 0.031;",
        "mJ: strict count, an utterance of 226 frames of 160 channels.",
        "ms: median of one utterance of 226 frames, 1 CPU thread of X.",
    ):
        assert remark in text
    assert "part of the corpus" not in text
    bare = {
        **FIGURES,
        "interval_95": None,
        "energy": None,
        "latency": None,
        "is_complete": False,
    }
    text = tables([{**RECORD, "rows": [{**ROW, "figures": bare}]}])
    assert "| 25.00% | - | 73.34% | 1,234 | - | - | 0.001 |" in text
    assert "mJ:" not in text and "ms:" not in text
    assert "Of a part of the corpus" in text


def test_rows_say_where_they_were_trained():
    here = {**ROW, "figures": {**FIGURES, "devices": ["CPU"]}}
    there = {**ROW, "name": "LIF", "figures": {**FIGURES, "devices": ["GPU"]}}
    assert "- Trained on CPU.\n" in tables([{**RECORD, "rows": [here]}])
    text = tables([{**RECORD, "rows": [here, there]}])
    assert "- Trained on CPU: PTS-SNN.\n- Trained on GPU: LIF.\n" in text
    assert "Trained on" not in tables([RECORD])  # an old record


def test_seeds_that_were_left_out_are_named():
    figures = {**FIGURES, "left_out": [3, 4]}
    text = tables([{**RECORD, "rows": [{**ROW, "figures": figures}]}])
    assert "- PTS-SNN: seeds left out, with fewer folds done: 3, 4." in text
    assert "left out" not in tables([RECORD])


def test_of_several_rates_all_are_named():
    rates = [*ROW["rates"], {"lr": "0.01", "valid_UA": 0.6, "runs": 4}]
    text = tables([{**RECORD, "rows": [{**ROW, "rates": rates}]}])
    assert "- PTS-SNN, lr (valid UA): 0.001 (70.00%), 0.01 (60.00%)." in text


def test_tables_are_by_corpus_protocol_backbone_and_set():
    other = {**RECORD, "corpus": "EMOVO"}
    unseen = {**RECORD, "protocol": "speaker"}
    ablations = {**RECORD, "set": "table5", "title": "Ablations"}
    text = tables([RECORD, unseen, ablations, other])
    heads = [row for row in text.splitlines() if row.startswith("### ")]
    assert heads == [
        "### Adaptations: EMOVO, random folds, fbank",
        "### Adaptations: URDU, random folds, fbank",
        "### Ablations: URDU, random folds, fbank",
        "### Adaptations: URDU, speaker folds, fbank",
    ]


PROBE = {
    **ROW,
    "name": "probe",
    "head": "linear_probe.yaml",
    "paper": {},
    "figures": {**FIGURES, "WA": 0.254, "interval_95": None},
    "difference": {
        "folds": [1],
        "WA": {"value": -0.246, "interval_95": [-0.3, -0.2], "p": 0.031},
    },
}


def lines_of(text, start):
    return [line for line in text.splitlines() if line.startswith(start)]


def whole(row, **figures):
    return {**row, "figures": {**row["figures"], "folds": 2, **figures}}


def test_the_overview_has_a_line_a_place_and_a_column_a_model():
    full = {**whole(ROW), "name": "Full Model"}
    bare = {**whole(PROBE, seeds={"1": {}}), "head": "shift.yaml"}
    unsure = {"WA": {**PROBE["difference"]["WA"], "p": 0.05}}
    table5 = {**RECORD, "set": "table5", "reference": "Full Model"}
    text = section(
        [
            {**table5, "rows": [full, {**bare, "name": "shift"}]},
            {
                **RECORD,
                "rows": [{**whole(PROBE), "difference": unsure}, whole(ROW)],
            },
            {**RECORD, "corpus": "EMOVO", "rows": [whole(PROBE)]},
        ]
    )
    (heads,) = lines_of(text, "| corpus,")
    assert heads == (
        "| corpus, folds, backbone | probe | PTS-SNN | shift | oracle | seeds |"
    )
    (urdu,) = lines_of(text, "| URDU")
    assert urdu == (
        "| URDU, random, `fbank` | 25.4 | 50.0 (40.0 to 60.0) | "
        "25.4 *, 1 seed | 90.0 | 2 |"
    )
    (emovo,) = lines_of(text, "| EMOVO")
    assert emovo == "| EMOVO, random, `fbank` | 25.4 * | - | - | 90.0 | 2 |"
    (paper,) = lines_of(text, "| the paper")
    assert paper == "| the paper, IEMOCAP | - | 73.34 | - | - | - |"


@pytest.mark.parametrize(
    "figures", [None, FIGURES, {**FIGURES, "folds": 2, "is_complete": False}]
)
def test_what_is_not_whole_is_not_in_the_overview(figures):
    partial = {**PROBE, "figures": figures}
    text = section([{**RECORD, "rows": [whole(ROW), partial]}])
    (line,) = lines_of(text, "| URDU")
    assert "| 50.0 (40.0 to 60.0) | - | 90.0 |" in line
    assert "| URDU" not in section([{**RECORD, "rows": [partial]}])


def test_rows_are_not_starred_for_another_reference_than_the_one_shown():
    for other in ({"lr": "0.003"}, {"seeds": {"1": {}}}):
        ablations = {
            **RECORD,
            "set": "table5",
            "rows": [whole(ROW, **other), whole(PROBE)],
        }
        text = section([{**RECORD, "rows": [whole(ROW)]}, ablations])
        (line,) = lines_of(text, "| URDU")
        assert line == (
            "| URDU, random, `fbank` | 50.0 (40.0 to 60.0) | 90.0 | 2 |"
        )


def test_readme_has_the_cost_of_peers_that_were_measured():
    undone = {**ROW, "name": "DST", "figures": None}
    text = section([{**RECORD, "set": "peers", "rows": [ROW, PROBE, undone]}])
    assert lines_of(text, "| PTS-SNN") == [
        "| PTS-SNN | 50.00% | 40.0 to 60.0% | - | - | 1,234 | 0.124 | 2.35 | "
        "2 | 2 of 10 |"
    ]
    assert lines_of(text, "| probe") == [
        "| probe | 25.40% | - | -24.60% | 0.031 | 1,234 | 0.124 | 2.35 | 2 | "
        "2 of 10 |"
    ]
    assert not lines_of(text, "| DST")
    assert lines_of(text, "mJ: ") == [
        "mJ: strict count, an utterance of 226 frames of 160 channels."
    ]
    assert lines_of(text, "ms: ")
    assert "### The paper's models" not in text


def test_what_the_paper_measures_and_we_do_not_has_its_command():
    done = {"backbone": "emotion2vec_base", "corpus": "IEMOCAP"}
    by_speaker = {**RECORD, **done, "protocol": "speaker"}
    assert "--corpus=IEMOCAP --protocol=session" in section([by_speaker])
    session = {**RECORD, **done, "protocol": "session"}
    assert "--corpus=IEMOCAP" not in section([session])
    for undone in (
        {**session, "set": "kappa"},
        {**session, "rows": [ROW, {**ROW, "figures": None}]},
    ):
        text = section([undone])
        assert "--corpus=IEMOCAP" in text
    for corpus in ("CASIA", "EMODB", "EMOVO", "URDU"):
        assert f"--corpus={corpus}" in text


@pytest.mark.parametrize(
    "text", ["", BEGIN, f"{END}\n{BEGIN}", f"{BEGIN}{BEGIN}{END}"]
)
def test_without_its_two_comments_a_readme_is_left_alone(text, tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(text)
    with pytest.raises(
        SystemExit, match=r"README.md: needs the lines"
    ) as error:
        main([f"--readme={readme}", f"--records={tmp_path}"])
    assert "\n" not in str(error.value)
    assert readme.read_text() == text


def test_the_section_replaces_itself_only():
    text = with_section(f"before {BEGIN}x{END} after", "new")
    assert text == f"before {BEGIN}\n\nnew\n\n{END} after"
    assert with_section(text, "new") == text


def test_a_folder_without_tables_is_refused(tmp_path):
    with pytest.raises(SystemExit, match=r"experiments writes them"):
        main([str(tmp_path), f"--records={tmp_path}"])
