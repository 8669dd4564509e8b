"""What every head shares: its input, checked and mixed, and its call."""

import torch

from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.lobes.streaming import HeadStream
from speechbrain_ptssnn.nnet.layer_mixture import LayerMixture


class Head(torch.nn.Module):
    r"""Base class of the heads: networks from features to one value per class.

    A subclass builds its layers for ``feature_size`` channels, which
    :meth:`mix` returns. Its constructor also takes ``n_classes``, the number
    of emotions.

    Arguments
    ---------
    input_size : int
        Channels of the frozen backbone's features.
    n_layers : int
        Hidden states that stand side by side in these channels
        (``layer: weighted`` in the YAML). The head learns to mix them.

    Example
    -------
    >>> class MeanFeature(Head):
    ...     def forward(self, feats, lengths=None):
    ...         return self.mix(feats).mean(1)
    >>> MeanFeature(4)(torch.ones(2, 50, 4)).shape
    torch.Size([2, 4])
    """

    # Whether no frame's share in the result depends on later frames.
    causal = False

    def __init__(self, input_size, n_layers=1):
        super().__init__()
        self.input_size = input_size
        self.feature_size = input_size // n_layers
        self.mixture = LayerMixture(n_layers)

    def mix(self, feats):
        """Checks the features and mixes their hidden states.

        Arguments
        ---------
        feats : torch.Tensor
            [batch, time, input_size].

        Returns
        -------
        torch.Tensor
            [batch, time, feature_size].

        Raises
        ------
        InputError
            If the features have another shape, or no frame.
        """
        fits = feats.ndim == 3 and feats.shape[-1] == self.input_size
        if not fits or feats.shape[1] == 0:
            raise InputError(
                f"{type(self).__name__} needs features [batch, time, "
                f"{self.input_size}] with at least one frame, got "
                f"{list(feats.shape)}; set input_size to the backbone's "
                "output_size"
            )
        return self.mixture(feats)

    def forward(self, feats, lengths=None):
        """Classifies utterances; a subclass defines it.

        Arguments
        ---------
        feats : torch.Tensor
            [batch, time, input_size].
        lengths : torch.Tensor, optional
            Relative lengths, [batch], in (0, 1]; by default no frame is
            padding.

        Returns
        -------
        torch.Tensor
            Logits or mean firing rates, [batch, n_classes]. Padded frames do
            not change them.
        """
        raise NotImplementedError

    def take_penalty(self):
        """Returns what the last call in training adds to the loss, such as a
        price of spikes, and forgets it.

        Returns
        -------
        torch.Tensor or float
            Scalar; 0.0 if there is none. A subclass leaves it in ``_penalty``.
        """
        return vars(self).pop("_penalty", 0.0)

    def stream(self, batch_size=1):
        """Returns a classifier of frames as they come.

        Arguments
        ---------
        batch_size : int
            Streams that are processed side by side.

        Returns
        -------
        HeadStream
            See :class:`~speechbrain_ptssnn.lobes.streaming.HeadStream`.

        Raises
        ------
        InputError
            If the head is not causal.
        """
        return HeadStream(self, batch_size)


def projector(input_size, size):
    """Returns a linear layer to ``size`` channels, or an identity if the
    input has as many.

    Example
    -------
    >>> projector(768, 768)
    Identity()
    """
    if input_size == size:
        return torch.nn.Identity()
    return torch.nn.Linear(input_size, size)


def draw_matrices(module):
    """Draws the matrices of a transformer from Xavier's uniform distribution,
    as is usual there.

    Example
    -------
    >>> layer = torch.nn.Linear(2, 4)
    >>> draw_matrices(layer)
    >>> bool(layer.weight.abs().max() <= 1)  # sqrt(6 / (2 + 4))
    True
    """
    for parameter in module.parameters():
        if parameter.ndim > 1:
            torch.nn.init.xavier_uniform_(parameter)


def feed_forward(size, mlp_size, dropout):
    """Returns the MLP of a transformer's block: two linear layers, ReLU
    between them, dropout after each.

    Example
    -------
    >>> feed_forward(8, 16, 0.1)(torch.randn(2, 5, 8)).shape
    torch.Size([2, 5, 8])
    """
    return torch.nn.Sequential(
        torch.nn.Linear(size, mlp_size),
        torch.nn.ReLU(),
        torch.nn.Dropout(dropout),
        torch.nn.Linear(mlp_size, size),
        torch.nn.Dropout(dropout),
    )


def mlp_classifier(size, n_classes, dropout):
    """Returns three linear layers with ReLU and dropout between them; each
    hidden layer has half the channels of the one before.

    Example
    -------
    >>> [layer.out_features for layer in mlp_classifier(8, 3, 0.1)[::3]]
    [4, 2, 3]
    """
    return torch.nn.Sequential(
        torch.nn.Linear(size, size // 2),
        torch.nn.ReLU(),
        torch.nn.Dropout(dropout),
        torch.nn.Linear(size // 2, size // 4),
        torch.nn.ReLU(),
        torch.nn.Dropout(dropout),
        torch.nn.Linear(size // 4, n_classes),
    )
