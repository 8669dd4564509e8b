"""The command ``ptssnn`` as a user calls it."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
import soundfile

from speechbrain_ptssnn import cli
from speechbrain_ptssnn.cli import COMMANDS, LISTS, classification, main
from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.training.command import read_command

CALL = "from speechbrain_ptssnn.cli import main; main()"


def test_the_same_run_as_the_recipe(recipe):
    old = recipe.run(head="linear_probe", fold=1)
    argv = recipe.arguments(
        head="linear_probe", fold=1, results_folder=recipe.path / "other"
    )
    main(["train", "urdu", *argv])
    assert recipe.outcome("other").predictions == old.predictions


def test_defaults_and_names_of_ours(recipe):
    _, *options = recipe.arguments(protocol="", number_of_epochs=1, fold=1)
    main(["train", "URDU", *options])
    main(["train", "URDU", "ablations/without_prompts", *options])
    main(["train", "URDU", "linear_probe.yaml", *options])
    found = {path.parts[-3:-1] for path in recipe.path.rglob("*/summary.json")}
    models = ("pts_snn", "without_prompts", "linear_probe")
    assert found == {(model, "1") for model in models}
    assert (recipe.path / "results/URDU/random/fbank").is_dir()


@pytest.fixture
def bundle(recipe):
    return recipe.run(head="linear_probe", fold=1).folder / "fold_1" / "model"


def test_classify_goes_on_after_a_bad_file(bundle, recipe, mini_urdu, capsys):
    folder = recipe.path / "files"
    shutil.copytree(mini_urdu / "Sad", folder / "Sad")
    (folder / "notes.txt").write_text("no audio")
    bad = folder / "Sad" / "SM9_F0_S1.wav"
    bad.write_text("text")
    capsys.readouterr()
    with pytest.raises(SystemExit, match=rf"1 of 11 files .*{bad}"):
        main(["classify", str(bundle), str(folder)])
    said = capsys.readouterr()
    skipped = f"skipped, no ending of an audio file: 1 ({folder}/notes.txt)"
    assert skipped in said.err.splitlines()
    lines = said.out.splitlines()
    assert len(lines) == 10
    for line in lines:
        assert re.fullmatch(
            r".+\.wav: \w+ \(Angry 0\.\d+, .*Sad 0\.\d+\)", line
        )


def test_classify_writes_csv_and_json_that_agree(
    bundle, mini_urdu, recipe, capsys
):
    wav = str(next(mini_urdu.rglob("*.wav")))
    capsys.readouterr()
    main(["classify", str(bundle), wav, "--format=json"])
    (as_json,) = json.loads(capsys.readouterr().out)
    path = recipe.path / "out.csv"
    main(["classify", str(bundle), wav, f"--csv={path}"])
    (as_csv,) = csv.DictReader(StringIO(path.read_text()))
    assert as_json["path"] == as_csv["path"] == wav
    assert as_json["label"] == as_csv["label"]
    for label, p in as_json["posteriors"].items():
        assert float(as_csv[f"p_{label}"]) == pytest.approx(p, abs=1e-6)


def test_classify_says_what_the_training_said(bundle, mini_urdu, capsys):
    with open(bundle.parent / "predictions.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    files = [str(mini_urdu / r["label"] / f"{r['id']}.wav") for r in rows]
    capsys.readouterr()
    main(["classify", str(bundle), *files, "--format=json"])
    results = json.loads(capsys.readouterr().out)
    assert [each["label"] for each in results] == [
        r["prediction"] for r in rows
    ]


def test_classify_says_where_the_bundle_is(bundle, mini_urdu, recipe):
    wav = str(next(mini_urdu.rglob("*.wav")))
    run = bundle.parents[1]
    for model, message in (
        (run, rf"{run}: is not a trained .*did you mean {bundle}\?"),
        (recipe.path / "nothing", "nothing: is not there; MODEL is"),
        (wav, "is a file; MODEL comes first"),
        (mini_urdu, "holds no label_encoder"),
    ):
        with pytest.raises(SystemExit, match=message):
            main(["classify", str(model), wav])
    with pytest.raises(SystemExit, match=r"no\.wav: "):
        main(["classify", str(bundle), "no.wav"])


def test_classify_checks_both_arguments_before_it_loads(
    bundle, mini_urdu, recipe, monkeypatch
):
    wav = str(next(mini_urdu.rglob("*.wav")))
    monkeypatch.setattr(classification, "open_bundle", None)
    for words, message in (
        (
            [bundle, "a", "b", "c", "d"],
            "a; b; c; and 1 more, all listed in .*: there is no such",
        ),
        (
            [wav, bundle],
            f"MODEL comes first .*: ptssnn classify {bundle} ",
        ),
        ([mini_urdu, bundle], f"did you mean: ptssnn classify {bundle} "),
        (["someone/on/a-hub", wav], "someone/on/a-hub: is not there"),
        ([bundle.parent, wav], rf"did you mean {bundle}\?"),
    ):
        with pytest.raises(SystemExit, match=message):
            main(["classify", *map(str, words)])
    (bundle / "head.ckpt").write_bytes(b"")
    with pytest.raises(SystemExit, match=r"head\.ckpt: is empty; copy"):
        main(["classify", str(bundle), wav])


def test_classify_warns_once_of_silent_files(bundle, recipe, capsys):
    folder = recipe.path / "silent"
    folder.mkdir()
    for k in range(5):
        soundfile.write(folder / f"{k}.wav", [0.0] * 8000, 16000)
    capsys.readouterr()
    main(["classify", str(bundle), str(folder)])
    said = capsys.readouterr()
    assert len(said.out.splitlines()) == 5
    (line,) = [x for x in said.err.splitlines() if "silence" in x]
    assert "warning: 5 of 5 recordings are digital silence" in line
    assert line.count(".wav") == 3


def test_compare_energy_and_report(recipe, capsys):
    run = str(recipe.run(head="linear_probe").folder)
    features = f"--features_folder={recipe.path / 'features'}"
    written = recipe.path / "comparison.json"
    main(["compare", run, run, f"--json={written}"])
    assert json.loads(written.read_text())["difference"]["WA"]["value"] == 0
    main(["energy", run, "--count_backbone=no", "--frames=50", features])
    assert (
        json.loads((Path(run) / "energy.json").read_text())["scaled"]["frames"]
        == 50
    )
    assert "energy.json" in capsys.readouterr().out
    page = recipe.path / "page.html"
    main(["report", run, f"--output={page}", features])
    assert "<html" in page.read_text()


def test_help_names_every_option_with_its_default(capsys):
    for name in COMMANDS:
        try:
            main([name, "--help"])
        except SystemExit as end:
            assert not end.code
        said = capsys.readouterr().out
        assert f"usage: ptssnn {name}" in said
        assert re.search(r"^examples?:$", said, re.M)
        for option in re.findall(
            r"^  (--\w+) (?:VALUE|FILE|FOLDER)", said, re.M
        ):
            entry = said.partition(f"  {option} ")[2].partition("\n  --")[0]
            assert "default" in entry, (name, option)


@pytest.mark.parametrize("name", ["train", "extract", "experiments"])
def test_help_has_all_keys(name, capsys):
    main([name, "--help"])
    said = capsys.readouterr().out
    options = re.findall(r"^  --(\w+)", said, re.M)
    known = {"data_folder", "lr", "pooling", "n_folds", "hub", "debug"}
    assert known <= {*options}
    assert "\nData:\n  --data_folder VALUE   Folder of" in said
    assert re.search(r"^The head, .*:\n(?:  .*\n)* +n_prompts: 5", said, re.M)


def test_lists_have_a_line_for_everything(capsys):
    main(["list"])
    said = capsys.readouterr().out
    for kind in LISTS:
        assert f"{kind}:" in said
    for name in ("EMOVO random", "whisper-base", "peers/dst", "table5"):
        assert re.search(rf"^  {name} +\w.*$", said, re.M), name
    main(["list", "sets"])
    assert "corpora:" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["trian"], r"unknown command 'trian' \(did you mean 'train'\?\)"),
        (
            ["train", "EMVO"],
            r"unknown corpus 'EMVO' \(did you mean 'EMOVO'\?\)",
        ),
        (["train"], "name a corpus first"),
        (["train", "URDU", "linear_prob"], "did you mean 'linear_probe'"),
        (
            ["train", "URDU", "--backbone=fbank", "--device=nonsense"],
            "--device=nonsense cannot be used: ",
        ),
        (["train", "URDU", "--backbone=fbnk"], "did you mean 'fbank'"),
        (
            ["train", "URDU", "--backbone=fbank", "--protocol=spaeker"],
            "did you mean 'speaker'",
        ),
        (
            ["train", "URDU", "--backbone=fbank", "--data-folder=x"],
            r"unknown key 'data-folder' \(did you mean 'data_folder'\?\)",
        ),
        (
            ["train", "URDU", "--data_folder", "=", "/x"],
            "write --data_folder=/x in one word",
        ),
        (
            ["train", "URDU", "--backbone=fbank", "--head={n_promts: 3}"],
            "PTSSNN has no argument 'n_promts' .*did you mean 'n_prompts'",
        ),
        (
            ["train", "hparams/pts_snn.yaml", "--corpus=URDU"],
            "ptssnn train URDU",
        ),
        (["experiments", "--corpus=URDU"], "name a set first"),
        (["experiments", "tabel5", "--corpus=URDU"], "did you mean 'table5'"),
        (
            ["energy", "x", "--frame=3"],
            r"'--frame=3' \(did you mean '--frames'",
        ),
        (
            ["energy", "x", "--backbone=no"],
            r"'--backbone=no' \(did you mean '--count_backbone'",
        ),
        (["energy", "x", "--frames=few"], "invalid int value: 'few'"),
        (["list", "backbone"], "did you mean 'backbones'"),
        (["compare", "a"], "RUN_B"),
    ],
)
def test_the_nearest_right_word_is_named(argv, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match=message) as error:
        main(argv)
    assert "\n" not in str(error.value)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "words", "model", "n_prompts"),
    [
        ("train", [], "pts_snn", 3),
        ("train", ["linear_probe"], "linear_probe", 0),
        ("train", ["ablations/causal.yaml"], "causal", 5),
        ("layers", [], "linear_probe", 0),
        ("layers", ["pts_snn"], "pts_snn", 5),
    ],
)
def test_a_head_may_stand_behind_a_file_of_ones_own(
    name, words, model, n_prompts, tmp_path, monkeypatch
):
    """And ``layers`` trains a linear head, whatever that file trains."""
    (tmp_path / "cafe.csv").write_text("path,label\n")
    (tmp_path / "cafe.yaml").write_text(
        "base: pts_snn.yaml\ncorpus: Cafe\ndata_folder: cafe.csv\n"
        "label_map: {ruhig: calm, laut: angry}\nhead: {n_prompts: 3}\n"
    )
    read = []

    def profile(arguments, corpus, recipe_folder):
        read.append(read_command(arguments, corpus, recipe_folder))
        raise InputError("seen")

    def train(corpus, recipe_folder, arguments):
        profile(arguments, corpus, recipe_folder)

    monkeypatch.setattr(cli, "train", train)
    monkeypatch.setattr(cli.layer_profile, "profile_layers", profile)
    with pytest.raises(SystemExit, match="seen"):
        main([name, f"{tmp_path}/cafe.yaml", *words, "--backbone=fbank"])
    (command,) = read
    assert command.corpus.name == "Cafe"
    assert command.plain["model"] == model
    names = dict(command.settings.build()["head"].named_parameters())
    assert len(names.get("attention.prompts", [])) == n_prompts


def test_a_table_in_the_place_of_a_corpus_needs_a_yaml_file(tmp_path):
    (tmp_path / "cafe.csv").write_text("path,label\n")
    for path, kind in ((tmp_path / "cafe.csv", "file"), (tmp_path, "folder")):
        message = f"but a {kind} of yours; .*ptssnn explore MY.yaml"
        with pytest.raises(SystemExit, match=message):
            main(["explore", str(path), "--backbone=fbank"])


def test_a_terminal_without_accents_is_no_error(bundle, mini_urdu, recipe):
    wav = recipe.path / "é.wav"
    samples, rate = soundfile.read(next(mini_urdu.rglob("*.wav")))
    soundfile.write(wav, samples, rate)
    process = subprocess.run(
        [sys.executable, "-c", CALL, "classify", str(bundle), str(wav)],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr
    assert "/\\xe9.wav: " in process.stdout
