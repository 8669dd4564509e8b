"""Converts features to spikes, so that products become accumulations."""

import torch

from speechbrain_ptssnn.nnet.normalization import MaskedBatchNorm
from speechbrain_ptssnn.nnet.plif import PLIF
from speechbrain_ptssnn.nnet.stream_state import part


class SpikingInput(torch.nn.Module):
    r"""Two neurons per channel: the input of one is x, of the other -x, each
    batch-normalised.

    The first layer, with nine tenths of the head's energy, then needs
    accumulations only. Own choice; the paper has no such layer.

    Arguments
    ---------
    size : int
        Channels.
    v_threshold : float
        Threshold of these neurons, in standard deviations of the features. It
        is lower than in the head: at 1.0 one in twenty fires, and the accuracy
        falls (docs/energy.md).
    plif : callable
        ``plif(n_neurons, v_threshold=...)`` makes a layer of neurons.

    Example
    -------
    >>> SpikingInput(3)(torch.randn(2, 5, 3)).unique()
    tensor([0., 1.], grad_fn=...)
    """

    def __init__(self, size, v_threshold=0.3, plif=PLIF):
        super().__init__()
        self.norm = MaskedBatchNorm(2 * size)
        self.plif = plif(2 * size, v_threshold=v_threshold)

    def forward(self, x, lengths=None, state=None):
        """Maps features, [batch, time, size], to spikes, [batch, time,
        2 * size], whose padded frames are 0. A stream gives its state, a dict.
        """
        current = self.norm(torch.cat([x, -x], -1), lengths)
        return self.plif(current, lengths, **part(state, "plif"))
