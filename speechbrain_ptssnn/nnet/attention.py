"""Spiking sparse linear attention with soft prompts (eq. 7 to 9)."""

import torch
from torch.nn import functional

from speechbrain_ptssnn.nnet.fusing import FusedWeights, learns
from speechbrain_ptssnn.nnet.masking import frame_mask
from speechbrain_ptssnn.nnet.normalization import MaskedBatchNorm
from speechbrain_ptssnn.nnet.plif import SingleStepPLIF
from speechbrain_ptssnn.nnet.running_context import (
    CHUNK,
    attend_so_far,
    start_context,
)


def add_prompts(module, n_prompts, size, mean=1.0):
    """Gives a module learnable tokens, as ``module.prompts``.

    Their start values are drawn from a normal distribution around ``mean``,
    with standard deviation 0.5. With ``n_prompts=0``, ``prompts`` is an empty
    buffer, not a Parameter: DistributedDataParallel fails on parameters that
    never get a gradient.

    Raises
    ------
    ValueError
        If ``n_prompts`` is negative.

    Example
    -------
    >>> module = torch.nn.Module()
    >>> add_prompts(module, 5, 8)
    >>> module.prompts.shape
    torch.Size([5, 8])
    """
    if n_prompts < 0:
        raise ValueError(f"n_prompts must be 0 or more, got {n_prompts}")
    prompts = torch.normal(mean, 0.5, (n_prompts, size))
    if n_prompts:
        module.prompts = torch.nn.Parameter(prompts)
    else:
        module.register_buffer("prompts", prompts, persistent=False)


