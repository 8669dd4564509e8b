import pytest
import torch

from speechbrain_ptssnn.corpora.common import Utterance
from speechbrain_ptssnn.features.normalized import NormalizedFeatures
from speechbrain_ptssnn.nnet.normalization import FeatureNorm

SPEAKERS = {"a1": "anna", "a2": "anna", "b1": "ben"}
STORE = {name: k + torch.randn(7 + k, 3) for k, name in enumerate(SPEAKERS)}


def features_by(rule):
    utterances = [
        Utterance(name, "", speaker, "glad", 1.0)
        for name, speaker in SPEAKERS.items()
    ]
    norm = FeatureNorm(3, rule=rule)
    norm.fit([STORE["a1"]])
    return NormalizedFeatures(STORE, norm, utterances)


def test_each_speaker_gets_all_of_its_own_frames():
    features = features_by("speaker")
    anna = torch.cat([features("a1"), features("a2")])
    for frames in (anna, features("b1")):
        torch.testing.assert_close(
            frames.mean(0), torch.zeros(3), atol=1e-5, rtol=0
        )
        torch.testing.assert_close(frames.std(0, correction=0), torch.ones(3))


@pytest.mark.parametrize("rule", ["corpus", "none"])
def test_other_rules_do_not_ask_who_speaks(rule):
    features = features_by(rule)
    norm = FeatureNorm(3, rule=rule)
    norm.fit([STORE["a1"]])
    for name, frames in STORE.items():
        assert torch.equal(features(name), norm(frames))


def test_a_random_stretch_is_normalised_as_the_whole():
    features = features_by("speaker")
    whole = features("b1")
    starts = set()
    for _ in range(60):
        part = features("b1", longest=5)
        start = (whole == part[0]).all(1).nonzero().item()
        assert torch.equal(part, whole[start : start + 5])
        starts.add(start)
    assert starts == {0, 1, 2, 3, 4}
