"""A learnt mixture of a frozen model's hidden states."""

import torch


class LayerMixture(torch.nn.Module):
    r"""Weighted sum of the hidden states. The weights are a learnt softmax,
    equal at the start.

    Source: SUPERB (arXiv:2105.01051).

    Arguments
    ---------
    n_layers : int
        Hidden states that stand side by side in the channels. With 1, the
        features are returned unchanged and there is no parameter.

    Example
    -------
    >>> LayerMixture(2)(torch.tensor([[[1.0, 2.0, 3.0, 6.0]]]))
    tensor([[[2., 4.]]], grad_fn=...)
    >>> LayerMixture(1)(torch.tensor([[[1.0, 2.0]]]))
    tensor([[[1., 2.]]])
    """

    def __init__(self, n_layers):
        super().__init__()
        self.n_layers = n_layers
        if n_layers > 1:
            self.logits = torch.nn.Parameter(torch.zeros(n_layers))

    def forward(self, x):
        """Maps [batch, time, n_layers * size] to [batch, time, size]."""
        if self.n_layers == 1:
            return x
        states = x.unflatten(-1, (self.n_layers, -1))
        return torch.einsum("btlc,l->btc", states, self.logits.softmax(0))
