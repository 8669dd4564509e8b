"""Co-attention of two front-ends."""

import torch

from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.lobes.base import Head
from speechbrain_ptssnn.nnet.masking import frame_mask, masked_mean


class CrossAttention(torch.nn.Module):
    r"""LayerNorm(x + attention from x to another stream).

    Arguments
    ---------
    size : int
        Channels of both streams.
    n_heads : int
        Attention heads; must divide ``size``.
    dropout : float
        Dropout rate of the attention weights and of the output.

    Example
    -------
    >>> x, other = torch.randn(2, 3, 5, 8)
    >>> CrossAttention(8, 2, 0.1)(x, other).shape
    torch.Size([3, 5, 8])
    """

    def __init__(self, size, n_heads, dropout):
        super().__init__()
        self.attention = torch.nn.MultiheadAttention(
            size, n_heads, dropout, batch_first=True
        )
        self.dropout = torch.nn.Dropout(dropout)
        self.norm = torch.nn.LayerNorm(size)

    def forward(self, x, other, padding=None):
        """Takes two streams and returns the first, [batch, time, size];
        ``padding`` is True for frames of ``other`` that are not seen.
        """
        heard, _ = self.attention(
            x, other, other, key_padding_mask=padding, need_weights=False
        )
        return self.norm(x + self.dropout(heard))


class CoAttention(Head):
    r"""The features of two front-ends, side by side: each is projected and
    attends to the other; means over the valid frames of both, Linear.

    Source: arXiv:2203.15326, in which features of MFCCs and spectrogram weigh
    the frames of wav2vec 2.0 before all three are joined. Differs: two
    streams, both frozen front-ends, in place of three with networks of their
    own (BiLSTM, AlexNet and a fine-tuned wav2vec 2.0: 175.30 M parameters in
    table II of PTS-SNN's paper); each weighs the other's frames, by
    multi-head attention with a residual, frame by frame, where the source has
    one product with weights that no softmax normalises, for utterances of
    three seconds; one linear layer in place of three. The sizes are our own
    choice; 256 channels are those of PTS-SNN's encoder (source: 128).

    Arguments
    ---------
    input_size, n_classes, n_layers : int
        See :class:`~speechbrain_ptssnn.lobes.base.Head`.
    sizes : sequence of int
        Channels of each of the two front-ends; they add up to ``input_size``.
    size : int
        Channels that each is projected to.
    n_heads : int
        Attention heads; must divide ``size``.
    dropout : float
        Dropout rate of attention weights and output (source: 0.1).

    Raises
    ------
    InputError
        If there are not two front-ends.
    ValueError
        If ``sizes`` do not add up to ``input_size``.

    Example
    -------
    >>> head = CoAttention(672, sizes=[512, 160])  # whisper-base+fbank
    >>> head(torch.randn(2, 50, 672)).shape
    torch.Size([2, 4])
    """

    def __init__(
        self,
        input_size=768,
        n_classes=4,
        sizes=(512, 256),
        size=256,
        n_heads=4,
        dropout=0.1,
        n_layers=1,
    ):
        if len(sizes) != 2:
            raise InputError(
                f"co-attention needs two front-ends, got {len(sizes)}; choose "
                "two, e.g. --backbone=whisper-base+fbank"
            )
        if sum(sizes) != input_size:
            raise ValueError(
                f"sizes must add up to input_size, got {list(sizes)} and "
                f"{input_size}"
            )
        super().__init__(input_size, n_layers)
        self.sizes = list(sizes)
        self.projectors = torch.nn.ModuleList(
            torch.nn.Linear(n, size) for n in sizes
        )
        self.attentions = torch.nn.ModuleList(
            CrossAttention(size, n_heads, dropout) for _ in sizes
        )
        self.output = torch.nn.Linear(2 * size, n_classes)

    def forward(self, feats, lengths=None):
        """Returns logits, [batch, n_classes]."""
        x = self.mix(feats)
        first, second = (
            project(stream)
            for project, stream in zip(
                self.projectors, x.split(self.sizes, -1), strict=True
            )
        )
        mask = frame_mask(lengths, x.shape[1])
        padding = None if mask is None else ~mask.squeeze(-1)
        to_second, to_first = self.attentions
        joint = torch.cat(
            [
                to_second(first, second, padding),
                to_first(second, first, padding),
            ],
            -1,
        )
        return self.output(masked_mean(joint, lengths))
