"""Classifies speech from mel filters by spikes, without a frozen backbone."""

import torch

from speechbrain_ptssnn.lobes.base import Head
from speechbrain_ptssnn.nnet.direct_feedback import DirectFeedback
from speechbrain_ptssnn.nnet.leaky_integrator import LeakyIntegrator
from speechbrain_ptssnn.nnet.masking import masked_mean
from speechbrain_ptssnn.nnet.normalization import MaskedBatchNorm
from speechbrain_ptssnn.nnet.residual_spike_encoder import ResidualSpikeEncoder
from speechbrain_ptssnn.nnet.rlif import RLIF

LEARNING_RULES = ("bptt", "dfa")


class RLIFLayer(torch.nn.Module):
    r"""Linear without bias, batch norm, R-LIF neurons.

    Arguments
    ---------
    input_size : int
        Channels in.
    size : int
        Neurons.
    rlif : callable
        ``rlif(n_neurons)`` makes a layer of neurons.

    Example
    -------
    >>> RLIFLayer(4, 3)(torch.randn(2, 5, 4)).shape
    torch.Size([2, 5, 3])
    """

    def __init__(self, input_size, size, rlif=RLIF):
        super().__init__()
        self.linear = torch.nn.Linear(input_size, size, bias=False)
        self.norm = MaskedBatchNorm(size)
        self.neurons = rlif(size)

    def forward(self, x, lengths=None):
        """Maps x, [batch, time, input_size], to spikes, [batch, time, size]."""
        return self.neurons(self.norm(self.linear(x), lengths), lengths)


class SpikeEncoderNet(Head):
    r"""A spike encoder, recurrent layers of R-LIF neurons, and a read-out.

    The read-out is linear, with leaky integrators, one per class, whose mean
    over the valid frames, times ``logit_scale``, are the logits.

    Source: arXiv:2606.19039, of which we could read the abstract only. Two
    layers of 512 neurons are what its 82.9 M dense operations a second of
    audio point to; all else is an own choice, see docs/spike_encoder.md.

    Arguments
    ---------
    input_size, n_classes, n_layers : int
        See :class:`~speechbrain_ptssnn.lobes.base.Head`.
    size : int
        Neurons of a hidden layer.
    n_hidden : int
        Hidden layers.
    encoder : callable or None
        ``encoder(size)`` makes a spike encoder, with its ``output_size``; with
        None the features themselves are the first layer's input.
    rlif : callable
        ``rlif(n_neurons)`` makes a layer of neurons.
    dropout : float
        Share of a hidden layer's spikes that the next one misses in training.
    logit_scale : float
        Factor on the mean membranes of the read-out.
    readout_decay : float
        Decay of the read-out's integrators at the start, in (0, 1).
    target_rate : float
        Spikes a frame and channel, in [0, 1], that cost nothing; see
        :meth:`take_penalty`.
    penalty_weight : float
        What twice the target rate adds to the loss, for each layer; 0 is off.
    learning_rule : str
        "bptt": surrogate gradients through layers and time. "dfa": direct
        feedback alignment, see
        :class:`~speechbrain_ptssnn.nnet.direct_feedback.DirectFeedback`; the
        read-out has its exact gradient. Start values and results of the
        forward pass are the same.

    Raises
    ------
    ValueError
        If ``learning_rule`` is neither, or ``target_rate`` is not in (0, 1].

    Example
    -------
    >>> head = SpikeEncoderNet(40, n_classes=10)
    >>> head(torch.randn(2, 100, 40), torch.tensor([1.0, 0.5])).shape
    torch.Size([2, 10])
    >>> sum(p.numel() for p in head.parameters())
    876566
    """

    def __init__(
        self,
        input_size=40,
        n_classes=4,
        size=512,
        n_hidden=2,
        encoder=ResidualSpikeEncoder,
        rlif=RLIF,
        dropout=0.1,
        logit_scale=1.0,
        readout_decay=0.9,
        target_rate=0.08,
        penalty_weight=0.05,
        learning_rule="bptt",
        n_layers=1,
    ):
        super().__init__(input_size, n_layers)
        if learning_rule not in LEARNING_RULES:
            raise ValueError(
                f"learning_rule must be {' or '.join(LEARNING_RULES)}, got "
                f"{learning_rule!r}"
            )
        if not 0 < target_rate <= 1:
            raise ValueError(
                f"target_rate must be in (0, 1], got {target_rate}"
            )
        self.target_rate = target_rate
        self.penalty_weight = penalty_weight
        self.logit_scale = logit_scale
        self.encoder, sizes = None, [self.feature_size]
        if encoder is not None:
            self.encoder = encoder(self.feature_size)
            sizes = [self.encoder.output_size]
        sizes += [size] * n_hidden
        self.hidden = torch.nn.ModuleList(
            RLIFLayer(n_in, size, rlif) for n_in in sizes[:-1]
        )
        self.dropout = torch.nn.Dropout(dropout)
        self.linear = torch.nn.Linear(size, n_classes)
        self.readout = LeakyIntegrator(n_classes, readout_decay)
        self.feedback = None
        if learning_rule == "dfa":  # drawn last, so that nothing else differs
            spiking = sizes if encoder is not None else sizes[1:]
            self.feedback = DirectFeedback(spiking, n_classes)
            for module in self.modules():
                if hasattr(module, "local"):
                    module.local = True

    def forward(self, feats, lengths=None):
        """Returns logits, [batch, n_classes]."""
        x, spikes = self.mix(feats), []
        if self.encoder is not None:
            x = self.encoder(x, lengths)
            spikes.append(x)
        for layer in self.hidden:
            spikes.append(layer(self._passed_on(x, spikes), lengths))
            x = self.dropout(spikes[-1])
        x = self._passed_on(x, spikes)
        output = self.readout(self.linear(x))
        logits = self.logit_scale * masked_mean(output, lengths)
        if self.feedback is not None:
            logits = self.feedback(logits, spikes, lengths)
        if self.training and self.penalty_weight:
            self._penalty = self.penalty_weight * sum(
                self._excess(each, lengths) for each in spikes
            )
        return logits

    def _passed_on(self, x, spikes):
        """What the next layer gets: with DFA, spikes without a way back."""
        return x.detach() if self.feedback is not None and spikes else x

    def _excess(self, spikes, lengths):
        rate = masked_mean(spikes, lengths).mean()
        return (rate / self.target_rate - 1).relu().square()
