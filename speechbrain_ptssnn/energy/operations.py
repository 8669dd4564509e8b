"""Counts the operations of a head while it runs, one product at a time."""

import functools
import inspect
import linecache
import re
import sys
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from spikingjelly.activation_based.op_counter import (
    BaseCounter,
    DispatchCounterMode,
    SynOpCounter,
    is_binary_tensor,
)
from torch.backends import mha, mkldnn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.nnet.masking import frame_counts

aten = torch.ops.aten
# The operators that are products; the index of their first factor among the
# arguments.
PRODUCTS = {
    "mm": 0,
    "addmm": 1,
    "bmm": 0,
    "baddbmm": 1,
    "convolution": 0,
    "deform_conv2d": 0,
}
# A product with a vector is counted as a product with a one-column matrix.
VECTORS = {
    "mv": lambda x, y: (x, y.unsqueeze(1)),
    "dot": lambda x, y: (x.unsqueeze(0), y.unsqueeze(1)),
    "addmv": lambda _, x, y: (x, y.unsqueeze(1)),
}
EVENT_RULES = SynOpCounter().rules
# Element-wise operators that PyTorch does not tag as such.
ELEMENT_WISE = re.compile("norm|softmax|cumsum|pool|upsample|sampler|plif_scan")
OWN_OPERATORS = ("plif_scan", "step_forward")  # without products inside
# Operators that may compute products inside, where they cannot be counted.
HIDING = re.compile(
    r"mm(_|$)|convol|conv_|attention|transformer|rnn|linear$|matmul|fft|cdist"
)
LIBRARIES = ("spikingjelly", "torch", "torchvision")
# A product that is added to a tensor in place; only its factors are shown.
ADDED = re.compile(r".*\.addmm_\((.+), (\w+)\)")


@dataclass
class LayerCount:
    """The counts of one product, or of a module's element-wise operations.

    Arguments
    ---------
    name : str
        The module that computes it, e.g. "encoder.blocks.0".
    where : str
        File and line of the product's expression; "" for element-wise
        operations.
    product : str
        The expression itself, without what it is added to in place; "" for
        element-wise operations.
    weights : tuple or None
        Shape of the factor that does not depend on the features; None where
        both factors depend on them.
    operations : float
        Multiplications, each with its accumulation, for any input.
    events : float
        Accumulations that the ones of a binary input cause.
    nonzero, elements : float
        How many elements of the input are not 0, and how many it has.
    is_binary : bool
        Whether all inputs so far held only 0 and 1.
    is_sums : bool
        Whether these are a spike encoder's additions and comparisons, which
        are accumulations for any input.
    element_wise : float
        Element-wise operations. Each operator counts one for each element of
        its largest tensor, whether it is a sum, LayerNorm, tanh or the whole
        update of a neuron. Copying data does not count.
    """

    name: str
    where: str = ""
    product: str = ""
    weights: tuple | None = None
    operations: float = 0
    events: float = 0
    nonzero: float = 0
    elements: float = 0
    is_binary: bool = True
    is_sums: bool = False
    element_wise: float = 0

    @property
    def key(self):
        """Identifies the row; it is the same for every utterance."""
        return self.name, self.where, self.product, self.weights

    @property
    def kind(self):
        """The input's kind, "binary" or "real"; "sums" for a spike encoder,
        "element-wise" for all else that is not a product.
        """
        if self.is_sums:
            return "sums"
        if not self.product:
            return "element-wise"
        return "binary" if self.is_binary else "real"

    @property
    def density(self):
        """Share of the input's elements that are not 0."""
        return self.nonzero / max(self.elements, 1)


