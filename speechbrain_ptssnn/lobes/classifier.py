"""The classifier of the spiking heads (eq. 4, 13)."""

import torch

from speechbrain_ptssnn.nnet.leaky_integrator import LeakyIntegrator
from speechbrain_ptssnn.nnet.masking import masked_mean, mean_so_far
from speechbrain_ptssnn.nnet.plif import PLIF
from speechbrain_ptssnn.nnet.stream_state import part


class PLIFClassifier(torch.nn.Module):
    r"""Two spiking layers: neurons that take the calibrated current, then one
    output neuron per class. The class whose neuron has the highest mean rate
    over the valid frames is predicted (eq. 4, 13).

    Arguments
    ---------
    input_size : int
        Input channels, and neurons of the calibrated layer.
    n_classes : int
        Output neurons.
    plif : callable
        ``plif(n_neurons)`` makes a layer of neurons.
    readout : str
        "spike" returns the output neurons' mean rates; "membrane" returns the
        mean membranes of neurons that leak but never fire.
    logit_scale : float
        Factor on the result. It is applied here, so that loss, posteriors and
        bundle, which all take the softmax, agree. Without it, rates between 0
        and 1 give no posterior above 0.48 for 4 classes.

    Raises
    ------
    ValueError
        If ``readout`` is neither "spike" nor "membrane".

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

    def forward(self, x, lengths=None, state=None):
        """Maps a current, [batch, time, input_size], to the output neurons'
        mean rates or membranes, times ``logit_scale``, [batch, n_classes].

        A stream gives its state, a dict; the means are then those over all
        frames so far.
        """
        hidden = self.hidden(x, lengths, **part(state, "hidden"))
        current, kept = self.linear(hidden), part(state, "output")
        if self.readout == "spike":
            output = self.output(current, lengths, **kept)
        else:
            output = self.output(current, **kept)
        if state is None:
            mean = masked_mean(output, lengths)
        else:
            mean = mean_so_far(output, part(state, "mean")["state"])
        return self.logit_scale * mean
