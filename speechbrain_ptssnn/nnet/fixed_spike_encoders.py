"""Spike encoders without parameters, to compare a learnable one with."""

import torch
from spikingjelly.activation_based.encoding import LatencyEncoder
from torch.nn import functional

from speechbrain_ptssnn.nnet.masking import frame_mask
from speechbrain_ptssnn.nnet.surrogate import spike


def to_unit(x, span):
    """Maps -span to 0 and span to 1, what lies beyond to these.

    Example
    -------
    >>> to_unit(torch.tensor([-9.0, 0.0, 1.0]), span=2.0).tolist()
    [0.0, 0.5, 0.75]
    """
    return (0.5 + x / (2 * span)).clamp(0, 1)


class FixedSpikeEncoder(torch.nn.Module):
    r"""Base class: a subclass defines :meth:`encode`.

    Arguments
    ---------
    size : int
        Channels in.
    per_channel : int
        Channels out for each of them.
    additions : int
        Additions and comparisons for each of them and each frame.
    """

    def __init__(self, size, per_channel=1, additions=1):
        super().__init__()
        self.size = size
        self.output_size = per_channel * size
        self.additions = additions * size

    def encode(self, x):
        """Maps [batch, time, size] to spikes, [batch, time, output_size]."""
        raise NotImplementedError

    def streams(self, spikes):
        """As :meth:`ResidualSpikeEncoder.streams`, of the one stream there is:
        {"encoder": [..., per_channel, size]}.
        """
        return {"encoder": spikes.unflatten(-1, (-1, self.size))}

    def forward(self, x, lengths=None):
        """Encodes features.

        Arguments
        ---------
        x : torch.Tensor
            [batch, time, size].
        lengths : torch.Tensor, optional
            Relative lengths, [batch]; frames beyond them have no spike.

        Returns
        -------
        torch.Tensor
            Spikes, exactly 0.0 or 1.0, [batch, time, output_size].
        """
        spikes = self.encode(x)
        mask = frame_mask(lengths, x.shape[1])
        return spikes if mask is None else spikes * mask


class DeltaEncoder(FixedSpikeEncoder):
    r"""Delta modulation: up[t] = 1 where x[t] - x[t-1] >= threshold, down[t] =
    1 where x[t-1] - x[t] >= threshold. Before the first frame, x is 0.

    Unlike step-forward encoding it forgets what a spike did not tell.

    Arguments
    ---------
    size : int
        Channels in.
    threshold : float
        In the unit of x.
    alpha : float
        Steepness of the surrogate gradient, which x gets.

    Example
    -------
    >>> encoder = DeltaEncoder(1, threshold=0.5)
    >>> encoder(torch.tensor([[[0.75], [1.0], [0.25]]]))[0].tolist()
    [[1.0, 0.0], [0.0, 0.0], [0.0, 1.0]]
    """

    def __init__(self, size, threshold=0.5, alpha=5.0):
        super().__init__(size, per_channel=2, additions=3)
        self.threshold = threshold
        self.alpha = alpha

    def encode(self, x):
        """Returns all ups, then all downs."""
        change = x - functional.pad(x[:, :-1], (0, 0, 1, 0))
        both = torch.cat([change, -change], -1)
        return spike(both - self.threshold, self.alpha)


class RateEncoder(FixedSpikeEncoder):
    r"""Bernoulli rate coding: a spike with probability (x + span) / (2 span),
    drawn for each frame.

    In training it draws as SpikingJelly's ``PoissonEncoder`` does. Evaluation
    has the same numbers in every call and for every utterance, so it can be
    repeated.

    Arguments
    ---------
    size : int
        Channels in.
    span : float
        -span never spikes, span always does, in the unit of x.
    seed : int
        Of evaluation's numbers.

    Example
    -------
    >>> x = torch.tensor([[[-2.0, 2.0]]])
    >>> RateEncoder(2)(x).tolist()
    [[[0.0, 1.0]]]
    """

    def __init__(self, size, span=2.0, seed=0):
        super().__init__(size)
        self.span = span
        self.seed = seed

    def encode(self, x):
        """Returns a spike where a number in [0, 1) is below the probability."""
        rates = to_unit(x, self.span)
        if self.training:
            return (torch.rand_like(rates) < rates).to(x.dtype)
        # On the CPU and frame by frame: the first frames have the same numbers
        # on all devices and however many frames follow.
        generator = torch.Generator().manual_seed(self.seed)
        numbers = torch.stack(
            [torch.rand(self.size, generator=generator) for _ in x[0]]
        )
        return (numbers.to(x.device) < rates).to(x.dtype)


class LatencyCodes(FixedSpikeEncoder):
    r"""Latency coding: of each group of frames, one has a spike, and the larger
    x was in the first of them, the earlier it comes.

    It is SpikingJelly's ``LatencyEncoder`` for x from -span to span. Own
    choice: its steps are frames, so that the network has as many steps as
    behind the other encoders; x is read in every ``n_frames``-th frame only.

    Arguments
    ---------
    size : int
        Channels in.
    n_frames : int
        Frames of a group: the latencies there are.
    span : float
        Largest value that is told from larger ones, in the unit of x.

    Example
    -------
    >>> codes = LatencyCodes(1, n_frames=3)
    >>> x = torch.tensor([2.0, 0.0, 0.0, -2.0, 0.0, 0.0])
    >>> codes(x.view(1, 6, 1)).flatten().tolist()
    [1.0, 0.0, 0.0, 0.0, 0.0, 1.0]
    """

    def __init__(self, size, n_frames=5, span=2.0):
        super().__init__(size)
        self.n_frames = n_frames
        self.span = span

    def encode(self, x):
        """Returns the spikes; a last group may be cut before its spike."""
        first = to_unit(x[:, :: self.n_frames], self.span)
        codes = LatencyEncoder(self.n_frames).single_step_encode(first)
        # [n_frames, batch, groups, size]
        codes = codes.permute(1, 2, 0, 3).flatten(1, 2)
        return codes[:, : x.shape[1]].to(x.dtype)
