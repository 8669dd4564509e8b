"""A results folder and a bundle of an old revision still work."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from speechbrain.inference import EncoderClassifier

from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.evaluation.compare import compare
from speechbrain_ptssnn.evaluation.summary import uncalibrated_posteriors
from speechbrain_ptssnn.evaluation.trained_run import TrainedRun
from speechbrain_ptssnn.recipe import main

SPECIMENS = Path(__file__).resolve().parents[1] / "specimens"
RECIPE = SPECIMENS.parents[1] / "recipes" / "Custom" / "train.py"
MODEL = "results/Cafe/two_folds/tiny_fbank/pts_snn"


@pytest.fixture
def cafe(tmp_path, monkeypatch):
    """The old results, and sixteen tones of the same bytes as then."""
    shutil.copytree(SPECIMENS / "run", tmp_path / "results")
    shutil.copytree(SPECIMENS / "cafe", tmp_path / "cafe")
    time = np.arange(8000) / 16000
    rows = ["path,label,speaker"]
    for k in range(16):
        label, speaker = ("calm", "angry")[k % 2], "ab"[k // 8]
        pitch = 200 + 150 * (k % 2) + 7 * k
        wave = np.round(0.3 * np.sin(2 * np.pi * pitch * time) * 32767)
        wav = tmp_path / "cafe" / f"{k}.wav"
        soundfile.write(wav, wave.astype("int16"), 16000)
        rows.append(f"{k}.wav,{label},{speaker}")
    (tmp_path / "cafe" / "cafe.csv").write_text("\n".join(rows) + "\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def train(seed):
    options = [f"--seed={seed}", "--device=cpu", "--noprogressbar"]
    main("Custom", RECIPE, ["cafe/tiny.yaml", *options])


def read(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_an_old_run_goes_on_where_it_was_killed(cafe, caplog):
    done = cafe / MODEL / "2" / "fold_1" / "result.json"
    before = done.stat().st_mtime_ns
    train(seed=2)
    assert done.stat().st_mtime_ns == before
    assert "epoch 1:" not in (cafe / MODEL / "2" / "log.txt").read_text()
    expected = {
        row["id"]: row for row in read(SPECIMENS / "predictions_of_seed_2.csv")
    }
    labels = [key[2:] for key in next(iter(expected.values())) if "p_" in key]
    found = 0
    for k in (1, 2):
        folder = cafe / MODEL / "2" / f"fold_{k}"
        result = json.loads((folder / "result.json").read_text())
        # The first fold was done when posteriors had no temperature.
        temperature = result.get("temperature", 1.0)
        assert ("temperature" in result) == (k == 2)
        for row in read(folder / "predictions.csv"):
            wanted, found = expected[row["id"]], found + 1
            assert row["label"] == wanted["label"]
            now = uncalibrated_posteriors([row], labels, temperature)[0]
            then = [float(wanted[f"p_{label}"]) for label in labels]
            assert now == pytest.approx(then, abs=1e-4)
    assert found == len(expected)


def test_an_old_run_refuses_other_settings(cafe):
    options = ["--seed=2", "--lr=0.5", "--device=cpu"]
    with pytest.raises(SystemExit, match=r"other settings: .*lr"):
        main("Custom", RECIPE, ["cafe/tiny.yaml", *options])


def test_old_seeds_are_compared_and_opened(cafe):
    one = cafe / MODEL / "1"
    assert compare(one, one)["difference"]["WA"]["value"] == 0
    run = TrainedRun(one)
    head, features = run.load(1)
    assert head(features(run.test_ids(1)[0])).shape == (1, 2)


def test_an_old_run_is_opened_from_any_folder(cafe, monkeypatch):
    """Its paths start where its training was called."""
    run = TrainedRun(cafe / MODEL / "1")
    expected = [tensor.shape for tensor in features_of(run)]
    elsewhere = cafe / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    run = TrainedRun(Path("..") / MODEL / "1")
    assert [tensor.shape for tensor in features_of(run)] == expected
    assert not any(elsewhere.iterdir())


def features_of(run):
    _, features = run.load(1)
    return [features(id) for id in run.test_ids(1)]


def test_a_moved_corpus_is_told(cafe):
    (cafe / "new").mkdir()
    shutil.move(cafe / "cafe", cafe / "new")
    one = cafe / MODEL / "1"
    with pytest.raises(InputError, match=r"of 16 audio files 16 .*data_folder"):
        features_of(TrainedRun(one))
    for place in ("new", "new/cafe", "new/cafe/cafe.csv"):
        features_of(TrainedRun(one, data_folder=cafe / place))
    shutil.move(cafe / "new" / "cafe", cafe / "renamed")
    features_of(TrainedRun(one, data_folder=cafe / "renamed"))
    shutil.copy(cafe / "renamed" / "1.wav", cafe / "renamed" / "0.wav")
    with pytest.raises(InputError, match="not what was trained on"):
        features_of(TrainedRun(one, data_folder=cafe / "renamed"))


def test_features_that_are_nowhere_are_asked_for(cafe, monkeypatch):
    shutil.move(cafe / "results", cafe / "moved")
    monkeypatch.chdir(cafe / "moved")
    run = TrainedRun(
        Path(MODEL, "1").relative_to("results"), data_folder=cafe / "cafe"
    )
    with pytest.raises(InputError, match=r"not known.*--features_folder"):
        features_of(run)


def test_an_old_bundle_loads_in_the_stock_class(cafe):
    classifier = EncoderClassifier.from_hparams(
        source=str(cafe / MODEL / "1" / "fold_1" / "model"),
        savedir=str(cafe / "saved"),
    )
    expected = {r["id"]: r for r in read(cafe / MODEL / "1/predictions.csv")}
    tested = read(cafe / MODEL / "1/fold_1/predictions.csv")
    for row in tested:
        log_posteriors, *_ = classifier.classify_file(
            str(cafe / "cafe" / f"{row['id']}.wav"), savedir=str(cafe)
        )
        p_calm = log_posteriors[0, 0].exp().item()
        wanted = float(expected[row["id"]]["p_calm"])
        assert p_calm == pytest.approx(wanted, abs=1e-4)
