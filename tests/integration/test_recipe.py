import csv
import errno
import json
import logging
import os
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from speechbrain.inference import EncoderClassifier

from conftest import BACKBONES
from speechbrain_ptssnn import FocalSmoothingLoss
from speechbrain_ptssnn.cli import main as ptssnn
from speechbrain_ptssnn.inference import EmotionClassifier
from speechbrain_ptssnn.recipe import main
from speechbrain_ptssnn.training.train_fold import run_fold
from speechbrain_ptssnn.utils.files import only_process

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "recipes" / "URDU" / "train.py"
HPARAMS = ROOT / "hparams" / "linear_probe.yaml"

LABELS = ["Angry", "Happy", "Neutral", "Sad"]


def check_bundle(folder, corpus, moved):
    """The moved bundle repeats the run's posteriors, alone and in a batch."""
    with open(folder / "predictions.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    shutil.move(folder / "model", moved)
    classifier = EncoderClassifier.from_hparams(source=str(moved))
    wavs = []
    for row in rows:
        path = str(corpus / row["label"] / f"{row['id']}.wav")
        log_posteriors, _, _, text = classifier.classify_file(path)
        wavs.append(classifier.load_audio(path))
        expected = [float(row[f"p_{label}"]) for label in LABELS]
        assert text == [row["prediction"]]
        assert log_posteriors[0].exp().tolist() == pytest.approx(
            expected, abs=1e-5
        )
    batch = torch.nn.utils.rnn.pad_sequence(wavs, batch_first=True)
    lengths = torch.tensor([len(wav) / batch.shape[1] for wav in wavs])
    together = classifier.classify_batch(batch, lengths)[0]
    alone = torch.cat([classifier.classify_batch(wav)[0] for wav in wavs])
    assert torch.allclose(together, alone, atol=1e-5)
    assert classifier.encode_batch(batch, lengths).shape == (len(wavs), 1, 4)


@pytest.mark.parametrize(
    ("head", "spiking"),
    [
        ("pts_snn", 5),
        ("vanilla_snn", 2),
        ("linear_probe", 0),
        ("ablations/temporal_shift_only", 4),
        ("peers/adlif", 2),
    ],
)
def test_a_run_leaves_what_it_promises(head, spiking, recipe, mini_urdu):
    run = recipe.run(head=head)
    assert run.folder == Path(
        recipe.path, "results/URDU/utterance/fbank", Path(head).name, "1"
    )
    assert {"corpus", "protocol", "backbone", "model", "seed", "folds"} < set(
        run.summary
    )
    assert run.summary["n_utterances"] == 40
    assert run.summary["labels"] == LABELS
    assert sum(map(sum, run.summary["confusion"])) == 40
    hits = sum(row[k] for k, row in enumerate(run.summary["confusion"]))
    assert run.summary["WA"] == pytest.approx(hits / 40)
    assert len(run.summary["firing_rates"]) == spiking
    for k in (1, 2):
        fold = run.folder / f"fold_{k}"
        assert (fold / "train_log.txt").read_text().count("epoch:") == 2
        assert any((fold / "tensorboard").iterdir())
        assert len(list((fold / "save").glob("CKPT*"))) == 1
    check_bundle(fold, mini_urdu, recipe.path / "moved")


@pytest.mark.parametrize("kind", [*BACKBONES, "emotion2vec"])
def test_pretrained_backbones_train_and_classify(
    kind, recipe, mini_urdu, make_backbone
):
    name = "emotion2vec_base" if kind == "emotion2vec" else "huggingface"
    layer = "weighted" if kind in ("wavlm", "emotion2vec") else "last"
    run = recipe.run(
        backbone=name,
        hub=make_backbone(kind),
        head="linear_probe",
        layer=layer,
    )
    ending = "-weighted" if layer == "weighted" else ""
    assert run.summary["backbone"] == f"tiny-{kind}{ending}"
    weights = [run.folder / f"fold_{k}/model/backbone.ckpt" for k in (1, 2)]
    assert weights[0].samefile(weights[1])
    check_bundle(run.folder / "fold_1", mini_urdu, recipe.path / "moved")


@pytest.mark.parametrize(
    "head", ["linear_probe", "pts_snn", "peers/co_attention"]
)
def test_front_ends_side_by_side_train_and_classify(
    head, recipe, mini_urdu, make_backbone
):
    run = recipe.run(
        backbone="huggingface+fbank",
        hub=make_backbone("whisper"),
        layer=1,
        window="audio",
        head=head,
        fold=1,
    )
    assert run.summary["backbone"] == "tiny-whisper-L1-audio+fbank"
    check_bundle(run.folder / "fold_1", mini_urdu, recipe.path / "moved")


def test_bf16_products_are_those_of_the_bundle(
    recipe, mini_urdu, make_backbone
):
    run = recipe.run(
        backbone="huggingface",
        hub=make_backbone("whisper"),
        extraction_precision="bf16",
        head="linear_probe",
        fold=1,
    )
    settings = json.loads((run.folder / "settings.json").read_text())
    assert "precision=bf16" in settings["backbone"]
    check_bundle(run.folder / "fold_1", mini_urdu, recipe.path / "moved")


def test_auto_is_written_as_what_it_was(recipe):
    run = recipe.run(fold=1)
    text = (run.folder / "hyperparams.yaml").read_text()
    assert "extraction_precision: fp32" in text  # fbank has no weights


def test_speaker_adaptation_is_another_condition(
    recipe, mini_urdu, caplog, capsys
):
    logger = logging.getLogger("speechbrain_ptssnn.corpora.checks")
    logger.addHandler(caplog.handler)
    run = recipe.run(normalize="speaker", fold=1, head="linear_probe")
    logger.removeHandler(caplog.handler)
    assert "show one label only: SM1" not in caplog.text  # they show all four
    assert run.summary["backbone"] == "fbank_speaker-adapted"
    assert run.folder.parents[1].name == "fbank_speaker-adapted"

    with open(run.folder / "fold_1/predictions.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    classifier = EmotionClassifier.from_hparams(run.folder / "fold_1/model")
    encoder = classifier.mods.embedding_model
    row = rows[0]
    own = sorted(mini_urdu.rglob(f"{row['speaker']}_*.wav"))
    path = mini_urdu / row["label"] / f"{row['id']}.wav"
    before = classifier.classify_file(path)[0].exp()[0]
    encoder.adapt([classifier.load_audio(path)])  # another speaker before
    encoder.adapt([classifier.load_audio(wav) for wav in own])
    after = classifier.classify_file(path)[0].exp()[0]
    expected = [float(row[f"p_{label}"]) for label in LABELS]
    assert after.tolist() == pytest.approx(expected, abs=1e-5)
    assert before.tolist() != pytest.approx(expected, abs=1e-5)

    bundle, own = str(run.folder / "fold_1/model"), list(map(str, own))
    capsys.readouterr()
    ptssnn(["classify", bundle, str(path), "--format=json", "--adapt", *own])
    (found,) = json.loads(capsys.readouterr().out)
    assert list(found["posteriors"].values()) == pytest.approx(
        expected, abs=1e-5
    )
    with pytest.raises(SystemExit, match="nowhere: there is no such file"):
        ptssnn(["classify", bundle, str(path), "--adapt", "nowhere"])


def test_opensmile_trains_and_classifies(recipe, mini_urdu):
    pytest.importorskip("opensmile", reason="the extra [opensmile] is missing")
    run = recipe.run(backbone="opensmile_compare", fold=1)
    bundle = (run.folder / "fold_1/model/hyperparams.yaml").read_text()
    assert "clip: 6.0" in bundle
    check_bundle(run.folder / "fold_1", mini_urdu, recipe.path / "moved")


@pytest.mark.parametrize("head", ["pts_snn", "vanilla_snn", "linear_probe"])
def test_layer_weighted_alone_makes_the_head_mix(
    head, recipe, mini_urdu, make_backbone
):
    parameters = {}
    for layer in ("last", "weighted"):
        run = recipe.run(
            head=head,
            backbone="huggingface",
            hub=make_backbone("wav2vec2"),
            layer=layer,
            fold=1,
            results_folder=recipe.path / layer,
        )
        parameters[layer] = run.summary["trainable_params"]
    assert parameters["weighted"] == parameters["last"] + 3
    saved = torch.load(run.folder / "fold_1" / "model" / "head.ckpt")
    assert saved["mixture.logits"].abs().max() > 0  # it has learnt
    check_bundle(run.folder / "fold_1", mini_urdu, recipe.path / "moved")


def test_layers_that_are_not_mixed_are_more_channels(
    recipe, mini_urdu, make_backbone
):
    file = recipe.path / "unmixed.yaml"
    file.write_text("base: linear_probe.yaml\nhead: {n_layers: 1}\n")
    run = recipe.run(
        head=file.with_suffix(""),
        backbone="huggingface",
        hub=make_backbone("wav2vec2"),
        layer="weighted:1-2",
        fold=1,
    )
    saved = torch.load(run.folder / "fold_1" / "model" / "head.ckpt")
    assert "mixture.logits" not in saved
    check_bundle(run.folder / "fold_1", mini_urdu, recipe.path / "moved")


def test_a_bundle_hears_the_louder_channel_or_the_chosen_one(recipe, mini_urdu):
    mono = next(mini_urdu.rglob("*.wav"))
    samples, rate = soundfile.read(mono)
    noise = np.random.default_rng(0).normal(0, 0.01, len(samples))
    stereo = recipe.path / "stereo.wav"
    soundfile.write(stereo, np.stack([noise, samples], 1), rate)
    for channel in ("louder", 0):
        run = recipe.run(
            head="linear_probe",
            fold=1,
            channel=channel,
            results_folder=recipe.path / f"channel_{channel}",
        )
        classifier = EncoderClassifier.from_hparams(
            source=str(run.folder / "fold_1" / "model")
        )
        posteriors = [
            classifier.classify_file(str(path))[0] for path in (mono, stereo)
        ]
        assert torch.equal(*posteriors) == (channel == "louder")


def test_unseen_speakers_stay_unseen(recipe):
    run = recipe.run(head="linear_probe", unit="speaker")
    folds = json.loads((run.folder / "folds.json").read_text())
    manifest = json.loads((run.folder / "manifest.json").read_text())
    for fold in folds.values():
        train, valid, test = (
            {manifest[name]["speaker"] for name in fold[part]}
            for part in ("train", "valid", "test")
        )
        assert not (train & valid or train & test or valid & test)


def test_a_label_map_decides_on_the_classes(recipe):
    label_map = "{Angry: high, Happy: high, Neutral: null, Sad: low}"
    outcome = recipe.run(label_map=label_map)
    assert outcome.summary["labels"] == ["high", "low"]
    assert "Neutral" not in outcome.predictions
    assert {row.split(",")[2] for row in outcome.predictions.split()[1:]} == {
        "high",
        "low",
    }


def test_one_fold_at_a_time_gives_the_same_run(recipe):
    whole = recipe.run(head="linear_probe").predictions
    for fold in (2, 1):
        run = recipe.run(
            head="linear_probe",
            fold=fold,
            results_folder=recipe.path / "other",
        )
    assert run.predictions == whole


def test_a_finished_run_is_not_run_again(recipe):
    run = recipe.run(head="linear_probe")
    results = [run.folder / f"fold_{k}/result.json" for k in (1, 2)]
    times = [path.stat().st_mtime_ns for path in results]
    assert recipe.run(head="linear_probe").predictions == run.predictions
    assert [path.stat().st_mtime_ns for path in results] == times


def test_an_interrupted_run_sums_up_the_folds_that_are_done(
    recipe, monkeypatch
):
    def interrupted(run, number):
        if number == 2:
            raise KeyboardInterrupt
        run_fold(run, number)

    monkeypatch.setattr("speechbrain_ptssnn.recipe.run_fold", interrupted)
    with pytest.raises(SystemExit, match="goes on from here"):
        recipe.call(head="linear_probe")
    partial = recipe.outcome()
    assert partial.summary["folds_done"] == [1]
    monkeypatch.undo()
    whole = recipe.run(head="linear_probe")
    assert whole.summary["folds_done"] == [1, 2]
    lines = whole.predictions.splitlines()
    assert {*partial.predictions.splitlines()} < {*lines}


def wait_for(process, found):
    """Until a file shows how far the run is; fails if it ends before."""
    while process.poll() is None:
        if found():
            return
        time.sleep(0.005)
    pytest.fail(
        f"the run ended before it could be killed: {process.stdout.read()}"
    )


def test_killed_in_three_places_gives_the_same_predictions(recipe):
    whole = recipe.run(number_of_epochs=4).predictions
    killed = recipe.path / "killed"
    for pattern in ("settings.json", "fold_1/save/*/CKPT.yaml", "fold_2/save"):
        process = recipe.start(number_of_epochs=4, results_folder=killed)
        wait_for(process, lambda pattern=pattern: any(killed.rglob(pattern)))
        process.send_signal(signal.SIGKILL)
        process.wait()
    process = recipe.start(number_of_epochs=4, results_folder=killed)
    output, _ = process.communicate()
    assert process.returncode == 0, output
    assert recipe.outcome("killed").predictions == whole


def test_two_processes_make_the_same_folds_and_a_whole_result(recipe):
    alone = recipe.run()
    process = recipe.start(
        "-m",
        "torch.distributed.run",
        "--nproc_per_node=2",
        results_folder=recipe.path / "two",
    )
    output, _ = process.communicate()
    assert process.returncode == 0, output
    two = recipe.outcome("two")
    assert two.summary["n_utterances"] == 40
    for name in ("folds.json", "manifest.json"):
        assert (two.folder / name).read_text() == (
            alone.folder / name
        ).read_text()
    check = EncoderClassifier.from_hparams(
        source=str(two.folder / "fold_1" / "model")
    )
    assert check.classify_batch(torch.randn(16000))[0].shape == (1, 4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backbone": "fbnk"}, r"unknown backbone 'fbnk'.*'fbank'"),
        ({"protocol": "spaeker"}, r"unknown protocol.*'random', 'speaker'"),
        ({"data_folder": "nowhere"}, r"data_folder=nowhere.*Angry/.*github"),
        ({"data_folder": ""}, "data_folder is not set"),
        ({"complete": True}, r"URDU: found .*10.*, expected .*100"),
        ({"number_of_epoch": 3}, "unknown key 'number_of_epoch'"),
        (
            {"number_of_epochs": "ten"},
            "number_of_epochs must be a whole number",
        ),
        ({"number_of_epochs": 0}, "number_of_epochs must be at least 1, got 0"),
        ({"fold": 3}, "fold must be 'all' or 1 to 2, got 3"),
        ({"head": "no_such_head"}, r"no_such_head\.yaml"),
        ({"backbone": "huggingface", "hub": "/nowhere"}, "'/nowhere' cannot"),
        ({"layer": "weighted"}, "unknown key 'layer'"),
        ({"channel": "left"}, "channel must be 'louder', 0, 1, .*'left'"),
        ({"max_grad_norm": -1}, r"max_grad_norm must be 0 \(off\) or more"),
        ({"max_grad_norm": ".nan"}, "max_grad_norm must be a number, got nan"),
        ({"lr": -1}, "refuses its settings: Invalid learning rate: -1"),
        ({"restart_period": 0}, "refuses its settings: Expected positive int"),
        ({"grad_accumulation_factor": 0}, "factor must be at least 1, got 0"),
        ({"results_folder": ""}, "--results_folder is empty; write a name"),
        ({"model": "a/b"}, "the model is called 'a/b', which cannot be the"),
    ],
)
def test_bad_settings_end_in_one_sentence(options, message, recipe):
    with pytest.raises(SystemExit, match=message) as error:
        recipe.run(**options)
    assert "\n" not in str(error.value)
    assert not (recipe.path / "results").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"data_folder": ""}, "data_folder is not set"),
        ({"data_folder": "nowhere"}, "data_folder=nowhere"),
        ({"complete": True}, r"URDU: found .*10.*, expected .*100"),
        ({"number_of_epochs": 0}, "number_of_epochs must be at least 1"),
        ({"fold": 3}, "fold must be 'all' or 1 to 2, got 3"),
        ({"precision": "fp8"}, "precision must be one of .*'fp8'"),
        ({"launcher": "slurm"}, r"launcher must be .*'ray'.*, got 'slurm'"),
        ({"features_dtype": "half"}, "features_dtype must be one of"),
        ({"extraction_precision": "fp8"}, "extraction_precision must be one"),
    ],
)
def test_cheap_checks_come_before_the_hub(options, message, recipe):
    """The backbone's loading would fail."""
    with pytest.raises(SystemExit, match=message):
        recipe.run(backbone="huggingface", hub="/nowhere", **options)


