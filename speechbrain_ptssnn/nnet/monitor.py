"""Watches a head's spiking layers from outside: firing rates and currents."""

from collections import defaultdict
from functools import partial
from statistics import mean

import torch

from speechbrain_ptssnn.nnet.adaptive_lif import AdaptiveLIF
from speechbrain_ptssnn.nnet.calibration import (
    BiasOverTime,
    HomeostaticBiasGenerator,
)
from speechbrain_ptssnn.nnet.fixed_spike_encoders import FixedSpikeEncoder
from speechbrain_ptssnn.nnet.masking import valid_counts
from speechbrain_ptssnn.nnet.members import population
from speechbrain_ptssnn.nnet.plif import PLIF, SingleStepPLIF
from speechbrain_ptssnn.nnet.residual_spike_encoder import ResidualSpikeEncoder
from speechbrain_ptssnn.nnet.rlif import RLIF

BIASES = HomeostaticBiasGenerator | BiasOverTime
NEURONS = PLIF | SingleStepPLIF | AdaptiveLIF | RLIF
ENCODERS = ResidualSpikeEncoder | FixedSpikeEncoder
SPIKING = NEURONS | ENCODERS
SILENT, SATURATED = 0.01, 0.9  # a neuron's firing rate: below, above
COLLAPSED = 0.5  # of a layer's neurons
CALIBRATED = "classifier.hidden"  # the layer with a bias voltage (eq. 13)


class LayerMonitor:
    """Calls :meth:`record` whenever a layer is called in its context.

    Not SpikingJelly's ``OutputMonitor``, which does not show a layer's
    ``lengths``, keeps every call in memory, and cannot be opened again once
    its context was left.

    Arguments
    ---------
    head : torch.nn.Module
        Any head.
    kinds : type
        Classes of the layers to watch, joined by ``|``.

    Example
    -------
    >>> class Calls(LayerMonitor):
    ...     def record(self, name, layer, args, output):
    ...         print(name, tuple(output.shape))
    >>> head = torch.nn.Sequential(PLIF(2))
    >>> with Calls(head):
    ...     spikes = head(torch.ones(1, 3, 2))
    0 (1, 3, 2)
    """

    def __init__(self, head, kinds=SPIKING):
        self.layers = {
            name: module
            for name, module in head.named_modules()
            if isinstance(module, kinds)
        }
        self.hooks = []

    def __enter__(self):
        for name, layer in self.layers.items():
            hook = partial(self.record, name)
            self.hooks.append(layer.register_forward_hook(hook))
        return self

    def __exit__(self, *_):
        for hook in self.hooks:
            hook.remove()
        self.hooks.clear()

    def record(self, name, layer, args, output):
        """Takes one call of a layer; a subclass defines it."""
        raise NotImplementedError


class FiringRates(LayerMonitor):
    r"""Counts each neuron's spikes over all valid frames: figure 1 of the
    paper, measured.

    Arguments
    ---------
    head : torch.nn.Module
        Any head; its spiking layers are watched while the context is open.

    Example
    -------
    >>> layer = PLIF(2)
    >>> with FiringRates(torch.nn.Sequential(layer)) as firing:
    ...     spikes = layer(torch.tensor([[[0.0, 9.0]] * 4]))
    >>> firing.summary()
    {'0': {'mean': 0.5, 'silent': 0.5, 'saturated': 0.5}}
    """

    def __init__(self, head):
        super().__init__(head)
        self.spikes = dict.fromkeys(self.layers, 0)
        self.frames = dict.fromkeys(self.layers, 0)

    def record(self, name, layer, args, output):
        """Adds the spikes and valid frames of one call."""
        lengths = args[1] if len(args) > 1 else None
        self.frames[name] += int(valid_counts(output, lengths).sum())
        self.spikes[name] += output.detach().sum((0, 1))

    def summary(self):
        """Returns the rates of each layer.

        Returns
        -------
        dict
            Layer name to ``mean`` rate, share of ``silent`` neurons (rate
            below 0.01) and of ``saturated`` ones (above 0.9), each in [0, 1].
            The members of a committee are one
            :func:`~speechbrain_ptssnn.nnet.members.population`; their
            ``worst`` is the share of silent and saturated neurons in that
            member that has most of them.
        """
        rates = defaultdict(list)
        for name, spikes in self.spikes.items():
            neurons = torch.as_tensor(spikes / max(self.frames[name], 1))
            rates[population(name)].append(neurons.flatten())
        result = {}
        for name, members in rates.items():
            result[name] = _summary(torch.cat(members))
            if len(members) > 1:
                alone = map(_summary, members)
                result[name]["worst"] = max(map(_idle, alone))
        return result


