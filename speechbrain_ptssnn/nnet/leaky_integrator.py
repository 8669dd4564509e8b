"""Neurons that leak and integrate, but never fire."""

import math

import torch


def leaky_integrate(current, decay, u=0):
    """Returns u[t] = decay * u[t-1] + i[t].

    Arguments
    ---------
    current : torch.Tensor
        [batch, time, neurons].
    decay : torch.Tensor
        Share of each membrane that stays after a frame, [neurons], in (0, 1).
    u : torch.Tensor or 0
        Membranes before the first frame, [batch, neurons].

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
    membranes = [current[:, :0]]
    for i in current.unbind(1):
        u = decay * u + i
        membranes.append(u.unsqueeze(1))
    return torch.cat(membranes, 1)


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

    def forward(self, current, state=None):
        """Maps a current to membranes; both are [batch, time, n_neurons].

        A stream gives its state, a dict that holds the last membranes.
        """
        decay = torch.sigmoid(self.w)
        if state is None:
            return leaky_integrate(current, decay)
        before = state.get("membrane")
        if before is None:
            before = current.new_zeros(current.shape[0], current.shape[2])
        membranes = leaky_integrate(current, decay, before)
        so_far = torch.cat([before.unsqueeze(1), membranes], 1)
        state["membrane"] = so_far[:, -1]
        return membranes
