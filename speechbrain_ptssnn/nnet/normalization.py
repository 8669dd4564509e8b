"""Normalisations that ignore padded frames."""

import math
from copy import deepcopy

import torch
from torch.nn import functional

from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.nnet.masking import frame_mask

# Whose mean and standard deviation features are standardised with.
RULES = ("none", "corpus", "speaker")
LEAST_STD = 1e-5  # that of a constant channel


class SoftSaturation(torch.nn.Module):
    r"""Bounds the features smoothly: tanh(scale * LayerNorm(x)) (eq. 5).

    The LayerNorm normalises each frame and so removes the level, which is an
    emotion cue. Features that are standardised with the training fold's
    statistics do better without it (own choice; measured in
    docs/decisions/generalisation.md).

    Arguments
    ---------
    size : int
        Channels.
    scale : float
        The paper's xi, 0.1.
    layer_norm : bool
        Whether there is a LayerNorm; False is tanh(scale * x).

    Example
    -------
    >>> SoftSaturation(2)(torch.tensor([[[-3.0, 3.0]]])).round(decimals=3)
    tensor([[[-0.1000,  0.1000]]], grad_fn=<RoundBackward1>)
    """

    def __init__(self, size, scale=0.1, layer_norm=True):
        super().__init__()
        self.scale = scale
        self.norm = torch.nn.LayerNorm(size) if layer_norm else None

    def forward(self, x):
        """Takes and returns [batch, time, size]."""
        if self.norm is None:
            x = self.scale * x
        else:
            weight, bias = (
                self.scale * self.norm.weight,
                self.scale * self.norm.bias,
            )
            shape, eps = self.norm.normalized_shape, self.norm.eps
            x = functional.layer_norm(x, shape, weight, bias, eps)
        device = x.device.type
        if torch.is_autocast_enabled(device):  # once, not for every product
            x = x.to(torch.get_autocast_dtype(device))
        return torch.tanh_(x)


class MaskedBatchNorm(torch.nn.Module):
    r"""BatchNorm over batch and time whose statistics ignore padding.

    It equals ``torch.nn.BatchNorm1d`` on the joined valid frames, except that
    the first batches have equal weights in the running statistics. Own choice:
    otherwise these need about fifty batches to leave their start values, and
    until then the neurons stay silent in evaluation. It is not a subclass of
    ``BatchNorm1d``: SpeechBrain's DDP would convert that to ``SyncBatchNorm``,
    which supports neither masks nor CPUs.

    Arguments
    ---------
    size : int
        Channels.
    momentum : float
        Weight of a batch in the running statistics, after the first
        1 / momentum batches.
    eps : float
        Added to the variance.

    Example
    -------
    >>> norm = MaskedBatchNorm(1)
    >>> x = torch.tensor([[[1.0], [3.0], [99.0]]])
    >>> norm(x, torch.tensor([2 / 3]))[0, :2, 0].detach().round().tolist()
    [-1.0, 1.0]
    """

    def __init__(self, size, momentum=0.1, eps=1e-5):
        super().__init__()
        self.momentum = momentum
        self.eps = eps
        self.weight = torch.nn.Parameter(torch.ones(size))
        self.bias = torch.nn.Parameter(torch.zeros(size))
        self.register_buffer("running_mean", torch.zeros(size))
        self.register_buffer("running_var", torch.ones(size))
        self.register_buffer("batches_seen", torch.tensor(0))

    def tensors(self):
        """Returns the tensors on which :meth:`affine` depends."""
        return [self.weight, self.bias, self.running_mean, self.running_var]

    def affine(self):
        """Returns evaluation's scale and offset per channel, each [size]."""
        scale = self.weight * (self.running_var + self.eps).rsqrt()
        return scale, self.bias - self.running_mean * scale

    def forward(self, x, lengths=None):
        """Takes and returns [batch, time, size]. Padded frames of the result
        are 0 in training and undefined in evaluation.
        """
        momentum = self.momentum
        if self.training:
            self.batches_seen += 1
            momentum = max(momentum, 1 / self.batches_seen.item())
        mask = frame_mask(lengths, x.shape[1]) if self.training else None
        # As [frames, size]: torch's batch norm is tens of times slower on
        # [batch, size, time].
        frames = x.reshape(-1, x.shape[-1])
        if mask is not None:
            valid = mask.flatten().nonzero().squeeze(1)
            frames = frames.index_select(0, valid)
        y = functional.batch_norm(
            frames,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training,
            momentum,
            self.eps,
        )
        if mask is not None:
            y = y.new_zeros(x.numel() // x.shape[-1], x.shape[-1]).index_copy(
                0, valid, y
            )
        return y.view(x.shape)


