"""Sets of two small models: trained once, resumed, put in one table."""

import json
import shutil
import statistics
from pathlib import Path

import pytest

from speechbrain_ptssnn.cli import main
from speechbrain_ptssnn.evaluation.compare import compare
from speechbrain_ptssnn.evaluation.predictions import read_predictions
from speechbrain_ptssnn.experiments import trials
from speechbrain_ptssnn.training.arguments import Arguments
from write_results import BEGIN, END
from write_results import main as write_results

SET = """\
title: Two probes
reference: large
rows:
    - name: small
      head: linear_probe.yaml
      overrides: {model: small_probe, head: {size: 2}}
      paper: {URDU: {WA: 71.79}, IEMOCAP: {WA: 50}}
    - name: large
      head: linear_probe.yaml
"""


@pytest.fixture
def call(recipe):
    """Calls the command on the set; gives its table's JSON."""
    path = recipe.path / "probes.yaml"
    path.write_text(SET)

    def call(*flags, **options):
        options = {"number_of_epochs": 1, **options}
        argv = recipe.arguments(**options)[1:]
        main(["experiments", str(path), "--corpus=URDU", *argv, *flags])
        (file,) = recipe.path.rglob("probes.json")
        return json.loads(file.read_text())

    return call


def folder(recipe, model):
    return recipe.path / "results/URDU/utterance/fbank" / model


def summary(recipe, model, seed=1):
    file = folder(recipe, model) / str(seed) / "summary.json"
    return json.loads(file.read_text())


def share_right(path, fold):
    tested = json.loads((path / "folds.json").read_text())[str(fold)]["test"]
    rows = read_predictions(path / "predictions.csv")
    rows = [row for row in rows if row["id"] in tested]
    return sum(r["label"] == r["prediction"] for r in rows) / len(rows)


def test_a_set_is_trained_once_and_its_table_says_what_the_runs_gave(
    recipe, call, capsys
):
    outcome = call()
    small, large = outcome["rows"]
    for row, model in ((small, "small_probe"), (large, "linear_probe")):
        own, figures = summary(recipe, model), row["figures"]
        assert Path(row["folder"]) == folder(recipe, model)
        for key in (
            *("WA", "UA", "trainable_params", "folds_done", "n_utterances"),
            *("majority", "speaker_oracle"),
        ):
            assert figures[key] == own[key]
        assert figures["ECE"] == pytest.approx(own["ECE"])
        for key in ("WA", "UA"):
            assert figures["interval_95"][key] == own["interval_95"][key]
        assert figures["epochs"] == 1
    assert small["figures"]["trainable_params"] == 160 * 2 + 2 + 2 * 4 + 4
    pair = compare(small["folder"], large["folder"])
    assert small["difference"] == {"folds": [1, 2], **pair["difference"]}
    assert large["difference"] is None
    results = sorted(recipe.path.rglob("result.json"))
    written = [file.stat().st_mtime_ns for file in results]
    assert len(written) == 4

    energy = {
        "folds": [1, 2],
        "channels": 160,
        "scaled": {"frames": 226, "strict": {"mJ": 0.125}},
    }
    (folder(recipe, "small_probe") / "1/energy.json").write_text(
        json.dumps(energy)
    )
    capsys.readouterr()
    assert call()["rows"][1] == large
    assert [file.stat().st_mtime_ns for file in results] == written
    said = capsys.readouterr().out
    cells = [line.split() for line in said.splitlines()]
    wa, p = small["figures"]["WA"], pair["difference"]["WA"]["p"]
    (figures,) = [line for line in cells if "0.125" in line]
    assert figures[:2] == ["small", f"{wa:.2%}"]
    ece = f"{small['figures']['ECE']:.3f}"
    assert {"71.79%", ece, "334"} < set(figures)
    assert "paper, URDU" in said and "50.00%" not in said
    assert figures[-3:] == ["2", "of", "2"]
    difference = f"{pair['difference']['WA']['value']:+.2%}"
    (differences,) = [line for line in cells if difference in line[1:2]]
    assert f"{p:.4f}" in differences

    # The second seed's run joins the first's.
    small = call(seed=2)["rows"][0]
    values = [summary(recipe, "small_probe", seed)["WA"] for seed in (1, 2)]
    assert [s["WA"] for s in small["figures"]["seeds"].values()] == values
    errors = [summary(recipe, "small_probe", seed)["ECE"] for seed in (1, 2)]
    assert small["figures"]["ECE"] == pytest.approx(statistics.mean(errors))
    assert small["figures"]["WA"] == pytest.approx(statistics.mean(values))
    assert small["figures"]["WA_std"] == statistics.stdev(values)
    assert small["figures"]["energy"]["mJ"] == 0.125

    # What README says is what the summaries say.
    readme = recipe.path / "README.md"
    readme.write_text(f"# Us\n{BEGIN}\nold\n{END}\n")
    to = [f"--readme={readme}", f"--records={recipe.path / 'records'}"]
    write_results([str(recipe.path / "results"), *to])
    everything = recipe.path / "records.md"
    text = everything.read_text()
    assert "### Two probes: URDU, utterance folds, fbank" in text
    mean, std = statistics.mean(values), statistics.stdev(values)
    line = text[text.index("| small |") :].splitlines()[0]
    assert line.startswith(f"| small | {mean:.2%} ± {100 * std:.1f} | ")
    assert line.endswith("| 334 | 0.125 | 0.0002 | 1, 2 | 1 | 2 of 2 |")
    (record,) = (recipe.path / "records").iterdir()
    assert str(recipe.path) not in record.read_text()
    assert "\nold\n" not in readme.read_text()
    write_results(to)  # from the records alone
    assert everything.read_text() == text
    write_results([*to, "--check"])
    everything.write_text(text.replace(f"{mean:.2%}", "99.00%"))
    with pytest.raises(SystemExit, match=r"records.md: its results are not"):
        write_results([*to, "--check"])


