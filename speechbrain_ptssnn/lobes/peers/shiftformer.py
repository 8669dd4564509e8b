"""ShiftFormer, a transformer whose attention is a temporal shift."""

import torch

from speechbrain_ptssnn.lobes.pts_snn import check_feature_size
from speechbrain_ptssnn.nnet.layer_mixture import LayerMixture
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
        """Takes and returns [batch, time, size]; the mask is
        :func:`frame_mask`'s.
        """
        if mask is not None:  # what shifts in from the end must be 0
            x = x.masked_fill(~mask, 0)
        x = self.shift(x)
        return self.norm(x + self.mlp(x))


class ShiftFormer(torch.nn.Module):
    r"""Two blocks, mean over the valid frames, Linear.

    Source: arXiv:2302.13277 and its published code (ShiftSER), where it
    stands on HuBERT's or wav2vec 2.0's 768 channels with a quarter of them
    shifted each way. Differs: features of another size are projected to
    ``size`` first; no SpecAugment; the MLP's dropout, 0 there, is left out.

    Arguments
    ---------
    input_size : int
        Channels of the frozen backbone's features.
    n_classes : int
        Emotions.
    size : int
        Channels of the blocks (there: 768).
    n_blocks : int
        Blocks (there: 2).
    mlp_ratio : int
        Hidden channels of the MLPs, in multiples of ``size`` (there: 4).
    shift_fraction : float
        Share of channels that shift one way (there: 1/4).
    two_sided_shift : bool
        Whether as many shift the other way (there: yes).
    n_layers : int
        Hidden states in the features; see :class:`PTSSNN`.

    Example
    -------
    >>> head = ShiftFormer()
    >>> head(torch.randn(2, 50, 768), torch.tensor([1.0, 0.5])).shape
    torch.Size([2, 4])
    >>> sum(p.numel() for p in head.parameters())
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
        super().__init__()
        self.input_size = input_size
        self.mixture = LayerMixture(n_layers)
        feature_size = input_size // n_layers
        self.projector = torch.nn.Identity()
        if feature_size != size:
            self.projector = torch.nn.Linear(feature_size, size)
        self.blocks = torch.nn.ModuleList(
            ShiftFormerBlock(
                size, mlp_ratio, TemporalShift(shift_fraction, two_sided_shift)
            )
            for _ in range(n_blocks)
        )
        self.output = torch.nn.Linear(size, n_classes)

    def forward(self, feats, lengths=None):
        """As :meth:`PTSSNN.forward`, but logits, [batch, n_classes]."""
        check_feature_size(self, feats)
        x = self.projector(self.mixture(feats))
        mask = frame_mask(lengths, x.shape[1])
        for block in self.blocks:
            x = block(x, mask)
        return self.output(masked_mean(x, lengths))
