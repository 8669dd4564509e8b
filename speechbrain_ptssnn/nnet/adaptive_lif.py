"""Leaky integrate-and-fire neurons that adapt to their own activity."""

import math

import torch
from spikingjelly.activation_based.surrogate import Rect

from speechbrain_ptssnn.nnet.masking import frame_mask

# Bounds of the parameters; start values are uniform between them.
ALPHA = math.exp(-1 / 5), math.exp(-1 / 25)
BETA = math.exp(-1 / 30), math.exp(-1 / 120)
A = -1.0, 1.0
B = 0.0, 2.0


def draw(bounds, size):
    """Returns a parameter, drawn uniformly between its bounds, [size].

    Example
    -------
    >>> draw((0.0, 2.0), 3).shape
    torch.Size([3])
    """
    return torch.nn.Parameter(torch.empty(size).uniform_(*bounds))


class AdaptiveLIF(torch.nn.Module):
    r"""A layer of adLIF neurons, or of plain LIF neurons.

    w[t] = beta * w[t-1] + a * u[t-1] + b * s[t-1],
    u[t] = alpha * (u[t-1] - s[t-1]) + (1 - alpha) * (i[t] - w[t]),
    s[t] = 1 where u[t] >= 1, the threshold. LIF neurons have no w. Each neuron
    learns its own alpha, beta, a and b, within bounds. The surrogate gradient
    is 1 within 0.5 of the threshold, else 0.

    Source: sparch, Bittar and Garner 2022, doi:10.3389/fnins.2022.865897.
    Differs: states start at 0, not at random values, so that results can be
    reproduced.

    Arguments
    ---------
    n_neurons : int
        Size of the last dimension.
    adaptive : bool
        Whether neurons have w (adLIF); False is LIF.

    Example
    -------
    >>> layer = AdaptiveLIF(1, adaptive=False)
    >>> _ = layer.alpha.data.fill_(0.9)
    >>> layer(torch.full((1, 4, 1), 6.0))[0, :, 0]  # u = 0.6, 1.14, 0.726, 1.25
    tensor([0., 1., 0., 1.], grad_fn=...)
    """

    def __init__(self, n_neurons, adaptive=True):
        super().__init__()
        self.adaptive = adaptive
        self.v_threshold = 1.0
        self.spike = Rect()
        self.alpha = draw(ALPHA, n_neurons)
        if adaptive:
            self.beta = draw(BETA, n_neurons)
            self.a = draw(A, n_neurons)
            self.b = draw(B, n_neurons)

    def forward(self, current, lengths=None):
        """Maps a current, [batch, time, n_neurons], to spikes of the same
        shape. Padded frames never spike.
        """
        alpha = self.alpha.clamp(*ALPHA)
        if self.adaptive:
            beta = self.beta.clamp(*BETA)
            a, b = self.a.clamp(*A), self.b.clamp(*B)
        u = s = w = torch.zeros_like(current[:, 0], dtype=alpha.dtype)
        spikes = []
        for i in current.unbind(1):
            if self.adaptive:
                w = beta * w + a * u + b * s
            u = alpha * (u - s) + (1 - alpha) * (i - w)
            s = self.spike(u - self.v_threshold)
            spikes.append(s.to(current.dtype))
        spikes = torch.stack(spikes, 1)
        mask = frame_mask(lengths, spikes.shape[1])
        return spikes if mask is None else spikes * mask
