"""DST, a transformer whose attention windows move and stretch."""

import torch

from speechbrain_ptssnn.lobes.pts_snn import check_feature_size
from speechbrain_ptssnn.nnet.layer_mixture import LayerMixture
from speechbrain_ptssnn.nnet.masking import frame_mask, masked_mean

WINDOWS = 2.5, 50.0  # frames: the heads' first windows, 50 ms to 1 s


def window_weights(center, half_width, n_frames):
    """How much each frame counts in a window between frames.

    1 within it, in proportion where an edge cuts a frame, and up to 1 more
    for the frames next to the centre, by linear interpolation: so the window
    learns where to lie.

    Arguments
    ---------
    center, half_width : torch.Tensor
        In frames, of any shape.
    n_frames : int
        Frames to weigh.

    Returns
    -------
    weights : torch.Tensor
        [..., n_frames].
    inside : torch.Tensor
        Bool, whether the window touches the frame, [..., n_frames].

    Example
    -------
    >>> center, half_width = torch.tensor(2.25), torch.tensor(1.5)
    >>> weights, inside = window_weights(center, half_width, 6)
    >>> weights[inside]  # from 0.75 to 3.75
    tensor([0.2500, 1.0000, 1.7500, 1.2500, 0.7500])
    >>> inside.tolist()
    [True, True, True, True, True, False]
    """
    frames = torch.arange(n_frames, device=center.device)
    center, half_width = center.unsqueeze(-1), half_width.unsqueeze(-1)
    left = (1 + frames - (center - half_width)).clamp(0, 1)
    right = (1 + (center + half_width) - frames).clamp(0, 1)
    nearest = (1 - (frames - center).abs()).clamp(min=0)
    return left + right - 1 + nearest, (left > 0) & (right > 0)


class DeformableAttention(torch.nn.Module):
    r"""Self-attention in which each frame and head chooses its window.

    A linear layer on the queries gives offset and width. The weights of the
    window multiply the scores; frames outside it are left out. A window
    beyond the utterance gives the mean of all valid frames.

    Arguments
    ---------
    size : int
        Channels.
    n_heads : int
        Heads; they must divide ``size``.
    dropout : float
        Of the attention's weights.
    n_frames : int
        Largest offset and half width.

    Raises
    ------
    ValueError
        If ``n_heads`` does not divide ``size``.

    Example
    -------
    >>> DeformableAttention(8, 2)(torch.randn(3, 5, 8)).shape
    torch.Size([3, 5, 8])
    """

    def __init__(self, size, n_heads, dropout=0.1, n_frames=326):
        super().__init__()
        if size % n_heads:
            raise ValueError(f"{n_heads} heads can not share {size} channels")
        self.n_heads = n_heads
        self.n_frames = n_frames
        self.qkv = torch.nn.Linear(size, 3 * size)
        self.window = torch.nn.Linear(size, 2 * n_heads)
        self.dropout = torch.nn.Dropout(dropout)
        self.output = torch.nn.Linear(size, size)
        self.reset_window()

    def reset_window(self):
        """Centres the windows on their frames, each head's of another width."""
        half_widths = torch.linspace(*WINDOWS, self.n_heads) / 2
        torch.nn.init.zeros_(self.window.weight)
        torch.nn.init.zeros_(self.window.bias)
        with torch.no_grad():
            self.window.bias[self.n_heads :] = torch.logit(
                half_widths / self.n_frames
            )

    def forward(self, x, mask=None):
        """Takes and returns [batch, time, size]; the mask is
        :func:`frame_mask`'s.
        """
        n_frames = x.shape[1]
        query, key, value = self.qkv(x).chunk(3, -1)
        # Positions in float32, under autocast too: bfloat16 knows 8 bits.
        window = self.window(query).float().transpose(1, 2)
        offset, half_width = window.chunk(2, 1)
        center = torch.arange(n_frames, device=x.device)
        center = center + self.n_frames * offset.tanh()
        weights, inside = window_weights(
            center, self.n_frames * half_width.sigmoid(), n_frames
        )
        query, key, value = (
            part.unflatten(-1, (self.n_heads, -1)).transpose(1, 2)
            for part in (query, key, value)
        )
        scores = query @ key.transpose(-2, -1) * query.shape[-1] ** -0.5
        scores = (scores * weights).masked_fill(~inside, -1e8)
        if mask is not None:
            scores = scores.masked_fill(~mask[:, None, None, :, 0], -torch.inf)
        attention = self.dropout(scores.softmax(-1))
        mixed = attention.to(value.dtype) @ value
        return self.output(mixed.transpose(1, 2).flatten(2))


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
    r"""Deformable speech transformer: LayerNorm and positions, four blocks,
    a three-layer MLP on each frame, mean over the valid frames.

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
