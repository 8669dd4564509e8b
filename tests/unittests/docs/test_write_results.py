"""The measured tables: order, what is missing, where they stand."""

import json
from dataclasses import replace

import pytest

from speechbrain_ptssnn.experiments.record import (
    Difference,
    Energy,
    Latency,
    Record,
    RowRecord,
    ScoreDifference,
    TriedRate,
    Values,
)
from write_results import (
    BEGIN,
    END,
    ROOT,
    main,
    section,
    tables,
    with_section,
)

VALUES = Values(
    corpus="URDU",
    protocol="random",
    backbone="fbank",
    model="pts_snn",
    folds=10,
    labels=["a", "b"],
    epochs=30,
    lr="0.001",
    is_complete=True,
    trainable_params=1234,
    n_utterances=8,
    n_speakers=6,
    folds_done=[1, 2],
    seeds={"1": {}, "2": {}},
    WA=0.5,
    UA=0.25,
    WA_std=0.0123,
    UA_std=None,
    ECE=0.0456,
    interval_95={"WA": [0.4, 0.6], "UA": None},
    majority={"WA": 0.1},
    speaker_oracle={"WA": 0.9},
    energy=Energy([1], channels=160, frames=226, mJ=0.1236, front_end_mJ=0.25),
    latency=Latency(226, threads=1, processor="X", ms=2.345, low=2, high=3),
    git_revisions=[],
)
RATE = TriedRate("0.001", 0.7, 4)
ROW = RowRecord(
    name="PTS-SNN",
    folder="URDU/random/fbank/pts_snn",
    head="pts_snn.yaml",
    overrides={},
    paper={"IEMOCAP": {"WA": 73.34}},
    rates=[RATE],
    values=VALUES,
    difference=None,
    why_not=None,
)
RECORD = Record(
    set="table4",
    title="Adaptations",
    reference="PTS-SNN",
    corpus="URDU",
    protocol="random",
    backbone="fbank",
    rows=[ROW],
)


def with_rows(*rows, **changes):
    return replace(RECORD, rows=list(rows), **changes)


def with_values(row, **changes):
    return replace(row, values=replace(row.values, **changes))


def test_a_row_says_what_its_record_says():
    text = tables([RECORD])
    assert (
        "| PTS-SNN | 50.00% ± 1.2 | 40.0 to 60.0% | 25.00% | - | 0.046 | "
        "73.34% | 1,234 | 0.124 | 0.250 | 0.374 | 2.35 | 0.001 | 1, 2 | 30 | "
        "2 of 10 |"
    ) in text.splitlines()
    assert "majority 10.00%, speaker oracle 90.00%" in text
    for remark in (
        "6 speakers: the smallest possible p is 0.031;",
        "mJ: strict count, an utterance of 226 frames of 160 channels.",
        "ms: median of one utterance of 226 frames, 1 CPU thread of X.",
    ):
        assert remark in text
    assert "part of the corpus" not in text
    bare = with_values(
        ROW,
        ECE=None,
        interval_95=None,
        energy=None,
        latency=None,
        is_complete=False,
    )
    text = tables([with_rows(bare, ROW)])
    assert "| 25.00% | - | - | 73.34% | 1,234 | - | - | - | - | 0.001 |" in text
    text = tables([with_rows(bare)])  # columns without a value are left out
    assert "| 25.00% | - | 73.34% | 1,234 | 0.001 |" in text
    assert "mJ:" not in text and "ms:" not in text
    assert "front-end mJ -" not in text
    assert "Of a part of the corpus" in text


@pytest.mark.parametrize(
    ("n_speakers", "p"), [(3, "0.25"), (14, "0.00012"), (29, "0.0001")]
)
def test_the_smallest_p_is_one_that_the_test_can_give(n_speakers, p):
    text = tables([with_rows(with_values(ROW, n_speakers=n_speakers))])
    assert f"{n_speakers} speakers: the smallest possible p is {p};" in text


def test_a_front_end_that_was_not_counted_is_a_dash():
    old = replace(VALUES.energy, front_end_mJ=None)
    text = tables([with_rows(with_values(ROW, energy=old))])
    assert "| 1,234 | 0.124 | 2.35 |" in text
    assert "front-end mJ" not in text
    text = tables([with_rows(with_values(ROW, energy=old), ROW)])
    assert "- front-end mJ -: not counted for that row.\n" in text
    text = tables([RECORD])
    assert "- front-end mJ: all MACs of the frozen backbone," in text
    assert "not counted" not in text


