"""The training objective (eq. 14 to 18)."""

import torch
from torch.nn import functional


class FocalSmoothingLoss(torch.nn.Module):
    r"""Weighted sum of focal loss and label-smoothing cross-entropy (eq. 15).

    p = softmax(o) (eq. 14). The focal term is -alpha (1 - p_y)^gamma log p_y
    (eq. 16). The smoothing term is -sum_k y_k log p_k with y_k = 1 - epsilon
    + epsilon / K for the target and epsilon / K for the others (eq. 17, 18).
    Both are averaged over the batch.

    Arguments
    ---------
    alpha : float
        Scale of the focal term.
    gamma : float
        Exponent of the focal term: how far easy examples are weighted down.
    epsilon : float
        Label smoothing, in [0, 1).
    focal_weight : float
        Weight of the focal term, lambda_1 in eq. 15.
    smoothing_weight : float
        Weight of the smoothing term, lambda_2 in eq. 15.

    Raises
    ------
    ValueError
        If rates are not [batch, classes], or targets not [batch].

    Example
    -------
    >>> loss = FocalSmoothingLoss(gamma=0.0, epsilon=0.0)
    >>> rates = torch.zeros(1, 2)  # p = 0.5, 0.5
    >>> round(loss(rates, torch.tensor([0])).item(), 4)  # 0.86 * ln 2
    0.5961
    """

    def __init__(
        self,
        alpha=0.8,
        gamma=2.5,
        epsilon=0.12,
        focal_weight=0.7,
        smoothing_weight=0.3,
    ):
        super().__init__()
        self.alpha = alpha
        self.gamma = gamma
        self.epsilon = epsilon
        self.focal_weight = focal_weight
        self.smoothing_weight = smoothing_weight

    def forward(self, rates, targets):
        """Returns the loss of a batch.

        Arguments
        ---------
        rates : torch.Tensor
            Rates or logits, [batch, classes].
        targets : torch.Tensor
            Class indices, [batch].

        Returns
        -------
        torch.Tensor
            Scalar.
        """
        if rates.ndim != 2 or targets.shape != rates.shape[:1]:
            raise ValueError(
                "the loss needs rates [batch, classes] and targets [batch], "
                f"got {list(rates.shape)} and {list(targets.shape)}"
            )
        log_p = rates.log_softmax(-1)
        log_p_y = log_p.gather(1, targets[:, None]).squeeze(1)
        focal = -self.alpha * (1 - log_p_y.exp()) ** self.gamma * log_p_y
        smoothed = functional.cross_entropy(
            rates, targets, label_smoothing=self.epsilon
        )
        return (
            self.focal_weight * focal.mean() + self.smoothing_weight * smoothed
        )
