"""Recurrent leaky integrate-and-fire neurons."""

import torch

from speechbrain_ptssnn.nnet.masking import valid_counts


class RLIF(torch.nn.Module):
    r"""A layer of leaky integrate-and-fire neurons that hear each other.

    u[t] = tau * u[t-1] + i[t] + V s[t-1] - v_threshold * s[t-1]; s[t] = 1
    where u[t] >= v_threshold. V, [n_neurons, n_neurons], has no diagonal: a
    neuron hears the others. Each neuron has its decay, tau = sigmoid(w). The
    membrane starts at 0 in every call. The surrogate gradient is that of a
    sigmoid.

    Source: RLIF of sparch, Bittar and Garner 2022,
    doi:10.3389/fnins.2022.865897. Differs: reset and input are not scaled by
    the decay, as in :class:`~speechbrain_ptssnn.nnet.plif.PLIF`.

    Arguments
    ---------
    n_neurons : int
        Size of the last dimension.
    decay : tuple of float
        Bounds, in (0, 1), between which the decays are drawn at the start.
    recurrent_gain : float
        V starts as an orthogonal matrix times this.
    v_threshold : float
        Firing threshold, above 0.
    alpha : float
        Steepness of the surrogate gradient.
    detach_reset : bool
        Whether the reset term gets no gradient.
    local : bool
        Whether the gradient of the membranes stays in the neuron, as in direct
        feedback alignment: it passes through the leak, but not through spikes
        of other frames.

    Raises
    ------
    ValueError
        If a decay is not in (0, 1), v_threshold is not above 0, or the current
        has another size than ``n_neurons``.

    Example
    -------
    >>> layer = RLIF(2, decay=(0.5, 0.5))
    >>> with torch.no_grad():
    ...     _ = layer.weight.copy_(torch.tensor([[0.0, 0.0], [0.75, 0.0]]))
    >>> current = torch.tensor([[[1.0, 0.5], [0.0, 0.0], [0.0, 0.0]]])
    >>> layer(current)[0].tolist()  # u = 1, .5; -.5, 1; -.25, -.5
    [[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]
    """

    def __init__(
        self,
        n_neurons,
        decay=(0.5, 0.95),
        recurrent_gain=0.1,
        v_threshold=1.0,
        alpha=5.0,
        detach_reset=True,
        local=False,
    ):
        super().__init__()
        low, high = decay
        if not 0 < low <= high < 1:
            raise ValueError(f"decay must be bounds in (0, 1), got {decay}")
        if v_threshold <= 0:
            raise ValueError(f"v_threshold must be > 0, got {v_threshold}")
        self.n_neurons = n_neurons
        self.v_threshold = v_threshold
        self.alpha = alpha
        self.detach_reset = detach_reset
        self.local = local
        self.w = torch.nn.Parameter(
            torch.empty(n_neurons).uniform_(low, high).logit()
        )
        self.weight = torch.nn.Parameter(torch.empty(n_neurons, n_neurons))
        torch.nn.init.orthogonal_(self.weight, recurrent_gain)

    def forward(self, current, lengths=None):
        """Returns the spikes of a current.

        Arguments
        ---------
        current : torch.Tensor
            [batch, time, n_neurons].
        lengths : torch.Tensor, optional
            Relative lengths, [batch]; frames beyond them never spike.

        Returns
        -------
        torch.Tensor
            Spikes, [batch, time, n_neurons], exactly 0.0 or 1.0.
        """
        if current.ndim != 3 or current.shape[-1] != self.n_neurons:
            raise ValueError(
                f"RLIF needs a current [batch, time, {self.n_neurons}], got "
                f"{list(current.shape)}"
            )
        counts = valid_counts(current, lengths)
        return _Scan.apply(
            current,
            torch.sigmoid(self.w),
            self.weight,
            counts,
            self.v_threshold,
            self.alpha,
            self.detach_reset,
            self.local,
        )


class _Scan(torch.autograd.Function):
    """The loop over time. Only what depends on the frame before is in it; all
    else is computed for all frames at once. Utterances are sorted by length,
    so that each frame takes those that are not over yet.
    """

    @staticmethod
    def forward(
        ctx,
        current,
        tau,
        weight,
        counts,
        v_threshold,
        alpha,
        detach_reset,
        local,
    ):
        dtype = torch.promote_types(current.dtype, torch.float32)
        counts, order = counts.sort(descending=True, stable=True)
        frames = torch.arange(current.shape[1], device=current.device)
        valid = frames[:, None] < counts
        active = valid.sum(1).tolist()  # utterances that have a frame t
        # The reset is the diagonal of the matrix.
        matrix = weight.detach().clone().fill_diagonal_(-v_threshold)
        matrix = matrix.T.contiguous()
        u = current.transpose(0, 1).to(dtype)[:, order]
        spikes = torch.zeros_like(u)
        for t, n in enumerate(active):
            if t and n:
                u[t, :n].addcmul_(u[t - 1, :n], tau)
                u[t, :n].addmm_(spikes[t - 1, :n], matrix)
            torch.ge(u[t, :n], v_threshold, out=spikes[t, :n])
        ctx.save_for_backward(u, spikes, tau, weight, order, valid)
        ctx.options = active, v_threshold, alpha, detach_reset, local
        return _restored(spikes, order).to(current.dtype)

    @staticmethod
    def backward(ctx, grad_spikes):
        """Let d[t] be the gradient of u[t], g[t] that of s[t] and S the
        surrogate's derivative at u[t]. Then

            d[t] = S * (g[t] + V' d[t+1]) + tau * d[t+1],

        where V' is the transposed matrix of the forward pass, its diagonal 0
        if the reset is detached, and all of it 0 with ``local``.
        """
        u, spikes, tau, weight, order, valid = ctx.saved_tensors
        active, v_threshold, alpha, detach_reset, local = ctx.options
        diagonal = 0.0 if detach_reset else -v_threshold
        matrix = weight.clone().fill_diagonal_(diagonal)
        sigmoid = torch.sigmoid(alpha * (u - v_threshold))
        slope = alpha * sigmoid * (1 - sigmoid) * valid.unsqueeze(-1)
        d = slope * grad_spikes.transpose(0, 1).to(u.dtype)[:, order]
        for t in range(len(u) - 2, -1, -1):
            n = active[t + 1]
            if not local:
                d[t, :n].addcmul_(slope[t, :n], d[t + 1, :n] @ matrix)
            d[t, :n].addcmul_(tau, d[t + 1, :n])
        grad_tau = (d[1:] * u[:-1]).sum((0, 1))
        grad_weight = d[1:].flatten(0, 1).T @ spikes[:-1].flatten(0, 1)
        grad_weight.fill_diagonal_(0)
        grad_current = _restored(d, order).to(grad_spikes.dtype)
        return grad_current, grad_tau, grad_weight, *[None] * 5


def _restored(x, order):
    """Puts [time, batch, neurons] into the batch's own order, batch first."""
    return torch.empty_like(x).index_copy_(1, order, x).transpose(0, 1)
