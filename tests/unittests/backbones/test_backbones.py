import json
import re
import shutil
import sys
from pathlib import Path

import pytest
import speechbrain as sb
import torch
import transformers
import yaml
from safetensors.torch import load_file, save_file

from conftest import BACKBONES
from speechbrain_ptssnn.backbones import (
    Emotion2vec,
    Fbank,
    HuggingFace,
    OpenSmile,
    SideBySide,
)
from speechbrain_ptssnn.backbones.base import without_tf32
from speechbrain_ptssnn.errors import InputError

OPENSMILE = ["ComParE_2016", "eGeMAPSv02"]
WITH_LAYERS = [*BACKBONES, "emotion2vec"]


@pytest.fixture
def build(make_backbone):
    """Any backbone by kind, tiny; options go to its class."""

    def make(kind, **options):
        if kind == "fbank":
            return Fbank()
        if kind in OPENSMILE:
            pytest.importorskip(
                "opensmile", reason="the extra [opensmile] is missing"
            )
            return OpenSmile(kind)
        backbone = Emotion2vec if kind == "emotion2vec" else HuggingFace
        return backbone(str(make_backbone(kind)), **options)

    return make


@pytest.fixture(params=["fbank", *OPENSMILE, *WITH_LAYERS])
def backbone(request, build):
    return build(request.param)


def test_frames_come_at_50_hz_with_output_size(backbone):
    frames = backbone(torch.randn(32000))
    assert abs(len(frames) - 2 * backbone.frame_rate) <= 3
    assert backbone.frame_rate == 50
    assert frames.shape[1] == backbone.output_size


def test_silence_has_features_and_an_utterance_always_the_same(backbone):
    silence, wav = torch.zeros(8000), 0.1 * torch.randn(8000)
    first = backbone(wav)
    assert torch.isfinite(backbone(silence)).all()
    assert torch.equal(backbone(wav), first)


@pytest.mark.parametrize("device", ["cuda", "cpu"])
def test_a_gpu_multiplies_in_float32_whatever_speechbrain_allows(
    device, allow_tf32
):
    allow_tf32(True, True)  # as speechbrain.utils.quirks
    products = torch.backends.cuda.matmul, torch.backends.cudnn
    with pytest.raises(InputError), without_tf32(device):
        allowed = [each.allow_tf32 for each in products]
        raise InputError("it stops in the middle")
    assert allowed == [device == "cpu"] * 2
    assert all(each.allow_tf32 for each in products)


def test_torchs_newer_switches_are_left_as_they_are(build, allow_tf32):
    torch.backends.cuda.matmul.fp32_precision = "ieee"
    with without_tf32("cuda"):
        assert torch.backends.cuda.matmul.fp32_precision == "ieee"
    assert torch.isfinite(build("fbank")(torch.randn(8000))).all()


@pytest.mark.parametrize(
    ("kind", "seconds"),
    [
        ("wav2vec2", 34),
        ("wav2vec2", 60),
        ("wavlm", 34),
        ("w2v-bert", 34),
        ("emotion2vec", 34),
        ("emotion2vec", 60),
    ],
)
def test_long_audio_keeps_every_frame(kind, seconds, build):
    frames = build(kind)(torch.randn(seconds * 16000))
    assert len(frames) == 50 * seconds - 1


def test_whisper_joins_windows_and_keeps_frames_of_real_audio(build):
    whisper = build("whisper")
    assert whisper.extractor.n_samples == 16000  # 30 s as published, 1 s here
    wav = torch.randn(40100)
    frames = whisper(wav)
    assert len(frames) == 40100 // 320
    parts = torch.cat([whisper(part) for part in wav.split(16000)])
    assert torch.equal(frames, parts)
    # A rest that is shorter than a frame gives none.
    assert len(whisper(wav[:16300])) == 50


