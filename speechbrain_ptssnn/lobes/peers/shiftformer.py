"""ShiftFormer, a transformer whose attention is a temporal shift."""

import torch

from speechbrain_ptssnn.lobes.base import Head, projector
from speechbrain_ptssnn.nnet.masking import frame_mask, masked_mean
from speechbrain_ptssnn.nnet.temporal_shift import TemporalShift


class ShiftFormerBlock(torch.nn.Module):
    r"""Shift, then LayerNorm(x + MLP(x)).

    Arguments
    ---------
    size : int
        Channels.
    mlp_ratio : int
        Hidden channels of the MLP, in multiples of ``size``.
    shift : torch.nn.Module
        The temporal shift.

    Example
    -------
    >>> block = ShiftFormerBlock(8, 4, TemporalShift(0.25))
    >>> block(torch.randn(2, 5, 8)).shape
    torch.Size([2, 5, 8])
    """

    def __init__(self, size, mlp_ratio, shift):
        super().__init__()
        self.shift = shift
        self.mlp = torch.nn.Sequential(
            torch.nn.Linear(size, mlp_ratio * size),
            torch.nn.GELU(),
            torch.nn.Linear(mlp_ratio * size, size),
        )
        self.norm = torch.nn.LayerNorm(size)

    def forward(self, x, mask=None):
        """Takes and returns [batch, time, size]; ``mask`` comes from
        :func:`~speechbrain_ptssnn.nnet.masking.frame_mask`.
        """
        if mask is not None:  # a two-sided shift moves padding into frames
            x = x.masked_fill(~mask, 0)
        x = self.shift(x)
        return self.norm(x + self.mlp(x))


class ShiftFormer(Head):
    r"""Two blocks, mean over the valid frames, Linear.

    Source: arXiv:2302.13277 and its published code (ShiftSER), which uses the
    768 channels of HuBERT or wav2vec 2.0 and shifts a quarter of them each
    way. Differs: features of another size are projected to ``size`` first; no
    SpecAugment; no dropout in the MLP, where the source has a rate of 0.

    Arguments
    ---------
    input_size, n_classes, n_layers : int
        See :class:`~speechbrain_ptssnn.lobes.base.Head`.
    size : int
        Channels of the blocks (source: 768).
    n_blocks : int
        Blocks (source: 2).
    mlp_ratio : int
        Hidden channels of the MLPs, in multiples of ``size`` (source: 4).
    shift_fraction : float
        Share of channels that shift one way (source: 1/4).
    two_sided_shift : bool
        Whether as many shift the other way (source: yes).

    Example
    -------
    >>> sum(p.numel() for p in ShiftFormer().parameters())
    9451012
    """

    def __init__(
        self,
        input_size=768,
        n_classes=4,
        size=768,
        n_blocks=2,
        mlp_ratio=4,
        shift_fraction=0.25,
        two_sided_shift=True,
        n_layers=1,
    ):
        super().__init__(input_size, n_layers)
        self.projector = projector(self.feature_size, size)
        self.blocks = torch.nn.ModuleList(
            ShiftFormerBlock(
                size, mlp_ratio, TemporalShift(shift_fraction, two_sided_shift)
            )
            for _ in range(n_blocks)
        )
        self.output = torch.nn.Linear(size, n_classes)

    def forward(self, feats, lengths=None):
        """Returns logits, [batch, n_classes]."""
        x = self.projector(self.mix(feats))
        mask = frame_mask(lengths, x.shape[1])
        for block in self.blocks:
            x = block(x, mask)
        return self.output(masked_mean(x, lengths))
