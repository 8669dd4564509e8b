"""A bidirectional LSTM, which is the acoustic part of ENT."""

import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from speechbrain_ptssnn.lobes.base import Head, projector
from speechbrain_ptssnn.nnet.masking import (
    frame_counts,
    frame_mask,
    masked_mean,
)


class BiLSTM(Head):
    r"""One bidirectional LSTM layer, mean over the valid frames, LayerNorm,
    Linear.

    Source: the acoustic encoder and the emotion head of ENT (arXiv:2403.19224)
    and its published code, on 768 channels of frozen wav2vec 2.0. Differs: it
    is not ENT, which also learns to recognise the words: there is no
    transcript, so no predictor, no joint network and no loss of the
    transducer. Features of another size are projected to ``size`` first; no
    SpecAugment.

    Arguments
    ---------
    input_size, n_classes, n_layers : int
        See :class:`~speechbrain_ptssnn.lobes.base.Head`.
    size : int
        Channels of the LSTM, half of them for each direction (source: 768).

    Raises
    ------
    ValueError
        If ``size`` is odd.

    Example
    -------
    >>> sum(p.numel() for p in BiLSTM().parameters())
    3549700
    """

    def __init__(self, input_size=768, n_classes=4, size=768, n_layers=1):
        if size % 2:
            raise ValueError(
                f"size must be even, half for each direction, got {size}"
            )
        super().__init__(input_size, n_layers)
        self.projector = projector(self.feature_size, size)
        self.lstm = torch.nn.LSTM(
            size, size // 2, batch_first=True, bidirectional=True
        )
        self.norm = torch.nn.LayerNorm(size)
        self.output = torch.nn.Linear(size, n_classes)

    def forward(self, feats, lengths=None):
        """Returns logits, [batch, n_classes]."""
        x = self.projector(self.mix(feats))
        n_frames = x.shape[1]
        if frame_mask(lengths, n_frames) is None:
            hidden, _ = self.lstm(x)
        else:
            packed = pack_padded_sequence(
                x,
                frame_counts(lengths, n_frames).cpu(),
                batch_first=True,
                enforce_sorted=False,
            )
            packed, _ = self.lstm(packed)
            hidden, _ = pad_packed_sequence(
                packed, batch_first=True, total_length=n_frames
            )
        return self.output(self.norm(masked_mean(hidden, lengths)))
