"""The temperature that makes posteriors mean what they say."""

import math

from scipy.optimize import minimize_scalar
from torch.nn import functional

LOWEST, HIGHEST = 0.01, 100.0


def fit_temperature(outputs, targets):
    r"""Finds the temperature T whose posteriors, softmax(outputs / T), have
    the smallest cross-entropy.

    Each of n targets is (n y + 1 / K) / (n + 1), y being 1 for its class, else
    0, and K the number of classes: as if one more utterance showed each class
    a little. So where all n are right, the posteriors are about n / (n + 1)
    sure, as by Laplace's rule of succession, not wholly (T = 0).

    Mean firing rates are in [0, 1], so their softmax is nearly flat: at most
    0.31 with seven classes. Dividing by one number changes no prediction.
    Source: Guo et al., 2017, arXiv:1706.04599, section 4.2.

    Arguments
    ---------
    outputs : torch.Tensor
        [utterances, classes], a head's rates or logits in validation.
    targets : torch.Tensor
        [utterances], int; at least one.

    Returns
    -------
    float
        From 0.01 to 100.

    Example
    -------
    >>> outputs = torch.tensor([[0.5, 0.4]] * 4)
    >>> temperature = fit_temperature(outputs, torch.tensor([0, 0, 0, 1]))
    >>> (outputs[0] / temperature).softmax(-1)  # 3.5 of 5 are right
    tensor([0.7000, 0.3000])
    """
    smoothing = 1 / (len(targets) + 1)

    # It is convex in 1 / T, and has one minimum in log T.
    def cross_entropy(log_temperature):
        scaled = outputs.double() / math.exp(log_temperature)
        return functional.cross_entropy(
            scaled, targets, label_smoothing=smoothing
        ).item()

    bounds = math.log(LOWEST), math.log(HIGHEST)
    found = minimize_scalar(
        cross_entropy, bounds=bounds, method="bounded", options={"xatol": 1e-5}
    )
    return math.exp(found.x)
