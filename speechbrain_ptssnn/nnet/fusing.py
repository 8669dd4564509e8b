"""Weights that evaluation fuses once and keeps: BatchNorm above all."""

import torch

INTEGERS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def learns(module, tensors):
    """Whether the module is in training, or autograd follows a tensor of it.

    Fused weights have no gradient, so they are for all other calls.
    """
    return module.training or (
        torch.is_grad_enabled() and any(each.requires_grad for each in tensors)
    )


class FusedWeights:
    """Keeps what was computed from tensors until one of them changes.

    A change is seen by the tensors' bits: PyTorch's version counter does not
    know of writes through ``.data``, of its own fused optimizers and of
    ``batch_norm``'s running statistics.

    Example
    -------
    >>> weight, fused = torch.ones(2), FusedWeights()
    >>> double = fused(lambda: 2 * weight, [weight])
    >>> double is fused(lambda: 2 * weight, [weight])
    True
    >>> fused(lambda: 2 * weight, [weight.data.mul_(3)])
    tensor([6., 6.])
    """

    def __init__(self):
        self._seen = self._kept = None

    def __call__(self, compute, tensors):
        """Returns the result of ``compute()``, kept or new.

        Arguments
        ---------
        compute : callable
            Computes the result, without gradient and without autocast.
        tensors : list of torch.Tensor
            All tensors on which the result depends.
        """
        # A sum of bits does not see values that change places.
        versions = [each._version for each in tensors]
        bits = torch.stack([_sum_of_bits(each) for each in tensors])
        seen = versions, bits.tolist()
        if self._seen != seen:
            device = tensors[0].device.type
            with torch.no_grad(), torch.autocast(device, enabled=False):
                self._kept = compute()
            self._seen = seen
        return self._kept


def _sum_of_bits(tensor):
    """Another number, but for rare coincidence, after any change of values."""
    flat = tensor.detach().reshape(-1)
    n_bytes = flat.element_size()
    whole = (flat.numel() * n_bytes) % 8 == 0
    if whole and (flat.storage_offset() * n_bytes) % 8 == 0:
        n_bytes = 8  # several values at once
    return flat.view(INTEGERS[n_bytes]).sum()