class FeatureNorm(torch.nn.Module):
    r"""Standardises features with statistics of the training fold, or of the
    speaker.

    It changes nothing until :meth:`fit` is called. Statistics of each
    utterance would remove its level, which is an emotion cue. A speaker's own
    need some of the speaker's recordings, in several emotions, but no labels:
    results are then those of another condition, "speaker-adapted".

    Arguments
    ---------
    size : int
        Channels.
    clip : float
        Larger absolute values are clipped to this; inf clips nothing.
    rule : str
        "none" leaves the features as they are, "corpus" takes the training
        fold's statistics, "speaker" those of each speaker. A speaker that
        :meth:`adapted` has not seen gets the training fold's.

    Raises
    ------
    ValueError
        If ``rule`` is none of these.

    Example
    -------
    >>> norm = FeatureNorm(1, clip=6.0)
    >>> norm.fit([torch.tensor([[1.0], [3.0]]), torch.tensor([[1.0], [3.0]])])
    >>> norm(torch.tensor([[[3.0], [99.0]]])).tolist()
    [[[1.0], [6.0]]]
    """

    def __init__(self, size, clip=math.inf, rule="corpus"):
        super().__init__()
        check_rule(rule)
        self.clip = clip
        self.rule = rule
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("std", torch.ones(size))

    @torch.no_grad()
    def fit(self, features):
        """Computes each channel's mean and standard deviation over all frames,
        unless the rule is "none".

        Arguments
        ---------
        features : iterable of torch.Tensor
            [time, size], one per utterance.

        Raises
        ------
        InputError
            If a value is not finite, or there is no frame.
        """
        if self.rule == "none":
            return
        n, total, squares = 0, 0, 0
        for utterance in features:
            frames = utterance.double()
            n += len(frames)
            total = total + frames.sum(0)
            squares = squares + frames.square().sum(0)
        if n == 0:
            raise InputError("there are no training frames to compute from")
        mean = total / n
        # Avoids division by 0 in a constant channel.
        std = (squares / n - mean.square()).clamp(min=LEAST_STD**2).sqrt()
        if not torch.isfinite(std).all():
            raise InputError("the training features are not finite")
        self.mean.copy_(mean)
        self.std.copy_(std)

    @property
    def by_speaker(self):
        """Whether it needs the speaker's own statistics."""
        return self.rule == "speaker"

    def adapted(self, features):
        """Returns a copy with the statistics of a speaker. A channel that is
        constant in the speaker's recordings keeps the training fold's
        deviation.

        Arguments
        ---------
        features : iterable of torch.Tensor
            [time, size], one per utterance of the speaker.

        Returns
        -------
        FeatureNorm

        Raises
        ------
        InputError
            As in :meth:`fit`.
        """
        copy = deepcopy(self)
        copy.fit(features)
        copy.std.copy_(known_deviation(copy.std, self.std))
        return copy

    def forward(self, x):
        """Takes and returns [batch, time, size]."""
        x = (x - self.mean) / self.std
        return x if self.clip == math.inf else x.clamp(-self.clip, self.clip)


def known_deviation(own, corpus):
    """The speaker's own standard deviations, and the corpus's where a channel
    is constant: one recording's functionals, say, tell none.
    """
    return torch.where(own <= 1.01 * LEAST_STD, corpus, own)


def check_rule(rule):
    """Raises a ValueError unless it is one of :data:`RULES`."""
    if rule not in RULES:
        raise ValueError(
            f"normalize must be one of {', '.join(RULES)}, got {rule!r}"
        )
