import pytest
import torch

from speechbrain_ptssnn.backbones import (
    Fbank,
    HuggingFace,
    OpenSmile,
    SideBySide,
)
from speechbrain_ptssnn.errors import InputError


@pytest.fixture
def wav():
    return 0.1 * torch.randn(8000)


@pytest.fixture
def hub(make_backbone):
    return lambda kind, **options: HuggingFace(
        str(make_backbone(kind)), **options
    )


def test_functionals_side_by_side_are_one_frame():
    pytest.importorskip("opensmile", reason="the extra [opensmile] is missing")
    functionals = [OpenSmile("eGeMAPSv02", functionals=True) for _ in "ab"]
    assert SideBySide(functionals).is_pooled
    assert not SideBySide([Fbank(), Fbank()]).is_pooled


def test_streams_are_the_front_ends_cut_to_the_shortest(hub, wav):
    parts = [hub("whisper", layer=1), hub("wav2vec2"), Fbank()]
    joint = SideBySide(parts)
    features = joint(wav)
    assert [len(part(wav)) for part in parts] == [25, 24, 25]
    assert joint.sizes == [16, 16, 160]
    assert features.shape == (24, joint.output_size) == (24, 192)
    for part, stream in zip(parts, joint.streams, strict=True):
        assert torch.equal(features[:, stream], part(wav)[:24])
    assert joint.min_samples == max(part.min_samples for part in parts)
    assert torch.allclose(joint.batch(wav[None])[0], features, atol=1e-5)


def test_one_front_end_has_one_stream():
    assert Fbank().sizes == [160]
    assert Fbank().streams == [slice(0, 160)]


def test_the_fingerprint_names_all_in_order(hub):
    one, other = hub("whisper"), Fbank()
    prints = {
        SideBySide(each).fingerprint() for each in ([one, other], [other, one])
    }
    assert len(prints) == 2
    assert all(other.fingerprint() in each for each in prints)


def test_a_bundle_keeps_the_local_ones(hub, wav, tmp_path):
    joint = SideBySide([Fbank(), hub("whisper", layer=1), hub("wavlm")])
    assert joint.is_local and not SideBySide([Fbank(), Fbank()]).is_local
    joint.save(tmp_path / "backbone.ckpt")
    loaded = SideBySide(
        [Fbank(), HuggingFace(None, layer=1), HuggingFace(None)]
    )
    loaded.load(tmp_path / "backbone.ckpt")
    assert torch.equal(loaded(wav), joint(wav))
    assert loaded.fingerprint() == joint.fingerprint()
    assert loaded.output_size == joint.output_size


def test_rounding_leaves_signal_processing_exact(hub, wav):
    joint = SideBySide([Fbank(), hub("wavlm")])
    before = joint(wav)
    joint.to_precision("bf16")
    is_equal = [
        torch.equal(joint(wav)[:, s], before[:, s]) for s in joint.streams
    ]
    assert is_equal == [True, False]


def test_what_cannot_stand_side_by_side_is_named(hub, wav):
    with pytest.raises(
        InputError, match=r"weighted gives several layers.*mean"
    ):
        SideBySide([Fbank(), hub("whisper", layer="weighted")])
    with pytest.raises(InputError, match=r"sample rate.* 16000 and 8000 Hz"):
        SideBySide([Fbank(), Fbank(sample_rate=8000)])
    short = Fbank()
    short.extract = lambda wav: torch.zeros(9, 160)
    with pytest.raises(InputError, match=r"give \[25, 9\] frames"):
        SideBySide([Fbank(), short])(wav)
