import json
import shutil

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from speechbrain_ptssnn.backbones import HuggingFace
from speechbrain_ptssnn.errors import InputError


@pytest.fixture
def whisper(make_backbone):
    return lambda **options: HuggingFace(
        str(make_backbone("whisper")), **options
    )


def heard(backbone, wav):
    """The mel frames that the encoder gets."""
    mels = []
    backbone.model.conv1.register_forward_pre_hook(
        lambda module, inputs: mels.append(inputs[0])
    )
    backbone(wav)
    return mels[0][0]


@pytest.mark.parametrize("margin", [0, 0.1, 9.0])
@pytest.mark.parametrize("n_samples", [320, 5000, 15999])
@pytest.mark.parametrize("is_silent", [False, True])
def test_the_audios_mels_are_the_first_of_the_full_windows(
    margin, n_samples, is_silent, whisper
):
    wav = torch.zeros(n_samples) if is_silent else torch.randn(n_samples)
    cut = heard(whisper(window="audio", margin=margin), wav)
    full = heard(whisper(), wav)
    wanted = (n_samples + margin * 16000) / 160
    assert cut.shape[1] % 2 == 0
    assert min(wanted, 100) <= cut.shape[1] <= min(wanted + 2, 100)
    assert torch.allclose(cut, full[:, : cut.shape[1]], atol=1e-6, rtol=0)


def test_the_audios_window_is_transformers_encoder_with_fewer_positions(
    whisper,
):
    backbone = whisper(window="audio", margin=0.1)
    wav = torch.randn(8000)
    mel = heard(backbone, wav)
    config = backbone.model.config.__class__.from_dict(
        backbone.model.config.to_dict()
        | {"max_source_positions": mel.shape[1] // 2}
    )
    encoder = WhisperEncoder(config).eval()
    weights = backbone.model.state_dict()
    name = "embed_positions.weight"
    weights[name] = weights[name][: mel.shape[1] // 2]
    encoder.load_state_dict(weights)
    with torch.no_grad():
        expected = encoder(mel[None]).last_hidden_state[0]
    assert len(backbone(wav)) == 25
    assert torch.allclose(backbone(wav), expected[:25], atol=1e-6)


def test_a_full_window_is_the_same_under_both_names(whisper):
    full, audio = whisper(), whisper(window="audio", margin=0.1)
    wav = torch.randn(40000)
    frames = audio(wav)
    assert torch.allclose(frames[:100], full(wav)[:100], atol=1e-6)
    assert len(frames) == 125
    assert not torch.allclose(frames[100:], full(wav)[100:], atol=1e-6)


def test_the_fingerprint_tells_windows_apart(whisper):
    every = [
        whisper(),
        whisper(window="audio"),
        whisper(window="audio", margin=1),
    ]
    prints = [each.fingerprint() for each in every]
    assert len(set(prints)) == 3
    assert prints[0].endswith(" [2]")  # as before there was a choice


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("whisper", {"window": "ful"}, "window must be full or audio, got 'f"),
        ("whisper", {"margin": -0.1}, r"margin must be 0 .* got -0\.1"),
        ("wavlm", {"window": "audio"}, "is for Whisper; .* is a wavlm model"),
    ],
)
def test_a_window_that_makes_no_sense_is_named(
    kind, options, message, make_backbone
):
    with pytest.raises(InputError, match=message):
        HuggingFace(str(make_backbone(kind)), **options)


@pytest.fixture
def copy(make_backbone, tmp_path):
    return lambda kind: shutil.copytree(make_backbone(kind), tmp_path / "copy")


def rewrite(folder, name, **changes):
    path = folder / name
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_folder_without_its_extractor_is_named(copy):
    folder = copy("wav2vec2")
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(
        InputError, match=r"copy' cannot.*preprocessor_config\.json"
    ) as error:
        HuggingFace(str(folder))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("chunk_length", [0, 2])
def test_an_extractor_of_another_window_is_named(chunk_length, copy):
    folder = copy("whisper")
    rewrite(folder, "preprocessor_config.json", chunk_length=chunk_length)
    message = f"windows of {100 * chunk_length} frames, .* positions for 100"
    with pytest.raises(InputError, match=message):
        HuggingFace(str(folder))


def test_an_encoder_alone_in_half_precision_is_enough(copy, whisper):
    folder = copy("whisper")
    weights = load_file(folder / "model.safetensors")
    assert any("decoder" in name for name in weights)
    encoder = {k: w.half() for k, w in weights.items() if "encoder." in k}
    save_file(encoder, folder / "model.safetensors", {"format": "pt"})
    rewrite(folder, "config.json", dtype="float16")
    wav = torch.randn(8000)
    backbone = HuggingFace(str(folder))
    assert {p.dtype for p in backbone.parameters()} == {torch.float32}
    assert torch.allclose(backbone(wav), whisper()(wav), atol=1e-2)


def test_sharded_weights_load_and_a_missing_shard_is_named(copy, make_backbone):
    folder = copy("hubert")
    (folder / "model.safetensors").unlink()
    model = transformers.HubertModel.from_pretrained(make_backbone("hubert"))
    model.save_pretrained(folder, max_shard_size="20KB")
    shards = sorted(folder.glob("*.safetensors"))
    assert len(shards) > 1
    wav = torch.randn(8000)
    whole = HuggingFace(str(make_backbone("hubert")))
    assert torch.equal(HuggingFace(str(folder))(wav), whole(wav))
    shards[0].unlink()
    with pytest.raises(InputError, match="copy' cannot be loaded") as error:
        HuggingFace(str(folder))
    assert "\n" not in str(error.value)
