"""Several small heads that vote."""

import torch

from speechbrain_ptssnn.lobes.base import Head
from speechbrain_ptssnn.nnet.stream_state import part


class Committee(Head):
    r"""Several heads that differ in their first weights; their outputs are
    averaged.

    The mean of firing rates is the rate of a population: as if each class had
    one output neuron in every member. In training each member is taught by
    itself, so that their errors stay different: the result has the rows of all
    members, one member after the other, and the targets are repeated as often.

    Arguments
    ---------
    input_size, n_classes, n_layers : int
        See :class:`~speechbrain_ptssnn.lobes.base.Head`. The members share the
        mixture of the layers.
    member : callable
        ``member(input_size=..., n_classes=...)`` makes a head.
    n_members : int
        How many there are; one is the head itself.

    Raises
    ------
    ValueError
        If ``n_members`` is below 1.

    Example
    -------
    >>> from functools import partial
    >>> from speechbrain_ptssnn import PTSSNN
    >>> head = Committee(768, 4, partial(PTSSNN, hidden_size=128, size=128))
    >>> feats = torch.randn(2, 50, 768)
    >>> head(feats).shape, head.eval()(feats).shape
    (torch.Size([10, 4]), torch.Size([2, 4]))
    """

    def __init__(self, input_size, n_classes, member, n_members=5, n_layers=1):
        super().__init__(input_size, n_layers)
        if n_members < 1:
            raise ValueError(f"n_members must be at least 1, got {n_members}")
        self.members = torch.nn.ModuleList(
            member(input_size=self.feature_size, n_classes=n_classes)
            for _ in range(n_members)
        )

    @property
    def causal(self):
        """Whether the members are causal."""
        return self.members[0].causal

    @property
    def pooling(self):
        """The members' pooling of frames, the same in all."""
        return self.members[0].pooling

    def forward(self, feats, lengths=None):
        """Returns the mean of the members' outputs, [batch, n_classes]; in
        training the outputs of all, [n_members * batch, n_classes].
        """
        x = self.mix(feats)
        outputs = [member(x, lengths) for member in self.members]
        if self.training:
            return torch.cat(outputs)
        return torch.stack(outputs).mean(0)

    def classify_pooled(self, x, lengths=None, state=None):
        """Classifies frames that are mixed and pooled, in evaluation; see
        :meth:`~speechbrain_ptssnn.lobes.pts_snn.PTSSNN.classify_pooled`.
        """
        outputs = [
            member.classify_pooled(x, lengths, **part(state, f"members{k}"))
            for k, member in enumerate(self.members)
        ]
        return torch.stack(outputs).mean(0)

    def take_penalty(self):
        """Returns the mean of the members' penalties, and forgets them."""
        penalties = [member.take_penalty() for member in self.members]
        return sum(penalties) / len(penalties)
