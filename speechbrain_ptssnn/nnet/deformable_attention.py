"""Attention windows that move and stretch (arXiv:2302.13729)."""

import torch

WINDOWS = 2.5, 50.0  # in frames: start widths of the windows, 50 ms to 1 s


def window_weights(center, half_width, n_frames):
    """Returns the weight of each frame in a window that may start and end
    between frames.

    The weight is 1 inside the window, and the covered share of a frame at its
    edges. The frames next to the centre get up to 1 more, by linear
    interpolation, so that the centre has a gradient.

    Arguments
    ---------
    center, half_width : torch.Tensor
        In frames, any shape.
    n_frames : int
        Number of frames to weigh.

    Returns
    -------
    weights : torch.Tensor
        [..., n_frames].
    inside : torch.Tensor
        Bool, [..., n_frames]: whether the window touches the frame.

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
    r"""Self-attention in which each frame and each head chooses a window.

    A linear layer maps the queries to the window's offset and width. The
    window's weights multiply the scores, and frames outside get no attention.
    A window beyond the utterance gives the mean of all valid frames.

    Arguments
    ---------
    size : int
        Channels.
    n_heads : int
        Attention heads; must divide ``size``.
    dropout : float
        Dropout rate of the attention weights.
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
            raise ValueError(
                f"n_heads must divide size, got n_heads={n_heads}, size={size}"
            )
        self.n_heads = n_heads
        self.n_frames = n_frames
        self.qkv = torch.nn.Linear(size, 3 * size)
        self.window = torch.nn.Linear(size, 2 * n_heads)
        self.dropout = torch.nn.Dropout(dropout)
        self.output = torch.nn.Linear(size, size)
        self.reset_window()

    def reset_window(self):
        """Centres the windows on their frames; each head has another width."""
        half_widths = torch.linspace(*WINDOWS, self.n_heads) / 2
        torch.nn.init.zeros_(self.window.weight)
        torch.nn.init.zeros_(self.window.bias)
        with torch.no_grad():
            self.window.bias[self.n_heads :] = torch.logit(
                half_widths / self.n_frames
            )

    def forward(self, x, mask=None):
        """Takes and returns [batch, time, size]; ``mask`` comes from
        :func:`~speechbrain_ptssnn.nnet.masking.frame_mask`.
        """
        n_frames = x.shape[1]
        query, key, value = self.qkv(x).chunk(3, -1)
        # Positions need float32, under autocast too: bfloat16 has 8 bits.
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
