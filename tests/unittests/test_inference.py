import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from speechbrain.inference import EncoderClassifier

from speechbrain_ptssnn.deploy.classify import by_label, open_bundle
from speechbrain_ptssnn.deploy.onnx_export import export_onnx
from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.inference import (
    EmotionClassifier,
    GroupedLogPosteriors,
    read_labels,
    save_bundle,
)

OLD = Path(__file__).parents[1] / (
    "specimens/run/Cafe/two_folds/tiny_fbank/pts_snn/1/fold_1/model"
)
WAVE = torch.from_numpy(
    np.sin(np.arange(8000) / 20) * np.linspace(0.1, 0.8, 8000)
).float()
LABELS = b"'calm' => 0\n" + 16 * b"=" + b"\n'starting_index' => 0\n"
STOCK_AND_OURS = pytest.mark.parametrize(
    "loader", [EncoderClassifier, EmotionClassifier]
)


@pytest.fixture
def bundle(tmp_path):
    """Writes two bundles, whose weights differ."""

    def write(name, seed):
        torch.manual_seed(seed)
        text = (OLD / "hyperparams.yaml").read_text(encoding="utf-8")
        parts = EmotionClassifier.from_hparams(OLD).mods.embedding_model
        for weight in parts.head.state_dict().values():
            if weight.is_floating_point() and weight.dim() == 2:
                weight.copy_(torch.randn_like(weight))
        save_bundle(
            tmp_path / name,
            f"{text}\nchannel: louder\n",
            parts.backbone,
            parts.normalizer,
            parts.head,
            ["calm", "angry"],
        )
        return tmp_path / name

    return write


def weights(classifier):
    return classifier.mods.embedding_model.head.state_dict()


def same(one, other):
    return all(torch.equal(one[k], other[k]) for k in one)


@STOCK_AND_OURS
def test_a_savedir_of_another_bundle_is_refused_or_not_used(
    loader, bundle, tmp_path
):
    a, b = bundle("a", 1), bundle("b", 2)
    expected = weights(loader.from_hparams(source=str(b)))
    first = loader.from_hparams(source=str(a), savedir=str(tmp_path / "s"))
    assert not same(weights(first), expected)
    try:
        second = loader.from_hparams(source=str(b), savedir=str(tmp_path / "s"))
    except InputError as error:
        assert loader is EncoderClassifier
        assert "is another bundle's" in str(error)
        assert "give each bundle a savedir of its own" in str(error)
    else:
        assert same(weights(second), expected)
    again = loader.from_hparams(source=str(a), savedir=str(tmp_path / "s"))
    assert same(weights(again), weights(first))


@pytest.mark.parametrize("folder", ["old", "new"])
@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("head.ckpt", b"", "is empty; copy the bundle again"),
        ("head.ckpt", b"damaged", "cannot be loaded"),
        ("head.ckpt", None, "is missing; copy the bundle again"),
        ("normalizer.ckpt", "head.ckpt", "lacks .* weights, e.g."),
        ("label_encoder.ckpt", LABELS, "1 labels instead of 2"),
        ("label_encoder.ckpt", b"\xff\0", "cannot be loaded"),
        ("hyperparams.yaml", b"", "has no pretrainer"),
        ("hyperparams.yaml", b"a: [1,\nb: }", "line 2: cannot be read"),
        ("hyperparams.yaml", b"\xff\xfe\xff", "cannot be read"),
    ],
)
def test_a_damaged_bundle_is_one_sentence(
    folder, name, data, message, bundle, tmp_path
):
    model = tmp_path / "model"
    shutil.copytree(OLD if folder == "old" else bundle("new", 1), model)
    file = model / name
    if data is None:
        file.unlink()
    else:
        file.write_bytes(
            (model / data).read_bytes() if isinstance(data, str) else data
        )
    with pytest.raises(InputError, match=f"{name}.*{message}") as error:
        EmotionClassifier.from_hparams(model)
    assert "\n" not in str(error.value)
    if name != "label_encoder.ckpt" or data is not None:
        with pytest.raises(InputError, match=name):
            open_bundle(model)


def test_half_of_the_weights_is_not_loaded_in_silence(bundle):
    model = bundle("a", 1)
    state = torch.load(model / "head.ckpt", weights_only=True)
    name = sorted(state)[0]
    del state[name]
    torch.save(state, model / "head.ckpt")
    for loader in (EncoderClassifier, EmotionClassifier):
        with pytest.raises(InputError, match=rf"head\.ckpt: lacks 1 .*{name}"):
            loader.from_hparams(source=str(model))


@STOCK_AND_OURS
def test_lengths_of_a_batch_are_checked(loader):
    classifier = loader.from_hparams(source=str(OLD))
    batch = torch.stack([WAVE, WAVE, WAVE])
    for lengths, message in (
        ([1.0, 0.5], r"lengths of shape \[2\] for 3 waveforms"),
        ([1.0, 0.5, 1.0, 1.0], r"lengths of shape \[4\] for 3"),
        ([8000.0, 8000.0, 4000.0], r"in \(0, 1\], got 4000 to 8000"),
        ([1.0, 0.5, 0.0], r"in \(0, 1\], got 0 to 1"),
        ([1.0, 0.5, float("nan")], r"in \(0, 1\]"),
    ):
        with pytest.raises(InputError, match=message):
            classifier.classify_batch(batch, torch.tensor(lengths))
    with pytest.raises(InputError, match=r"\[batch, samples\], .*\[3, 8000, 2"):
        classifier.classify_batch(torch.stack([batch, batch], -1))
    lengths = torch.tensor([1.0, 0.5, 0.7])
    with pytest.raises(InputError, match=r"bfloat16 cannot count samples"):
        classifier.classify_batch(batch, lengths.bfloat16())
    classifier.classify_batch(batch, lengths)


