"""DST, the deformable speech transformer."""

import torch

from speechbrain_ptssnn.lobes.base import (
    Head,
    draw_matrices,
    feed_forward,
    mlp_classifier,
    projector,
)
from speechbrain_ptssnn.nnet.deformable_attention import DeformableAttention
from speechbrain_ptssnn.nnet.masking import frame_mask, masked_mean
from speechbrain_ptssnn.nnet.positions import sinusoids


class DSTBlock(torch.nn.Module):
    r"""Deformable attention, then an MLP, each with a LayerNorm after it.

    Arguments
    ---------
    size : int
        Channels.
    n_heads : int
        Attention heads.
    mlp_size : int
        Hidden channels of the MLP.
    dropout : float
        Dropout rate of the attention weights, of the MLP's hidden channels
        and of both outputs.

    Example
    -------
    >>> DSTBlock(8, 2, 16, 0.1)(torch.randn(3, 5, 8)).shape
    torch.Size([3, 5, 8])
    """

    def __init__(self, size, n_heads, mlp_size, dropout):
        super().__init__()
        self.attention = DeformableAttention(size, n_heads, dropout)
        self.dropout = torch.nn.Dropout(dropout)
        self.attention_norm = torch.nn.LayerNorm(size)
        self.mlp = feed_forward(size, mlp_size, dropout)
        self.mlp_norm = torch.nn.LayerNorm(size)

    def forward(self, x, mask=None):
        """Takes and returns [batch, time, size]; ``mask`` comes from
        :func:`~speechbrain_ptssnn.nnet.masking.frame_mask`.
        """
        x = self.attention_norm(x + self.dropout(self.attention(x, mask)))
        return self.mlp_norm(x + self.mlp(x))


class DST(Head):
    r"""LayerNorm and positions, four blocks, a three-layer MLP on each frame,
    mean over the valid frames.

    Source: arXiv:2302.13729 and its published code, which uses WavLM-Large's
    1,024 channels, cut or padded to 326 frames. Differs: 768 channels, as in a
    base-size backbone, with the same number of blocks, heads and hidden
    channels; features of another size are projected to ``size`` first; any
    number of frames, though 326 is still the largest offset and half width;
    where a centre lies exactly on a frame, its gradient comes from both
    neighbours.

    Arguments
    ---------
    input_size, n_classes, n_layers : int
        See :class:`~speechbrain_ptssnn.lobes.base.Head`.
    size : int
        Channels of the blocks (source: 1,024).
    n_blocks : int
        Blocks (source: 4).
    n_heads : int
        Attention heads (source: 8).
    mlp_size : int
        Hidden channels of the blocks' MLPs (source: 512).
    dropout : float
        Dropout rate in blocks and classifier (source: 0.1).

    Example
    -------
    >>> sum(p.numel() for p in DST().parameters())
    13033348
    """

    def __init__(
        self,
        input_size=768,
        n_classes=4,
        size=768,
        n_blocks=4,
        n_heads=8,
        mlp_size=512,
        dropout=0.1,
        n_layers=1,
    ):
        super().__init__(input_size, n_layers)
        self.projector = projector(self.feature_size, size)
        self.norm = torch.nn.LayerNorm(size)
        self.blocks = torch.nn.ModuleList(
            DSTBlock(size, n_heads, mlp_size, dropout) for _ in range(n_blocks)
        )
        self.classifier = mlp_classifier(size, n_classes, dropout)
        draw_matrices(self)
        for block in self.blocks:
            block.attention.reset_window()

    def forward(self, feats, lengths=None):
        """Returns logits, [batch, n_classes]."""
        x = self.norm(self.projector(self.mix(feats)))
        x = x + sinusoids(*x.shape[1:]).to(x)
        mask = frame_mask(lengths, x.shape[1])
        for block in self.blocks:
            x = block(x, mask)
        return masked_mean(self.classifier(x), lengths)