def test_of_several_rates_the_validation_selects_and_energy_is_counted(
    recipe, call
):
    outcome = call("--energy", lr="0.0002,0.01", fold=1)
    for row, model in zip(
        outcome["rows"], ("small_probe", "linear_probe"), strict=True
    ):
        runs = {
            lr: summary(recipe, f"{model}_lr{lr}") for lr in ("0.0002", "0.01")
        }
        assert row["rates"] == [
            {"lr": lr, "valid_UA": run["valid_UA"], "runs": 1}
            for lr, run in runs.items()
        ]
        best = max(runs, key=lambda lr: runs[lr]["valid_UA"])
        assert row["figures"]["lr"] == best
        assert row["figures"]["WA"] == runs[best]["WA"]
        written = Path(row["folder"], "1", "energy.json")
        content = json.loads(written.read_text())
        energy, scaled = row["figures"]["energy"], content["scaled"]
        assert energy["mJ"] == pytest.approx(scaled["strict"]["mJ"])
        assert energy["front_end_mJ"] == scaled["backbone"]["mJ"] > 0
        # A file of an older version lacks the front-end of fbank.
        old = {"name": "fbank", "seconds": 4.55, "MACs": None, "mJ": None}
        del scaled["backbone"], scaled["total"]
        written.write_text(json.dumps({**content, "backbone": old}))
    rows = call("--energy", lr="0.0002,0.01", fold=1)["rows"]
    assert rows == outcome["rows"]


def test_a_row_with_rates_of_its_own_takes_none_from_the_command_line(
    recipe, call
):
    def rates_and_folders(own, **options):
        (recipe.path / "probes.yaml").write_text(
            SET.replace("overrides:", f"lr: {own}\n      overrides:")
        )
        rows = call(fold=1, **options)["rows"]
        return [
            ([rate["lr"] for rate in row["rates"]], Path(row["folder"]).name)
            for row in rows
        ]

    small, large = rates_and_folders("[0.01, 0.03]", lr=0.0005)
    assert small[0] == ["0.01", "0.03"]
    assert small[1] in ("small_probe_lr0.01", "small_probe_lr0.03")
    assert large == (["0.0005"], "linear_probe")

    small, large = rates_and_folders(0.02, lr="0.001,0.002")
    assert small == (["0.02"], "small_probe")
    assert large[0] == ["0.001", "0.002"]


