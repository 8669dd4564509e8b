"""Training batches of utterances of similar length."""

import torch


class LengthBuckets(torch.utils.data.Sampler):
    """Shuffles so that a batch holds utterances of similar length.

    Utterances are shuffled and dealt into buckets of so many batches; each
    bucket is sorted by length and cut into batches, which are shuffled. Every
    epoch has other batches. Of IEMOCAP's frames in batches of 32, plain
    shuffling pads 3.2 times as many as there are, 16 batches a bucket 1.2
    times.

    Arguments
    ---------
    lengths : list of int
        Frames of each utterance.
    batch_size : int
        Utterances of a batch.
    batches : int
        Batches of a bucket; 1 is plain shuffling.
    seed : int
        Of the order, together with the epoch.

    Example
    -------
    >>> sampler = LengthBuckets([5, 90, 6, 91], batch_size=2, batches=2)
    >>> sampler.set_epoch(1)
    >>> order = list(sampler)
    >>> sorted(sorted(pair) for pair in (order[:2], order[2:]))
    [[0, 2], [1, 3]]
    """

    def __init__(self, lengths, batch_size, batches=1, seed=0):
        self.lengths = torch.tensor(lengths)
        self.batch_size = batch_size
        self.batches = batches
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch):
        """SpeechBrain calls it at every epoch's start."""
        self.epoch = epoch

    def __len__(self):
        return len(self.lengths)

    def __iter__(self):
        generator = torch.Generator()
        generator.manual_seed(self.seed * 100_003 + self.epoch)
        order = torch.randperm(len(self), generator=generator)
        batches = []
        # torch knows no larger numbers than 2^63 - 1.
        size = min(self.batch_size * self.batches, len(order))
        for bucket in order.split(size):
            by_length = self.lengths[bucket].argsort(stable=True)
            batches += bucket[by_length].split(self.batch_size)
        # The short batch, if there is one, stays last: the loader cuts this
        # order into batches again.
        last = [batches.pop()] if len(batches[-1]) < self.batch_size else []
        shuffled = torch.randperm(len(batches), generator=generator)
        batches = [batches[k] for k in shuffled] + last
        return iter(torch.cat(batches).tolist())
