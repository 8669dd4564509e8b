"""Neurons that leak and integrate, but never fire."""

import math

import torch


def leaky_integrate(current, decay):
    """Returns u[t] = decay * u[t-1] + i[t], where u starts at 0.

    Arguments
    ---------
    current : torch.Tensor
        [batch, time, neurons].
    decay : torch.Tensor
        Share of each membrane that stays after a frame, [neurons], in (0, 1).

    Returns
    -------
    torch.Tensor
        Membranes, [batch, time, neurons].

    Example
    -------
    >>> current = torch.tensor([[[1.0], [1.0], [0.0]]])
    >>> leaky_integrate(current, torch.tensor([0.5]))[0, :, 0].tolist()
    [1.0, 1.5, 0.75]
    """
    u, membranes = 0, []
    for i in current.unbind(1):
        u = decay * u + i
        membranes.append(u)
    return torch.stack(membranes, 1)


class LeakyIntegrator(torch.nn.Module):
    r"""A layer of leaky integrators with learnable decays, sigmoid(w).

    Arguments
    ---------
    n_neurons : int
        Size of the last dimension.
    decay : float
        Initial decay factor of every neuron, in (0, 1), per frame.

    Example
    -------
    >>> LeakyIntegrator(3)(torch.ones(2, 5, 3)).shape
    torch.Size([2, 5, 3])
    """

    def __init__(self, n_neurons, decay=0.5):
        super().__init__()
        self.w = torch.nn.Parameter(
            torch.full((n_neurons,), math.log(decay / (1 - decay)))
        )

    def forward(self, current):
        """Maps a current to membranes; both are [batch, time, n_neurons]."""
        return leaky_integrate(current, torch.sigmoid(self.w))
