"""SUPERB's emotion head."""

import torch

from speechbrain_ptssnn.lobes.pts_snn import check_feature_size
from speechbrain_ptssnn.nnet.layer_mixture import LayerMixture
from speechbrain_ptssnn.nnet.masking import masked_mean


class SUPERBHead(torch.nn.Module):
    r"""Linear projector, mean over the valid frames, Linear.

    Source: arXiv:2105.01051 and s3prl's ``downstream/emotion``, of the same
    sizes. It has the size of ``LinearProbe``, without its ReLU, so the mean
    can come first: the same logits for one frame's products.

    Arguments
    ---------
    input_size : int
        Channels of the frozen backbone's features.
    n_classes : int
        Emotions.
    size : int
        Channels of the projector (there: 256).
    n_layers : int
        Hidden states in the features; see :class:`PTSSNN`. SUPERB mixes all.

    Example
    -------
    >>> head = SUPERBHead()
    >>> head(torch.randn(2, 50, 768), torch.tensor([1.0, 0.5])).shape
    torch.Size([2, 4])
    >>> sum(p.numel() for p in head.parameters())
    197892
    """

    def __init__(self, input_size=768, n_classes=4, size=256, n_layers=1):
        super().__init__()
        self.input_size = input_size
        self.mixture = LayerMixture(n_layers)
        self.projector = torch.nn.Linear(input_size // n_layers, size)
        self.output = torch.nn.Linear(size, n_classes)

    def forward(self, feats, lengths=None):
        """As :meth:`PTSSNN.forward`, but logits, [batch, n_classes]."""
        check_feature_size(self, feats)
        mean = masked_mean(self.mixture(feats), lengths)
        return self.output(self.projector(mean))
