"""PLIF neurons over whole sequences (eq. 1, 2): the loop that defines them, and
``torch.ops.ptssnn.plif_scan``, an operator that runs it in one fused kernel.
"""

import functools
import importlib.util
import warnings

import torch

from speechbrain_ptssnn.nnet.surrogate import spike

try:  # numba is absent, or refuses this NumPy
    from speechbrain_ptssnn.nnet import plif_numba
except ImportError:
    plif_numba = None
HAS_TRITON = importlib.util.find_spec("triton") is not None
FUSED_TYPES = (torch.float32, torch.bfloat16, torch.float16)


def plif_scan(
    current,
    leak,
    v_init=None,
    counts=None,
    v_threshold=1.0,
    alpha=5.0,
    detach_reset=True,
    decay_reset=False,
    hard_reset=False,
):
    r"""Returns the spikes of a current, and the final membranes.

    u[t] = u[t-1] - leak * u[t-1] + i[t] - v_threshold * s[t-1], or, with
    ``decay_reset``, v = u[t-1] - v_threshold * s[t-1] and
    u[t] = v - leak * v + i[t]; s[t] = 1 where u[t] >= v_threshold (eq. 1, 2).
    With ``hard_reset``, v = u[t-1] * (1 - s[t-1]).

    The state between two frames is the membrane before its reset, from which
    s[t-1] follows. So a sequence can be cut anywhere: if each part starts from
    the final membrane of the part before, the spikes are the same bit for bit.

    A fused kernel runs on CPU (numba) and CUDA (Triton). Other devices and
    float64 use :func:`plif_scan_reference`. Only the current is kept for the
    backward pass, with 4 bytes an element, or 2 in half precision. Membranes
    and spikes are computed again, which is faster than writing and reading
    them. Membranes are float64 for a float64 current, else float32.

    Arguments
    ---------
    current : torch.Tensor
        [batch, time, neurons], of any strides; no copy is made where the
        neurons lie side by side.
    leak : torch.Tensor
        Share of each membrane that is lost per frame, 1 - tau, [neurons], in
        (0, 1).
    v_init : torch.Tensor, optional
        Membranes at the start, [batch, neurons]; 0 by default.
    counts : torch.Tensor, optional
        Valid frames of each utterance, [batch], integer, 0 to time. Later
        frames have no spike and no gradient.
    v_threshold : float
        Firing threshold, above 0.
    alpha : float
        Steepness of the sigmoid whose derivative is the surrogate gradient.
    detach_reset : bool
        Whether the reset term gets no gradient.
    decay_reset : bool
        Whether the reset is decayed with the membrane.
    hard_reset : bool
        Whether a spike sets the membrane to 0, instead of subtracting the
        threshold. ``decay_reset`` then changes nothing.

    Returns
    -------
    spikes : torch.Tensor
        [batch, time, neurons], exactly 0.0 or 1.0, with the current's type.
    membrane : torch.Tensor
        Membranes at the last valid frame, before the reset, [batch, neurons].

    Raises
    ------
    ValueError
        If the shape of ``leak``, ``v_init`` or ``counts`` does not fit the
        current.

    Example
    -------
    >>> current = torch.tensor([[[0.6], [0.6], [0.6], [0.6]]])
    >>> spikes, membrane = plif_scan(current, torch.tensor([0.5]))
    >>> spikes[0, :, 0].tolist()  # u = 0.6, 0.9, 1.05, 0.125
    [0.0, 0.0, 1.0, 0.0]
    >>> _, halfway = plif_scan(current[:, :2], torch.tensor([0.5]))
    >>> plif_scan(current[:, 2:], torch.tensor([0.5]), halfway)[1] == membrane
    tensor([[True]])
    """
    batch, time, neurons = current.shape
    dtype = torch.promote_types(current.dtype, torch.float32)
    if v_init is None:
        v_init = current.new_zeros(batch, neurons, dtype=dtype)
    if counts is None:
        counts = torch.full((batch,), time, device=current.device)
    # With wrong shapes the kernels would read beyond the tensors.
    for name, tensor, shape in (
        ("leak", leak, [neurons]),
        ("v_init", v_init, [batch, neurons]),
        ("counts", counts, [batch]),
    ):
        if list(tensor.shape) != shape:
            raise ValueError(
                f"{name} must have shape {shape} for a current of shape "
                f"{list(current.shape)}, got {list(tensor.shape)}"
            )
    scan = plif_scan_reference
    if _is_fused(current):
        scan = torch.ops.ptssnn.plif_scan
    return scan(
        current,
        leak.to(dtype),
        v_init.to(dtype),
        counts,
        v_threshold,
        alpha,
        detach_reset,
        decay_reset,
        hard_reset,
    )