class SpikingSparseLinearAttention(torch.nn.Module):
    r"""Lets prompts and frames exchange context at a cost linear in time.

    S = spike([P; X]) (eq. 7, 8); Q, K, V = S W_q, S W_k, S W_v, without bias;
    output = Q (softmax(K)^T V) (eq. 9), where softmax runs over the valid
    tokens, column by column, and the product in brackets comes first. The
    single-step PLIF of eq. 8 starts from membrane 0, so it is a threshold and
    has no decay.

    With ``causal``, softmax and product run over the prompts and the frames up
    to t for frame t, so that frames can be processed as they come; see
    :mod:`~speechbrain_ptssnn.nnet.running_context`. Own choice: the paper has
    whole utterances only.

    Source: eq. 7 to 9, arXiv:2405.11621 for the one-step spikes. Differs, by
    own choice: Q and K have ``key_size`` columns; BatchNorm on the frames'
    output scales the current of the next neurons to their threshold, as
    without it they stay silent at the start.

    Arguments
    ---------
    size : int
        Channels of frames and prompts.
    n_prompts : int
        Learnable tokens in front of the frames (figure 4a: 1 to 6); 0 is
        allowed.
    key_size : int, optional
        Columns of Q and K; ``size // 4`` by default. The paper's D x D
        context is ``key_size=size``.
    plif : callable
        ``plif()`` makes the single-step neurons of eq. 8. The prompts start
        around the threshold, so that half of their channels fire: silent
        prompts carry no context.
    norm : bool
        Whether the frames' output has its BatchNorm.
    causal : bool
        Whether a frame's output depends on no later frame.
    bias_period : int
        With ``causal``, frames from one output of the prompts to the next; the
        bias voltages follow them.

    Raises
    ------
    ValueError
        If ``n_prompts`` is negative, ``bias_period`` is below 1, or above it
        without ``causal``.

    Example
    -------
    >>> attention = SpikingSparseLinearAttention(8, n_prompts=5)
    >>> prompts, features = attention(torch.ones(2, 7, 8))
    >>> prompts.shape, features.shape
    (torch.Size([2, 5, 8]), torch.Size([2, 7, 8]))
    """

    def __init__(
        self,
        size,
        n_prompts=5,
        key_size=None,
        plif=SingleStepPLIF,
        norm=True,
        causal=False,
        bias_period=1,
    ):
        super().__init__()
        if bias_period < 1 or (bias_period > 1 and not causal):
            raise ValueError(
                "bias_period must be at least 1, and exactly 1 without "
                f"causal: True, got {bias_period}"
            )
        self.causal = causal
        self.bias_period = bias_period
        self.chunk = CHUNK
        key_size = size // 4 if key_size is None else key_size
        self.plif = plif()
        add_prompts(self, n_prompts, size, self.plif.v_threshold)
        self.query = torch.nn.Linear(size, key_size, bias=False)
        self.key = torch.nn.Linear(size, key_size, bias=False)
        self.value = torch.nn.Linear(size, size, bias=False)
        self.norm = MaskedBatchNorm(size) if norm else None
        self._fused = FusedWeights()

    def forward(self, x, lengths=None, state=None, first=0):
        """Attends over the prompts and the frames x, [batch, time, size].

        Arguments
        ---------
        x : torch.Tensor
            [batch, time, size].
        lengths : torch.Tensor, optional
            Relative lengths, [batch].
        state : dict, optional
            A stream's: the context so far. It is replaced by the context after
            these frames.
        first : int
            The first of these frames that a causal layer's prompts follow.

        Returns
        -------
        prompts : torch.Tensor
            [batch, n_prompts, size]. With ``causal`` the mean of the prompts'
            outputs after frame ``first``, ``first + bias_period`` and so on,
            [batch, outputs, 1, size]; with no prompts, [batch, 0, size].
        features : torch.Tensor
            [batch, time, size]; padded frames are undefined.
        """
        tensors = self._tensors()
        if learns(self, tensors):
            weight, prompts, affine = self.fuse()
        else:
            weight, prompts, affine = self._fused(
                self.fuse, tensors, check=not state
            )
        tokens = self._project(self.plif(x, lengths), weight)
        if self.causal:
            prompts, features = self._attend_so_far(
                tokens, prompts, state, first
            )
            return prompts, self._normalise(features, lengths, affine)
        context = self._context(
            tokens, prompts, frame_mask(lengths, x.shape[1])
        )
        prompt_query, query = prompts[0], tokens[0]
        if self.norm is None or self.training:
            features = self._normalise(query @ context, lengths, affine)
        else:
            scale, offset = affine
            features = torch.baddbmm(offset, query, context * scale)
        return prompt_query @ context, features

    def _context(self, tokens, prompts, mask):
        """The context of all valid tokens, [batch, key_size, size]."""
        (_, prompt_key, prompt_value), (_, key, value) = prompts, tokens
        if mask is not None:
            key = key.masked_fill(~mask, -torch.inf)
        # One softmax over all tokens. The exponentials of prompts and frames
        # are summed separately, which saves joining the tensors.
        top = key.amax(1, True)
        if len(prompt_key):
            top = torch.maximum(top, prompt_key.amax(0))
        prompt_key, key = (prompt_key - top).exp_(), (key - top).exp_()
        context = key.transpose(1, 2) @ value
        context = context + prompt_key.transpose(1, 2) @ prompt_value
        total = key.sum(1) + prompt_key.sum(1)
        return context / total.unsqueeze(-1)

    def _attend_so_far(self, tokens, prompts, state, first):
        """Outputs of prompts and frames. Padded frames stand behind all valid
        ones, so they need no mask.
        """
        mean_query, start = prompts
        context = state or {
            name: each.expand(len(tokens[0]), *each.shape[1:])
            for name, each in start.items()
        }
        features, outputs, context = attend_so_far(
            *tokens, context, mean_query, first, self.bias_period, self.chunk
        )
        if state is not None:
            state.update(context)
        if outputs is None:
            return features[:, :0], features
        return outputs.unsqueeze(2), features

    def _normalise(self, features, lengths, affine):
        if self.norm is None:
            return features
        if self.training:
            return self.norm(features, lengths)
        scale, offset = affine
        return torch.addcmul(offset, features, scale)

    def _tensors(self):
        layers = (self.query, self.key, self.value)
        weights = [layer.weight for layer in layers]
        norm = [] if self.norm is None else self.norm.tensors()
        return [*weights, self.prompts, *norm]

    def fuse(self):
        """Returns the weight of Q, K and V in one, the prompts' queries, keys
        and values, and BatchNorm as (scale, offset), None without it.

        The prompts are the same for all utterances, so they are projected
        once, not in front of every utterance. A causal layer needs only their
        mean query, None without prompts, and their context.
        """
        weight = torch.cat(
            [self.query.weight, self.key.weight, self.value.weight]
        )
        # Past the hooks of those who count the spikes of frames.
        spikes = self.plif.forward(self.prompts.unsqueeze(0)).squeeze(0)
        affine = None if self.norm is None else self.norm.affine()
        prompts = self._project(spikes, weight)
        if self.causal:
            # The bias generator takes the mean of the prompts' outputs (eq.
            # 10), which is the output of their mean query.
            query, key, value = prompts
            mean_query = query.mean(0) if len(query) else None
            prompts = mean_query, start_context(key, value)
        return weight, prompts, affine

    def _project(self, spikes, weight):
        """Returns queries, keys and values, from one matrix product."""
        n = self.query.out_features
        query, key, value = functional.linear(spikes, weight).split(
            [n, n, weight.shape[0] - 2 * n], dim=-1
        )
        # The softmax's exponentials need full precision under autocast.
        return query, key.to(weight.dtype), value


class PromptsAlone(torch.nn.Module):
    r"""Replaces :class:`SpikingSparseLinearAttention` in the ablation without
    attention (table V): returns prompts and frames unchanged.

    Arguments
    ---------
    size : int
        Channels of frames and prompts.
    n_prompts : int
        Learnable tokens.

    Raises
    ------
    ValueError
        If ``n_prompts`` is negative.

    Example
    -------
    >>> prompts, features = PromptsAlone(8, n_prompts=5)(torch.ones(2, 7, 8))
    >>> prompts.shape, features.shape
    (torch.Size([2, 5, 8]), torch.Size([2, 7, 8]))
    """

    def __init__(self, size, n_prompts=5):
        super().__init__()
        add_prompts(self, n_prompts, size)

    def forward(self, x, lengths=None, state=None, first=0):
        """As :meth:`SpikingSparseLinearAttention.forward`, without causal."""
        return self.prompts.expand(len(x), -1, -1), x
