"""Averages neighbouring frames, so that the head has fewer to process."""

import torch
from torch.nn import functional

from speechbrain_ptssnn.nnet.masking import frame_counts, frame_mask


class FramePooling(torch.nn.Module):
    r"""Averages each group of ``n_frames`` frames. The last group of an
    utterance is averaged over the frames that it has.

    All following layers need that many times less time, memory and energy.
    Own choice; the paper does not pool, as with ``n_frames=1``.

    Arguments
    ---------
    n_frames : int
        Frames of 20 ms that become one.

    Raises
    ------
    ValueError
        If ``n_frames`` is below 1.

    Example
    -------
    >>> x = torch.tensor([[[1.0], [3.0], [5.0], [9.0]]])
    >>> pooled, lengths = FramePooling(2)(x, torch.tensor([0.75]))
    >>> pooled.tolist(), lengths.tolist()
    ([[[2.0], [5.0]]], [1.0])
    """

    def __init__(self, n_frames=1):
        super().__init__()
        if n_frames < 1:
            raise ValueError(f"n_frames must be at least 1, got {n_frames}")
        self.n_frames = n_frames

    def forward(self, x, lengths=None):
        """Pools x, [batch, time, channels], with relative lengths, [batch].

        Returns
        -------
        pooled : torch.Tensor
            [batch, ceil(time / n_frames), channels].
        lengths : torch.Tensor or None
            Its relative lengths; None if None was given.
        """
        k = self.n_frames
        if k == 1:
            return x, lengths
        batch, n, channels = x.shape
        mask = frame_mask(lengths, n)
        real = x.new_ones(1, n, 1) if mask is None else mask.to(x.dtype)
        if mask is not None:
            x = x.masked_fill(~mask, 0)
        missing, groups = (0, 0, 0, -n % k), -(-n // k)
        real = functional.pad(real, missing).view(len(real), groups, k, 1)
        real = real.sum(2)
        x = functional.pad(x, missing).view(batch, groups, k, channels)
        x = x.sum(2)
        if lengths is not None:
            counts = (frame_counts(lengths, n) + k - 1) // k
            lengths = counts / groups
        return x / real.clamp(min=1), lengths