def test_a_folder_has_one_setting_before_its_first_checkpoint(recipe):
    options = {"head": "linear_probe", "number_of_epochs": 999}
    process = recipe.start(fold=1, **options)
    wait_for(process, lambda: any(recipe.path.rglob("settings.json")))
    with pytest.raises(SystemExit, match=r"other settings: lr=0\.1 \(there: 0"):
        recipe.call(fold=2, lr=0.1, **options)
    process.kill()
    process.communicate()
    assert not any(recipe.path.rglob("fold_2"))


@pytest.mark.parametrize("name", ["result.json", "predictions.csv"])
def test_a_power_cut_costs_what_is_computed_again(name, recipe):
    whole = recipe.run(head="linear_probe")
    for path in whole.folder.glob("*.json"):
        if path.name != "settings.json":
            path.write_bytes(b"")
    (whole.folder / "predictions.csv").write_bytes(b"")
    (whole.folder / "fold_1" / name).write_bytes(b"")
    second = whole.folder / "fold_2" / "result.json"
    before = second.stat().st_mtime_ns
    again = recipe.run(head="linear_probe")
    assert again.predictions == whole.predictions
    assert second.stat().st_mtime_ns == before


def test_a_full_disk_is_a_sentence_and_the_same_command_goes_on(
    recipe, monkeypatch
):
    def full(folder):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(
        "speechbrain_ptssnn.training.checkpoints.sync_folder", full
    )
    with pytest.raises(SystemExit, match="fold_1: No space left on device; fr"):
        recipe.call(head="linear_probe")
    monkeypatch.undo()
    again = recipe.run(head="linear_probe")
    other = recipe.run(
        head="linear_probe", results_folder=recipe.path / "other"
    )
    assert again.predictions == other.predictions


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("file", r"file.*: (Not a directory|File exists); a file stands where"),
        ("x" * 300, "File name too long; choose a shorter one"),
    ],
)
def test_a_results_folder_that_cannot_be_used_is_named(name, message, recipe):
    (recipe.path / "file").touch()
    with pytest.raises(SystemExit, match=message):
        recipe.run(head="linear_probe", results_folder=recipe.path / name)