def plif_scan_reference(
    current,
    leak,
    v_init,
    counts,
    v_threshold,
    alpha,
    detach_reset,
    decay_reset,
    hard_reset,
):
    """Computes :func:`plif_scan` as a plain loop, which is its definition.

    The kernels' spikes equal this loop's to the last bit, gradients to 1e-5.
    ``leak`` and ``v_init`` are float32, or float64 for a float64 current. All
    else is as in :func:`plif_scan`.

    Example
    -------
    >>> current, leak = torch.randn(2, 9, 3), torch.rand(3)
    >>> v_init, counts = torch.zeros(2, 3), torch.tensor([9, 4])
    >>> spikes, _ = plif_scan_reference(
    ...     current, leak, v_init, counts, 1.0, 5.0, True, False, False
    ... )
    >>> torch.equal(spikes, plif_scan(current, leak, v_init, counts)[0])
    True
    """
    membrane, s = v_init, spike(v_init - v_threshold, alpha)
    spikes = [torch.zeros_like(current[:, :0])]
    for t, i in enumerate(current.unbind(1)):
        fired = s.detach() if detach_reset else s
        reset = (membrane if hard_reset else v_threshold) * fired
        # Multiplies by the leak, 1 - tau, not by tau, as SpikingJelly does, so
        # that spikes agree to the last bit.
        if decay_reset or hard_reset:
            u = membrane - reset
            u = u - u * leak + i
        else:
            u = membrane - membrane * leak + i - reset
        s = spike(u - v_threshold, alpha)
        valid = (t < counts)[:, None]
        spikes.append((s * valid).to(current.dtype)[:, None])
        membrane = torch.where(valid, u, membrane)
    return torch.cat(spikes, 1), membrane


def _is_fused(current):
    if current.dtype not in FUSED_TYPES:
        return False
    kernels = {"cpu": plif_numba is not None, "cuda": HAS_TRITON}
    fused = kernels.get(current.device.type, False)
    if not fused:
        _warn_once(current.device.type)
    return fused


@functools.cache
def _warn_once(device):
    warnings.warn(
        f"PLIF runs as a plain loop on {device}, several times slower than "
        "its kernels, which need numba (on cpu) or triton (on cuda)",
        stacklevel=2,
    )


def _kernels(current):
    if current.is_cuda:  # imported here: not every machine has triton
        from speechbrain_ptssnn.nnet import plif_triton

        return plif_triton
    return plif_numba


# Not torch.library.custom_op: its first call imports the compiler (1.3 s).
_LIBRARY = torch.library.Library("ptssnn", "DEF")
_OPTIONS = (
    "Tensor current, Tensor leak, Tensor v_init, Tensor counts, "
    "float v_threshold, float alpha, bool detach_reset, bool decay_reset, "
    "bool hard_reset"
)
_LIBRARY.define(f"plif_scan({_OPTIONS}) -> (Tensor, Tensor)")
_LIBRARY.define(
    "plif_scan_backward(Tensor grad_spikes, Tensor grad_membrane, "
    f"{_OPTIONS}) -> (Tensor, Tensor, Tensor)"
)


@torch.library.impl("ptssnn::plif_scan", ("cpu", "cuda"), lib=_LIBRARY)
def _forward(
    current,
    leak,
    v_init,
    counts,
    v_threshold,
    alpha,
    detach_reset,
    decay_reset,
    hard_reset,
):
    return _kernels(current).forward(
        current, leak, v_init, counts, v_threshold, decay_reset, hard_reset
    )


@torch.library.impl("ptssnn::plif_scan_backward", ("cpu", "cuda"), lib=_LIBRARY)
def _backward(grad_spikes, grad_membrane, current, *arguments):
    return _kernels(current).backward(
        grad_spikes, grad_membrane, current, *arguments
    )


@torch.library.register_fake("ptssnn::plif_scan", lib=_LIBRARY)
def _(current, leak, v_init, *_):
    return current.new_empty(current.shape), v_init.new_empty(v_init.shape)


@torch.library.register_fake("ptssnn::plif_scan_backward", lib=_LIBRARY)
def _(grad_spikes, grad_membrane, *tensors_and_options):
    tensors = tensors_and_options[:3]  # current, leak, v_init
    return tuple(tensor.new_empty(tensor.shape) for tensor in tensors)


def _save(ctx, inputs, output):
    ctx.save_for_backward(*inputs[:4])
    ctx.options = inputs[4:]


def _differentiate(ctx, grad_spikes, grad_membrane):
    gradients = torch.ops.ptssnn.plif_scan_backward(
        grad_spikes, grad_membrane, *ctx.saved_tensors, *ctx.options
    )
    return *gradients, *[None] * 6


torch.library.register_autograd(
    "ptssnn::plif_scan", _differentiate, setup_context=_save, lib=_LIBRARY
)
