"""Spikes in place of real features, so that no product of them is left."""

import torch

from speechbrain_ptssnn.nnet.normalization import MaskedBatchNorm
from speechbrain_ptssnn.nnet.plif import PLIF


class SpikingInput(torch.nn.Module):
    r"""Two neurons a channel: one hears x, the other -x, each batch-normalised.

    The first layer's products, nine tenths of the head's energy, become
    accumulations. Own choice, the paper has none.

    Arguments
    ---------
    size : int
        Channels.
    v_threshold : float
        Of these neurons, in standard deviations of the features. A lower one
        than the head's lets more through: at 1.0 one in twenty fires and the
        accuracy falls (docs/energy.md).
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

    def forward(self, x, lengths=None):
        """Maps features, [batch, time, size], to spikes, [batch, time,
        2 * size]; padded frames are 0.
        """
        return self.plif(self.norm(torch.cat([x, -x], -1), lengths), lengths)
