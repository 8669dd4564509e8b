"""Weights that evaluation fuses once and keeps: BatchNorm above all."""

import torch


def learns(module, parameter):
    """Whether the module is in training, or autograd follows the parameter.

    Fused weights have no gradient, so they are for all other calls.
    """
    return module.training or (
        torch.is_grad_enabled() and parameter.requires_grad
    )


class FusedWeights:
    """Keeps what was computed from tensors until one of them changes.

    Example
    -------
    >>> weight, fused = torch.ones(2), FusedWeights()
    >>> double = fused(lambda: 2 * weight, [weight])
    >>> double is fused(lambda: 2 * weight, [weight])
    True
    >>> fused(lambda: 2 * weight, [weight.mul_(3)])
    tensor([6., 6.])
    """

    def __init__(self):
        self._versions = self._kept = None

    def __call__(self, compute, tensors):
        """Returns the result of ``compute()``, kept or new.

        Arguments
        ---------
        compute : callable
            Computes the result, without gradient and without autocast.
        tensors : list of torch.Tensor
            All tensors on which the result depends.
        """
        versions = [(each.data_ptr(), each._version) for each in tensors]
        if self._versions != versions:
            device = tensors[0].device.type
            with torch.no_grad(), torch.autocast(device, enabled=False):
                self._kept = compute()
            self._versions = versions
        return self._kept