class OperationCounter(BaseCounter):
    r"""Sums the counts over utterances, and over heads of the same structure.

    It counts what a head in evaluation computes for each utterance, even where
    the result does not depend on the features. What a head computes from its
    parameters only once (:mod:`~speechbrain_ptssnn.nnet.fusing`) costs
    nothing. A spike encoder, a module that says how many ``additions`` (and
    comparisons) it needs for a frame, is counted by these and not by its
    operators.

    SpikingJelly's ``DispatchCounterMode`` reports every operator and its
    module. SpikingJelly's ``SynOpCounter`` counts the events and PyTorch's
    ``flop_counter`` the multiplications. There are two differences from
    SpikingJelly's ``MACCounter``. Only a factor that depends on the features
    is an input, so weights that are 0 or 1 are not taken for spikes. And an
    input is binary only if it is binary in every utterance, so a ReLU that
    gives only 0 in one utterance is not taken for a neuron.

    Example
    -------
    >>> counter = OperationCounter()
    >>> counter.watch(LinearProbe(3, 2, size=4), torch.randn(1, 5, 3))
    >>> [(row.name, row.operations) for row in counter.counts() if row.product]
    [('linear', 60), ('output', 8)]
    """

    def __init__(self):
        super().__init__()
        self._rows = {}
        self._reached = {}
        self._encoders = {}

    def watch(self, head, feats, lengths=None):
        """Adds the counts of a batch: evaluates each utterance alone, without
        its padding.

        Arguments
        ---------
        head : torch.nn.Module
            Any head; called as ``head(feats, lengths)``.
        feats : torch.Tensor
            [batch, time, channels].
        lengths : torch.Tensor, optional
            Relative lengths, [batch].

        Raises
        ------
        InputError
            If the head uses an operator that may compute products inside.
        """
        n_frames = [feats.shape[1]] * len(feats)
        if lengths is not None:
            n_frames = frame_counts(lengths, feats.shape[1]).tolist()
        was_training = head.training
        trained = [p for p in head.parameters() if p.requires_grad]
        # A parameter may be the input of a module; PyTorch's module tracker
        # would follow its gradient.
        head.eval().requires_grad_(False)
        try:
            with plain_products():
                for utterance, n in zip(feats, n_frames, strict=True):
                    self._watch(head, utterance[None, :n].clone())
        finally:
            head.train(was_training)
            for parameter in trained:
                parameter.requires_grad_()
            self._reached = {}

    def _watch(self, head, feats):
        lengths = torch.ones(1, device=feats.device)
        head(feats, lengths)  # lets the head fuse its parameters, uncounted
        # Keeps the tensors alive, so that no other gets one's address.
        self._reached = {_address(feats): feats}
        self._encoders = {
            name: module
            for name, module in head.named_modules()
            if hasattr(module, "additions")
        }
        hooks = [
            module.register_forward_hook(partial(self._count_encoder, name))
            for name, module in self._encoders.items()
        ]
        try:
            with DispatchCounterMode([self]):
                head(feats, lengths)
        finally:
            for hook in hooks:
                hook.remove()

    def _count_encoder(self, name, encoder, args, _):
        (x, *_), kind = args, type(encoder).__name__
        row = self._row(LayerCount(name, product=kind, is_sums=True))
        row.operations += encoder.additions * x.shape[1]
        row.events = row.operations
        row.nonzero = row.elements = row.elements + x.numel()

    def counts(self):
        """Returns the sums over everything watched so far.

        Returns
        -------
        list of LayerCount
            In the order in which the head computes them.
        """
        return [replace(row) for row in self._rows.values()]

    def has_rule(self, func):
        """Tells SpikingJelly that every operator has a rule here."""
        return True

    def record(self, scope, func, value):
        """Ignores SpikingJelly's sums by operator; see :meth:`counts`."""

    def count(
        self, func, args, kwargs, out, active_modules=None, parent_names=None
    ):
        """Counts one operator; SpikingJelly's mode calls it for each."""
        name = func._overloadpacket.__name__.rstrip("_")
        module = _innermost(parent_names)
        inputs, outputs = _tensors((args, kwargs)), _tensors(out)
        if name in VECTORS:
            name, args = "mm", VECTORS[name](*args)
        if name in PRODUCTS:
            self._count_product(name, args, kwargs, out, module)
        elif HIDING.search(name) or not (
            func.namespace in ("aten", "prims") or name in OWN_OPERATORS
        ):
            raise InputError(
                f"{module}: {func} may compute products inside that cannot be "
                "counted; use Linear, matmul, einsum or convolutions"
            )
        elif (
            _is_element_wise(func, name)
            and module not in self._encoders
            # Whole numbers count and check; a device needs none of them.
            and any(x.is_floating_point() for x in (*inputs, *outputs))
        ):
            row = self._row(LayerCount(module))
            row.element_wise += max(x.numel() for x in (*inputs, *outputs))
        if any(map(self._is_reached, inputs)):
            self._reached.update((_address(x), x) for x in outputs)
        return 0

    def _count_product(self, name, args, kwargs, out, module):
        factors = args[PRODUCTS[name] :][:2]
        inputs = [x for x in factors if self._is_reached(x)] or [factors[0]]
        weights = None
        if len(inputs) == 1:
            weights = tuple(factors[inputs[0] is factors[0]].shape)
        binary = []
        # Spikes that are scaled or interpolated need multiplications.
        if kwargs.get("alpha", 1) == 1 and name != "deform_conv2d":
            binary = [x for x in inputs if is_binary_tensor(x)]
        row = self._row(LayerCount(module, *_source(), weights))
        if binary:
            rule = EVENT_RULES[getattr(aten, name).default]
            row.events += rule(args, kwargs, out)
        row.is_binary &= bool(binary)
        x = (binary or inputs)[0]
        row.operations += _multiplications(name, args, out)
        row.nonzero += int(x.count_nonzero())
        row.elements += x.numel()

    def _row(self, row):
        return self._rows.setdefault(row.key, row)

    def _is_reached(self, tensor):
        return _address(tensor) in self._reached