def test_one_frame_is_one_frame():
    pooled = replace(VALUES.energy, frames=1, channels=6373)
    text = tables([with_rows(with_values(ROW, energy=pooled))])
    assert "an utterance of 1 frame of 6373 channels." in text


def test_rows_say_where_they_were_trained():
    here = with_values(ROW, devices=["CPU"])
    there = with_values(replace(ROW, name="LIF"), devices=["GPU"])
    assert "- Trained on CPU.\n" in tables([with_rows(here)])
    text = tables([with_rows(here, there)])
    assert "- Trained on CPU: PTS-SNN.\n- Trained on GPU: LIF.\n" in text
    assert "Trained on" not in tables([RECORD])  # an old record


def test_seeds_that_were_left_out_are_named():
    text = tables([with_rows(with_values(ROW, left_out=[3, 4]))])
    assert "- PTS-SNN: seeds left out, with fewer folds done: 3, 4." in text
    assert "left out" not in tables([RECORD])


def test_a_head_without_gradient_training_has_no_rate():
    text = tables([with_rows(replace(ROW, rates=[]))])
    assert "| 2.35 | - | 1, 2 | 30 |" in text


def test_the_records_own_corpus_is_quoted_where_the_paper_has_it():
    both = {"IEMOCAP": {"WA": 73.34}, "URDU": {"WA": 84.25, "parameters": 1.19}}
    text = tables([with_rows(replace(ROW, paper=both))])
    assert "paper, URDU" in text and "| 84.25%, 1.19 M |" in text
    assert "73.34" not in text
    old = RECORD.to_dict()
    old["rows"][0]["paper"] = {"WA": 73.34}
    assert Record.from_dict(old).to_dict() == RECORD.to_dict()


def test_of_several_rates_all_are_named():
    rates = [RATE, TriedRate("0.01", 0.6, 4)]
    text = tables([with_rows(replace(ROW, rates=rates))])
    assert (
        "- PTS-SNN, lr (valid UA, trainings): 0.001 (70.00%, 4), "
        "0.01 (60.00%, 4)."
    ) in text


@pytest.mark.parametrize("rates", [[RATE, RATE], [], [RATE]])
def test_rows_with_unequal_numbers_of_rates_are_refused(rates, tmp_path):
    row = replace(ROW, name="probe", rates=rates)
    record = with_rows(ROW, row)
    (tmp_path / "a.json").write_text(json.dumps(record.to_dict()))
    readme = tmp_path / "README.md"
    readme.write_text(f"{BEGIN}\n{END}")
    argv = [f"--readme={readme}", f"--records={tmp_path}"]
    if len(rates) < 2:  # as many, or an SVM, which has none
        main(argv)
        return
    with pytest.raises(
        SystemExit, match=r"unequal numbers .*\(PTS-SNN: 1, probe: 2\)"
    ):
        main(argv)
    assert readme.read_text() == f"{BEGIN}\n{END}"


def write_record(record, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record.to_dict()))