def test_another_setting_is_not_mixed_in(recipe):
    run = recipe.run(head="linear_probe")
    with pytest.raises(
        SystemExit, match=r"other settings: lr=0\.1 \(there: 0\.0002"
    ):
        recipe.run(head="linear_probe", lr=0.1)
    assert recipe.run(head="linear_probe").predictions == run.predictions


def test_a_run_option_that_changes_results_is_not_mixed_in(recipe):
    recipe.run(head="linear_probe", fold=1)
    with pytest.raises(SystemExit, match=r"max_grad_norm=0\.1 \(there: 5"):
        recipe.run(head="linear_probe", max_grad_norm=0.1)


def test_0_clips_no_gradient(recipe):
    predictions = [
        recipe.run(
            head="linear_probe",
            fold=1,
            max_grad_norm=norm,
            results_folder=recipe.path / f"norm_{norm}",
        ).predictions
        for norm in (0, 1e30, 5, 0.001)
    ]
    assert predictions[0] == predictions[1]
    assert predictions[0] != predictions[3]


def test_a_diverged_model_is_an_error_not_a_result(recipe):
    with pytest.raises(SystemExit, match=r"diverged by epoch 1.*lower --lr"):
        recipe.run(head="linear_probe", lr=1e30, max_grad_norm=0)
    assert not any(recipe.path.rglob("result.json"))


