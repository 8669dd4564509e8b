"""A head on attentive statistics pooling."""

import torch
from speechbrain.lobes.models.ECAPA_TDNN import AttentiveStatisticsPooling

from speechbrain_ptssnn.lobes.pts_snn import check_feature_size
from speechbrain_ptssnn.nnet.layer_mixture import LayerMixture
from speechbrain_ptssnn.nnet.masking import frame_counts


class AttentiveStatisticsHead(torch.nn.Module):
    r"""SpeechBrain's ``AttentiveStatisticsPooling``, then Linear.

    Mean and standard deviation of every channel, over frames that are
    weighted channel by channel.

    Source: arXiv:2005.07143 (ECAPA-TDNN; 128 attention channels, there on
    1,536 channels). Differs: the attention's batch norm, which that paper
    does not mention, is left out: its statistics would see padded frames.

    Arguments
    ---------
    input_size : int
        Channels of the frozen backbone's features.
    n_classes : int
        Emotions.
    size : int
        Attention channels.
    n_layers : int
        Hidden states in the features; see :class:`PTSSNN`.

    Example
    -------
    >>> head = AttentiveStatisticsHead()
    >>> head(torch.randn(2, 50, 768), torch.tensor([1.0, 0.5])).shape
    torch.Size([2, 4])
    >>> sum(p.numel() for p in head.parameters())
    400260
    """

    def __init__(self, input_size=768, n_classes=4, size=128, n_layers=1):
        super().__init__()
        self.input_size = input_size
        self.mixture = LayerMixture(n_layers)
        feature_size = input_size // n_layers
        self.pooling = AttentiveStatisticsPooling(feature_size, size)
        self.pooling.tdnn.norm = torch.nn.Identity()
        self.output = torch.nn.Linear(2 * feature_size, n_classes)

    def forward(self, feats, lengths=None):
        """As :meth:`PTSSNN.forward`, but logits, [batch, n_classes]."""
        check_feature_size(self, feats)
        if lengths is not None:
            # The pooling rounds up: half a frame less is safe from float32.
            n_frames = feats.shape[1]
            lengths = (frame_counts(lengths, n_frames) - 0.5) / n_frames
        x = self.mixture(feats).transpose(1, 2)
        return self.output(self.pooling(x, lengths).squeeze(2))
