"""Step-forward encoding of a filterbank's channels, in one or more streams."""

import math
from itertools import chain, count

import torch
from torch.nn import functional

from speechbrain_ptssnn.nnet.masking import frame_counts
from speechbrain_ptssnn.nnet.plif_scan import FUSED_TYPES
from speechbrain_ptssnn.nnet.surrogate import spike

try:  # numba is absent, or refuses this NumPy
    from speechbrain_ptssnn.nnet import step_forward_numba
except ImportError:
    step_forward_numba = None

STREAMS = ("coarse", "fine")  # what the first two streams are called


class ResidualSpikeEncoder(torch.nn.Module):
    r"""Turns each channel into the spikes of a coarse and a fine stream.

    A stream follows its input with a base b, which starts at 0 and moves by
    one step a frame, up or down, wherever the input is a step or more away:

        e[t] = r[t] - b[t-1],
        up[t] = 1 where e[t] >= step, down[t] = 1 where -e[t] >= step,
        b[t] = b[t-1] + step * (up[t] - down[t]).

    The input r of the first, coarse stream is x, that of each next stream what
    the one before leaves, r[t] - b[t]. So the sum of the bases rebuilds x. The
    steps are shared by all channels. The surrogate gradient of the spikes is
    that of a sigmoid, as in :mod:`~speechbrain_ptssnn.nnet.surrogate`.

    Source: step-forward encoding, Kasabov et al. 2016,
    doi:10.1016/j.neunet.2015.09.011; two streams with learnable global steps,
    arXiv:2606.19039, of which we could read the abstract only. Own choices:
    the base starts at 0, the mean of standardised features, not at x[0], so
    that spikes tell the level too; the fine stream has a base of its own.

    Arguments
    ---------
    size : int
        Channels in.
    steps : list of float
        Steps at the start, above 0, one a stream, coarse first, in the unit of
        x. One step is plain step-forward encoding.
    learnable : bool
        Whether the steps are learnt, as softplus(w), which is above 0.
    alpha : float
        Steepness of the surrogate gradient.
    local : bool
        Whether gradients stay where they are in direct feedback alignment: a
        step gets the gradient of its own stream, spikes before t held fixed.

    Raises
    ------
    ValueError
        If there is no step, or one is not above 0.

    Example
    -------
    >>> encoder = ResidualSpikeEncoder(1, steps=[1.0, 0.25])
    >>> spikes = encoder(torch.tensor([[[1.5], [1.5], [-0.75]]]))
    >>> spikes[0].tolist()  # coarse up, down; fine up, down
    [[1.0, 0.0, 1.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, 1.0]]
    """

    def __init__(
        self,
        size,
        steps=(1.0, 0.3),
        learnable=True,
        alpha=5.0,
        local=False,
    ):
        super().__init__()
        if not steps or min(steps) <= 0:
            raise ValueError(
                f"steps must be one number or more, all above 0, got {steps}"
            )
        self.size = size
        self.output_size = 2 * len(steps) * size
        self.alpha = alpha
        self.local = local
        # The inverse of softplus.
        w = torch.tensor(
            [step + math.log(-math.expm1(-step)) for step in steps]
        )
        if learnable:
            self.w = torch.nn.Parameter(w)
        else:
            self.register_buffer("w", w, persistent=False)

    @property
    def additions(self):
        """Additions and comparisons for a frame: each stream subtracts its
        base, compares twice and moves the base.
        """
        return 2 * self.output_size

    @property
    def steps(self):
        """The steps, coarse first, [streams]."""
        return functional.softplus(self.w)

    def streams(self, spikes):
        """Tells the streams apart.

        Arguments
        ---------
        spikes : torch.Tensor
            What :meth:`forward` returned, [..., output_size].

        Returns
        -------
        dict
            Name of a stream, coarse first, to its ups and downs, [..., 2,
            size].

        Example
        -------
        >>> streams = ResidualSpikeEncoder(1).streams(torch.eye(4)[0])
        >>> {name: spikes.tolist() for name, spikes in streams.items()}
        {'coarse': [[1.0], [0.0]], 'fine': [[0.0], [0.0]]}
        """
        parts = spikes.unflatten(-1, (-1, 2, self.size)).unbind(-3)
        further = (f"stream {k}" for k in count(len(STREAMS) + 1))
        return dict(zip(chain(STREAMS, further), parts, strict=False))

    def rebuilt(self, spikes):
        """Rebuilds the features from the spikes alone.

        Arguments
        ---------
        spikes : torch.Tensor
            What :meth:`forward` returned, [batch, time, output_size].

        Returns
        -------
        torch.Tensor
            [streams, batch, time, size]: the base of the first stream, the
            sum of the first two streams' bases, and so on.

        Example
        -------
        >>> encoder = ResidualSpikeEncoder(1, steps=[1.0, 0.25])
        >>> x = torch.tensor([[[1.5], [1.5], [-0.75]]])
        >>> encoder.rebuilt(encoder(x)).flatten(1).tolist()
        [[1.0, 1.0, 0.0], [1.25, 1.5, 0.25]]
        """
        moved = torch.stack(
            [
                step * (each[..., 0, :] - each[..., 1, :])
                for step, each in zip(
                    self.steps, self.streams(spikes).values(), strict=True
                )
            ]
        )
        return moved.cumsum(2).cumsum(0)

    def forward(self, x, lengths=None):
        """Encodes features.

        Arguments
        ---------
        x : torch.Tensor
            [batch, time, size].
        lengths : torch.Tensor, optional
            Relative lengths, [batch]; frames beyond them have no spike.

        Returns
        -------
        torch.Tensor
            Spikes, exactly 0.0 or 1.0, [batch, time, output_size]: the coarse
            stream's ups, one a channel, and downs, then the fine one's.
        """
        counts = None
        if lengths is not None:
            counts = frame_counts(lengths, x.shape[1])
        return step_forward(x, self.steps, counts, self.alpha, self.local)


