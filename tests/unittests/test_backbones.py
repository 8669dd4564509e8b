import json
import shutil

import pytest
import speechbrain as sb
import torch
import transformers
from safetensors.torch import load_file, save_file

from conftest import BACKBONES
from speechbrain_ptssnn.backbones import Fbank, HuggingFace
from speechbrain_ptssnn.errors import InputError


@pytest.fixture(params=["fbank", *BACKBONES])
def backbone(request, make_backbone):
    if request.param == "fbank":
        return Fbank()
    return HuggingFace(str(make_backbone(request.param)))


def test_frames_come_at_50_hz_with_output_size(backbone):
    frames = backbone(torch.randn(32000))
    assert abs(len(frames) - 2 * backbone.frame_rate) <= 1
    assert backbone.frame_rate == 50
    assert frames.shape[1] == backbone.output_size


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
@pytest.mark.parametrize("layer", [-1, 0, 1])
def test_features_are_the_hidden_states_of_transformers(
    kind, layer, make_backbone
):
    folder = make_backbone(kind)
    wav = torch.randn(6000)
    extractor = transformers.AutoFeatureExtractor.from_pretrained(folder)
    values = extractor(wav.numpy(), sampling_rate=16000, return_tensors="pt")
    with torch.no_grad():
        model = transformers.AutoModel.from_pretrained(folder).eval()
        output = model(**values, output_hidden_states=True)
    features = HuggingFace(str(folder), layer=layer)(wav)
    assert torch.allclose(
        features, output.hidden_states[layer][0], atol=1e-5, rtol=1e-5
    )


@pytest.mark.parametrize("kind", ["wav2vec2"])
def test_one_file_keeps_the_whole_model(kind, make_backbone, tmp_path):
    original = HuggingFace(str(make_backbone(kind)))
    original.save(tmp_path / "backbone.ckpt")
    loaded = HuggingFace(None)
    loaded.load(tmp_path / "backbone.ckpt")
    wav = torch.randn(6000)
    assert torch.equal(loaded(wav), original(wav))
    assert loaded.fingerprint() == original.fingerprint()


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
    with pytest.raises(InputError, match=r"lacks 1 weights.*layer_norm"):
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


def test_missing_layer_is_named(make_backbone):
    with pytest.raises(InputError, match="layer 3 is not among the 3"):
        HuggingFace(str(make_backbone("wav2vec2")), layer=3)
