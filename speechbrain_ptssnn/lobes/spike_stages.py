"""Watches the stages of a head with a spike encoder, from mel values on."""

from collections import defaultdict

import torch

from speechbrain_ptssnn.lobes.spike_encoder_net import RLIFLayer
from speechbrain_ptssnn.nnet.masking import masked_mean, valid_counts
from speechbrain_ptssnn.nnet.members import members_of
from speechbrain_ptssnn.nnet.monitor import ENCODERS, LayerMonitor

MEL, ALL_STREAMS = "mel", "encoder"


class StageMonitor(LayerMonitor):
    r"""Keeps what each stage gives of an utterance's first part, as means over
    its frames, and how well the spikes rebuild the mel values.

    The stages are "mel", the values that the encoder gets; its streams
    "coarse" and "fine", if there are two; "encoder", all that it gives; and
    "layer 1", "layer 2" and so on of a
    :class:`~speechbrain_ptssnn.lobes.spike_encoder_net.SpikeEncoderNet`. A
    head without a spike encoder has no stage. Of a committee the first member
    is watched.

    Means, not counts: the length of an utterance alone tells nothing then.

    Arguments
    ---------
    head : torch.nn.Module
        Any head.
    shares : sequence of float
        Ends of the first parts, in (0, 1], as shares of an utterance's frames.

    Example
    -------
    >>> from speechbrain_ptssnn.lobes.spike_encoder_net import SpikeEncoderNet
    >>> head = SpikeEncoderNet(1, 2, size=3).eval()
    >>> with StageMonitor(head, shares=[0.5, 1.0]) as stages:
    ...     logits = head(torch.tensor([[[1.5], [1.5], [0.0], [0.0]]]))
    >>> stages.means("mel").flatten().tolist()
    [1.5, 0.75]
    >>> stages.names
    ['mel', 'coarse', 'fine', 'encoder', 'layer 1', 'layer 2']
    """

    def __init__(self, head, shares=(1.0,)):
        first = members_of(head)[0]
        super().__init__(first, ENCODERS | RLIFLayer)
        self.shares = shares
        has_encoder = any(
            isinstance(layer, ENCODERS) for layer in self.layers.values()
        )
        if not has_encoder:
            self.layers = {}
        self._means = defaultdict(list)
        self._squares, self._n_values = defaultdict(float), 0
        neurons = [
            name
            for name, layer in self.layers.items()
            if isinstance(layer, RLIFLayer)
        ]
        self._layer_names = {
            name: f"layer {k}" for k, name in enumerate(neurons, 1)
        }

    @property
    def names(self):
        """The stages, in their order, a list."""
        return list(self._means)

    def means(self, stage):
        """Returns the means of all utterances so far.

        Arguments
        ---------
        stage : str
            One of :attr:`names`.

        Returns
        -------
        torch.Tensor
            [utterances, shares, channels].
        """
        return torch.cat(self._means[stage])

    def errors(self):
        """Returns how far what the spikes rebuild is from the mel values.

        Returns
        -------
        dict
            "coarse" (the first base alone, if there are two streams) and
            "encoder" (the sum of the bases) to the root of the mean squared
            error, over all channels and valid frames so far, in standard
            deviations of a channel. Empty for an encoder that has no base.
        """
        return {
            stage: (squares / self._n_values) ** 0.5
            for stage, squares in self._squares.items()
        }

    @torch.no_grad()
    def record(self, name, layer, args, output):
        """Adds the utterances of one call."""
        x, lengths = args[0], args[1] if len(args) > 1 else None
        if name in self._layer_names:
            self._keep(self._layer_names[name], output, lengths)
            return
        self._keep(MEL, x, lengths)
        streams = layer.streams(output)
        if len(streams) > 1:
            for stream, spikes in streams.items():
                self._keep(stream, spikes.flatten(-2), lengths)
        self._keep(ALL_STREAMS, output, lengths)
        if hasattr(layer, "rebuilt"):
            self._compare(x, layer.rebuilt(output), [*streams], lengths)

    def _keep(self, stage, x, lengths):
        counts = valid_counts(x, lengths)
        sums, parts = x.detach().float().cumsum(1), []
        for share in self.shares:
            n_frames = (share * counts).ceil().long()
            last = (n_frames - 1)[:, None, None].expand(-1, 1, x.shape[2])
            parts.append(sums.gather(1, last) / n_frames[:, None, None])
        self._means[stage].append(torch.cat(parts, 1).cpu())

    def _compare(self, x, rebuilt, streams, lengths):
        errors = (x - rebuilt).square().mean(-1, keepdim=True)
        counts = valid_counts(x, lengths)
        stages = [*streams[:-1], ALL_STREAMS]
        for stage, each in zip(stages, errors, strict=True):
            sums = masked_mean(each, lengths).squeeze(1) * counts
            self._squares[stage] += sums.sum().item()
        self._n_values += counts.sum().item()
