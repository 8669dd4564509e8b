"""Normalises several front-ends side by side, each by its own rule."""

import torch
from torch.nn import functional

from speechbrain_ptssnn.nnet.normalization import FeatureNorm


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
    standardise : list of bool
        Whether :meth:`fit` gives it mean 0 and deviation 1.
    clip : list of float
        Larger absolute values are clipped to this; inf clips nothing.
    layer_norm : list of bool
        Whether each frame is then normalised over the front-end's channels.

    Raises
    ------
    ValueError
        If a list has not one value for each front-end.

    Example
    -------
    >>> norm = StreamNorm([2, 1], [False, True], [2.0, 6.0], [True, False])
    >>> frames = torch.tensor([[1.0, 3.0, 5.0], [1.0, 3.0, 7.0]])
    >>> norm.fit([frames])
    >>> norm(frames).round(decimals=3).tolist()
    [[-1.0, 1.0, -1.0], [-1.0, 1.0, 1.0]]
    """

    def __init__(self, sizes, standardise, clip, layer_norm):
        super().__init__()
        rules = {
            "normalize_features": standardise,
            "clip_features": clip,
            "layer_norms": layer_norm,
        }
        for key, values in rules.items():
            if not isinstance(values, list) or len(values) != len(sizes):
                raise ValueError(
                    f"{key} needs a list with one value for each of the "
                    f"{len(sizes)} front-ends, got {values!r}"
                )
        self.norms = torch.nn.ModuleList(
            FeatureNorm(size, limit)
            for size, limit in zip(sizes, clip, strict=True)
        )
        self.sizes = list(sizes)
        self.standardise = standardise
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
        if not any(self.standardise):
            return
        joint = FeatureNorm(sum(self.sizes))
        joint.fit(features)
        for norm, mean, std, is_wanted in zip(
            self.norms,
            joint.mean.split(self.sizes),
            joint.std.split(self.sizes),
            self.standardise,
            strict=True,
        ):
            if is_wanted:
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
