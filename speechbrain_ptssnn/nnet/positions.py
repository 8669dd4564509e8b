"""Positions of frames, for layers that do not know their order."""

import torch


def sinusoids(n_frames, size):
    """Returns positions as alternating sines and cosines, [n_frames, size].

    Source: arXiv:1706.03762. Unlike SpeechBrain's ``PositionalEncoding`` it
    stores no table, so utterances may have any length.

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