def _summary(rates):
    return {
        "mean": rates.mean().item(),
        "silent": (rates < SILENT).float().mean().item(),
        "saturated": (rates > SATURATED).float().mean().item(),
    }


def _idle(rates):
    return rates["silent"] + rates["saturated"]


class LayerRecorder(LayerMonitor):
    r"""Keeps the input and output of the last call of each layer of neurons.

    ``currents`` and ``spikes`` map a layer's name to [time, neurons].
    ``encoded`` maps each stream of the first spike encoder to its spikes,
    [time, 2, size] with ups first, or [time, 1, size]. ``biases`` maps a layer
    that gets bias voltages to them, [channels], or in a causal head to those
    of each frame, [time, channels].

    Arguments
    ---------
    head : torch.nn.Module
        Any head, called with one utterance at a time.

    Example
    -------
    >>> head = torch.nn.Sequential(PLIF(1))
    >>> with LayerRecorder(head) as seen:
    ...     spikes = head(torch.tensor([[[0.5], [1.5]]]))
    >>> seen.currents["0"].tolist(), seen.spikes["0"].tolist(), seen.biases
    ([[0.5], [1.5]], [[0.0], [1.0]], {})
    """

    def __init__(self, head):
        super().__init__(head, SPIKING | BIASES)
        self.currents, self.spikes = {}, {}
        self.encoded, self.biases = {}, {}
        encoders = (
            name
            for name, layer in self.layers.items()
            if isinstance(layer, ENCODERS)
        )
        # Each member of a committee may have one.
        self._first_encoder = next(encoders, None)

    def record(self, name, layer, args, output):
        """Keeps one call in place of the call before."""
        if isinstance(layer, BIASES):
            *parents, _ = name.split(".")
            self.biases[".".join([*parents, CALIBRATED])] = output[0]
        elif isinstance(layer, ENCODERS):
            if name == self._first_encoder:
                self.encoded = layer.streams(output[0])
        else:
            self.currents[name], self.spikes[name] = args[0][0], output[0]


def has_collapsed(rates):
    """Returns whether over half of a layer's neurons are silent or saturated,
    in a committee over half of one member's.

    Arguments
    ---------
    rates : dict
        One layer's rates, from :meth:`FiringRates.summary`.

    Returns
    -------
    bool

    Example
    -------
    >>> has_collapsed({"mean": 0.1, "silent": 0.6, "saturated": 0.1})
    True
    """
    return rates.get("worst", _idle(rates)) > COLLAPSED


def idle_in_words(rates):
    """Says which share of a layer's neurons carries no information.

    Arguments
    ---------
    rates : dict
        As in :func:`has_collapsed`.

    Returns
    -------
    str

    Example
    -------
    >>> rates = {"mean": 0.1, "silent": 0.2, "saturated": 0.0}
    >>> idle_in_words(rates)
    '20 % of the neurons are silent, 0 % saturated'
    >>> idle_in_words({**rates, "worst": 1.0})
    "100 % of one member's neurons are silent or saturated"
    """
    if "worst" in rates:
        return (
            f"{100 * rates['worst']:.0f} % of one member's neurons are silent "
            "or saturated"
        )
    return (
        f"{100 * rates['silent']:.0f} % of the neurons are silent, "
        f"{100 * rates['saturated']:.0f} % saturated"
    )


def mean_rates(firing):
    """Returns each layer's rates, averaged over folds.

    Arguments
    ---------
    firing : dict
        Maps each fold to the result of :meth:`FiringRates.summary` there.

    Returns
    -------
    dict
        As :meth:`FiringRates.summary`.

    Example
    -------
    >>> mean_rates({1: {"out": {"mean": 0.1}}, 2: {"out": {"mean": 0.3}}})
    {'out': {'mean': 0.2}}
    """
    values = defaultdict(lambda: defaultdict(list))
    for layers in firing.values():
        for layer, rates in layers.items():
            for key, value in rates.items():
                values[layer][key].append(value)
    return {
        layer: {key: mean(each) for key, each in rates.items()}
        for layer, rates in values.items()
    }


def collapsed_layers(firing):
    """Returns the layers that have collapsed, and in which folds.

    Arguments
    ---------
    firing : dict
        As in :func:`mean_rates`.

    Returns
    -------
    list of dict
        Each with "layer" and "folds".

    Example
    -------
    >>> silent = {"mean": 0.0, "silent": 1.0, "saturated": 0.0}
    >>> collapsed_layers({1: {"out": silent}, 2: {"out": silent}})
    [{'layer': 'out', 'folds': [1, 2]}]
    """
    folds = defaultdict(list)
    for number, layers in firing.items():
        for layer, rates in layers.items():
            if has_collapsed(rates):
                folds[layer].append(number)
    return [{"layer": layer, "folds": each} for layer, each in folds.items()]
