"""The back end of the spiking heads (eq. 4, 13)."""

import torch

from speechbrain_ptssnn.nnet.leaky_integrator import LeakyIntegrator
from speechbrain_ptssnn.nnet.masking import masked_mean
from speechbrain_ptssnn.nnet.plif import PLIF


class PLIFClassifier(torch.nn.Module):
    r"""Spiking back end: neurons that take the calibrated current, then one
    output neuron per class whose mean rate over the valid frames decides
    (eq. 4, 13).

    Arguments
    ---------
    input_size : int
        Channels in, and neurons of the calibrated layer.
    n_classes : int
        Output neurons.
    plif : callable
        ``plif(n_neurons)`` makes a layer of neurons.
    readout : str
        "spike" decides by the output neurons' mean rate; "membrane" by the
        mean membrane of neurons that leak but never fire.
    logit_scale : float
        Factor on the result, so that loss, posteriors and bundle, which all
        take its softmax, agree. Rates of 0 and 1 cannot give 4 classes a
        posterior above 0.48 without it.

    Raises
    ------
    ValueError
        If ``readout`` is neither.

    Example
    -------
    >>> PLIFClassifier(8, 4)(torch.randn(2, 10, 8)).shape
    torch.Size([2, 4])
    """

    def __init__(
        self,
        input_size,
        n_classes,
        plif=PLIF,
        readout="spike",
        logit_scale=1.0,
    ):
        super().__init__()
        if readout not in ("spike", "membrane"):
            raise ValueError(
                f"readout must be 'spike' or 'membrane', got {readout!r}"
            )
        self.readout = readout
        self.logit_scale = logit_scale
        self.hidden = plif(input_size)
        self.linear = torch.nn.Linear(input_size, n_classes)
        if readout == "spike":
            self.output = plif(n_classes)
        else:
            self.output = LeakyIntegrator(n_classes)

    def forward(self, x, lengths=None):
        """Classifies a current.

        Arguments
        ---------
        x : torch.Tensor
            Current, [batch, time, input_size].
        lengths : torch.Tensor, optional
            Relative lengths, [batch].

        Returns
        -------
        torch.Tensor
            Mean firing rates of the output neurons, in [0, 1], or their mean
            membranes, times ``logit_scale``, [batch, n_classes].
        """
        current = self.linear(self.hidden(x, lengths))
        if self.readout == "spike":
            output = self.output(current, lengths)
        else:
            output = self.output(current)
        return self.logit_scale * masked_mean(output, lengths)
