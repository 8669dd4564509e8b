"""A plain spiking network of LIF or adLIF neurons."""

import torch

from speechbrain_ptssnn.lobes.base import Head
from speechbrain_ptssnn.nnet.adaptive_lif import ALPHA, AdaptiveLIF, draw
from speechbrain_ptssnn.nnet.leaky_integrator import leaky_integrate
from speechbrain_ptssnn.nnet.masking import frame_mask
from speechbrain_ptssnn.nnet.normalization import MaskedBatchNorm


class LIFLayer(torch.nn.Module):
    r"""Linear without bias, batch norm, neurons, dropout.

    Arguments
    ---------
    input_size : int
        Channels in.
    size : int
        Neurons.
    adaptive : bool
        adLIF neurons; LIF if False.
    dropout : float
        Share of spikes that are dropped in training.

    Example
    -------
    >>> LIFLayer(4, 3)(torch.randn(2, 5, 4)).shape
    torch.Size([2, 5, 3])
    """

    def __init__(self, input_size, size, adaptive=True, dropout=0.1):
        super().__init__()
        self.linear = torch.nn.Linear(input_size, size, bias=False)
        self.norm = MaskedBatchNorm(size, momentum=0.05)
        self.neurons = AdaptiveLIF(size, adaptive)
        self.dropout = torch.nn.Dropout(dropout)

    def forward(self, x, lengths=None):
        """Maps x, [batch, time, input_size], to spikes, [batch, time, size]."""
        current = self.norm(self.linear(x), lengths)
        return self.dropout(self.neurons(current, lengths))


class LeakyReadout(torch.nn.Module):
    r"""Linear, batch norm and leaky integrators, one per class. The softmax
    of their membranes is summed over the valid frames.

    Arguments
    ---------
    input_size : int
        Channels in.
    n_classes : int
        Output neurons.

    Example
    -------
    >>> logits = LeakyReadout(4, 3)(torch.randn(2, 5, 4))
    >>> logits.sum(-1).round().tolist()  # 1 per frame
    [5.0, 5.0]
    """

    def __init__(self, input_size, n_classes):
        super().__init__()
        self.linear = torch.nn.Linear(input_size, n_classes, bias=False)
        self.norm = MaskedBatchNorm(n_classes, momentum=0.05)
        self.alpha = draw(ALPHA, n_classes)

    def forward(self, x, lengths=None):
        """Maps x, [batch, time, input_size], to logits, [batch, n_classes]."""
        alpha = self.alpha.clamp(*ALPHA)
        current = self.norm(self.linear(x), lengths)
        scores = leaky_integrate((1 - alpha) * current, alpha).softmax(-1)
        mask = frame_mask(lengths, x.shape[1])
        return (scores if mask is None else scores * mask).sum(1)


class SpikingLIFNetwork(Head):
    r"""Feed-forward layers of LIF or adLIF neurons and a leaky read-out.

    Source: sparch, Bittar and Garner 2022, doi:10.3389/fnins.2022.865897. Its
    input is filter banks and its default two hidden layers of 128 neurons.
    Differs: the neurons, see
    :class:`~speechbrain_ptssnn.nnet.adaptive_lif.AdaptiveLIF`; ``size`` is an
    own choice: the input has 768 channels, so it is PTS-SNN's first width.

    Arguments
    ---------
    input_size, n_classes, n_layers : int
        See :class:`~speechbrain_ptssnn.lobes.base.Head`.
    size : int
        Neurons of a hidden layer.
    n_hidden : int
        Hidden layers.
    adaptive, dropout : bool, float
        See :class:`LIFLayer`.

    Example
    -------
    >>> sum(p.numel() for p in SpikingLIFNetwork().parameters())
    663564
    """

    def __init__(
        self,
        input_size=768,
        n_classes=4,
        size=512,
        n_hidden=2,
        adaptive=True,
        dropout=0.1,
        n_layers=1,
    ):
        super().__init__(input_size, n_layers)
        sizes = [self.feature_size] + [size] * (n_hidden - 1)
        self.hidden = torch.nn.ModuleList(
            LIFLayer(n, size, adaptive, dropout) for n in sizes
        )
        self.readout = LeakyReadout(size, n_classes)

    def forward(self, feats, lengths=None):
        """Returns logits, [batch, n_classes]."""
        x = self.mix(feats)
        for layer in self.hidden:
            x = layer(x, lengths)
        return self.readout(x, lengths)
