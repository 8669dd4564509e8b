"""Fewer frames: neighbours are averaged before the head's first product."""

import torch
from torch.nn import functional

from speechbrain_ptssnn.nnet.masking import frame_counts, frame_mask


class FramePooling(torch.nn.Module):
    r"""Averages each run of ``n_frames`` frames; an utterance's last run is
    averaged over the frames that it has.

    Time, memory and energy of all that follows fall by that factor. Own
    choice, the paper does not pool; 1 is its form.

    Arguments
    ---------
    n_frames : int
        Frames that become one, 20 ms each.

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
        """Pools a batch.

        Arguments
        ---------
        x : torch.Tensor
            [batch, time, channels].
        lengths : torch.Tensor, optional
            Relative lengths, [batch].

        Returns
        -------
        tuple of torch.Tensor
            [batch, ceil(time / n_frames), channels] and its relative lengths
            (None where None was given).
        """
        k = self.n_frames
        if k == 1:
            return x, lengths
        batch, n, channels = x.shape
        mask = frame_mask(lengths, n)
        real = x.new_ones(1, n, 1) if mask is None else mask.to(x.dtype)
        if mask is not None:
            x = x.masked_fill(~mask, 0)
        missing = (0, 0, 0, -n % k)
        real = functional.pad(real, missing).view(len(real), -1, k, 1).sum(2)
        x = functional.pad(x, missing).view(batch, -1, k, channels).sum(2)
        if lengths is not None:
            counts = (frame_counts(lengths, n) + k - 1) // k
            lengths = counts / x.shape[1]
        return x / real.clamp(min=1), lengths