def test_the_tuning_folds_choose_the_rate_that_trains_the_others(recipe, call):
    text = SET.replace("rows:", "tuning_folds: 1\nrows:")
    text = text.replace("overrides:", "lr: [0.0002, 0.01]\n      overrides:")
    path = recipe.path / "probes.yaml"

    def outcome(text, **options):
        path.write_text(text)
        return call(**options)["rows"]

    alone = text[: text.index("    - name: large")]  # half the trainings
    alone = alone.replace("reference: large", "reference: small")
    (small,) = outcome(alone, seed="1,2", fold="all")
    tried = {rate["lr"]: rate for rate in small["rates"]}
    models = {
        lr: folder(recipe, f"small_probe_lr{lr}") for lr in ("0.0002", "0.01")
    }
    runs = {
        lr: [
            sorted(path.parent.name for path in run.glob("fold_*/result.json"))
            for run in sorted(model.glob("[12]"))
        ]
        for lr, model in models.items()
    }
    on_fold_1 = {
        lr: json.loads((model / "1/fold_1/result.json").read_text())["valid_UA"]
        for lr, model in models.items()
    }
    best = max(on_fold_1, key=on_fold_1.get)
    (other,) = runs.keys() - {best}
    assert runs == {best: [["fold_1", "fold_2"]] * 2, other: [["fold_1"]]}
    assert small["figures"]["lr"] == best
    # What is shown of both is the training that chose.
    assert tried == {
        lr: {"lr": lr, "valid_UA": valid_UA, "runs": 1}
        for lr, valid_UA in on_fold_1.items()
    }

    # More tuning folds than the protocol has are all of them.
    small, large = outcome(text.replace("tuning_folds: 1", "tuning_folds: 9"))
    assert {rate["lr"]: rate["runs"] for rate in small["rates"]} == {
        best: 2,
        other: 2,
    }
    assert len(large["rates"]) == 1  # it has one rate, and nothing to tune


def test_a_head_without_a_learning_rate_has_none_in_the_table(recipe, call):
    (recipe.path / "probes.yaml").write_text(
        SET.replace("overrides:", "lr: null\n      overrides:")
    )
    small, large = call(fold=1, lr="0.001,0.002")["rows"]
    assert small["rates"] == []
    assert Path(small["folder"]).name == "small_probe"
    assert len(large["rates"]) == 2


def test_a_rate_with_more_folds_done_comes_before_a_better_one(recipe, call):
    recipe.run(
        head="linear_probe",
        model="linear_probe_lr0.01",
        lr=0.01,
        number_of_epochs=1,
    )
    for rates in ("0.0002,0.01", "0.01,0.0002"):
        large = call("--table_only", lr=rates)["rows"][1]
        assert large["figures"]["lr"] == "0.01"
    large = call(lr="0.0002,0.01", fold=1)["rows"][1]
    assert large["figures"]["lr"] == "0.01"
    assert [rate["runs"] for rate in large["rates"]] == [1, 1]


def test_a_row_of_some_folds_is_compared_on_these(recipe, call):
    recipe.run(head="linear_probe", number_of_epochs=1)
    outcome = call(fold=2)
    small, large = outcome["rows"]
    assert small["figures"]["folds_done"] == [2]
    assert large["figures"]["folds_done"] == [1, 2]
    of_fold_2 = [share_right(Path(r["folder"], "1"), 2) for r in (small, large)]
    assert small["figures"]["WA"] == of_fold_2[0]
    assert small["difference"]["folds"] == [2]
    assert small["difference"]["WA"]["value"] == pytest.approx(
        of_fold_2[0] - of_fold_2[1]
    )


