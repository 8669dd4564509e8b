"""Normalises several front-ends side by side, each by its own rule."""

from copy import deepcopy

import torch
from torch.nn import functional

from speechbrain_ptssnn.nnet.normalization import (
    FeatureNorm,
    known_deviation,
)


class StreamNorm(torch.nn.Module):
    r"""Standardises and normalises each front-end's channels by its own rule.

    Alone, a front-end's features are standardised with the training fold's
    statistics (fbank, openSMILE), or each frame is normalised in the head
    (pretrained models). Side by side, one rule for all channels would remove
    the level of the former, or let the channels of the latter differ in scale.
    Own choice: the LayerNorm here has no weights to learn.

    Arguments
    ---------
    sizes : list of int
        Channels of each front-end, in order.
    rules : list of str
        "none", "corpus" or "speaker"; see
        :class:`~speechbrain_ptssnn.nnet.normalization.FeatureNorm`.
    clip : list of float
        Larger absolute values are clipped to this; inf clips nothing.
    layer_norm : list of bool
        Whether each frame is then normalised over the front-end's channels.

    Raises
    ------
    ValueError
        If a list has not one value for each front-end, or a rule is none of
        these.

    Example
    -------
    >>> norm = StreamNorm(
    ...     [2, 1], ["none", "corpus"], [2.0, 6.0], [True, False]
    ... )
    >>> frames = torch.tensor([[1.0, 3.0, 5.0], [1.0, 3.0, 7.0]])
    >>> norm.fit([frames])
    >>> norm(frames).round(decimals=3).tolist()
    [[-1.0, 1.0, -1.0], [-1.0, 1.0, 1.0]]
    """

    def __init__(self, sizes, rules, clip, layer_norm):
        super().__init__()
        lists = {
            "normalize": rules,
            "clip_features": clip,
            "layer_norms": layer_norm,
        }
        for key, values in lists.items():
            if not isinstance(values, list) or len(values) != len(sizes):
                raise ValueError(
                    f"{key} needs a list with one value for each of the "
                    f"{len(sizes)} front-ends, got {values!r}"
                )
        self.norms = torch.nn.ModuleList(map(FeatureNorm, sizes, clip, rules))
        self.sizes = list(sizes)
        self.layer_norm = layer_norm

    def fit(self, features):
        """Computes the statistics of the front-ends that are standardised.

        Arguments
        ---------
        features : iterable of torch.Tensor
            [time, sum of sizes], one per utterance.

        Raises
        ------
        InputError
            If a value is not finite, or there is no frame.
        """
        self._fit(features, ("corpus", "speaker"))

    @property
    def by_speaker(self):
        """Whether a front-end needs the speaker's own statistics."""
        return any(norm.by_speaker for norm in self.norms)

    def adapted(self, features):
        """Returns a copy whose front-ends by speaker have those of a speaker,
        as in :meth:`FeatureNorm.adapted`.

        Arguments
        ---------
        features : iterable of torch.Tensor
            [time, sum of sizes], one per utterance of the speaker.

        Returns
        -------
        StreamNorm

        Raises
        ------
        InputError
            As in :meth:`fit`.
        """
        copy = deepcopy(self)
        copy._fit(features, ("speaker",))
        for own, corpus in zip(copy.norms, self.norms, strict=True):
            own.std.copy_(known_deviation(own.std, corpus.std))
        return copy

    def _fit(self, features, rules):
        if not any(norm.rule in rules for norm in self.norms):
            return
        joint = FeatureNorm(sum(self.sizes))
        joint.fit(features)
        for norm, mean, std in zip(
            self.norms,
            joint.mean.split(self.sizes),
            joint.std.split(self.sizes),
            strict=True,
        ):
            if norm.rule in rules:
                norm.mean.copy_(mean)
                norm.std.copy_(std)

    def forward(self, x):
        """Takes and returns [batch, time, sum of sizes]."""
        parts = []
        for norm, part, is_normalised in zip(
            self.norms, x.split(self.sizes, -1), self.layer_norm, strict=True
        ):
            part = norm(part)
            if is_normalised:
                part = functional.layer_norm(part, part.shape[-1:])
            parts.append(part)
        return torch.cat(parts, -1)
