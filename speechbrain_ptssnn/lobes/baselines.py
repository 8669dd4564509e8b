"""What PTS-SNN is compared with, on the same frozen features."""

import torch

from speechbrain_ptssnn.lobes.classifier import PLIFClassifier
from speechbrain_ptssnn.lobes.pts_snn import check_feature_size
from speechbrain_ptssnn.nnet.frame_pooling import FramePooling
from speechbrain_ptssnn.nnet.layer_mixture import LayerMixture
from speechbrain_ptssnn.nnet.masking import masked_mean
from speechbrain_ptssnn.nnet.plif import PLIF


class VanillaSNN(torch.nn.Module):
    r"""Features straight into spiking neurons (table IV, "direct spiking
    conversion"): Linear, PLIF, Linear, PLIF, mean rate. Nothing calibrates
    the current. Sizes are own choices; the paper gives none.

    Arguments
    ---------
    input_size : int
        Channels of the frozen backbone's features.
    n_classes : int
        Emotions.
    size : int
        Hidden spiking neurons.
    plif : callable
        ``plif(n_neurons)`` makes a layer of neurons.
    n_layers : int
        Hidden states in the features; see :class:`PTSSNN`.

    Example
    -------
    >>> VanillaSNN()(torch.randn(2, 50, 768)).shape
    torch.Size([2, 4])
    """

    def __init__(
        self, input_size=768, n_classes=4, size=256, plif=PLIF, n_layers=1
    ):
        super().__init__()
        self.input_size = input_size
        self.mixture = LayerMixture(n_layers)
        self.linear = torch.nn.Linear(input_size // n_layers, size)
        self.classifier = PLIFClassifier(size, n_classes, plif)

    def forward(self, feats, lengths=None):
        """As :meth:`PTSSNN.forward`: mean firing rates, [batch, n_classes]."""
        check_feature_size(self, feats)
        return self.classifier(self.linear(self.mixture(feats)), lengths)


class LinearProbe(torch.nn.Module):
    r"""The emotion2vec downstream head: Linear, ReLU, mean over the valid
    frames, Linear.

    Source: arXiv:2312.15185 and its published downstream script.

    Arguments
    ---------
    input_size : int
        Channels of the frozen backbone's features.
    n_classes : int
        Emotions.
    size : int
        Hidden units.
    n_layers : int
        Hidden states in the features; see :class:`PTSSNN`.
    pooling : int
        Frames that are averaged into one before all else; its source pools
        none.

    Example
    -------
    >>> LinearProbe()(torch.randn(2, 50, 768)).shape
    torch.Size([2, 4])
    """

    def __init__(
        self, input_size=768, n_classes=4, size=256, n_layers=1, pooling=1
    ):
        super().__init__()
        self.input_size = input_size
        self.mixture = LayerMixture(n_layers)
        self.pooling = FramePooling(pooling)
        self.linear = torch.nn.Linear(input_size // n_layers, size)
        self.output = torch.nn.Linear(size, n_classes)

    def forward(self, feats, lengths=None):
        """As :meth:`PTSSNN.forward`, but logits, [batch, n_classes]."""
        check_feature_size(self, feats)
        feats, lengths = self.pooling(self.mixture(feats), lengths)
        hidden = torch.relu(self.linear(feats))
        return self.output(masked_mean(hidden, lengths))
