"""How much each spiking layer fires: figure 1 of the paper, measured."""

from speechbrain_ptssnn.nnet.masking import frame_counts
from speechbrain_ptssnn.nnet.plif import PLIF, SingleStepPLIF

SILENT, SATURATED = 0.01, 0.9


class FiringRates:
    r"""Counts spikes per neuron over all valid frames that a head sees.

    Arguments
    ---------
    head : torch.nn.Module
        Any head; its PLIF layers are watched while the context is open.

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
            if isinstance(module, PLIF | SingleStepPLIF)
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
