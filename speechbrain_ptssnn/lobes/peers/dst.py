"""DST, the deformable speech transformer."""

import torch

from speechbrain_ptssnn.lobes.pts_snn import check_feature_size
from speechbrain_ptssnn.nnet.deformable_attention import DeformableAttention
from speechbrain_ptssnn.nnet.layer_mixture import LayerMixture
from speechbrain_ptssnn.nnet.masking import frame_mask, masked_mean


class DSTBlock(torch.nn.Module):
    r"""Deformable attention and MLP, a LayerNorm after each.

    Arguments
    ---------
    size : int
        Channels.
    n_heads : int
        Heads of the attention.
    mlp_size : int
        Hidden channels of the MLP.
    dropout : float
        Of attention weights, hidden channels and either's output.

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
        self.mlp = torch.nn.Sequential(
            torch.nn.Linear(size, mlp_size),
            torch.nn.ReLU(),
            torch.nn.Dropout(dropout),
            torch.nn.Linear(mlp_size, size),
            torch.nn.Dropout(dropout),
        )
        self.mlp_norm = torch.nn.LayerNorm(size)

    def forward(self, x, mask=None):
        """As :meth:`DeformableAttention.forward`."""
        x = self.attention_norm(x + self.dropout(self.attention(x, mask)))
        return self.mlp_norm(x + self.mlp(x))


def sinusoids(n_frames, size):
    """Positions as sines and cosines in turn, [n_frames, size].

    Source: arXiv:1706.03762. Unlike SpeechBrain's ``PositionalEncoding`` it
    is stored nowhere and has no longest utterance.

    Example
    -------
    >>> sinusoids(2, 2)
    tensor([[0.0000, 1.0000],
            [0.8415, 0.5403]])
    """
    channels = torch.arange(size)
    rates = 10000.0 ** (-2 * (channels // 2) / size)
    angles = torch.outer(torch.arange(n_frames), rates)
    return torch.where(channels % 2 == 0, angles.sin(), angles.cos())


class DST(torch.nn.Module):
    r"""LayerNorm and positions, four blocks, a three-layer MLP on each frame,
    mean over the valid frames.

    Source: arXiv:2302.13729 and its published code, where it stands on
    WavLM-Large's 1,024 channels, cut or padded to 326 frames. Differs: 768
    channels, those of a base-size backbone, with the same blocks, heads and
    hidden channels; features of another size are projected to ``size`` first;
    any number of frames (326 stays the largest offset and half width); where
    a centre lies exactly on a frame, its gradient comes from both neighbours.

    Arguments
    ---------
    input_size : int
        Channels of the frozen backbone's features.
    n_classes : int
        Emotions.
    size : int
        Channels of the blocks (there: 1,024).
    n_blocks : int
        Blocks (there: 4).
    n_heads : int
        Heads (there: 8).
    mlp_size : int
        Hidden channels of the blocks' MLPs (there: 512).
    dropout : float
        Everywhere (there: 0.1).
    n_layers : int
        Hidden states in the features; see :class:`PTSSNN`.

    Example
    -------
    >>> head = DST()
    >>> head(torch.randn(2, 50, 768), torch.tensor([1.0, 0.5])).shape
    torch.Size([2, 4])
    >>> sum(p.numel() for p in head.parameters())
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
        super().__init__()
        self.input_size = input_size
        self.mixture = LayerMixture(n_layers)
        feature_size = input_size // n_layers
        self.projector = torch.nn.Identity()
        if feature_size != size:
            self.projector = torch.nn.Linear(feature_size, size)
        self.norm = torch.nn.LayerNorm(size)
        self.blocks = torch.nn.ModuleList(
            DSTBlock(size, n_heads, mlp_size, dropout) for _ in range(n_blocks)
        )
        self.classifier = torch.nn.Sequential(
            torch.nn.Linear(size, size // 2),
            torch.nn.ReLU(),
            torch.nn.Dropout(dropout),
            torch.nn.Linear(size // 2, size // 4),
            torch.nn.ReLU(),
            torch.nn.Dropout(dropout),
            torch.nn.Linear(size // 4, n_classes),
        )
        for parameter in self.parameters():
            if parameter.ndim > 1:
                torch.nn.init.xavier_uniform_(parameter)
        for block in self.blocks:
            block.attention.reset_window()

    def forward(self, feats, lengths=None):
        """As :meth:`PTSSNN.forward`, but logits, [batch, n_classes]."""
        check_feature_size(self, feats)
        x = self.norm(self.projector(self.mixture(feats)))
        x = x + sinusoids(*x.shape[1:]).to(x)
        mask = frame_mask(lengths, x.shape[1])
        for block in self.blocks:
            x = block(x, mask)
        return masked_mean(self.classifier(x), lengths)
