"""The attention's context as running sums, so that it needs no later frame.

``softmax(K)^T V`` of eq. 9 is a sum over tokens. For frame t it is taken over
the prompts and the frames up to t: ``C_t[k] = sum_j e^(K[j, k] - M_t[k]) V[j] /
Z_t[k]``, where ``M_t`` is the running maximum that keeps the exponentials
finite and ``Z_t`` the sum of the exponentials.
"""

import torch

# Frames whose pairs are computed at once. It changes time and memory, but no
# result: CHUNK x key_size numbers a frame are kept for the gradient, where one
# context for each frame would be key_size x size.
CHUNK = 16


def start_context(key, value):
    """Returns the context of the prompts alone, in front of all frames.

    Arguments
    ---------
    key : torch.Tensor
        [n_prompts, key_size]; there may be no prompt.
    value : torch.Tensor
        [n_prompts, size].

    Returns
    -------
    dict
        The context of one utterance, from which all start: ``top``, the
        running maximum of each column, and ``total``, the sum of its
        exponentials, both [1, key_size]; ``sums``, the sums of the weighted
        values, [1, key_size, size].

    Example
    -------
    >>> start_context(torch.zeros(2, 1), torch.ones(2, 3))["sums"]
    tensor([[[2., 2., 2.]]])
    """
    top = key.new_full((1, key.shape[1]), -torch.inf)
    if len(key):
        top = key.detach().amax(0, True)
    weights = (key - top).exp()
    sums = (weights.t() @ value).to(key.dtype)
    return {
        "top": top,
        "total": weights.sum(0, True),
        "sums": sums.unsqueeze(0),
    }


def attend_so_far(
    query, key, value, context, extra_query=None, first=0, period=1, chunk=CHUNK
):
    r"""Returns ``Q_t C_t`` for each frame t: eq. 9 without later frames.

    A chunk of frames is computed at once. Its frames read the context before
    the chunk, and each other through pairs of frames, so the context is
    computed once a chunk.

    Arguments
    ---------
    query, key : torch.Tensor
        [batch, time, key_size], of the frames.
    value : torch.Tensor
        [batch, time, size].
    context : dict
        The context before the first frame, of :func:`start_context` or of the
        call before.
    extra_query : torch.Tensor, optional
        Another query, [key_size], that is the same for all frames: the mean of
        the prompts' queries.
    first, period : int
        The extra query reads the context of frames ``first``, ``first +
        period`` and so on.
    chunk : int
        Frames that are computed at once.

    Returns
    -------
    frames : torch.Tensor
        [batch, time, size].
    extra : torch.Tensor or None
        [batch, frames that the extra query reads, size].
    context : dict
        The context after the last frame.

    Example
    -------
    >>> one = torch.ones(1, 3, 1)
    >>> context = start_context(torch.zeros(0, 1), torch.zeros(0, 1))
    >>> value = torch.tensor([[[3.0], [5.0], [7.0]]])
    >>> attend_so_far(one, one, value, context)[0].tolist()  # means so far
    [[[3.0], [4.0], [5.0]]]
    """
    frames, extra = [value[:, :0]], [value[:, :0]]
    for start in range(0, key.shape[1], chunk):
        part = slice(start, start + chunk)
        pairs = _Pairs(key[:, part], value[:, part], context)
        frames.append(pairs.read(query[:, part]))
        if extra_query is not None:
            rows = slice((first - start) % period, None, period)
            extra.append(pairs.read(extra_query, rows))
        context = pairs.context_after()
    extra = None if extra_query is None else torch.cat(extra, 1)
    return torch.cat(frames, 1), extra, context


class _Pairs:
    """The frames of a chunk, each with those before it in the chunk."""

    def __init__(self, key, value, before):
        self.value = value
        # The result does not depend on the maximum, so it needs no gradient.
        tops = torch.maximum(key.detach(), before["top"].unsqueeze(1))
        self.top = tops.cummax(1).values
        n = key.shape[1]
        is_later = torch.ones(n, n, dtype=torch.bool, device=key.device).triu(1)
        weights = key.unsqueeze(1) - self.top.unsqueeze(2)
        weights = weights.masked_fill(is_later.unsqueeze(-1), -torch.inf)
        # [batch, reading frame, frame that is read, key_size].
        self.weights = weights.exp_()
        self.decay = (before["top"].unsqueeze(1) - self.top).exp_()
        self.total = self.weights.sum(2)
        self.total = self.total + self.decay * before["total"].unsqueeze(1)
        self.sums = before["sums"]

    def read(self, query, rows=slice(None)):
        """Reads the contexts of some frames, [batch, rows, size]."""
        query = query / self.total[:, rows]
        shares = self.weights[:, rows] @ query.unsqueeze(-1)
        return shares.squeeze(-1) @ self.value + (
            (query * self.decay[:, rows]) @ self.sums
        )

    def context_after(self):
        """The context after the chunk's last frame."""
        weights = self.weights[:, -1]
        decay = self.decay[:, -1].unsqueeze(-1)
        sums = decay * self.sums + weights.transpose(1, 2) @ self.value
        return {
            "top": self.top[:, -1],
            "total": self.total[:, -1],
            "sums": sums,
        }