def test_rows_of_the_older_record_are_kept_if_the_reference_is_the_same(
    tmp_path,
):
    records, readme = tmp_path / "records", tmp_path / "README.md"
    readme.write_text(f"{BEGIN}\n{END}")
    older = replace(with_values(ROW, WA=0.4), name="lif")
    untrained = replace(ROW, name="lif", values=None)
    added = replace(with_values(ROW, WA=0.3), name="bilstm")
    file = records / "URDU-random-fbank-table4.json"
    write_record(with_rows(ROW, older), file)
    path = tmp_path / "new" / "URDU" / "random" / "fbank" / "table4.json"
    argv = [str(tmp_path / "new"), f"--readme={readme}", f"--records={records}"]

    def kept():
        rows = json.loads(file.read_text())["rows"]
        return {row["name"]: row["figures"]["WA"] for row in rows}

    # Energy and revision may differ: they say nothing of the utterances.
    again = with_values(ROW, energy=None, git_revisions=["later"])
    write_record(with_rows(again, untrained, added), path)
    main(argv)
    assert kept() == {"PTS-SNN": 0.5, "lif": 0.4, "bilstm": 0.3}

    for reference in (
        with_values(ROW, seeds={"1": {"WA": 0.6}}),
        replace(ROW, values=None),
    ):
        write_record(with_rows(reference, added), path)
        with pytest.raises(SystemExit, match=r"does not have .*lif, which"):
            main(argv)
    assert kept() == {"PTS-SNN": 0.5, "lif": 0.4, "bilstm": 0.3}

    for changed in (
        replace(untrained, why_not="another front-end"),
        replace(untrained, overrides={"pooling": 5}),
    ):  # it is no longer the older row
        write_record(with_rows(ROW, older), file)
        write_record(with_rows(ROW, changed), path)
        main(argv)
        assert json.loads(file.read_text())["rows"][1]["figures"] is None

    trained = with_values(replace(ROW, name="lif"), WA=0.7)
    other = with_values(ROW, seeds={"1": {"WA": 0.6}}, WA=0.6)
    write_record(with_rows(other, trained, added), path)
    main(argv)  # all rows are new: nothing is lost
    assert kept() == {"PTS-SNN": 0.6, "lif": 0.7, "bilstm": 0.3}


def test_tables_are_by_corpus_protocol_backbone_and_set():
    other = replace(RECORD, corpus="EMOVO")
    unseen = replace(RECORD, protocol="speaker")
    ablations = replace(RECORD, set="table5", title="Ablations")
    text = tables([RECORD, unseen, ablations, other])
    titles = [row for row in text.splitlines() if row.startswith("### ")]
    assert titles == [
        "### Adaptations: EMOVO, random folds, fbank",
        "### Adaptations: URDU, random folds, fbank",
        "### Ablations: URDU, random folds, fbank",
        "### Adaptations: URDU, speaker folds, fbank",
    ]


LOSS = ScoreDifference(-0.246, [-0.3, -0.2], 0.031)
PROBE = replace(
    with_values(ROW, WA=0.254, interval_95=None),
    name="probe",
    head="linear_probe.yaml",
    paper={},
    difference=Difference([1], LOSS, LOSS),
)


def lines_of(text, start):
    return [line for line in text.splitlines() if line.startswith(start)]


def whole(row, **changes):
    return with_values(row, folds=2, **changes)


def test_the_overview_has_a_line_a_condition_and_a_column_a_model():
    full = replace(whole(ROW), name="Full Model")
    bare = replace(
        whole(PROBE, seeds={"1": {}}), name="shift", head="shift.yaml"
    )
    p_of_5 = Difference([1], replace(LOSS, p=0.05), LOSS)
    unsure = replace(whole(PROBE), difference=p_of_5)
    text = section(
        [
            with_rows(full, bare, set="table5", reference="Full Model"),
            with_rows(unsure, whole(ROW)),
            with_rows(whole(PROBE), corpus="EMOVO"),
        ]
    )
    (header,) = lines_of(text, "| corpus,")
    assert header == (
        "| corpus, folds, backbone | Full Model (`pts_snn`) | "
        "shift (`shift`) | probe (`linear_probe`) | oracle | seeds |"
    )
    (urdu,) = lines_of(text, "| URDU")
    assert urdu == (
        "| URDU, random, `fbank` | 50.0 (40.0 to 60.0) | 25.4 *, 1 seed | "
        "25.4 | 90.0 | 2 |"
    )
    (emovo,) = lines_of(text, "| EMOVO")
    assert emovo == "| EMOVO, random, `fbank` | - | - | 25.4 * | 90.0 | 2 |"
    (paper,) = lines_of(text, "| the paper")
    assert paper == "| the paper, IEMOCAP | 73.34 | - | - | - | - |"


@pytest.mark.parametrize(
    "values", [None, VALUES, replace(VALUES, folds=2, is_complete=False)]
)
def test_what_is_not_whole_is_not_in_the_overview(values):
    partial = replace(PROBE, values=values)
    text = section([with_rows(whole(ROW), partial)])
    (line,) = lines_of(text, "| URDU")
    assert "| 50.0 (40.0 to 60.0) | - | 90.0 |" in line
    assert "| URDU" not in section([with_rows(partial)])


