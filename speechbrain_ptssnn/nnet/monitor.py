"""How much each spiking layer fires: figure 1 of the paper, measured."""

from collections import defaultdict
from statistics import mean

from speechbrain_ptssnn.nnet.adaptive_lif import AdaptiveLIF
from speechbrain_ptssnn.nnet.masking import frame_counts
from speechbrain_ptssnn.nnet.plif import PLIF, SingleStepPLIF

SILENT, SATURATED = 0.01, 0.9
COLLAPSED = 0.5


class FiringRates:
    r"""Counts spikes per neuron over all valid frames that a head sees.

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
        self.layers = {
            name: module
            for name, module in head.named_modules()
            if isinstance(module, PLIF | SingleStepPLIF | AdaptiveLIF)
        }
        self.spikes = dict.fromkeys(self.layers, 0)
        self.frames = dict.fromkeys(self.layers, 0)
        self.hooks = []

    def __enter__(self):
        for name, layer in self.layers.items():
            self.hooks.append(layer.register_forward_hook(self._counter(name)))
        return self

    def __exit__(self, *_):
        for hook in self.hooks:
            hook.remove()
        self.hooks.clear()

    def _counter(self, name):
        def count(layer, args, spikes):
            n_frames = spikes.shape[1]
            lengths = args[1] if len(args) > 1 else None
            if lengths is None:
                self.frames[name] += len(spikes) * n_frames
            else:
                self.frames[name] += int(frame_counts(lengths, n_frames).sum())
            self.spikes[name] += spikes.detach().sum((0, 1))

        return count

    def summary(self):
        """Rates of each layer.

        Returns
        -------
        dict
            Layer name to ``mean`` rate, share of ``silent`` neurons (rate
            below 0.01) and of ``saturated`` ones (above 0.9), each in [0, 1].
        """
        result = {}
        for name, spikes in self.spikes.items():
            rates = spikes / max(self.frames[name], 1)
            result[name] = {
                "mean": rates.mean().item(),
                "silent": (rates < SILENT).float().mean().item(),
                "saturated": (rates > SATURATED).float().mean().item(),
            }
        return result


def has_collapsed(rates):
    """Whether a layer has lost over half of its neurons.

    Arguments
    ---------
    rates : dict
        One layer's, of :meth:`FiringRates.summary`.

    Returns
    -------
    bool

    Example
    -------
    >>> has_collapsed({"mean": 0.1, "silent": 0.6, "saturated": 0.1})
    True
    """
    return rates["silent"] + rates["saturated"] > COLLAPSED


def mean_rates(firing):
    """Each layer's rates, averaged over folds.

    Arguments
    ---------
    firing : dict
        Fold to what :meth:`FiringRates.summary` gave there.

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
    """The layers that have collapsed, and in which folds.

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
