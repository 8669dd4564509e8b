"""The streaming form of fbank gives the frames of the whole audio."""

import pytest
import torch

from speechbrain_ptssnn.backbones import Fbank
from speechbrain_ptssnn.errors import InputError


def sound(samples=20_000, seed=0):
    """Noise whose level changes by 120 dB, and silence in it."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(samples, generator=generator)
    wave = 0.3 * noise * 10 ** torch.linspace(-6, 0, samples)
    wave[5000:8000] = 0
    return wave


def assert_same(frames, expected):
    """Equal to 1e-5 dB, or to two units in the last place of a float32, which
    are 1.5e-5 at -96 dB.
    """
    torch.testing.assert_close(frames, expected, rtol=2.4e-7, atol=1e-5)


def run(stream, audio, sizes):
    return torch.cat([*map(stream, audio.split(sizes)), stream.finish()])


def random_sizes(total, longest, seed=0):
    generator = torch.Generator().manual_seed(seed)
    sizes = []
    while sum(sizes) < total:
        step = torch.randint(1, longest, (1,), generator=generator).item()
        sizes.append(min(step, total - sum(sizes)))
    return sizes


@pytest.mark.parametrize("rate", [16000, 8000])
@pytest.mark.parametrize("longest", [2000, 700, 30])
def test_frames_are_those_of_the_whole_however_it_is_cut(longest, rate):
    backbone = Fbank(sample_rate=rate, top_db=None)
    for samples in (20_000, 19_999, 6_401):
        audio = sound(samples)
        sizes = random_sizes(samples, longest)
        frames = run(backbone.stream(), audio, sizes)
        expected = backbone(audio)
        assert frames.shape == expected.shape
        assert expected.std() > 5
        assert_same(frames, expected)


def test_frames_of_10_ms_are_those_that_are_joined():
    single, joined = Fbank(n_joined=1), Fbank()
    audio = sound(16_000)
    frames = single(audio)
    assert frames.shape == (101, 80)
    assert torch.equal(frames[:100].reshape(50, 160), joined(audio))
    assert (single.frame_rate, joined.frame_rate) == (100, 50)
    assert single.fingerprint() != joined.fingerprint()
    assert "n_joined" not in joined.fingerprint()  # so that stores are found


@pytest.mark.parametrize("n_joined", [1, 3])
def test_other_frames_stream_too(n_joined):
    backbone, audio = Fbank(top_db=None, n_joined=n_joined), sound()
    frames = run(backbone.stream(), audio, 700)
    assert_same(frames, backbone(audio))


def test_frames_of_no_time_are_refused():
    with pytest.raises(ValueError, match="n_joined must be at least 1, got 0"):
        Fbank(n_joined=0)


@pytest.mark.parametrize("samples", [400, 479, 480, 560, 639, 640, 800, 960])
def test_short_audio_has_as_many_frames(samples):
    backbone, audio = Fbank(top_db=None), sound(samples)
    frames = run(backbone.stream(), audio, 1)
    assert_same(frames, backbone(audio))


def test_a_frame_comes_22_5_ms_after_its_start():
    stream, audio = Fbank(top_db=None).stream(), sound()
    assert len(stream(audio[:359])) == 0
    assert len(stream(audio[359:360])) == 1  # 22.5 ms
    assert len(stream(audio[360:1000])) == 2


def test_without_top_db_a_frame_depends_on_no_later_sample():
    audio = sound()
    louder = audio.clone()
    louder[15_000:] *= 30
    plain, clamped = Fbank(top_db=None), Fbank()
    assert torch.equal(plain(audio)[:46], plain(louder)[:46])
    assert not torch.equal(clamped(audio)[:46], clamped(louder)[:46])


def test_both_forms_have_fingerprints_of_their_own():
    assert Fbank().fingerprint() == "fbank n_mels=80 sample_rate=16000"
    assert Fbank(top_db=None).fingerprint() == (
        "fbank n_mels=80 sample_rate=16000 top_db=None"
    )
    assert Fbank(top_db=60.0).fingerprint().endswith("top_db=60.0")
    loud = 0.1 * torch.randn(16000)  # no value is 80 dB below its largest
    assert torch.equal(Fbank()(loud), Fbank(top_db=None)(loud))


def test_speechbrains_default_is_refused_by_name():
    with pytest.raises(
        InputError, match=r"top_db=80 .*--backbone=fbank_stream.*null"
    ) as error:
        Fbank().stream()
    assert "\n" not in str(error.value)


def test_the_state_is_saved_and_never_grows(tmp_path):
    backbone, audio = Fbank(top_db=None), sound()
    stream = backbone.stream()
    shapes = {name: each.shape for name, each in stream.state.items()}
    first = stream(audio[:10_001])
    assert {k: v.shape for k, v in stream.state.items()} == shapes
    torch.save(stream.state, tmp_path / "state")
    other = backbone.stream()
    other.load_state(torch.load(tmp_path / "state"))
    rest = run(other, audio[10_001:], 777)
    assert_same(torch.cat([first, rest]), backbone(audio))
    stream.reset()
    again = run(stream, audio, 5000)
    assert_same(again, backbone(audio))
    with pytest.raises(InputError, match="not a state of this fbank"):
        stream.load_state({"samples": torch.zeros(3)})


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (torch.tensor([0.0, torch.nan]), "NaN"),
        (torch.zeros(0), "0 samples"),
        (torch.full((10,), 3000.0), "divide them by 32768"),
        (torch.zeros(10, 2), r"one channel .*\[10, 2\]"),
    ],
)
def test_after_bad_samples_the_stream_goes_on(bad, message):
    backbone, audio = Fbank(top_db=None), sound()
    stream = backbone.stream()
    first = stream(audio[:10_000])
    with pytest.raises(InputError, match=message):
        stream(bad)
    rest = run(stream, audio[10_000:], 1000)
    assert_same(torch.cat([first, rest]), backbone(audio))
