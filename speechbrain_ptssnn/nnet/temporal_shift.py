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
        *moving, rest = self._split(x)
        return torch.cat([*self._move(moving), rest], dim=-1)

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
        return self._move(self._split(x)[:-1])

    def _split(self, x):
        # Split, whose gradient is one concatenation, not slices, each of
        # whose gradients is a tensor of x's size.
        n = round(self.fraction * x.shape[-1])
        sizes = [n, n] if self.two_sided else [n]
        return x.split([*sizes, x.shape[-1] - sum(sizes)], dim=-1)

    def _move(self, parts):
        directions = (1, -1)  # a frame later, a frame earlier
        return [
            functional.pad(part, (0, 0, frames, -frames))
            for part, frames in zip(parts, directions, strict=False)
        ]