def step_forward(x, steps, counts=None, alpha=5.0, local=False):
    """Returns the spikes of step-forward streams; see
    :class:`ResidualSpikeEncoder`.

    A kernel of numba runs it on CPU; other devices, float64 and a missing
    numba use :func:`step_forward_reference`.

    Arguments
    ---------
    x : torch.Tensor
        [batch, time, channels].
    steps : torch.Tensor
        Above 0, [streams].
    counts : torch.Tensor, optional
        Valid frames of each utterance, [batch], integer, 0 to time.
    alpha, local : float, bool
        See :class:`ResidualSpikeEncoder`.

    Returns
    -------
    torch.Tensor
        [batch, time, 2 * streams * channels], with x's type.

    Example
    -------
    >>> x = torch.tensor([[[0.6], [1.6], [0.2]]])
    >>> step_forward(x, torch.tensor([1.0]))[0].tolist()
    [[0.0, 0.0], [1.0, 0.0], [0.0, 0.0]]
    """
    if counts is None:
        counts = torch.full(x.shape[:1], x.shape[1], device=x.device)
    has_kernel = step_forward_numba is not None and x.device.type == "cpu"
    if has_kernel and x.dtype in FUSED_TYPES:
        spikes, _ = torch.ops.ptssnn.step_forward(
            x.float(), steps, counts, alpha, local
        )
        return spikes.flatten(2).to(x.dtype)
    return step_forward_reference(x, steps, counts, alpha, local)


def step_forward_reference(x, steps, counts, alpha=5.0, local=False):
    """Computes :func:`step_forward` as a plain loop, which is its definition.

    The kernel's spikes equal this loop's to the last bit, gradients to 1e-5.

    Example
    -------
    >>> x, steps = torch.randn(2, 9, 3), torch.tensor([1.0, 0.3])
    >>> counts = torch.tensor([9, 4])
    >>> spikes = step_forward_reference(x, steps, counts)
    >>> torch.equal(spikes, step_forward(x, steps, counts))
    True
    """
    dtype = torch.promote_types(x.dtype, torch.float32)
    bases = [x.new_zeros(len(x), x.shape[2], dtype=dtype) for _ in steps]
    spikes = [x.new_zeros(len(x), 0, 2 * len(steps) * x.shape[2])]
    for t, residual in enumerate(x.to(dtype).unbind(1)):
        valid, frame = (t < counts)[:, None], []
        for k, step in enumerate(steps):
            error = residual - bases[k]
            up = spike(error - step, alpha)
            down = spike(-error - step, alpha)
            moved = (up - down).detach() if local else up - down
            base = torch.where(valid, bases[k] + step * moved, bases[k])
            bases[k] = base
            residual = residual - (base.detach() if local else base)
            frame += [up * valid, down * valid]
        spikes.append(torch.cat(frame, 1).to(x.dtype).unsqueeze(1))
    return torch.cat(spikes, 1)


_LIBRARY = torch.library.Library("ptssnn", "FRAGMENT")
_LIBRARY.define(
    "step_forward(Tensor x, Tensor steps, Tensor counts, float alpha, "
    "bool local) -> (Tensor, Tensor)"
)
_LIBRARY.define(
    "step_forward_backward(Tensor grad_spikes, Tensor steps, Tensor counts, "
    "Tensor spikes, Tensor errors, float alpha, bool local) -> (Tensor, Tensor)"
)


@torch.library.impl("ptssnn::step_forward", "cpu", lib=_LIBRARY)
def _forward(x, steps, counts, alpha, local):
    return step_forward_numba.forward(x, steps, counts)


@torch.library.impl("ptssnn::step_forward_backward", "cpu", lib=_LIBRARY)
def _backward(*arguments):
    return step_forward_numba.backward(*arguments)


@torch.library.register_fake("ptssnn::step_forward", lib=_LIBRARY)
def _(x, steps, *_):
    batch, time, channels = x.shape
    errors = x.new_empty(batch, time, len(steps), channels)
    return x.new_empty(batch, time, len(steps), 2, channels), errors


@torch.library.register_fake("ptssnn::step_forward_backward", lib=_LIBRARY)
def _(grad_spikes, steps, counts, spikes, errors, *_):
    return errors.new_empty(errors[:, :, 0].shape), torch.empty_like(steps)


def _save(ctx, inputs, output):
    _, steps, counts, ctx.alpha, ctx.local = inputs
    ctx.save_for_backward(steps, counts, *output)


def _differentiate(ctx, grad_spikes, _):
    gradients = torch.ops.ptssnn.step_forward_backward(
        grad_spikes, *ctx.saved_tensors, ctx.alpha, ctx.local
    )
    return *gradients, None, None, None


torch.library.register_autograd(
    "ptssnn::step_forward", _differentiate, setup_context=_save, lib=_LIBRARY
)
