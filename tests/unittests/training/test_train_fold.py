import torch

from speechbrain_ptssnn.corpora.common import Utterance
from speechbrain_ptssnn.features.normalized import NormalizedFeatures
from speechbrain_ptssnn.nnet.normalization import FeatureNorm
from speechbrain_ptssnn.training.train_fold import feature_dataset


def dataset_of(store, **options):
    utterances = {
        name: Utterance(name, "", "anna", "glad", 1.0) for name in store
    }
    features = NormalizedFeatures(
        store, FeatureNorm(1, rule="none"), utterances.values()
    )
    return feature_dataset(features, ("calm", "glad"), list(store), **options)


def test_training_hears_another_stretch_at_every_look():
    store = {"long": torch.arange(20.0)[:, None], "short": torch.ones(3, 1)}
    dataset = dataset_of(store, longest=5)
    starts = set()
    for _ in range(200):
        feats = dataset[0]["feats"][:, 0]
        assert (feats == feats[0] + torch.arange(5)).all()
        starts.add(feats[0].item())
    assert starts == set(range(16))
    assert len(dataset[1]["feats"]) == 3


def test_the_stretch_follows_from_the_seed():
    dataset = dataset_of({"a": torch.randn(99, 1)}, longest=5)
    torch.manual_seed(3)
    first = [dataset[0]["feats"] for _ in range(5)]
    torch.manual_seed(3)
    again = [dataset[0]["feats"] for _ in range(5)]
    torch.testing.assert_close(first, again, rtol=0, atol=0)


def test_evaluation_hears_all_of_it():
    feats = torch.randn(99, 1)
    item = dataset_of({"a": feats})[0]
    torch.testing.assert_close(item["feats"], feats)
    assert item["target"] == 1
