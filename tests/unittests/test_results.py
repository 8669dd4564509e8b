"""README's results section: order, what is missing, where it stands."""

import pytest

from speechbrain_ptssnn.results import BEGIN, END, main, section, with_section

RECORD = {
    "corpus": "URDU",
    "protocol": "random",
    "backbone": "fbank",
    "model": "pts_snn",
    "folds": 10,
    "labels": ["Angry", "Happy", "Neutral", "Sad"],
    "is_complete": True,
    "epochs": 30,
    "lr": "0.001",
    "trainable_params": 1234,
    "folds_done": [1, 2],
    "seeds": {"1": {}, "2": {}},
    "WA": 0.5,
    "UA": 0.25,
    "WA_std": 0.0123,
    "UA_std": None,
    "interval_95": {"WA": [0.4, 0.6], "UA": [0.2, 0.3]},
    "majority": {"WA": 0.1, "UA": 0.2},
    "speaker_oracle": {"WA": 0.9, "UA": 0.8},
}


def test_a_row_says_what_its_record_says():
    line = section([RECORD]).splitlines()[4]
    assert line == (
        "| pts_snn | fbank | 1,234 | 1, 2 | 30 | 0.001 | 2 of 10 | "
        "50.00% ± 1.23 (40.0 to 60.0%) | 25.00% (20.0 to 30.0%) | "
        "10.00% | 90.00% |"
    )
    without = section([{**RECORD, "interval_95": None}])
    assert "| 25.00% (-) |" in without


def test_tables_are_by_corpus_and_protocol_and_the_best_is_first():
    better = {**RECORD, "model": "better", "WA": 0.6}
    other = {**RECORD, "corpus": "EMOVO"}
    unseen = {**RECORD, "protocol": "speaker"}
    text = section([RECORD, unseen, better, other])
    heads = [row for row in text.splitlines() if row.startswith("### ")]
    assert heads[:3] == [
        "### EMOVO, random folds, 4 classes",
        "### URDU, random folds, 4 classes",
        "### URDU, speaker folds, 4 classes",
    ]
    assert text.index("| better |") < text.rindex("| pts_snn |")
    models = [row[2:9] for row in text.splitlines() if "| fbank |" in row]
    assert models == ["pts_snn", "better ", "pts_snn", "pts_snn"]


def test_other_classes_and_parts_of_a_corpus_stand_apart():
    two = {**RECORD, "labels": ["high", "low"]}
    part = {**RECORD, "is_complete": False}
    heads = [
        row for row in section([two, part, RECORD]).splitlines() if "###" in row
    ]
    assert heads[:3] == [
        "### URDU, random folds, 4 classes, a part of the corpus",
        "### URDU, random folds, 4 classes",
        "### URDU, random folds, 2 classes",
    ]


def test_what_the_paper_measures_and_we_do_not_has_its_command():
    done = {"backbone": "emotion2vec_base", "corpus": "IEMOCAP"}
    by_speaker = {**RECORD, **done, "protocol": "speaker"}
    assert "--corpus=IEMOCAP --protocol=session" in section([by_speaker])
    text = section([{**RECORD, **done, "protocol": "session"}])
    assert "--corpus=IEMOCAP" not in text
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


def test_a_folder_without_runs_is_refused(tmp_path):
    with pytest.raises(SystemExit, match=r"there is no summary.json below"):
        main([str(tmp_path), f"--records={tmp_path}"])
