"""NIR's delays for the frameworks that read NIR with nirtorch.

snnTorch, SpikingJelly and others build their networks with nirtorch, and none
of them knows the node Delay yet.
"""

import nir
import nirtorch
import torch


class StepDelay(torch.nn.Module):
    """NIR's Delay in steps: each channel comes as it is, or one step late.

    Arguments
    ---------
    delayed : torch.Tensor
        Whether a channel is delayed, [channels], bool.

    Example
    -------
    >>> delay, state = StepDelay(torch.tensor([True, False])), None
    >>> for x in ([1.0, 2.0], [3.0, 4.0]):
    ...     y, state = delay(torch.tensor([x]), state)
    ...     print(y.tolist())
    [[0.0, 2.0]]
    [[1.0, 4.0]]
    """

    def __init__(self, delayed):
        super().__init__()
        self.register_buffer("delayed", delayed)

    def forward(self, x, state=None):
        """Takes a step, [batch, channels]; returns the delayed step, and the
        state for the next one. nirtorch keeps that.
        """
        before = torch.zeros_like(x) if state is None else state
        return torch.where(self.delayed, before, x), x


def register_delay(dt):
    """Makes every framework that reads NIR with ``nirtorch.nir_to_torch`` read
    delays of one step, or of none.

    Arguments
    ---------
    dt : float
        The graph's seconds from one step to the next.

    Example
    -------
    >>> register_delay(1e-4)
    >>> node = nir.Delay(delay=torch.tensor([1e-4, 0.0]).numpy())
    >>> nirtorch.nir_to_torch(node, {}).delayed
    tensor([ True, False])
    """

    def build(node):
        steps = (torch.from_numpy(node.delay) / dt).round()
        if not ((steps == 0) | (steps == 1)).all():
            raise ValueError(f"delays must be of 0 or 1 step, got {steps}")
        return StepDelay(steps == 1)

    nirtorch.nir_interpreter.DEFAULT_MAP[nir.Delay] = build
