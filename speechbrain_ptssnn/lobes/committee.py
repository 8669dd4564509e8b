"""Several small heads that vote."""

import torch

from speechbrain_ptssnn.lobes.base import Head
from speechbrain_ptssnn.nnet.stream_state import part

MOST = 50  # members; a stranger's model cannot ask for more


class Committee(Head):
    r"""Several heads that differ in their first weights; their outputs are
    averaged.

    The mean of firing rates is the rate of a population: as if each class had
    one output neuron in every member. In training each member is taught by its
    own loss, so that their errors stay different: the result then has as many
    rows for each utterance as there are members, and so need the targets.

    Arguments
    ---------
    input_size, n_classes, n_layers : int
        See :class:`~speechbrain_ptssnn.lobes.base.Head`. The members share the
        mixture of the layers.
    member : callable
        ``member(input_size=..., n_classes=...)`` makes a head.
    n_members : int
        How many there are, from 1, which is the member alone, to 50.

    Raises
    ------
    ValueError
        If ``n_members`` is not in this range, or a member is a committee or a
        head that is not trained by gradients.

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
        if not 1 <= n_members <= MOST:
            raise ValueError(
                f"n_members must be from 1 to {MOST}, got {n_members}"
            )
        self.members = torch.nn.ModuleList()
        for _ in range(n_members):
            each = member(input_size=self.feature_size, n_classes=n_classes)
            if isinstance(each, Committee) or hasattr(each, "solve"):
                raise ValueError(
                    f"{type(each).__name__} cannot be a member of a committee; "
                    "choose a single head that is trained by gradients"
                )
            self.members.append(each)

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
        training the outputs of all, [batch * n_members, n_classes], utterance
        by utterance.
        """
        x = self.mix(feats)
        outputs = [member(x, lengths) for member in self.members]
        if self.training:
            return torch.stack(outputs, 1).flatten(0, 1)
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
