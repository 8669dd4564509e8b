"""Parametric leaky integrate-and-fire neurons (eq. 1 and 2)."""

import math

import torch

from speechbrain_ptssnn.nnet.masking import frame_counts, frame_mask
from speechbrain_ptssnn.nnet.plif_scan import plif_scan
from speechbrain_ptssnn.nnet.surrogate import spike

RESETS = ("subtract", "hard")


class PLIF(torch.nn.Module):
    r"""A layer of leaky integrate-and-fire neurons with learnable decays.

    u[t] = tau * u[t-1] + i[t] - v_threshold * s[t-1]; s[t] = 1 where
    u[t] >= v_threshold (eq. 1, 2). Each neuron has its decay,
    tau = sigmoid(w). The membrane starts at 0 in every call; no state is kept
    between calls, except that of a stream, which the caller keeps. The
    surrogate gradient is that of a sigmoid.

    Source: arXiv:2007.05785. Differs: each neuron has its own decay, and the
    reset is not decayed, as in eq. 1 of the paper; SpikingJelly decays it.

    Arguments
    ---------
    n_neurons : int
        Size of the last dimension.
    decay : float
        Start value of tau, in (0, 1), per frame.
    v_threshold : float
        Firing threshold, above 0.
    alpha : float
        Steepness of the surrogate gradient (section IV.A: 5).
    detach_reset : bool
        Whether the reset term gets no gradient. Own choice, common with
        SpikingJelly; the paper does not say.
    decay_reset : bool
        Whether the reset is decayed with the membrane,
        u[t] = tau * (u[t-1] - v_threshold * s[t-1]) + i[t], as in
        SpikingJelly's ``ParametricLIFNode(decay_input=False, v_reset=None)``.
    per_neuron : bool
        Whether each neuron learns its own decay; with False the layer learns
        one, as in arXiv:2007.05785.
    reset : str
        "subtract" subtracts the threshold after a spike, as in eq. 1; "hard"
        sets the membrane to 0, u[t] = tau * u[t-1] * (1 - s[t-1]) + i[t]. NIR
        can only say the second (docs/nir.md).

    Raises
    ------
    ValueError
        If decay is not in (0, 1), v_threshold is not above 0, ``reset`` is
        neither "subtract" nor "hard", or hard with ``decay_reset``, or the
        current has another size than ``n_neurons``.

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
        reset="subtract",
    ):
        super().__init__()
        if not 0 < decay < 1:
            raise ValueError(f"decay must be in (0, 1), got {decay}")
        if v_threshold <= 0:
            raise ValueError(f"v_threshold must be > 0, got {v_threshold}")
        if reset not in RESETS:
            raise ValueError(
                f"reset must be {' or '.join(RESETS)}, got {reset!r}"
            )
        if reset == "hard" and decay_reset:
            raise ValueError(
                "decay_reset: True needs reset: subtract, as a hard reset "
                "leaves nothing that could decay"
            )
        self.n_neurons = n_neurons
        self.v_threshold = v_threshold
        self.alpha = alpha
        self.detach_reset = detach_reset
        self.decay_reset = decay_reset
        self.reset = reset
        n_decays = n_neurons if per_neuron else 1
        self.w = torch.nn.Parameter(
            torch.full((n_decays,), math.log(decay / (1 - decay)))
        )

    @property
    def leak(self):
        """The share of each membrane that is lost per frame, 1 - tau,
        [n_neurons].
        """
        return torch.sigmoid(-self.w).expand(self.n_neurons).contiguous()

    def forward(self, current, lengths=None, state=None):
        """Returns the spikes of a current.

        Arguments
        ---------
        current : torch.Tensor
            [batch, time, n_neurons].
        lengths : torch.Tensor, optional
            Relative lengths, [batch]; frames beyond them never spike.
        state : dict, optional
            A stream's: the membranes after the frames before. They are
            replaced by those after these frames.

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
        spikes, membrane = plif_scan(
            current,
            self.leak,
            v_init=None if state is None else state.get("membrane"),
            counts=counts,
            v_threshold=self.v_threshold,
            alpha=self.alpha,
            detach_reset=self.detach_reset,
            decay_reset=self.decay_reset,
            hard_reset=self.reset == "hard",
        )
        if state is not None:
            state["membrane"] = membrane
        return spikes


class SingleStepPLIF(torch.nn.Module):
    r"""PLIF neurons whose membrane starts at 0 in every frame (eq. 8).

    With only one step from membrane 0, eq. 1 gives u = i. The layer is thus a
    threshold, without decay and without parameters.

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
