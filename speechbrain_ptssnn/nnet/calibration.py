"""The homeostatic bias generator (eq. 10 to 12)."""

import torch


class HomeostaticBiasGenerator(torch.nn.Module):
    r"""Maps the prompts to a bias voltage per channel.

    c = mean of the prompts (eq. 10); v_bias = kappa * tanh(W_up ReLU(W_down c
    + b_1) + b_2) (eq. 11). W_up and b_2 start at 0, so v_bias starts at 0 too
    (eq. 12).

    Arguments
    ---------
    size : int
        Channels of prompts and bias.
    hidden : int
        Width of the bottleneck, D_h in eq. 11.
    kappa : float
        Bound of the bias voltage, in units of the threshold (figure 4b: 0.4
        to 1.0).
    dropout : float
        Probability that an utterance gets no bias in training, in [0, 1):
        v_bias is multiplied by m[b], which is 0 with this probability, else
        1. It is not made larger in turn, as kappa bounds it. Own choice: the
        context alone tells every training utterance's emotion, so the bias
        learns these by heart unless the frames have to do without it
        (docs/decisions/head.md).

    Raises
    ------
    ValueError
        If ``dropout`` is not in [0, 1).

    Example
    -------
    >>> HomeostaticBiasGenerator(8, 4)(torch.ones(2, 5, 8)).abs().max().item()
    0.0
    """

    def __init__(self, size, hidden, kappa=0.5, dropout=0.0):
        super().__init__()
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), got {dropout}")
        self.kappa = kappa
        self.dropout = dropout
        self.down = torch.nn.Linear(size, hidden)
        self.up = torch.nn.Linear(hidden, size)
        torch.nn.init.zeros_(self.up.weight)
        torch.nn.init.zeros_(self.up.bias)

    def forward(self, prompts):
        """Maps prompts, [..., n_prompts, size], to a bias, [..., size]; the
        first dimension is the batch.
        """
        context = prompts.mean(-2)
        bias = torch.tanh(self.up(torch.relu(self.down(context))))
        if self.training and self.dropout:
            each = len(bias), *[1] * (bias.ndim - 1)
            draws = torch.rand(each, device=bias.device)
            bias = bias * (draws >= self.dropout)
        return self.kappa * bias


class BiasOverTime(torch.nn.Module):
    r"""Gives each frame of a causal head the bias of the context so far: that
    of the prompts' last output.

    Arguments
    ---------
    period : int
        Frames from one output of the prompts to the next.

    Example
    -------
    >>> bias = torch.tensor([[[1.0], [2.0]]])
    >>> BiasOverTime(2)(bias, 3)[0, :, 0].tolist()
    [1.0, 1.0, 2.0]
    """

    def __init__(self, period):
        super().__init__()
        self.period = period

    def first(self, state):
        """Returns the first frame of a call that the prompts follow.

        Arguments
        ---------
        state : dict or None
            A stream's; None for a whole utterance.

        Returns
        -------
        int
        """
        return int(state["first"]) if state else 0

    def forward(self, bias, n_frames, state=None):
        """Repeats each bias until the next.

        Arguments
        ---------
        bias : torch.Tensor
            [batch, outputs, size], of the frames ``first(state)``, ``first +
            period`` and so on.
        n_frames : int
            How many frames there are.
        state : dict, optional
            A stream's: the last bias, which is replaced, and when the prompts
            put out the next.

        Returns
        -------
        torch.Tensor
            [batch, n_frames, size].
        """
        first = self.first(state)
        bias = bias.repeat_interleave(self.period, 1)
        if state is None:
            return bias[:, :n_frames]
        before = state.get("bias")
        if before is None:
            before = bias.new_zeros(bias.shape[0], bias.shape[2])
        before = before.unsqueeze(1)
        bias = torch.cat([before.expand(-1, first, -1), bias], 1)[:, :n_frames]
        state["bias"] = torch.cat([before, bias], 1)[:, -1]
        state["first"] = torch.tensor((first - n_frames) % self.period)
        return bias
