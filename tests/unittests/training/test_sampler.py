"""Batches of similar length."""

import pytest
import torch

from speechbrain_ptssnn.training.sampler import LengthBuckets


def batches_of(sampler):
    return torch.tensor(list(sampler)).split(sampler.batch_size)


@pytest.mark.parametrize("batches", [1, 3, 100, 2**63])
@pytest.mark.parametrize("n", [1, 7, 8, 50])
def test_every_utterance_comes_once(n, batches):
    sampler = LengthBuckets(list(range(n)), 8, batches)
    assert sorted(sampler) == list(range(n))
    assert len(sampler) == n


def test_a_whole_bucket_is_sorted_into_batches_of_neighbours():
    lengths = torch.randperm(64).tolist()
    sampler = LengthBuckets(lengths, 8, batches=8)
    for batch in batches_of(sampler):
        ordered = sorted(lengths[k] for k in batch)
        assert ordered[-1] - ordered[0] == 7


def test_buckets_pad_less_than_plain_shuffling():
    lengths = torch.randint(50, 1706, (500,)).tolist()

    def padded(batches):
        sampler = LengthBuckets(lengths, 16, batches)
        return sum(
            max(lengths[k] for k in batch) * len(batch)
            for batch in batches_of(sampler)
        )

    assert padded(1) > 1.5 * sum(lengths)
    assert padded(8) < 1.3 * sum(lengths)


def test_the_short_batch_comes_last():
    # Were it anywhere else, the loader would cut all batches behind it askew.
    for epoch in range(5):
        lengths = torch.randperm(42).tolist()
        sampler = LengthBuckets(lengths, 8, batches=10)
        sampler.set_epoch(epoch)
        for batch in batches_of(sampler)[:-1]:
            ordered = sorted(lengths[k] for k in batch)
            assert ordered[-1] - ordered[0] == 7


def test_order_follows_seed_and_epoch_alone():
    def order(seed, epoch):
        torch.manual_seed(epoch)  # plays no part
        sampler = LengthBuckets([5, 9] * 20, 4, 2, seed=seed)
        sampler.set_epoch(epoch)
        return list(sampler)

    assert order(1, 3) == order(1, 3)
    assert len({tuple(order(s, e)) for s in (1, 2) for e in (1, 2)}) == 4