def test_stays_frozen_and_in_eval_mode_during_brain_fit(backbone):
    wav = torch.randn(8000)
    before = backbone(wav)
    modes = []

    class Brain(sb.Brain):
        def compute_forward(self, batch, stage):
            modes.append(
                any(
                    module.training
                    for module in self.modules.backbone.modules()
                )
            )
            frames = self.modules.backbone(batch[0])
            return self.modules.head(frames.mean(0))

        def compute_objectives(self, outputs, batch, stage):
            return outputs.square().sum()

    brain = Brain(
        {
            "backbone": backbone,
            "head": torch.nn.Linear(backbone.output_size, 1),
        },
        opt_class=lambda params: torch.optim.SGD(params, lr=1.0),
    )
    brain.fit(range(2), [wav], progressbar=False)
    assert modes == [False, False]
    assert not any(p.requires_grad for p in backbone.parameters())
    assert torch.equal(backbone(wav), before)


@pytest.mark.parametrize("kind", BACKBONES)
@pytest.mark.parametrize("layer", ["last", -1, 0, "1"])
def test_features_are_the_hidden_states_of_transformers(
    kind, layer, make_backbone, build
):
    folder = make_backbone(kind)
    wav = torch.randn(6000)
    extractor = transformers.AutoFeatureExtractor.from_pretrained(folder)
    values = extractor(wav.numpy(), sampling_rate=16000, return_tensors="pt")
    model = transformers.AutoModel.from_pretrained(folder).eval()
    model = model.encoder if kind == "whisper" else model
    with torch.no_grad():
        output = model(**values, output_hidden_states=True)
    expected = output.last_hidden_state
    if layer not in ("last", -1):
        expected = output.hidden_states[int(layer)]
    features = build(kind, layer=layer)(wav)
    assert len(features) == 18
    assert torch.allclose(features, expected[0, :18], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("layout", ["model.pt", "configuration.json"])
def test_emotion2vec_is_what_funasr_generates(layout, make_backbone, tmp_path):
    folder = shutil.copytree(make_backbone("emotion2vec"), tmp_path / "model")
    if layout == "configuration.json":  # as emotion2vec_base is published
        (folder / "model.pt").rename(folder / "emotion2vec_base.pt")
        names = {"init_param": "emotion2vec_base.pt", "config": "config.yaml"}
        text = json.dumps({"file_path_metas": names})
        (folder / layout).write_text(text)
    from funasr import AutoModel

    funasr = AutoModel(model=str(folder), device="cpu", disable_update=True)
    torch.set_num_threads(1)  # FunASR takes four
    wav = 0.1 * torch.randn(20000)
    (expected,) = funasr.generate(wav, granularity="frame", disable_pbar=True)
    features = Emotion2vec(str(folder))(wav)
    assert torch.allclose(
        features, torch.from_numpy(expected["feats"]), atol=1e-5
    )


@pytest.mark.parametrize("kind", WITH_LAYERS)
def test_weighted_layers_are_all_hidden_states_side_by_side(kind, build):
    wav = torch.randn(6000)
    every = build(kind, layer="weighted")
    states = every(wav).unflatten(1, (every.n_layers, -1))
    assert every.n_layers == (4 if kind == "emotion2vec" else 3)
    for k in range(every.n_layers):
        assert torch.equal(states[:, k], build(kind, layer=k)(wav))


@pytest.mark.parametrize("kind", WITH_LAYERS)
def test_means_and_ranges_are_of_the_same_hidden_states(kind, build):
    wav = torch.randn(6000)
    every = build(kind, layer="weighted")
    states = every(wav).unflatten(1, (every.n_layers, -1))
    mean = build(kind, layer="mean")
    assert mean.n_layers == 1
    assert torch.allclose(mean(wav), states[:, 1:].mean(1), atol=1e-6)
    part = build(kind, layer="mean:0-1")
    assert torch.allclose(part(wav), states[:, :2].mean(1), atol=1e-6)
    side_by_side = build(kind, layer="weighted:0-1")
    assert side_by_side.n_layers == 2
    assert torch.equal(side_by_side(wav), states[:, :2].flatten(1))
    prints = {each.fingerprint() for each in (every, mean, part, side_by_side)}
    assert len(prints) == 4


@pytest.mark.parametrize("kind", WITH_LAYERS)
@pytest.mark.parametrize("layer", [0, 1])
def test_layers_above_the_one_that_is_read_are_gone(
    kind, layer, build, tmp_path
):
    whole, part = build(kind), build(kind, layer=layer)
    names = part.model.state_dict().keys()
    assert names < whole.model.state_dict().keys()
    blocks = re.findall(
        r"\b(?:\w+\.)?(?:blocks|layers)\.\d\.", "\n".join(names)
    )
    assert len({name for name in blocks if "conv" not in name}) == layer
    # Stores that were made with the whole model are found.
    assert part.fingerprint().split()[1] == whole.fingerprint().split()[1]
    part.save(tmp_path / "part")
    assert torch.load(tmp_path / "part")["weights"].keys() == names


@pytest.mark.parametrize("kind", WITH_LAYERS)
def test_a_bundle_of_the_time_of_whole_models_loads(kind, build, tmp_path):
    whole, part = build(kind), build(kind, layer=1)
    saved = {"settings": whole.settings(), "weights": whole.model.state_dict()}
    torch.save(saved, tmp_path / "backbone.ckpt")
    loaded = type(whole)(None, layer=1)
    loaded.load(tmp_path / "backbone.ckpt")
    wav = torch.randn(6000)
    assert torch.equal(loaded(wav), part(wav))
    assert loaded.fingerprint() == part.fingerprint()


def test_a_batch_has_the_features_of_each_alone(backbone):
    wavs = 0.1 * torch.randn(3, 24000)
    together = backbone.batch(wavs)
    for wav, features in zip(wavs, together, strict=True):
        assert torch.allclose(features, backbone(wav), atol=5e-5, rtol=1e-5)
    with pytest.raises(
        InputError, match=r"\[batch, samples\], got .*\[24000\]"
    ):
        backbone.batch(wavs[0])
    with pytest.raises(InputError, match="too short for one frame"):
        backbone.batch(wavs[:, :50])


@pytest.mark.parametrize("kind", WITH_LAYERS)
def test_rounded_weights_give_nearly_the_same_features(kind, build, tmp_path):
    wav = 0.1 * torch.randn(8000)
    exact, rounded = build(kind), build(kind)
    rounded.to_precision("bf16")
    features = rounded(wav)
    assert features.dtype == torch.float32
    error = (features - exact(wav)).norm() / exact(wav).norm()
    assert 0 < error < 0.1
    assert rounded.fingerprint() == exact.fingerprint()  # the store adds it
    assert torch.bfloat16 in {p.dtype for p in rounded.parameters()}
    with pytest.raises(InputError, match="rounded to bf16 already"):
        rounded.to_precision("fp32")
    rounded.save(tmp_path / "backbone.ckpt")
    loaded = type(rounded)(None)
    loaded.load(tmp_path / "backbone.ckpt")
    assert loaded.fingerprint() == exact.fingerprint()
    assert loaded.precision == "bf16"
    assert torch.equal(loaded(wav), features)


def test_signal_processing_is_never_rounded(build):
    wav, backbone = torch.randn(8000), build("fbank")
    before = backbone(wav)
    backbone.to_precision("bf16")
    assert torch.equal(backbone(wav), before)


@pytest.mark.parametrize("kind", WITH_LAYERS)
def test_one_file_keeps_the_whole_model(kind, build, tmp_path):
    original = build(kind, layer=1)
    original.save(tmp_path / "backbone.ckpt")
    loaded = type(original)(None, layer=1)
    loaded.load(tmp_path / "backbone.ckpt")
    wav = torch.randn(6000)
    assert torch.equal(loaded(wav), original(wav))
    assert loaded.fingerprint() == original.fingerprint()


def test_a_checkpoint_of_2021_loads_and_a_truncated_one_is_named(
    make_backbone, build, tmp_path
):
    folder = shutil.copytree(make_backbone("wav2vec2"), tmp_path / "old")
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    old = {"quantizer.codevectors": torch.zeros(1)}
    for name, weight in weights.items():
        name = name.replace("parametrizations.weight.original0", "weight_g")
        name = name.replace("parametrizations.weight.original1", "weight_v")
        old[f"wav2vec2.{name}"] = weight
    torch.save(old, folder / "pytorch_model.bin")
    trusted = HuggingFace(str(folder), allow_pickle=True)
    assert trusted.fingerprint() == build("wav2vec2").fingerprint()
    with pytest.raises(InputError, match=r"pytorch_model\.bin only, a pickle"):
        HuggingFace(str(folder))
    with open(folder / "pytorch_model.bin", "r+b") as file:
        file.truncate(1000)
    with pytest.raises(InputError, match="old' cannot be loaded") as error:
        HuggingFace(str(folder), allow_pickle=True)
    assert "\n" not in str(error.value)


def test_a_half_precision_checkpoint_is_computed_in_single(
    make_backbone, build, tmp_path
):
    folder = shutil.copytree(make_backbone("whisper"), tmp_path / "half")
    weights = load_file(folder / "model.safetensors")
    weights = {name: weight.half() for name, weight in weights.items()}
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(
        json.dumps(config | {"dtype": "float16"})
    )
    backbone = HuggingFace(str(folder))
    assert {p.dtype for p in backbone.parameters()} == {torch.float32}


def test_opensmile_is_its_own_frames_in_pairs_and_full_scale_stays(build):
    backbone = build("ComParE_2016")
    import opensmile

    wav = torch.sin(torch.arange(8000) / 5)
    smile = opensmile.Smile(
        opensmile.FeatureSet.ComParE_2016,
        opensmile.FeatureLevel.LowLevelDescriptors,
    )
    own = smile.process_signal(0.5 * wav.numpy(), 16000).to_numpy()
    pairs = torch.from_numpy((own[0::2] + own[1::2]) / 2)
    assert torch.allclose(backbone(0.5 * wav)[:, :65], pairs, rtol=1e-4)
    # Beyond 16 bits the samples would wrap around: loud would be noise.
    loud, as_loud = backbone(1.2 * wav), backbone(0.999 * wav)
    assert torch.allclose(loud[:, 0], as_loud[:, 0], rtol=0.01)


@pytest.mark.parametrize(
    ("feature_set", "size"), [("ComParE_2016", 6373), ("eGeMAPSv02", 88)]
)
def test_functionals_are_opensmiles_own_in_one_frame(feature_set, size):
    opensmile = pytest.importorskip(
        "opensmile", reason="the extra [opensmile] is missing"
    )
    backbone = OpenSmile(feature_set, functionals=True)
    wav = 0.3 * torch.sin(torch.arange(8000) / 5)
    own = opensmile.Smile(opensmile.FeatureSet[feature_set])
    expected = torch.tensor(own.process_signal(wav.numpy(), 16000).to_numpy())
    assert torch.equal(backbone(wav), expected)
    assert expected.shape == (1, size) == (1, backbone.output_size)
    assert len(backbone(wav[: backbone.min_samples])) == 1
    assert backbone.fingerprint() != OpenSmile(feature_set).fingerprint()
    with pytest.raises(InputError, match=r"same frame rate.* 50 and 1 frames"):
        SideBySide([Fbank(), backbone])


@pytest.mark.parametrize(
    ("package", "make"),
    [("funasr", lambda: Emotion2vec(None)), ("opensmile", OpenSmile)],
)
def test_a_missing_extra_is_one_sentence(package, make, monkeypatch):
    for name in {package, *sys.modules}:
        if name.partition(".")[0] == package:
            monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(
        InputError, match=rf"{package}.*pip install 'speechbrain-ptssnn\["
    ) as e:
        make()
    assert "\n" not in str(e.value)


@pytest.mark.parametrize(
    "layers",
    ["__import__('os').mkdir('ran')", "[(9**9**9, 1, 1)]", "[1]*99999", ""],
)
def test_emotion2vecs_convolutions_are_no_code(
    layers, make_backbone, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    folder = shutil.copytree(make_backbone("emotion2vec"), tmp_path / "part")
    config = yaml.safe_load((folder / "config.yaml").read_text())
    audio = config["model_conf"]["modalities"]["audio"]
    audio["feature_encoder_spec"] = layers
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(InputError, match="is no list of convolutions"):
        Emotion2vec(str(folder))
    assert not Path("ran").exists()


def test_a_broken_emotion2vec_is_named(make_backbone, tmp_path):
    folder = shutil.copytree(make_backbone("emotion2vec"), tmp_path / "part")
    saved = torch.load(folder / "model.pt")
    del saved["model"]["blocks.0.norm1.weight"]
    torch.save(saved, folder / "model.pt")
    with pytest.raises(
        InputError, match=r"lacks 1 of its weights.*norm1\.weight"
    ):
        Emotion2vec(str(folder))
    with open(folder / "model.pt", "r+b") as file:
        file.truncate(1000)
    with pytest.raises(InputError, match=r"part' cannot be loaded"):
        Emotion2vec(str(folder))
    (folder / "config.yaml").unlink()
    with pytest.raises(InputError, match=r"config\.yaml"):
        Emotion2vec(str(folder))


def test_fingerprint_changes_with_weights_and_layer(make_backbone):
    backbone = HuggingFace(str(make_backbone("wav2vec2")))
    before = backbone.fingerprint()
    other = HuggingFace(str(make_backbone("wav2vec2")), layer=1)
    assert other.fingerprint() != before
    with torch.no_grad():
        next(backbone.parameters()).view(-1)[0] += 1
    assert backbone.fingerprint() != before


def test_fingerprint_changes_with_the_configuration(make_backbone, tmp_path):
    folder = shutil.copytree(make_backbone("wav2vec2"), tmp_path / "relu")
    before = HuggingFace(str(folder)).fingerprint()
    config = json.loads((folder / "config.json").read_text())
    config["hidden_act"] = "relu"
    (folder / "config.json").write_text(json.dumps(config))
    assert HuggingFace(str(folder)).fingerprint() != before


def test_weights_that_are_missing_are_named_not_made_up(
    make_backbone, tmp_path
):
    folder = shutil.copytree(make_backbone("wav2vec2"), tmp_path / "part")
    weights = load_file(folder / "model.safetensors")
    del weights["masked_spec_embed"]  # many real checkpoints lack it
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    prints = {HuggingFace(str(folder)).fingerprint() for _ in range(2)}
    assert len(prints) == 1
    del weights["encoder.layer_norm.weight"]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(InputError, match=r"lacks 1 of its weights.*layer_norm"):
        HuggingFace(str(folder))


def test_shortest_waveform_gives_one_frame(backbone):
    assert len(backbone(torch.randn(backbone.min_samples))) == 1
    with pytest.raises(InputError, match="too short for one frame"):
        backbone(torch.randn(backbone.min_samples - 1))


def test_a_batch_is_refused(backbone):
    with pytest.raises(InputError, match=r"one waveform \[samples\]"):
        backbone(torch.randn(2, 8000))


def test_missing_model_names_the_source(tmp_path):
    with pytest.raises(InputError, match="nowhere"):
        HuggingFace(str(tmp_path / "nowhere"))


@pytest.mark.parametrize(
    "layer",
    [3, -4, "3", "lst", None, "mean:1-3", "weighted:0-9", "mean:1", "means"],
)
def test_missing_layer_is_named(layer, build):
    with pytest.raises(InputError, match=f"layer {layer} is not among the 3"):
        build("wav2vec2", layer=layer)


def test_a_range_backwards_is_turned_round(build):
    with pytest.raises(
        InputError, match=r"mean:2-1 runs backwards; .*mean:1-2"
    ):
        build("wav2vec2", layer="mean:2-1")


def test_another_kind_of_model_is_named(tmp_path):
    transformers.BertConfig().save_pretrained(tmp_path)
    with pytest.raises(InputError, match="is a bert model; wav2vec2, hubert"):
        HuggingFace(str(tmp_path))
