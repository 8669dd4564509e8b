"""A plain spiking network of LIF or adLIF neurons."""

import torch

from speechbrain_ptssnn.lobes.pts_snn import check_feature_size
from speechbrain_ptssnn.nnet.adaptive_lif import ALPHA, AdaptiveLIF, draw
from speechbrain_ptssnn.nnet.layer_mixture import LayerMixture
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
        Share of spikes that training drops.

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
        """Spikes, [batch, time, size], of [batch, time, input_size]."""
        current = self.norm(self.linear(x), lengths)
        return self.dropout(self.neurons(current, lengths))


class LeakyReadout(torch.nn.Module):
    r"""Linear, batch norm, leaky integrators; the softmax of their membranes
    is summed over the valid frames.

    Arguments
    ---------
    input_size : int
        Channels in.
    n_classes : int
        Output neurons.

    Example
    -------
    >>> logits = LeakyReadout(4, 3)(torch.randn(2, 5, 4))
    >>> logits.sum(-1).round().tolist()  # 1 a frame
    [5.0, 5.0]
    """

    def __init__(self, input_size, n_classes):
        super().__init__()
        self.linear = torch.nn.Linear(input_size, n_classes, bias=False)
        self.norm = MaskedBatchNorm(n_classes, momentum=0.05)
        self.alpha = draw(ALPHA, n_classes)

    def forward(self, x, lengths=None):
        """Logits, [batch, n_classes], of [batch, time, input_size]."""
        alpha = self.alpha.clamp(*ALPHA)
        current = self.norm(self.linear(x), lengths)
        scores = leaky_integrate((1 - alpha) * current, alpha).softmax(-1)
        mask = frame_mask(lengths, x.shape[1])
        return (scores if mask is None else scores * mask).sum(1)


class SpikingLIFNetwork(torch.nn.Module):
    r"""Feed-forward layers of LIF or adLIF neurons and a leaky read-out.

    Source: sparch, Bittar and Garner 2022, doi:10.3389/fnins.2022.865897,
    where filter banks feed it; by default it has two hidden layers of 128
    there. Differs: see :class:`AdaptiveLIF`; ``size`` is an own choice,
    PTS-SNN's first width, because 768 channels feed it.

    Arguments
    ---------
    input_size : int
        Channels of the frozen backbone's features.
    n_classes : int
        Emotions.
    size : int
        Neurons of a hidden layer.
    n_hidden : int
        Hidden layers.
    adaptive : bool
        adLIF neurons; LIF if False.
    dropout : float
        Share of spikes that training drops.
    n_layers : int
        Hidden states in the features; see :class:`PTSSNN`.

    Example
    -------
    >>> head = SpikingLIFNetwork()
    >>> head(torch.randn(2, 50, 768), torch.tensor([1.0, 0.5])).shape
    torch.Size([2, 4])
    >>> sum(p.numel() for p in head.parameters())
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
        super().__init__()
        self.input_size = input_size
        self.mixture = LayerMixture(n_layers)
        sizes = [input_size // n_layers] + [size] * (n_hidden - 1)
        self.hidden = torch.nn.ModuleList(
            LIFLayer(n, size, adaptive, dropout) for n in sizes
        )
        self.readout = LeakyReadout(size, n_classes)

    def forward(self, feats, lengths=None):
        """As :meth:`PTSSNN.forward`, but logits, [batch, n_classes]."""
        check_feature_size(self, feats)
        x = self.mixture(feats)
        for layer in self.hidden:
            x = layer(x, lengths)
        return self.readout(x, lengths)
