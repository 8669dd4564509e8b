"""The spike and its surrogate gradient."""

import torch


class SigmoidSpike(torch.autograd.Function):
    """Step function forward (eq. 2), gradient of a sigmoid backward."""

    @staticmethod
    def forward(ctx, x, alpha):
        """Returns 1.0 where x >= 0, else 0.0."""
        ctx.save_for_backward(x)
        ctx.alpha = alpha
        return (x >= 0).to(x.dtype)

    @staticmethod
    def backward(ctx, grad_output):
        """Multiplies by the derivative of sigmoid(alpha * x)."""
        (x,) = ctx.saved_tensors
        sigmoid = torch.sigmoid(ctx.alpha * x)
        return grad_output * ctx.alpha * sigmoid * (1 - sigmoid), None


def spike(x, alpha=5.0):
    """Returns a spike where x >= 0 (eq. 2), with a surrogate gradient.

    Source: SpikingJelly's sigmoid surrogate; alpha from section IV.A.

    Arguments
    ---------
    x : torch.Tensor
        Membrane minus threshold, any shape.
    alpha : float
        Steepness of the sigmoid whose derivative is the gradient.

    Returns
    -------
    torch.Tensor
        Exactly 0.0 or 1.0, with x's shape and type.

    Example
    -------
    >>> x = torch.tensor([-0.1, 0.0, 2.0], requires_grad=True)
    >>> s = spike(x)
    >>> s.tolist()
    [0.0, 1.0, 1.0]
    >>> s.sum().backward()
    >>> x.grad[1].item()  # alpha / 4
    1.25
    """
    return SigmoidSpike.apply(x, alpha)
