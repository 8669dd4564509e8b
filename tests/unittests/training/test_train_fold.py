from types import SimpleNamespace

import torch

from speechbrain_ptssnn.training.train_fold import feature_dataset


def run_on(store):
    utterances = {name: SimpleNamespace(label="glad") for name in store}
    return SimpleNamespace(
        labels=("calm", "glad"), store=store, by_id=utterances
    )


def test_training_hears_another_stretch_at_every_look():
    store = {"long": torch.arange(20.0)[:, None], "short": torch.ones(3, 1)}
    dataset = feature_dataset(run_on(store), ["long", "short"], longest=5)
    starts = set()
    for _ in range(200):
        feats = dataset[0]["feats"][:, 0]
        assert (feats == feats[0] + torch.arange(5)).all()
        starts.add(feats[0].item())
    assert starts == set(range(16))
    assert len(dataset[1]["feats"]) == 3


def test_the_stretch_follows_from_the_seed():
    dataset = feature_dataset(run_on({"a": torch.randn(99, 2)}), ["a"], 5)
    torch.manual_seed(3)
    first = [dataset[0]["feats"] for _ in range(5)]
    torch.manual_seed(3)
    again = [dataset[0]["feats"] for _ in range(5)]
    torch.testing.assert_close(first, again, rtol=0, atol=0)


def test_evaluation_hears_all_of_it():
    feats = torch.randn(99, 2)
    item = feature_dataset(run_on({"a": feats}), ["a"])[0]
    torch.testing.assert_close(item["feats"], feats)
    assert item["target"] == 1
