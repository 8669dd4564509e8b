"""The baselines: what PTS-SNN is compared with, on the same features."""

import torch

from speechbrain_ptssnn.lobes.base import Head
from speechbrain_ptssnn.lobes.classifier import PLIFClassifier
from speechbrain_ptssnn.nnet.frame_pooling import FramePooling
from speechbrain_ptssnn.nnet.masking import masked_mean
from speechbrain_ptssnn.nnet.plif import PLIF


class VanillaSNN(Head):
    r"""Spiking neurons on the features, without calibration (table IV,
    "direct spiking conversion"): Linear, PLIF, Linear, PLIF, mean rate.

    The sizes are own choices; the paper gives none.

    Arguments
    ---------
    input_size, n_classes, n_layers : int
        See :class:`~speechbrain_ptssnn.lobes.base.Head`.
    size : int
        Hidden spiking neurons.
    plif : callable
        ``plif(n_neurons)`` makes a layer of neurons.

    Example
    -------
    >>> VanillaSNN()(torch.randn(2, 50, 768)).shape
    torch.Size([2, 4])
    """

    def __init__(
        self, input_size=768, n_classes=4, size=256, plif=PLIF, n_layers=1
    ):
        super().__init__(input_size, n_layers)
        self.linear = torch.nn.Linear(self.feature_size, size)
        self.classifier = PLIFClassifier(size, n_classes, plif)

    def forward(self, feats, lengths=None):
        """Returns mean firing rates, [batch, n_classes]."""
        return self.classifier(self.linear(self.mix(feats)), lengths)


class LinearProbe(Head):
    r"""The emotion2vec downstream head: Linear, ReLU, mean over the valid
    frames, Linear.

    Source: arXiv:2312.15185 and its published downstream script.

    Arguments
    ---------
    input_size, n_classes, n_layers : int
        See :class:`~speechbrain_ptssnn.lobes.base.Head`.
    size : int
        Hidden units.
    pooling : int
        Frames that are averaged into one before the first layer; 1 is the
        source's form.

    Example
    -------
    >>> LinearProbe()(torch.randn(2, 50, 768)).shape
    torch.Size([2, 4])
    """

    def __init__(
        self, input_size=768, n_classes=4, size=256, n_layers=1, pooling=1
    ):
        super().__init__(input_size, n_layers)
        self.pooling = FramePooling(pooling)
        self.linear = torch.nn.Linear(self.feature_size, size)
        self.output = torch.nn.Linear(size, n_classes)

    def forward(self, feats, lengths=None):
        """Returns logits, [batch, n_classes]."""
        feats, lengths = self.pooling(self.mix(feats), lengths)
        hidden = torch.relu(self.linear(feats))
        return self.output(masked_mean(hidden, lengths))
