"""The classical pipeline: a linear support vector machine on functionals."""

import numpy as np
import torch
from sklearn.svm import LinearSVC

from speechbrain_ptssnn.lobes.peers.solved import SolvedHead
from speechbrain_ptssnn.nnet.masking import masked_mean


class LinearSVM(SolvedHead):
    r"""One-vs-rest linear support vector machines on the mean over the valid
    frames, trained by scikit-learn.

    It is made for openSMILE's functionals, which are one frame. It has no
    gradient training: :meth:`solve` computes the weights.

    Arguments
    ---------
    input_size, n_classes, n_layers : int
        See :class:`~speechbrain_ptssnn.lobes.base.Head`; ``n_layers`` must be
        1, since no mixture is learnt.
    penalties : sequence of float
        The values of C that are tried on validation.
    seed : int
        Of the solver's order of utterances.

    Raises
    ------
    ValueError
        If there are several layers.

    Example
    -------
    >>> head = LinearSVM(2, n_classes=2)
    >>> feats = [torch.tensor([[-1.0, 0.0]]), torch.tensor([[1.0, 0.0]])]
    >>> head.solve((feats, [0, 1]), (feats, [0, 1]))
    >>> head(torch.stack(feats)).argmax(-1)
    tensor([0, 1])
    """

    words = "a linear SVM learns"

    def __init__(
        self,
        input_size=6373,
        n_classes=4,
        n_layers=1,
        penalties=(1e-5, 1e-4, 1e-3, 1e-2, 1e-1),
        seed=0,
    ):
        super().__init__(input_size, n_layers)
        self.settings = sorted(penalties)
        self.seed = seed
        self.output = torch.nn.Linear(input_size, n_classes)

    def fit(self, penalty, x, targets):
        """Returns the machines of one value of C."""
        return LinearSVC(C=penalty, random_state=self.seed).fit(x, targets)

    def keep(self, machine, x):
        """Takes over the weights."""
        weight, bias = machine.coef_, machine.intercept_
        if len(machine.classes_) == 2:  # one machine for both
            weight, bias = (
                np.concatenate([-each, each]) for each in (weight, bias)
            )
        with torch.no_grad():
            # A class that was not heard is below the mean of the others, so it
            # is never chosen, but not so far below that the temperature, which
            # shows each class a little, goes to its end.
            outputs = x @ weight.T + bias
            below = (outputs.max(-1) - outputs.mean(-1)).max()
            self.output.weight[:] = torch.from_numpy(weight.mean(0))
            self.output.bias.fill_(bias.mean() - below)
            rows = torch.from_numpy(machine.classes_)
            self.output.weight[rows] = torch.from_numpy(weight).float()
            self.output.bias[rows] = torch.from_numpy(bias).float()

    def forward(self, feats, lengths=None):
        """Returns the distances to the planes, [batch, n_classes]."""
        return self.output(masked_mean(self.mix(feats), lengths))