def test_the_validation_loss_weighs_every_utterance_alike(recipe):
    whole = recipe.run(head="linear_probe", batch_size=16, number_of_epochs=1)
    result = json.loads((whole.folder / "fold_1/result.json").read_text())
    with open(whole.folder / "fold_1/predictions.csv", newline="") as file:
        rows = list(csv.DictReader(file))  # 20 utterances: batches of 16, 4
    posteriors = torch.tensor(
        [[float(row[f"p_{label}"]) for label in LABELS] for row in rows]
    )
    posteriors = (result["temperature"] * posteriors.log()).softmax(-1)
    targets = torch.tensor([LABELS.index(row["label"]) for row in rows])
    expected = FocalSmoothingLoss()(posteriors.log(), targets)
    assert result["loss"] == pytest.approx(expected.item(), abs=1e-5)


def test_a_channel_that_is_not_there_is_named(recipe, mini_urdu):
    with pytest.raises(SystemExit, match=r"wav: there is no channel 1.*has 1;"):
        recipe.run(channel=1)


def test_a_mended_file_does_not_block_the_same_command(recipe, mini_urdu):
    corpus = shutil.copytree(mini_urdu, recipe.path / "mended")
    wav = min(corpus.rglob("*.wav"))
    good = wav.read_bytes()
    soundfile.write(wav, [0.1] * 100, 44100)
    with pytest.raises(SystemExit, match="too short for one frame"):
        recipe.run(head="linear_probe", data_folder=corpus)
    wav.write_bytes(good)
    run = recipe.run(head="linear_probe", data_folder=corpus)
    assert run.summary["n_utterances"] == 40


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seed=1", "--seed=2"], "--seed is given twice"),
        (["--seed=1", "stray"], "unexpected argument 'stray'"),
        (["-seed=3"], "unexpected argument '-seed=3'"),
        (["--head={n_prompts: 3"], r"--head=\{n_prompts: 3: while parsing"),
        (["--head=3"], "head must be like"),
    ],
)
def test_a_mistyped_command_line_is_not_swallowed(arguments, message):
    with pytest.raises(SystemExit, match=message) as error:
        main("URDU", str(SCRIPT), [str(HPARAMS), *arguments])
    assert "\n" not in str(error.value)


def test_a_fold_belongs_to_one_process_at_a_time(recipe):
    run = recipe.run(head="linear_probe", fold=1)
    with (
        only_process(run.folder / "fold_2"),
        pytest.raises(SystemExit, match="fold_2: another process"),
    ):
        recipe.run(head="linear_probe")
    assert recipe.run(head="linear_probe").summary["folds_done"] == [1, 2]


def test_a_damaged_file_stops_the_run_before_training(recipe, mini_urdu):
    corpus = shutil.copytree(mini_urdu, recipe.path / "damaged")
    wav = min(corpus.rglob("*.wav"))
    wav.write_bytes(b"")
    with pytest.raises(SystemExit, match=wav.name):
        recipe.run(data_folder=corpus)
    assert not any(recipe.path.rglob("fold_*"))


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"normalizer": "{size: 3}"}, "size of tensor a"),
        ({"restart_period": -1}, "T_0"),
    ],
)
def test_settings_that_cannot_train_are_told_first(options, reason, recipe):
    with pytest.raises(SystemExit, match=reason) as error:
        recipe.run(**options)
    assert "\n" not in str(error.value)
    assert not (recipe.path / "features").exists()
