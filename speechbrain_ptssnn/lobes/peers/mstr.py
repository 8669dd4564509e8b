"""MSTR, the multi-scale temporal transformer."""

import torch
from torch.nn import functional

from speechbrain_ptssnn.lobes.base import (
    Head,
    draw_matrices,
    feed_forward,
    mlp_classifier,
    projector,
)
from speechbrain_ptssnn.nnet.frame_pooling import FramePooling
from speechbrain_ptssnn.nnet.masking import frame_mask, masked_mean
from speechbrain_ptssnn.nnet.positions import sinusoids


def window_attention(qkv, n_heads, window, lengths=None, dropout=0.0):
    """Softmax attention inside windows of equal length, side by side.

    Arguments
    ---------
    qkv : torch.Tensor
        Queries, keys and values side by side, [batch, time, 3 * size].
    n_heads : int
        Attention heads; must divide ``size``.
    window : int
        Frames of a window; the last window may have fewer.
    lengths : torch.Tensor, optional
        Relative lengths, [batch]; padded frames are not attended to.
    dropout : float
        Dropout rate of the attention weights.

    Returns
    -------
    torch.Tensor
        [batch, time, size].

    Example
    -------
    >>> qkv = torch.zeros(1, 3, 3)
    >>> qkv[0, :, 2] = torch.tensor([1.0, 3.0, 7.0])
    >>> window_attention(qkv, 1, window=2).flatten().tolist()
    [2.0, 2.0, 7.0]
    """
    n_frames = qkv.shape[1]
    mask = frame_mask(lengths, n_frames)
    if mask is None:
        mask = qkv.new_ones(1, n_frames, 1, dtype=torch.bool)
    missing = (0, 0, 0, -n_frames % window)
    mask = functional.pad(mask, missing).view(len(mask), -1, 1, 1, window)
    # Softmax over nothing is not a number: windows of padding see all of it.
    mask = mask | ~mask.any(-1, keepdim=True)
    windows = functional.pad(qkv, missing).unflatten(1, (-1, window))
    query, key, value = (
        part.unflatten(-1, (n_heads, -1)).transpose(2, 3)
        for part in windows.chunk(3, -1)
    )
    attended = functional.scaled_dot_product_attention(
        query, key, value, mask, dropout
    )
    return attended.transpose(2, 3).flatten(3).flatten(1, 2)[:, :n_frames]


class MSTRBlock(torch.nn.Module):
    r"""Attention at several time scales, mixed, then an MLP, each with a
    LayerNorm after it.

    Queries, keys and values are averaged over 1, p, p^2, ... frames. At each
    scale they attend to one another inside windows of as many (averaged)
    frames. Each scale's result has a linear layer, is repeated to the frame
    rate, and all are added.

    Arguments
    ---------
    size : int
        Channels.
    n_heads : int
        Attention heads; must divide ``size``.
    mlp_size : int
        Hidden channels of the MLP.
    n_scales : int
        Time scales.
    fractal_factor : int
        p: frames of one scale that become a frame of the next.
    window : int
        Frames of an attention window, at every scale.
    dropout : float
        Dropout rate of the attention weights, of the MLP's hidden channels
        and of both outputs.

    Example
    -------
    >>> MSTRBlock(8, 2, 16, 2, 3, 4, 0.1)(torch.randn(3, 5, 8)).shape
    torch.Size([3, 5, 8])
    """

    def __init__(
        self,
        size,
        n_heads,
        mlp_size,
        n_scales,
        fractal_factor,
        window,
        dropout,
    ):
        super().__init__()
        self.n_heads = n_heads
        self.window = window
        self.qkv = torch.nn.Linear(size, 3 * size, bias=False)
        self.pooling = FramePooling(fractal_factor)
        # One linear layer on all scales, each computed at its own rate.
        self.mixers = torch.nn.ModuleList(
            torch.nn.Linear(size, size, bias=k == 0) for k in range(n_scales)
        )
        self.dropout = torch.nn.Dropout(dropout)
        self.attention_norm = torch.nn.LayerNorm(size)
        self.mlp = feed_forward(size, mlp_size, dropout)
        self.mlp_norm = torch.nn.LayerNorm(size)

    def forward(self, x, lengths=None):
        """Takes and returns [batch, time, size]; ``lengths`` are relative."""
        x = self.attention_norm(x + self.dropout(self._attend(x, lengths)))
        return self.mlp_norm(x + self.mlp(x))

    def _attend(self, x, lengths):
        """The sum of what the scales give, at the frame rate of x."""
        dropout = self.dropout.p if self.training else 0.0
        qkv, mixed, n_frames = self.qkv(x), 0, x.shape[1]
        for k, mixer in enumerate(self.mixers):
            if k:
                qkv, lengths = self.pooling(qkv, lengths)
            attended = window_attention(
                qkv, self.n_heads, self.window, lengths, dropout
            )
            repeats = self.pooling.n_frames**k
            scale = mixer(attended).repeat_interleave(repeats, 1)
            mixed = mixed + scale[:, :n_frames]
        return mixed


class MSTR(Head):
    r"""Positions, four blocks of attention at three time scales, mean over
    the valid frames, a three-layer MLP.

    Source: arXiv:2410.00390. We could read its sections 1 to 2.1 only, in a
    translation, and did not find its code. From there: a block has a
    multi-scale temporal operator (queries, keys and values averaged over
    p^(k-1) frames at scale k), a fractal self-attention inside windows of one
    fixed length, a scale mixer, and the rest of a transformer's block; three
    linear layers classify. Own choices, since those sections leave them open:
    the windows lie side by side and have 9 frames, which are 0.18, 0.54 and
    1.62 s with p = 3 and three scales; the mixer is a linear layer on all
    scales, which also takes the place of the attention's output layer; the
    mean stands before the classifier; blocks, heads, MLP, dropout and first
    weights are as in DST, by the same laboratory. With 1,024 channels this
    makes 30.04 M parameters; table II of PTS-SNN's paper gives MSTR 30.03 M.
    Features of another size are projected to ``size`` first.

    Arguments
    ---------
    input_size, n_classes, n_layers : int
        See :class:`~speechbrain_ptssnn.lobes.base.Head`.
    size : int
        Channels of the blocks.
    n_blocks : int
        Blocks.
    n_heads, mlp_size, n_scales, fractal_factor, window : int
        See :class:`MSTRBlock`.
    dropout : float
        Dropout rate in blocks and classifier.

    Example
    -------
    >>> sum(p.numel() for p in MSTR().parameters())
    17691972
    """

    def __init__(
        self,
        input_size=768,
        n_classes=4,
        size=768,
        n_blocks=4,
        n_heads=8,
        mlp_size=512,
        n_scales=3,
        fractal_factor=3,
        window=9,
        dropout=0.1,
        n_layers=1,
    ):
        super().__init__(input_size, n_layers)
        self.projector = projector(self.feature_size, size)
        self.blocks = torch.nn.ModuleList(
            MSTRBlock(
                size,
                n_heads,
                mlp_size,
                n_scales,
                fractal_factor,
                window,
                dropout,
            )
            for _ in range(n_blocks)
        )
        self.classifier = mlp_classifier(size, n_classes, dropout)
        draw_matrices(self)

    def forward(self, feats, lengths=None):
        """Returns logits, [batch, n_classes]."""
        x = self.projector(self.mix(feats))
        x = x + sinusoids(*x.shape[1:]).to(x)
        if frame_mask(lengths, x.shape[1]) is None:
            lengths = None  # nothing is padded: no layer has to check again
        for block in self.blocks:
            x = block(x, lengths)
        return self.classifier(masked_mean(x, lengths))