def count_operations(head, feats, lengths=None):
    """Counts what a head computes for the utterances of a batch.

    Arguments
    ---------
    head : torch.nn.Module
        Any head; called as ``head(feats, lengths)``.
    feats : torch.Tensor
        [batch, time, channels].
    lengths : torch.Tensor, optional
        Relative lengths, [batch]; padding is not counted.

    Returns
    -------
    list of LayerCount
        Sums over the utterances; see :class:`OperationCounter`.

    Example
    -------
    >>> head = VanillaSNN(3, 2, size=4)
    >>> rows = count_operations(head, torch.randn(1, 5, 3))
    >>> [(row.name, row.kind) for row in rows if row.product]
    [('linear', 'real'), ('classifier.linear', 'binary')]
    """
    counter = OperationCounter()
    counter.watch(head, feats, lengths)
    return counter.counts()


def at_length(measured, once):
    """Scales counts to an utterance of another length, with the measured
    densities.

    Arguments
    ---------
    measured : list of LayerCount
        Counts of the measured utterances.
    once : list of LayerCount
        Counts of one utterance of the wanted length; its values do not matter.

    Returns
    -------
    list of LayerCount
        The multiplications and element-wise operations of ``once``, and the
        events that the densities of ``measured`` give.

    Example
    -------
    >>> head, feats = VanillaSNN(3, 2, size=4), torch.randn(1, 5, 3)
    >>> rows = at_length(
    ...     count_operations(head, feats),
    ...     count_operations(head, torch.zeros(1, 10, 3)),
    ... )
    >>> [row.operations for row in rows if row.product]
    [120, 80]
    """
    found = {row.key: row for row in measured}
    rows = []
    for row in once:
        seen = found.get(row.key, row)
        share = seen.events / max(seen.operations, 1)
        rows.append(
            replace(
                seen,
                operations=row.operations,
                events=share * row.operations,
                element_wise=row.element_wise,
            )
        )
    return rows


@contextmanager
def plain_products():
    """Turns off the fused operators of attention, transformer layers and LSTM,
    so that the dispatcher sees each of their products.
    """
    fast = mha.get_fastpath_enabled()
    mha.set_fastpath_enabled(False)
    onednn, *_ = mkldnn.set_flags(False, _fp32_precision=None)
    try:
        with (
            torch.inference_mode(False),
            torch.no_grad(),
            sdpa_kernel(SDPBackend.MATH),
        ):
            yield
    finally:
        mha.set_fastpath_enabled(fast)
        mkldnn.set_flags(onednn, _fp32_precision=None)


def _multiplications(name, args, out):
    if name == "deform_conv2d":
        return out.numel() * args[1][0].numel()
    return flop_registry[getattr(aten, name)](*args, out_val=out) // 2


def _is_element_wise(func, name):
    tags = {torch.Tag.pointwise, torch.Tag.reduction}
    is_tagged = name != "clone" and not tags.isdisjoint(func.tags)
    return is_tagged or ELEMENT_WISE.search(name) is not None


def _innermost(module_names):
    """Returns the path, inside the head, of the innermost of nested modules."""
    name = max(module_names - {"Global"}, key=len)
    return name.partition(".")[2] or name


def _tensors(tree):
    return [leaf for leaf in tree_leaves(tree) if torch.is_tensor(leaf)]


def _address(tensor):
    return tensor.untyped_storage().data_ptr()


def _source():
    """Finds the expression that asked for the product now counted, in the code
    outside the libraries; returns "<file>:<line>" and the expression.
    """
    frame = sys._getframe()
    while _package(frame) == __name__:
        frame = frame.f_back
    while _package(frame).partition(".")[0] in LIBRARIES:
        frame = frame.f_back
    positions = inspect.getframeinfo(frame, 0).positions
    return _expression(frame.f_code.co_filename, *positions)


def _package(frame):
    return frame.f_globals.get("__name__", "")


@functools.cache
def _expression(path, line, end_line, start, end):
    lines = [
        linecache.getline(path, k).encode() for k in range(line, end_line + 1)
    ]
    lines[-1] = lines[-1][:end]
    lines[0] = lines[0][start:]
    text = b" ".join(b"".join(lines).split()).decode()
    return f"{Path(path).name}:{line}", ADDED.sub(r"\1 @ \2", text)