def test_rows_are_not_starred_for_another_reference_than_the_one_shown():
    for other in ({"lr": "0.003"}, {"seeds": {"1": {}}}):
        adaptations = with_rows(whole(ROW, **other), whole(PROBE))
        text = section([with_rows(whole(ROW), set="table5"), adaptations])
        (line,) = lines_of(text, "| URDU")
        assert line == (
            "| URDU, random, `fbank` | 50.0 (40.0 to 60.0) | 90.0 | 2 |"
        )
        assert "\nAdaptations: URDU, random folds, fbank: left out," in text


def test_what_the_paper_measures_and_we_do_not_has_its_command():
    done = {"backbone": "emotion2vec_base", "corpus": "IEMOCAP"}
    by_speaker = replace(RECORD, **done, protocol="speaker")
    assert "--corpus=IEMOCAP --protocol=session" in section([by_speaker])
    session = replace(RECORD, **done, protocol="session")
    assert "--corpus=IEMOCAP" not in section([session])
    for undone in (
        replace(session, set="kappa"),
        replace(session, rows=[ROW, replace(ROW, values=None)]),
    ):
        text = section([undone])
        assert "--corpus=IEMOCAP" in text
    for corpora in ("CASIA", "EMODB,EMOVO,URDU"):
        assert f"--corpus={corpora} " in text


@pytest.mark.parametrize(
    "text", ["", BEGIN, f"{END}\n{BEGIN}", f"{BEGIN}{BEGIN}{END}"]
)
def test_without_its_two_comments_a_readme_is_left_alone(text, tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(text)
    with pytest.raises(
        SystemExit, match=r"README.md: must hold the lines"
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


def test_records_are_read_and_written_as_they_are():
    for path in sorted((ROOT / "docs" / "results").glob("*.json")):
        content = json.loads(path.read_text())
        for row in content["rows"]:
            if row["figures"]:  # old records lack these
                row["figures"].setdefault("left_out", [])
                row["figures"].setdefault("devices", [])
            if row["figures"] and row["figures"]["energy"]:
                row["figures"]["energy"].setdefault("front_end_mJ", None)
        assert Record.from_dict(content).to_dict() == content


def test_readme_has_a_line_a_front_end_and_a_column_a_condition():
    first = with_rows(whole(ROW), whole(PROBE), set="front_ends")
    partial = with_rows(whole(ROW), ROW, set="front_ends", backbone="whisper")
    other = replace(first, corpus="EMOVO", backbone="whisper")
    text = section([first, other, partial])
    assert "### Front-ends, WA in %: PTS-SNN / probe" in text
    assert lines_of(text, "| front-end") == [
        "| front-end | EMOVO, random | URDU, random | mJ, head and all |"
    ]
    assert lines_of(text, "| `") == [
        "| `fbank` | - | 50.0 / 25.4 \\* | 0.374 |",
        "| `whisper` | 50.0 / 25.4 \\* | 50.0 / - | 0.374 |",
    ]
    voters = replace(
        with_rows(whole(PROBE, WA=0.3), set="committees"), corpus="CASIA"
    )
    more = replace(voters, backbone="whisper", corpus="URDU")
    assert lines_of(section([first, other, partial, voters, more]), "| `") == [
        "| `fbank` | - / 30.0 | - | 50.0 / 25.4 \\* | 0.374 |",
        "| `whisper` | - | 50.0 / 25.4 \\* | 50.0 / 30.0 | 0.374 |",
    ]
    assert "### Front-ends" not in section([voters])
    steadier = whole(PROBE, WA=0.4, seeds={key: {} for key in "123"})
    more = with_rows(steadier, set="committees")
    assert "| `fbank` | 50.0 / 40.0 | 0.374 |" in section([first, more])
    # With other seeds than the reference's it has no star.
    more = whole(PROBE, seeds={key: {} for key in "123"})
    assert lines_of(
        section([with_rows(whole(ROW), more, set="front_ends")]), "| `"
    ) == ["| `fbank` | 50.0 / 25.4 | 0.374 |"]
    old = with_rows(whole(ROW), set="front_ends", backbone="old")
    assert lines_of(section([first, old]), "| `") == [
        "| `fbank` | 50.0 / 25.4 \\* | 0.374 |",
        "| `old` | 50.0 / - | 0.374 |",
    ]
