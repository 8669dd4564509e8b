import numpy as np
import pytest
import soundfile
import torch

from speechbrain_ptssnn.backbones import Fbank
from speechbrain_ptssnn.corpora.common import Utterance
from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.features import FeatureStore


@pytest.fixture
def utterances(tmp_path):
    rng = np.random.default_rng(0)
    rows = []
    for n in range(3):
        wav = tmp_path / f"{n}.wav"
        soundfile.write(wav, 0.1 * rng.standard_normal(4000 + 800 * n), 16000)
        rows.append(Utterance(str(n), str(wav), "s", "calm", 0.3))
    return rows


def test_features_are_the_backbones_and_computed_once(utterances, tmp_path):
    store = FeatureStore(tmp_path / "store", Fbank(), utterances)
    assert store.fill(progressbar=False) == 3
    again = FeatureStore(tmp_path / "store", Fbank(), utterances)
    assert again.fill(progressbar=False) == 0
    for u in utterances:
        wav, _ = soundfile.read(u.wav, dtype="float32")
        assert torch.equal(again[u.id], Fbank()(torch.from_numpy(wav)))


def test_another_channel_is_another_store(utterances, tmp_path):
    stores = [
        FeatureStore(tmp_path / "store", Fbank(), utterances, channel)
        for channel in ("louder", 0)
    ]
    assert stores[0].fingerprint != stores[1].fingerprint


def test_changed_audio_and_settings_are_computed_again(utterances, tmp_path):
    FeatureStore(tmp_path / "store", Fbank(), utterances).fill(False)
    soundfile.write(utterances[1].wav, np.full(4000, 0.1), 16000)
    assert (
        FeatureStore(tmp_path / "store", Fbank(), utterances).fill(False) == 1
    )
    other = FeatureStore(tmp_path / "store", Fbank(n_mels=40), utterances)
    assert other.fill(False) == 3
    assert other["0"].shape[1] == 80


@pytest.mark.parametrize("kept", [0, 50, -7])
def test_a_record_cut_short_is_computed_again(kept, utterances, tmp_path):
    store = FeatureStore(tmp_path / "store", Fbank(), utterances)
    store.fill(False)
    record = store.folder / store.records["2"]
    whole = record.read_bytes()
    record.write_bytes(whole[:kept])
    assert store.fill(False) == 1
    assert record.read_bytes() == whole


@pytest.mark.parametrize(
    ("samples", "rate", "message"),
    [
        (np.zeros(100), 16000, "too short for one frame"),
        (np.full(8000, np.nan), 16000, "NaN or infinite"),
        (np.full(8000, np.inf), 16000, "NaN or infinite"),
        (np.zeros(0), 16000, "0 samples"),
    ],
)
def test_bad_audio_is_named_and_the_rest_is_kept(
    samples, rate, message, utterances, tmp_path
):
    soundfile.write(utterances[2].wav, samples, rate, subtype="FLOAT")
    store = FeatureStore(tmp_path / "store", Fbank(), utterances)
    with pytest.raises(InputError, match=message) as error:
        store.fill(False)
    assert utterances[2].wav in str(error.value)
    assert len(store["0"]) and len(store["1"])


@pytest.mark.parametrize("keep", [0, 20, 60, 3000])
def test_a_cut_or_empty_file_is_named(keep, utterances, tmp_path):
    with open(utterances[0].wav, "r+b") as file:
        file.truncate(keep)
    store = FeatureStore(tmp_path / "store", Fbank(), utterances)
    with pytest.raises(InputError, match=r"0\.wav"):
        store.fill(False)
