"""Extraction ahead of training, by one process or by torchrun's."""

import shutil
import sys
from pathlib import Path

import pytest
import soundfile

from speechbrain_ptssnn.cli import main
from speechbrain_ptssnn.features.shards import scan


def payloads(folder):
    """Every record's bytes, by key."""
    found = {}
    for path in folder.glob("*/*.bin"):
        data = path.read_bytes()
        for offset, record in scan(path):
            found[record.key] = data[offset : offset + record.size]
    return found


def extract(recipe, corpus="URDU", **options):
    main(["extract", corpus, *recipe.arguments(**options)])


def test_training_finds_what_was_extracted(recipe, capsys):
    extract(recipe, "urdu")
    assert "40 utterances, 40 computed now" in capsys.readouterr().out
    before = payloads(recipe.path / "features")
    extract(recipe)
    assert "40 utterances, 0 computed now" in capsys.readouterr().out
    recipe.run(head="linear_probe")
    assert payloads(recipe.path / "features") == before


def test_keys_of_the_protocol_are_read(recipe, capsys):
    """Those of its file, with its label map, and their overrides."""
    protocol = recipe.path / "mapped.yaml"
    protocol.write_text(
        (recipe.path / "utterance.yaml").read_text()
        + "label_map: {Angry: high, Happy: high, Neutral: null, "
        "Sad: low}\nparts: 3\n"
    )
    extract(recipe, protocol=protocol, parts=4)
    assert "30 utterances, 30 computed now" in capsys.readouterr().out


def test_two_processes_give_the_same_store(recipe, mini_urdu):
    corpus = shutil.copytree(mini_urdu, recipe.path / "corpus")
    bad = corpus / "Sad" / "SM9_F1_S99.wav"
    soundfile.write(bad, [0.1] * 100, 44100)
    extract(recipe)
    process = recipe.start(
        *("-m", "torch.distributed.run", "--nproc_per_node=2", "--no-python"),
        *(str(Path(sys.executable).with_name("ptssnn")), "extract"),
        script="URDU",
        data_folder=corpus,
        features_folder=recipe.path / "two",
    )
    output, _ = process.communicate()
    assert process.returncode
    assert f"error: {bad}: too short for one frame" in output
    alone, two = (payloads(recipe.path / k) for k in ("features", "two"))
    assert alone == two and len(two) == 40
    (store,) = (recipe.path / "two").iterdir()
    assert (store / "00001.bin").stat().st_size > 0  # both had a share


@pytest.mark.parametrize(
    ("corpus", "options", "message"),
    [
        ("--seed=1", {}, "name a corpus first"),
        ("URDO", {}, r"unknown corpus 'URDO' \(did you mean 'URDU'\?\)"),
        ("URDU", {"features_dtype": "half"}, "features_dtype must"),
        (
            "URDU",
            {"extraction_precision": "fp16"},
            "extraction_precision=fp16 needs a GPU",
        ),
    ],
)
def test_bad_settings_end_in_one_sentence(corpus, options, message, recipe):
    with pytest.raises(SystemExit, match=message) as error:
        extract(recipe, corpus, **options)
    assert "\n" not in str(error.value)
