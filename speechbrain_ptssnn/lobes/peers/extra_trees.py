"""Extremely randomised trees on functionals."""

import numpy as np
import torch
from sklearn.ensemble import ExtraTreesClassifier

from speechbrain_ptssnn.lobes.peers.solved import SolvedHead
from speechbrain_ptssnn.nnet.masking import masked_mean

LEAST = 1e-6  # a class's probability, so that its logarithm is finite


class ExtraTrees(SolvedHead):
    r"""Extremely randomised trees on the mean over the valid frames, grown by
    scikit-learn.

    The result is the logarithm of the mean over trees of the shares of the
    classes in the leaf that an utterance falls into. It is made for openSMILE's
    functionals, which are one frame. It has no gradient training:
    :meth:`solve` grows the trees.

    Source: Geurts et al., 2006, doi:10.1007/s10994-006-6226-1.

    Arguments
    ---------
    input_size, n_classes, n_layers : int
        See :class:`~speechbrain_ptssnn.lobes.base.Head`; ``n_layers`` must be
        1, since no mixture is learnt.
    n_trees : int
        How many are grown, from 1 to 999.
    max_leaves : int
        Of a tree, from 2; each tree has room for so many.
    leaf_sizes : sequence of int
        The smallest numbers of utterances in a leaf that are tried on
        validation.
    seed : int
        Of the trees' random splits.

    Raises
    ------
    ValueError
        If there are several layers, or the trees' numbers are out of range.

    Example
    -------
    >>> head = ExtraTrees(2, n_classes=2, n_trees=10, leaf_sizes=[1])
    >>> feats = [torch.tensor([[-1.0, 0.0]]), torch.tensor([[1.0, 0.0]])]
    >>> head.solve((feats, [0, 1]), (feats, [0, 1]))
    >>> head(torch.stack(feats)).argmax(-1)
    tensor([0, 1])
    """

    words = "trees learn"

    def __init__(
        self,
        input_size=6373,
        n_classes=4,
        n_layers=1,
        n_trees=500,
        max_leaves=128,
        leaf_sizes=(1, 2, 3, 5, 8),
        seed=0,
    ):
        if not (1 <= n_trees <= 999 and max_leaves >= 2 and leaf_sizes):
            raise ValueError(
                f"n_trees must be from 1 to 999, max_leaves from 2, and there "
                f"must be leaf_sizes; got {n_trees}, {max_leaves} and "
                f"{list(leaf_sizes)}"
            )
        super().__init__(input_size, n_layers)
        self.settings = sorted(leaf_sizes, reverse=True)
        self.seed = seed
        self.max_leaves = max_leaves
        nodes = n_trees, 2 * max_leaves - 1
        # Before they are grown: leaves in which all classes are as likely.
        self.shares = torch.nn.Parameter(
            torch.full((*nodes, n_classes), 1 / n_classes)
        )
        self.register_buffer("channel", torch.full(nodes, -1))  # -1 is a leaf
        self.register_buffer("threshold", torch.zeros(nodes).double())
        self.register_buffer("sides", torch.zeros(*nodes, 2).long())

    def fit(self, leaf_size, x, targets):
        """Returns the trees of one leaf size."""
        return ExtraTreesClassifier(
            len(self.channel),
            min_samples_leaf=leaf_size,
            max_leaf_nodes=self.max_leaves,
            random_state=self.seed,
        ).fit(x, targets)

    def keep(self, forest, x):
        """Takes over the trees."""
        with torch.no_grad():
            self.shares.zero_()  # a class that was not heard has none
            for k, grown in enumerate(forest.estimators_):
                self._keep_tree(
                    k, grown.tree_, torch.from_numpy(forest.classes_)
                )

    def _keep_tree(self, k, tree, classes):
        n = tree.node_count
        sides = np.stack([tree.children_left, tree.children_right], -1)
        is_leaf = sides[:, 0] < 0
        self.channel[k, :n] = torch.from_numpy(
            np.where(is_leaf, -1, tree.feature)
        )
        self.threshold[k, :n] = torch.from_numpy(tree.threshold)
        self.sides[k, :n] = torch.from_numpy(sides)
        shares = torch.from_numpy(tree.value[:, 0]).float()
        self.shares[k, :n, classes] = shares / shares.sum(-1, keepdim=True)

    def forward(self, feats, lengths=None):
        """Returns the logarithms of the classes' shares, [batch, n_classes]."""
        x = masked_mean(self.mix(feats), lengths).float()
        trees = torch.arange(len(self.channel), device=x.device)
        node = trees.new_zeros(len(x), len(trees))
        while (channel := self.channel[trees, node]).ge(0).any():
            # In float64, as scikit-learn compares; a leaf stays where it is.
            value = x.gather(1, channel.clamp(min=0)).double()
            side = (value > self.threshold[trees, node]).long()
            child = self.sides[trees, node, side]
            node = torch.where(channel < 0, node, child)
        return self.shares[trees, node].mean(1).clamp(min=LEAST).log()
