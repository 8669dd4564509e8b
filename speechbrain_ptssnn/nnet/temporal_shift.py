"""The parameter-free shift of channels along time (figure 3)."""

import torch
from torch.nn import functional


class TemporalShift(torch.nn.Module):
    r"""Mixes each frame with the one before it.

    y[t, c] = x[t-1, c] for the first ``fraction`` of the channels, x[t, c]
    for the rest, with x[-1] = 0. Causal.

    Source: figure 3; arXiv:1811.08383, its one-sided form. Differs: stands
    before a linear layer, not in a residual branch.

    Arguments
    ---------
    fraction : float
        Share of channels that shift, 0 to 1. Own choice: the paper says "a
        fraction".
    two_sided : bool
        Whether as many channels again shift the other way (future to
        present), as in arXiv:1811.08383; that is not causal.

    Raises
    ------
    ValueError
        If ``fraction`` is not in [0, 1], or above 0.5 when two-sided.

    Example
    -------
    >>> x = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]])
    >>> TemporalShift(0.5)(x).tolist()
    [[[0.0, 2.0], [1.0, 4.0]]]
    >>> TemporalShift(0.5, two_sided=True)(x).tolist()
    [[[0.0, 4.0], [1.0, 0.0]]]
    """

    def __init__(self, fraction=0.25, two_sided=False):
        super().__init__()
        limit = 0.5 if two_sided else 1
        if not 0 <= fraction <= limit:
            raise ValueError(
                f"fraction must be in [0, {limit}], got {fraction}"
            )
        self.fraction = fraction
        self.two_sided = two_sided

    def forward(self, x):
        """Shifts by one frame.

        Arguments
        ---------
        x : torch.Tensor
            [batch, time, channels]. Padded frames must be 0 if two-sided.

        Returns
        -------
        torch.Tensor
            [batch, time, channels].
        """
        moved = self.moved(x)
        n_moved = sum(part.shape[-1] for part in moved)
        return torch.cat([*moved, x[..., n_moved:]], dim=-1)

    def moved(self, x):
        """The channels that shift, and they alone.

        Arguments
        ---------
        x : torch.Tensor
            [batch, time, channels].

        Returns
        -------
        list of torch.Tensor
            Delayed channels and, if two-sided, advanced ones: the first
            channels of :meth:`forward`, in order.
        """
        n = round(self.fraction * x.shape[-1])
        moved = [functional.pad(x[:, :-1, :n], (0, 0, 1, 0))]
        if self.two_sided:
            ahead = x[:, 1:, n : 2 * n]
            moved.append(functional.pad(ahead, (0, 0, 0, 1)))
        return moved
