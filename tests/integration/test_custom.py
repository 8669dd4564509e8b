"""A corpus that nobody has prepared: from a spreadsheet to EncoderClassifier,
and from one corpus to another, by what the READMEs say.
"""

import csv
import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from speechbrain.inference import EncoderClassifier

from speechbrain_ptssnn.recipe import main

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
CUSTOM = ROOT / "recipes" / "Custom" / "train.py"
CROSS = ROOT / "recipes" / "CrossCorpus" / "train.py"
# Rate, channels and format of each speaker's files.
SPEAKERS = {
    "Anna Müller": (8000, 1, "wav"),
    "李 伟": (44100, 2, "flac"),
    "o'Brien, J.": (16000, 1, "ogg"),
}
OPTIONS = ["--number_of_epochs=2", "--device=cpu", "--noprogressbar"]


def yaml_of_the_readme():
    (text,) = re.findall(
        r"```yaml\n(base: pts_snn.*?)```", README.read_text(), re.S
    )
    return text


@pytest.fixture
def cafe(tmp_path, monkeypatch):
    """Three speakers, two labels, eight utterances of each, half of them
    parts of one long file.
    """
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    folder = tmp_path / "my corpora" / "café"
    rows = []
    for speaker, (rate, channels, ending) in SPEAKERS.items():
        (folder / speaker).mkdir(parents=True)
        for label, pitch in {"calm": 150, "angry": 900}.items():
            time = np.arange(int(0.4 * rate)) / rate
            waves = [
                np.sin(2 * np.pi * (pitch + 10 * k) * time)
                + rng.normal(0, 0.1, (channels, len(time)))
                for k in range(8)
            ]
            waves = [0.3 * wave.T for wave in waves]
            for k in range(4):
                name = f"{speaker}/{label} {k}.{ending}"
                soundfile.write(folder / name, waves[k], rate)
                rows.append([name, label, speaker, "", "", str(k % 2)])
            name = f"{speaker}/{label} – ganz.{ending}"
            soundfile.write(folder / name, np.concatenate(waves[4:]), rate)
            for k in range(4):
                span = (f"{0.4 * k:.1f}", f"{0.4 * (k + 1):.1f}")
                rows.append([name, label, speaker, *span, str(k % 2)])
    with open(folder / "cafe.csv", "w", encoding="utf-8-sig", newline="") as f:
        header = ["Path", "Label", "Speaker", "Start", "End", "Split"]
        csv.writer(f, delimiter=";").writerows([header, *rows])
    (folder / "cafe.yaml").write_text(yaml_of_the_readme(), encoding="utf-8")
    return folder


def run(script, *arguments):
    main(script.parent.name, script, [*map(str, arguments), *OPTIONS])


def outcome(folder):
    (path,) = Path("results", folder).rglob("summary.json")
    return path.parent, json.loads(path.read_text())


@pytest.mark.parametrize(
    ("protocol", "options", "n_folds"),
    [
        ("random", ["--n_folds=2"], 2),
        ("speaker", ["--n_folds=3", "--valid_parts=2"], 3),
        ("column", ["--valid_parts=2"], 2),
    ],
)
def test_from_a_spreadsheet_to_a_classifier(
    protocol, options, n_folds, cafe, caplog
):
    run(
        CUSTOM,
        cafe / "cafe.yaml",
        "--backbone=fbank",
        f"--protocol={protocol}",
        *options,
    )
    unused = f"folds of its own, which --protocol={protocol} does not keep"
    assert (unused in caplog.text) == (protocol != "column")
    folder, summary = outcome(f"Cafe/{protocol}/fbank/pts_snn/1")
    assert summary["labels"] == ["calm", "angry"]
    assert (summary["folds"], summary["n_utterances"]) == (n_folds, 48)
    model = shutil.move(folder / "fold_1" / "model", "moved")
    classifier = EncoderClassifier.from_hparams(source=str(model))
    with open(folder / "fold_1" / "predictions.csv", newline="") as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    manifest = json.loads((folder / "manifest.json").read_text())
    assert len(rows) in (24, 16)
    for name, row in rows.items():
        utterance = manifest[name]
        # The part, cut out as anyone would do it.
        samples, rate = soundfile.read(utterance["wav"], dtype="float32")
        end = utterance["end"] and round(utterance["end"] * rate)
        part = torch.from_numpy(samples[round(utterance["start"] * rate) : end])
        wav = classifier.audio_normalizer(part, rate)
        log_posteriors, _, _, text = classifier.classify_batch(wav[None])
        assert text == [row["prediction"]]
        assert log_posteriors[0].exp().tolist() == pytest.approx(
            [float(row["p_calm"]), float(row["p_angry"])], abs=1e-5
        )


