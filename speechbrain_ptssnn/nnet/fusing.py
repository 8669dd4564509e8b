"""What evaluation derives from parameters once, not at every call."""

import torch


def learns(module, parameter):
    """Whether training, or a gradient of the parameter, may be asked for."""
    return module.training or (
        torch.is_grad_enabled() and parameter.requires_grad
    )


class Folding:
    """Keeps what was computed from tensors until one of them changes.

    Example
    -------
    >>> weight, folding = torch.ones(2), Folding()
    >>> double = folding(lambda: 2 * weight, [weight])
    >>> double is folding(lambda: 2 * weight, [weight])
    True
    >>> folding(lambda: 2 * weight, [weight.mul_(3)])
    tensor([6., 6.])
    """

    def __init__(self):
        self._versions = self._kept = None

    def __call__(self, compute, tensors):
        """What ``compute()`` gives, in the tensors' type under autocast too."""
        versions = [(each.data_ptr(), each._version) for each in tensors]
        if self._versions != versions:
            device = tensors[0].device.type
            with torch.no_grad(), torch.autocast(device, enabled=False):
                self._kept = compute()
            self._versions = versions
        return self._kept