def test_an_interrupted_set_shows_what_is_done(
    recipe, call, monkeypatch, capsys
):
    train, calls = trials.train, []

    def interrupted(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        train(*arguments)

    monkeypatch.setattr(trials, "train", interrupted)
    with pytest.raises(SystemExit, match="the same command goes on"):
        call(fold=1)
    small = summary(recipe, "small_probe")
    said = " ".join(capsys.readouterr().out.split())
    assert f"small {small['WA']:.2%}" in said
    monkeypatch.undo()
    assert call("--table_only")["rows"][1]["figures"] is None
    assert call(fold=1)["rows"][1]["figures"]["folds_done"] == [1]


def test_a_row_that_fails_stops_no_other_and_ends_with_an_error(
    recipe, call, capsys
):
    recipe.run(head="linear_probe", model="small_probe", fold=1)
    with pytest.raises(SystemExit, match="failed rows: small, see above"):
        call(fold=1)
    said = capsys.readouterr().out
    assert "small failed: " in said and "number_of_epochs=" in said
    large = summary(recipe, "linear_probe")
    assert f"large {large['WA']:.2%}" in " ".join(said.split())


def test_a_table_leaves_out_runs_of_other_settings(recipe, call, capsys):
    recipe.run(head="linear_probe", number_of_epochs=1, fold=1)
    _, large = call("--table_only", number_of_epochs=3)["rows"]
    assert large["figures"] is None
    assert "number_of_epochs=3 (there: 1)" in large["why_not"]
    assert large["why_not"] in " ".join(capsys.readouterr().out.split())
    # What does not change the result does not matter, and a copy is no seed.
    model = folder(recipe, "linear_probe")
    shutil.copytree(model / "1", model / "1_old")
    large = call("--table_only", jobs=2, fold=2)["rows"][1]
    assert large["figures"]["folds_done"] == [1] and not large["why_not"]
    assert [*large["figures"]["seeds"]] == ["1"]
    # Old runs do not say in which precision their features were computed.
    settings = model / "1" / "hyperparams.yaml"
    lines = settings.read_text().splitlines(keepends=True)
    settings.write_text(
        "".join(line for line in lines if "extraction_precision" not in line)
    )
    assert call("--table_only")["rows"][1]["figures"]


def test_a_row_of_another_corpus_or_front_end_is_left_out(recipe, call):
    """As when the front-end's file was changed between two rows."""
    call(fold=1)
    file = folder(recipe, "small_probe") / "1" / "settings.json"
    made = json.loads(file.read_text())
    for key, words in (("backbone", "front-end"), ("data", "corpus")):
        file.write_text(json.dumps({**made, key: "another"}))
        small, large = call("--table_only")["rows"]
        assert small["figures"] is small["difference"] is None
        assert f"with another {words} (" in small["why_not"]
        assert large["figures"]
    file.write_text(json.dumps(made))
    assert call("--table_only")["rows"][0]["figures"]


@pytest.mark.parametrize(
    ("backbone", "frames"), [("fbank", 226), ("fbank_10ms", 452)]
)
def test_an_energy_of_another_length_is_counted_again(
    recipe, call, capsys, backbone, frames
):
    small, _ = call(fold=1, backbone=backbone)["rows"]
    main(["energy", str(Path(small["folder"], "1")), "--frames=2000"])
    counted = []
    for _ in range(2):
        capsys.readouterr()
        rows = call("--table_only", "--energy", backbone=backbone)["rows"]
        for row in rows:
            assert row["figures"]["energy"]["frames"] == frames
        counted.append(capsys.readouterr().out.count("operations of "))
    assert counted == [2, 0]


def test_an_utterance_is_tested_once(recipe, tmp_path, monkeypatch):
    (tmp_path / "twice.py").write_text(
        "from speechbrain_ptssnn.corpora.folds import KFold\n"
        "class Twice(KFold):\n"
        "    def split(self, utterances):\n"
        "        return 2 * super().split(utterances)\n"
    )
    (tmp_path / "twice.yaml").write_text(
        "protocol: !new:twice.Twice {n_folds: 2, unit: utterance, seed: 1}\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SystemExit, match="several folds test the same"):
        recipe.call(protocol=tmp_path / "twice.yaml")


def test_rows_of_other_front_ends_are_refused(recipe, call):
    for key in ("normalize: speaker", "normalizer: {rule: speaker}"):
        (recipe.path / "probes.yaml").write_text(
            SET.replace("overrides: {", f"overrides: {{{key}, ")
        )
        message = "front-ends, fbank_speaker-adapted and fbank, which one"
        with pytest.raises(SystemExit, match=message):
            call("--table_only")


def test_a_table_for_each_protocol_without_training(recipe, call, capsys):
    units = ("utterance", "speaker")
    both = ",".join(str(recipe.path / f"{unit}.yaml") for unit in units)
    with pytest.raises(ValueError, match="not enough values"):  # no JSON
        call("--table_only", "--markdown", protocol=both)
    said = capsys.readouterr().out
    for unit in units:
        assert f"Two probes: URDU, {unit} folds, fbank" in said
    assert said.count(f"| small |{' - |' * 4} 71.79% |{' - |' * 4}") == 2
    assert not (recipe.path / "results").exists()


def test_of_several_corpora_each_has_its_folder():
    argv = ["set.yaml", "--seed=1,2", "--data_folder=/data"]
    arguments = Arguments.parse([*argv, "--corpus=URDU,EMOVO"])
    for corpus, each in trials.conditions(arguments):
        assert each.keys == {
            "seed": "1,2",
            "data_folder": f"/data/{corpus}",
            "corpus": corpus,
        }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "mine"}, "--model cannot be set here: row 'small'"),
        ({"number_of_epoch": 2}, "unknown key 'number_of_epoch'"),
        ({"protocol": "none"}, "unknown protocol 'none'"),
        ({"lr": "0.1,zero"}, "got '0.1,zero'"),
        ({"lr": "0.1,0.10"}, "several that differ"),
    ],
)
def test_bad_options_end_in_one_sentence(options, message, call):
    with pytest.raises(SystemExit, match=message) as error:
        call(**options)
    assert "\n" not in str(error.value)


def test_rows_that_would_share_a_folder_are_refused(recipe, call):
    (recipe.path / "probes.yaml").write_text(
        SET.replace("model: small_probe, ", "")
    )
    message = "rows 'small' and 'large' of the set have one results folder"
    with pytest.raises(SystemExit, match=message):
        call()
