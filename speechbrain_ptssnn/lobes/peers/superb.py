"""SUPERB's emotion head."""

import torch

from speechbrain_ptssnn.lobes.base import Head
from speechbrain_ptssnn.nnet.masking import masked_mean


class SUPERBHead(Head):
    r"""Linear projector, mean over the valid frames, Linear.

    Source: arXiv:2105.01051 and s3prl's ``downstream/emotion``, with the same
    sizes. Differs: the mean comes before the projector. As no ReLU stands
    between them, the logits are the same, and only one frame is multiplied.

    Arguments
    ---------
    input_size, n_classes, n_layers : int
        See :class:`~speechbrain_ptssnn.lobes.base.Head`. SUPERB mixes all
        hidden states.
    size : int
        Channels of the projector (source: 256).

    Example
    -------
    >>> sum(p.numel() for p in SUPERBHead().parameters())
    197892
    """

    def __init__(self, input_size=768, n_classes=4, size=256, n_layers=1):
        super().__init__(input_size, n_layers)
        self.projector = torch.nn.Linear(self.feature_size, size)
        self.output = torch.nn.Linear(size, n_classes)

    def forward(self, feats, lengths=None):
        """Returns logits, [batch, n_classes]."""
        mean = masked_mean(self.mix(feats), lengths)
        return self.output(self.projector(mean))
