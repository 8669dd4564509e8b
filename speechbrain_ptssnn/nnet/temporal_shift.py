"""The parameter-free shift of channels along time (figure 3)."""

import torch
from torch.nn import functional

DIRECTIONS = (1, -1)  # a frame later, and a frame earlier if two-sided


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
        moved = [
            functional.pad(part, (0, 0, late, -late))
            for part, late in zip(moving, DIRECTIONS, strict=False)
        ]
        return torch.cat([*moved, rest], dim=-1)

    def add_product(self, y, x, weight):
        """Adds to y, in place, the product of the channels that shift.

        ``linear(shift(x), w)`` is that on top of ``linear(x, w)``, where the
        latter's w is 0 for these channels: the shift itself takes no copy.

        Arguments
        ---------
        y : torch.Tensor
            [batch, time, outputs].
        x : torch.Tensor
            [batch, time, channels].
        weight : torch.Tensor
            [outputs, channels]; the columns of channels that stay are unused.
        """
        *moving, _ = self._split(x)
        *columns, _ = self._split(weight)
        n_frames = x.shape[1] - 1
        for part, w, late in zip(moving, columns, DIRECTIONS, strict=False):
            start = max(late, 0)
            # In the type of y: autocast leaves what works in place alone.
            part = part.narrow(1, 1 - start, n_frames).to(y.dtype)
            w = w.t().to(y.dtype).expand(len(x), -1, -1)
            y.narrow(1, start, n_frames).baddbmm_(part, w)

    def n_moving(self, channels):
        """How many of so many channels shift: the first ones."""
        return round(self.fraction * channels) * (1 + self.two_sided)

    def _split(self, x):
        # Split, whose gradient is one concatenation, not slices, each of
        # whose gradients is a tensor of x's size.
        n = self.n_moving(x.shape[-1])
        moving = [n // 2] * 2 if self.two_sided else [n]
        return x.split([*moving, x.shape[-1] - n], dim=-1)
