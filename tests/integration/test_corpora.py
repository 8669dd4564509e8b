"""Each corpus in miniature: reader, folds, training, summary."""

import json
import re
from pathlib import Path

import pytest

from speechbrain_ptssnn.recipe import main

ROOT = Path(__file__).resolve().parents[2]
FOUR = {"protocol": "four_classes"}
SENTENCE = {"protocol": "sentence"}
SPEAKER = {"protocol": "speaker"}


def run_recipe(corpus, data_folder, results, **options):
    options = {
        "data_folder": data_folder,
        "complete": False,
        "backbone": "fbank",
        "number_of_epochs": 1,
        "results_folder": results,
        "features_folder": results / "features",
        **options,
    }
    main(
        corpus,
        ROOT / "recipes" / corpus / "train.py",
        [
            str(ROOT / "hparams" / "linear_probe.yaml"),
            *(f"--{key}={value}" for key, value in options.items()),
            "--device=cpu",
            "--noprogressbar",
        ],
    )
    (folder,) = results.glob(f"{corpus}/*/fbank/linear_probe/1")
    return json.loads((folder / "summary.json").read_text()), folder


@pytest.mark.parametrize(
    ("corpus", "options", "protocol", "n_folds", "n_classes", "n", "unit"),
    [
        ("IEMOCAP", {}, "session", 5, 4, 40, "session"),
        ("CASIA", {}, "speaker", 4, 6, 48, "speaker"),
        ("CASIA", FOUR, "four_classes", 4, 4, 32, "speaker"),
        ("EMODB", {}, "random", 10, 7, 70, "wav"),
        ("EMOVO", {}, "random", 10, 7, 98, "wav"),
        ("EMOVO", SENTENCE, "sentence", 7, 7, 98, "sentence"),
        ("URDU", {}, "random", 10, 4, 40, "wav"),
        ("FSDD", SPEAKER, "speaker", 6, 10, 180, "speaker"),
    ],
)
def test_a_corpus_is_read_trained_and_summarised(
    corpus,
    options,
    protocol,
    n_folds,
    n_classes,
    n,
    unit,
    mini_corpus,
    tmp_path,
):
    data_folder = mini_corpus(corpus)
    summary, folder = run_recipe(corpus, data_folder, tmp_path, **options)
    assert (summary["protocol"], summary["folds"]) == (protocol, n_folds)
    assert summary["folds_done"] == list(range(1, n_folds + 1))
    assert len(summary["labels"]) == n_classes
    manifest = json.loads((folder / "manifest.json").read_text())
    assert len(manifest) == n
    assert summary["n_utterances"] == n
    for row in manifest.values():
        assert Path(row["wav"]).is_file()
        assert row["duration"] == pytest.approx(0.3, abs=1e-3)
    folds = json.loads((folder / "folds.json").read_text()).values()
    for fold in folds:
        train_ids = fold["train"] + fold["valid"]
        assert sorted(train_ids + fold["test"]) == sorted(manifest)
        test, rest = (
            {manifest[name][unit] for name in ids}
            for ids in (fold["test"], train_ids)
        )
        assert not test & rest


def test_emobox_folds_are_trained(mini_corpus, tmp_path):
    data_folder = mini_corpus("URDU")
    wavs = sorted(data_folder.rglob("*.wav"))
    fold = tmp_path / "emobox" / "fold_1"
    fold.mkdir(parents=True)
    for part, listed in (("train", wavs[::2]), ("test", wavs[1::2])):
        (fold / f"urdu_{part}_fold_1.jsonl").write_text(
            "".join(
                json.dumps(
                    {
                        "key": f"urdu-{wav.stem}",
                        "wav": f"downloads/urdu/{wav.parent.name}/{wav.name}",
                    }
                )
                + "\n"
                for wav in listed
            )
        )
    summary, folder = run_recipe(
        "URDU",
        data_folder,
        tmp_path / "results",
        protocol="emobox",
        emobox_folder=fold.parent,
    )
    assert (summary["folds"], summary["n_utterances"]) == (1, 20)
    folds = json.loads((folder / "folds.json").read_text())
    assert folds["1"]["test"] == sorted(wav.stem for wav in wavs[1::2])


@pytest.mark.parametrize(
    ("corpus", "n_classes", "sizes", "ids"),
    [
        ("FSDD", 10, [60, 60, 60], r"\d_[a-z]+_4"),
        ("SpeechCommands", 35, [35, 35, 35], r"[a-z]+-ffd2ba2f_nohash_0"),
    ],
)
def test_the_authors_split_of_spoken_words_is_trained(
    corpus, n_classes, sizes, ids, mini_corpus, tmp_path, caplog
):
    summary, folder = run_recipe(corpus, mini_corpus(corpus), tmp_path)
    assert (summary["protocol"], summary["folds"]) == ("authors", 1)
    assert len(summary["labels"]) == n_classes
    assert summary["n_utterances"] == sizes[2]
    fold = json.loads((folder / "folds.json").read_text())["1"]
    assert [len(fold[part]) for part in ("train", "valid", "test")] == sizes
    assert all(re.fullmatch(ids, name) for name in fold["test"])
    assert "emotion" not in (folder / "log.txt").read_text().lower()