@STOCK_AND_OURS
def test_a_batch_on_the_scale_of_integers_is_never_nonsense(loader):
    classifier = loader.from_hparams(source=str(OLD))
    expected = classifier.classify_batch(WAVE)[0]
    integers = (WAVE * 32768).round().short()
    batch = torch.stack([WAVE, 32768 * WAVE])
    with pytest.raises(InputError, match=r"waveform 1 of 2: the samples reach"):
        classifier.classify_batch(batch)
    if loader is EncoderClassifier:  # which takes the type away
        with pytest.raises(InputError, match="divide them by 32768"):
            classifier.classify_batch(integers)
        return
    for each in (integers, integers.numpy(), integers.numpy()[None]):
        found = classifier.classify_batch(each)[0]
        assert torch.allclose(found, expected, atol=1e-3)
    with pytest.raises(InputError, match="int64"):
        classifier.classify_batch(integers.long())


def test_files_are_read_as_in_training(tmp_path, caplog):
    classifier = EmotionClassifier.from_hparams(OLD)
    one, two = tmp_path / "1" / "a.wav", tmp_path / "2" / "a.wav"
    for path, wave in ((one, WAVE), (two, WAVE.flip(0))):
        path.parent.mkdir()
        soundfile.write(path, wave.numpy(), 16000, "FLOAT")
        found = classifier.classify_file(path, savedir=tmp_path / "cache")
        assert torch.equal(found[0], classifier.classify_batch(wave)[0])
    with open(one, "r+b") as file:
        file.truncate(20000)
    with pytest.raises(InputError, match=r"1/a\.wav: is cut short"):
        classifier.classify_file(one)
    soundfile.write(two, np.zeros(8000), 16000)
    classifier.classify_file(str(two))
    assert "a.wav: is digital silence" in caplog.text


# 0.5, 0.3 and 0.2; of a group the sum, without the last class divided by 0.8.
@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        ([[0], [1], [2]], [0.5, 0.3, 0.2]),
        ([[0, 2], [1]], [0.7, 0.3]),
        ([[1], [0]], [0.375, 0.625]),
    ],
)
def test_posteriors_of_groups_are_those_worked_by_hand(groups, expected):
    grouped = GroupedLogPosteriors(torch.nn.Identity(), groups)
    logs = torch.tensor([[[0.5, 0.3, 0.2]]]).log()
    assert grouped(logs).exp().tolist()[0][0] == pytest.approx(expected)


def test_groups_of_hardly_possible_classes_have_finite_posteriors():
    grouped = GroupedLogPosteriors(torch.nn.Identity(), [[1], [2]])
    logs = torch.tensor([0.0, -300.0, -301.0])  # exp(-300) is 0 in float32
    expected = [1 / (1 + np.exp(-1)), 1 / (1 + np.exp(1))]
    assert grouped(logs).exp().tolist() == pytest.approx(expected)


def test_answers_in_groups_and_unsure_answers(bundle, tmp_path):
    folder = bundle("one", 1)
    plain = open_bundle(folder)
    before = by_label(plain, plain.classify_batch(WAVE)[0][0])
    assert [*before] == read_labels(folder) == ["calm", "angry"]
    label_map = {"angry": "bad", "calm": "good"}
    largest = max(before.values())
    wav = tmp_path / "a.wav"
    soundfile.write(wav, WAVE.numpy(), 16000, subtype="FLOAT")
    for unsure, is_unsure in (
        (None, False),
        (largest - 1e-4, False),
        (largest + 1e-4, True),
    ):
        classifier = EmotionClassifier.from_hparams(
            folder, label_map=label_map, unsure=unsure
        )
        for logs, score, index, label in (
            classifier.classify_batch(WAVE),
            classifier.classify_file(wav),
        ):
            after = by_label(classifier, logs[0])
            assert [*after] == ["bad", "good"]
            for name, group in label_map.items():
                assert after[group] == pytest.approx(before[name])
            best = max(after, key=after.get)
            assert label == ["unsure" if is_unsure else best]
            assert [*after][index] == best
            assert score.exp().item() == pytest.approx(largest)
    with pytest.raises(InputError, match="label_map cannot be exported"):
        export_onnx(classifier, tmp_path / "model.onnx")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"label_map": {"clam": "a", "angry": "b"}},
            r"'clam' \(did you mean 'calm'\?\) and lacks \['calm'\]",
        ),
        ({"label_map": {"calm": "a", "angry": None}}, "leaves 1 classes"),
        ({"label_map": {"calm": "a", "angry": ""}}, "a class is empty"),
        ({"label_map": {"calm": 1, "angry": 2}}, "write 1 in quotes"),
        ({"label_map": ["calm"]}, "must be like"),
        ({"unsure": 0.0}, "above 0 and at most 1, got 0"),
        ({"unsure": 1.5}, "above 0 and at most 1, got 1.5"),
        ({"unsure": float("nan")}, "above 0 and at most 1, got nan"),
        (
            {"label_map": {"calm": "unsure", "angry": "b"}, "unsure": 0.5},
            "'unsure' would be mixed up",
        ),
    ],
)
def test_answers_that_cannot_be_given_are_refused(options, message):
    with pytest.raises(InputError, match=message) as error:
        open_bundle(OLD, **options)
    assert "\n" not in str(error.value)
