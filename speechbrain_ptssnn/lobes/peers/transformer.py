"""A small transformer encoder."""

import torch

from speechbrain_ptssnn.lobes.base import Head, draw_matrices, projector
from speechbrain_ptssnn.nnet.masking import frame_mask, masked_mean
from speechbrain_ptssnn.nnet.positions import sinusoids


class Transformer(Head):
    r"""Linear projection and positions, transformer blocks, mean over the
    valid frames, Linear.

    Source: arXiv:1706.03762, as PyTorch's ``TransformerEncoder`` has it.
    Differs: LayerNorm stands before attention and MLP (arXiv:2002.04745),
    which trains without warm-up. The sizes are our own choice: the channels
    are those of PTS-SNN's encoder, 64 to an attention head, and the MLPs are
    such that the whole has PTS-SNN's 1.19 M parameters.

    Arguments
    ---------
    input_size, n_classes, n_layers : int
        See :class:`~speechbrain_ptssnn.lobes.base.Head`.
    size : int
        Channels of the blocks.
    n_blocks : int
        Blocks.
    n_heads : int
        Attention heads; must divide ``size``.
    mlp_size : int
        Hidden channels of the blocks' MLPs.
    dropout : float
        Dropout rate in the blocks (source: 0.1).

    Example
    -------
    >>> sum(p.numel() for p in Transformer().parameters())
    1186948
    """

    def __init__(
        self,
        input_size=768,
        n_classes=4,
        size=256,
        n_blocks=2,
        n_heads=4,
        mlp_size=448,
        dropout=0.1,
        n_layers=1,
    ):
        super().__init__(input_size, n_layers)
        self.projector = projector(self.feature_size, size)
        self.encoder = torch.nn.TransformerEncoder(
            torch.nn.TransformerEncoderLayer(
                size,
                n_heads,
                mlp_size,
                dropout,
                batch_first=True,
                norm_first=True,
            ),
            n_blocks,
            torch.nn.LayerNorm(size),
            enable_nested_tensor=False,
        )
        self.output = torch.nn.Linear(size, n_classes)
        # TransformerEncoder copies one block, so all would start alike.
        draw_matrices(self.encoder)

    def forward(self, feats, lengths=None):
        """Returns logits, [batch, n_classes]."""
        x = self.projector(self.mix(feats))
        x = x + sinusoids(*x.shape[1:]).to(x)
        mask = frame_mask(lengths, x.shape[1])
        padding = None if mask is None else ~mask.squeeze(-1)
        x = self.encoder(x, src_key_padding_mask=padding)
        return self.output(masked_mean(x, lengths))