def test_a_manifest_without_speakers_trains_in_random_folds_only(cafe, caplog):
    text = (cafe / "cafe.csv").read_text("utf-8").replace("Speaker", "Who")
    (cafe / "cafe.csv").write_text(text, encoding="utf-8")
    arguments = [CUSTOM, cafe / "cafe.yaml", "--backbone=fbank", "--fold=1"]
    with pytest.raises(SystemExit, match=r"48 of 48 .* have no speaker, by"):
        run(*arguments, "--protocol=speaker", "--n_folds=3")
    with pytest.raises(SystemExit, match=r"48 of 48 utterances have none"):
        run(*arguments, "--normalize=speaker")
    assert not Path("results").exists()
    run(*arguments)
    assert "has no speakers; random folds may test" in caplog.text


def test_a_copy_with_another_label_ends_in_one_sentence(cafe):
    # Written again: other bytes, but the same is heard.
    samples, rate = soundfile.read(cafe / "李 伟" / "calm 0.flac")
    copy = cafe / "李 伟" / "angry 0.flac"
    soundfile.write(copy, samples, rate, format="WAV", subtype="FLOAT")
    with pytest.raises(
        SystemExit, match=r"the same recording has two labels .* 1 pair of utt"
    ) as error:
        run(CUSTOM, cafe / "cafe.yaml", "--backbone=fbank")
    assert "\n" not in str(error.value)
    assert not Path("results").exists()


def test_a_table_as_it_came_is_trained_on(cafe):
    text = (cafe / "cafe.csv").read_text("utf-8-sig")
    (cafe / "samples").mkdir()
    for speaker in SPEAKERS:
        (cafe / speaker).rename(cafe / "samples" / speaker)
    text = re.sub(r"\.(wav|flac|ogg);", ";", text.partition("\n")[2])
    header = "sep=;\nfile_id;Emotion;who;Start;End;Split\n"
    (cafe / "cafe.csv").write_text(header + text, encoding="utf-16")
    lines = (
        "columns: {path: file_id, label: emotion, speaker: Who}\n"
        "audio_folder: samples\n"
    )
    with open(cafe / "cafe.yaml", "a") as file:
        file.write(lines)
    run(
        CUSTOM,
        cafe / "cafe.yaml",
        "--backbone=fbank",
        "--n_folds=2",
    )
    _, summary = outcome("Cafe/random/fbank/pts_snn/1")
    assert summary["n_utterances"] == 48


def test_a_column_that_parts_a_speaker_is_refused_where_that_is_asked(cafe):
    arguments = ["--backbone=fbank", "--protocol=column", "--unit=speaker"]
    message = r"fold 1: a speaker may .* in two: .*Brien"
    with pytest.raises(SystemExit, match=message):
        run(CUSTOM, cafe / "cafe.yaml", *arguments, "--valid_parts=2")


def test_a_label_outside_the_map_ends_in_one_sentence(cafe):
    text = (cafe / "cafe.csv").read_text("utf-8").replace(";calm;", ";kalm;")
    (cafe / "cafe.csv").write_text(text, encoding="utf-8")
    with pytest.raises(SystemExit, match=r"24 of 48 rows .*row 2: 'kalm'"):
        run(CUSTOM, cafe / "cafe.yaml", "--backbone=fbank")


def test_one_corpus_is_trained_on_and_another_tested(cafe, mini_urdu):
    protocol = ROOT / "recipes/CrossCorpus/protocols/urdu_to_emovo.yaml"
    text = protocol.read_text().replace("EMOVO", "Cafe")
    text = re.sub(
        r"    Cafe:\n(        .*\n)+",
        "    Cafe: {calm: sad, angry: angry}\n",
        text,
    )
    text = text.replace("Happy: happy, Neutral: neutral", "Happy: , Neutral: ")
    Path("urdu_to_cafe.yaml").write_text(text.replace("parts: 9", "parts: 4"))
    folders = f"{{URDU: {mini_urdu}, Cafe: {os.path.relpath(cafe)}/cafe.csv}}"
    run(
        CROSS,
        ROOT / "hparams" / "pts_snn.yaml",
        "--backbone=fbank",
        "--protocol=urdu_to_cafe.yaml",
        f"--data_folder={folders}",
        "--complete=False",
    )
    folder, summary = outcome("CrossCorpus/urdu_to_cafe/fbank/pts_snn/1")
    assert summary["labels"] == ["angry", "sad"]
    assert (summary["folds"], summary["n_utterances"]) == (1, 48)
    (fold,) = json.loads((folder / "folds.json").read_text()).values()
    manifest = json.loads((folder / "manifest.json").read_text())
    assert {name.partition("/")[0] for name in fold["test"]} == {"Cafe"}
    train, valid = (
        {manifest[name]["speaker"] for name in fold[part]}
        for part in ("train", "valid")
    )
    assert not train & valid
    assert {name.partition("/")[0] for name in train | valid} == {"URDU"}
