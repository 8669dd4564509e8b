"""Parametric leaky integrate-and-fire neurons (eq. 1 and 2)."""

import math

import torch

from speechbrain_ptssnn.nnet.masking import frame_counts, frame_mask
from speechbrain_ptssnn.nnet.plif_scan import plif_scan
from speechbrain_ptssnn.nnet.surrogate import spike


class PLIF(torch.nn.Module):
    r"""A layer of leaky integrate-and-fire neurons with learnable decays.

    u[t] = tau * u[t-1] + i[t] - v_threshold * s[t-1]; s[t] = 1 where
    u[t] >= v_threshold (eq. 1, 2). One decay per neuron, tau = sigmoid(w).
    The membrane starts at 0 in every call; no state survives it. The
    surrogate gradient is a sigmoid's.

    Source: arXiv:2007.05785. Differs: one decay per neuron, and the reset is
    not decayed, as the paper writes eq. 1; SpikingJelly decays it.

    Arguments
    ---------
    n_neurons : int
        Size of the last dimension.
    decay : float
        Initial decay factor tau of every neuron, in (0, 1), per frame.
    v_threshold : float
        Firing threshold, above 0.
    alpha : float
        Steepness of the surrogate (section IV.A: 5).
    detach_reset : bool
        Whether the gradient skips the reset term. Own choice: the paper does
        not say; SpikingJelly's users mostly do so.
    decay_reset : bool
        Whether the reset is decayed with the membrane,
        u[t] = tau * (u[t-1] - v_threshold * s[t-1]) + i[t], which is
        SpikingJelly's ``ParametricLIFNode(decay_input=False, v_reset=None)``.
    per_neuron : bool
        Whether each neuron learns its own decay; False is one for the layer,
        as in arXiv:2007.05785.

    Raises
    ------
    ValueError
        If decay is not in (0, 1), v_threshold is not above 0, or the current
        has another size than ``n_neurons``.

    Example
    -------
    >>> current = torch.tensor([[[0.6], [0.6], [0.6], [0.6]]])
    >>> PLIF(1)(current)[0, :, 0].tolist()  # u = 0.6, 0.9, 1.05, 0.125
    [0.0, 0.0, 1.0, 0.0]
    """

    def __init__(
        self,
        n_neurons,
        decay=0.5,
        v_threshold=1.0,
        alpha=5.0,
        detach_reset=True,
        decay_reset=False,
        per_neuron=True,
    ):
        super().__init__()
        if not 0 < decay < 1:
            raise ValueError(f"decay must be in (0, 1), got {decay}")
        if v_threshold <= 0:
            raise ValueError(f"v_threshold must be > 0, got {v_threshold}")
        self.n_neurons = n_neurons
        self.v_threshold = v_threshold
        self.alpha = alpha
        self.detach_reset = detach_reset
        self.decay_reset = decay_reset
        n_decays = n_neurons if per_neuron else 1
        self.w = torch.nn.Parameter(
            torch.full((n_decays,), math.log(decay / (1 - decay)))
        )

    def forward(self, current, lengths=None):
        """Integrates the current over time.

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
                f"PLIF needs a current [batch, time, {self.n_neurons}], got "
                f"{list(current.shape)}"
            )
        counts = None
        if lengths is not None:
            counts = frame_counts(lengths, current.shape[1])
        spikes, _ = plif_scan(
            current,
            torch.sigmoid(-self.w).expand(self.n_neurons).contiguous(),
            counts=counts,
            v_threshold=self.v_threshold,
            alpha=self.alpha,
            detach_reset=self.detach_reset,
            decay_reset=self.decay_reset,
        )
        return spikes


class SingleStepPLIF(torch.nn.Module):
    r"""PLIF neurons that start from rest at every frame (eq. 8).

    With membrane 0 before and one step only, eq. 1 leaves u = i: a threshold
    whose decay plays no part, so that it has no parameter.

    Arguments
    ---------
    v_threshold : float
        Firing threshold.
    alpha : float
        Steepness of the surrogate gradient.

    Example
    -------
    >>> SingleStepPLIF()(torch.tensor([[[0.9, 1.0]]])).tolist()
    [[[0.0, 1.0]]]
    """

    def __init__(self, v_threshold=1.0, alpha=5.0):
        super().__init__()
        self.v_threshold = v_threshold
        self.alpha = alpha

    def forward(self, current, lengths=None):
        """As :meth:`PLIF.forward`, for any number of neurons."""
        spikes = spike(current - self.v_threshold, self.alpha)
        mask = frame_mask(lengths, spikes.shape[1])
        return spikes if mask is None else spikes * mask
