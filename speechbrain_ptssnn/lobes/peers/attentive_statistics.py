"""A head on attentive statistics pooling."""

import torch
from speechbrain.lobes.models.ECAPA_TDNN import AttentiveStatisticsPooling

from speechbrain_ptssnn.lobes.base import Head
from speechbrain_ptssnn.nnet.masking import frame_counts


class AttentiveStatisticsHead(Head):
    r"""SpeechBrain's ``AttentiveStatisticsPooling``, then Linear.

    The pooling gives the mean and the standard deviation of each channel. Its
    attention weighs the frames of each channel separately.

    Source: arXiv:2005.07143 (ECAPA-TDNN, where 128 attention channels stand
    on 1,536 channels). Differs: SpeechBrain's batch norm in the attention is
    left out. That paper does not mention it, and its statistics would include
    padded frames.

    Arguments
    ---------
    input_size, n_classes, n_layers : int
        See :class:`~speechbrain_ptssnn.lobes.base.Head`.
    size : int
        Attention channels.

    Example
    -------
    >>> sum(p.numel() for p in AttentiveStatisticsHead().parameters())
    400260
    """

    def __init__(self, input_size=768, n_classes=4, size=128, n_layers=1):
        super().__init__(input_size, n_layers)
        self.pooling = AttentiveStatisticsPooling(self.feature_size, size)
        self.pooling.tdnn.norm = torch.nn.Identity()
        self.output = torch.nn.Linear(2 * self.feature_size, n_classes)

    def forward(self, feats, lengths=None):
        """Returns logits, [batch, n_classes]."""
        x = self.mix(feats)
        if lengths is not None:
            # The pooling rounds up. Half a frame less keeps float32 errors
            # from adding a frame.
            n_frames = x.shape[1]
            lengths = (frame_counts(lengths, n_frames) - 0.5) / n_frames
        return self.output(self.pooling(x.transpose(1, 2), lengths).squeeze(2))
