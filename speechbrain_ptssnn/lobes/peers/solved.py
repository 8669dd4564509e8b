"""What heads share that scikit-learn solves, on the mean frame."""

import numpy as np

from speechbrain_ptssnn.lobes.base import Head
from speechbrain_ptssnn.metrics import unweighted_accuracy


class SolvedHead(Head):
    r"""A head without gradient training: :meth:`solve` fits it.

    A subclass sets ``settings``, the values that are tried on validation, those
    that are preferred where they tie first. It defines ``fit``, which returns
    scikit-learn's classifier for a setting, and ``keep``, which takes over the
    best one, and is given the training data too.

    Arguments
    ---------
    input_size, n_layers : int
        See :class:`~speechbrain_ptssnn.lobes.base.Head`; ``n_layers`` must be
        1.

    Raises
    ------
    ValueError
        If there are several layers.
    """

    words = "this head learns"  # how a refusal begins

    def __init__(self, input_size, n_layers=1):
        if n_layers > 1:
            raise ValueError(
                f"{self.words} no mixture of layers; choose one layer, or a "
                "mean such as mean:2-5"
            )
        super().__init__(input_size)

    def solve(self, train, valid):
        """Fits the head, with the setting whose validation UA is best.

        Arguments
        ---------
        train, valid : tuple
            (features, targets): an iterable of [time, input_size], one per
            utterance, and their classes, ints.
        """
        (x, targets), (valid_x, valid_targets) = map(
            _mean_frames, (train, valid)
        )
        fitted = [self.fit(each, x, targets) for each in self.settings]
        scores = [
            unweighted_accuracy(valid_targets, each.predict(valid_x))
            for each in fitted
        ]
        self.keep(fitted[scores.index(max(scores))], x)


def _mean_frames(part):
    """The mean over the frames of each utterance, and the classes."""
    features, targets = part
    return (
        np.stack([frames.mean(0).numpy() for frames in features]),
        np.asarray(targets),
    )
