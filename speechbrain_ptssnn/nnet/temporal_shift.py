"""The parameter-free shift of channels along time (figure 3)."""

import torch
from torch.nn import functional

DIRECTIONS = (1, -1)  # a frame later; if two-sided, also a frame earlier


class TemporalShift(torch.nn.Module):
    r"""Mixes each frame with the one before it.

    y[t, c] = x[t-1, c] for the first ``fraction`` of the channels, x[t, c]
    for the rest, with x[-1] = 0. It is causal.

    Source: figure 3; the one-sided form of arXiv:1811.08383. Differs: it
    stands before a linear layer, not in a residual branch.

    Arguments
    ---------
    fraction : float
        Share of channels that shift, 0 to 1. Own choice: the paper says "a
        fraction".
    two_sided : bool
        Whether as many other channels shift from the next frame to this one,
        as in arXiv:1811.08383. The shift is then not causal.

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
        """Takes and returns [batch, time, channels]. Padded frames must be 0
        if the shift is two-sided.
        """
        *parts, rest = self._split(x)
        shifted = [
            functional.pad(part, (0, 0, late, -late))
            for part, late in zip(parts, DIRECTIONS, strict=False)
        ]
        return torch.cat([*shifted, rest], dim=-1)

    def add_product(self, y, x, weight, state=None):
        """Adds to y, in place, the product of the shifted channels.

        ``linear(shift(x), w)`` equals ``linear(x, w)``, with w set to 0 for
        these channels, plus this product. So no shifted copy of x is needed.

        Arguments
        ---------
        y : torch.Tensor
            [batch, time, outputs].
        x : torch.Tensor
            [batch, time, channels].
        weight : torch.Tensor
            [outputs, channels]; only the shifted channels' columns are used.
        state : dict, optional
            A stream's, of a shift that is one-sided: the shifted channels of
            the frame before. They are replaced by those of the last frame.
        """
        *parts, _ = self._split(x)
        *columns, _ = self._split(weight)
        n_frames = x.shape[1] - 1
        for part, w, late in zip(parts, columns, DIRECTIONS, strict=False):
            target = y
            if state is None:
                start = max(late, 0)
                part = part.narrow(1, 1 - start, n_frames)
                target = y.narrow(1, start, n_frames)
            else:
                part = _one_later(part, state)
            # Autocast does not convert the arguments of in-place operations.
            w = w.t().to(y.dtype).expand(len(x), -1, -1)
            target.baddbmm_(part.to(y.dtype), w)

    def n_shifted(self, channels):
        """Returns how many of so many channels shift; they come first."""
        return round(self.fraction * channels) * (1 + self.two_sided)

    def _split(self, x):
        # The gradient of one split is one concatenation. The gradient of
        # each slice would be a tensor of x's size.
        n = self.n_shifted(x.shape[-1])
        sizes = [n // 2] * 2 if self.two_sided else [n]
        return x.split([*sizes, x.shape[-1] - n], dim=-1)


def _one_later(x, state):
    """Shifts a stream's channels by one frame."""
    before = state.get("before")
    if before is None:
        before = x.new_zeros(x.shape[0], 1, x.shape[2])
    x = torch.cat([before, x], 1)
    state["before"] = x[:, -1:]
    return x[:, :-1]
