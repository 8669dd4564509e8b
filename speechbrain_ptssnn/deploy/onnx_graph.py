"""A graph of ONNX operators, written node by node in Python.

The package onnx is imported when the model is built, so it can be an extra.
"""

import itertools

import numpy as np
import torch

from speechbrain_ptssnn.utils.extras import extra_package

# onnxruntime has read these since 1.14 (February 2023).
OPSET, IR_VERSION = 18, 8
INT8_LARGEST = 127


def onnx_package():
    """Returns the package onnx.

    Returns
    -------
    module

    Raises
    ------
    InputError
        If it is not installed.

    Example
    -------
    >>> onnx_package().__name__
    'onnx'
    """
    need = "an export to ONNX needs the package onnx"
    return extra_package("onnx", need, "onnx")


class Graph:
    r"""Nodes in their order, and the constants that they read.

    A value is known by its name, a string. Wherever a node takes a value, it
    also takes a constant: a tensor, or a number or list, of which integers
    become int64 and others float32.

    Arguments
    ---------
    int8 : bool
        Whether the weights of :meth:`product` are stored as int8.
    outer : Graph, optional
        The graph around this one, which is then the body of a node.

    Example
    -------
    >>> graph = Graph()
    >>> doubled = graph("Mul", graph.input("x", [2]), 2.0)
    >>> graph.output("y", doubled, [2])
    >>> model = graph.model({"made by": "a test"})
    >>> [node.op_type for node in model.graph.node]
    ['Mul', 'Identity']
    """

    def __init__(self, int8=False, outer=None):
        self.int8 = int8
        self._nodes, self._inputs, self._outputs = [], [], []
        self._constants = {} if outer is None else outer._constants
        self._numbers = itertools.count() if outer is None else outer._numbers

    def __call__(self, operator, *inputs, n_outputs=None, **attributes):
        """Adds a node.

        Arguments
        ---------
        operator : str
            An operator of ONNX.
        *inputs
            Values.
        n_outputs : int, optional
            How many outputs the node has, if they are wanted as a list.
        **attributes
            Those of the operator.

        Returns
        -------
        str or list of str
            The output.
        """
        names = [self._new(operator) for _ in range(n_outputs or 1)]
        values = [self._value(each) for each in inputs]
        self._nodes.append((operator, values, names, attributes))
        return names[0] if n_outputs is None else names

    def input(self, name, shape, dtype=np.float32):
        """Declares an input.

        Arguments
        ---------
        name : str
            Its name.
        shape : list
            Sizes; a string names a size that is not fixed.
        dtype : numpy.dtype
            Its type.

        Returns
        -------
        str
            The value.
        """
        self._inputs.append((name, shape, dtype))
        return name

    def output(self, name, value, shape, dtype=np.float32):
        """Declares that a value is an output; otherwise as :meth:`input`."""
        self._nodes.append(("Identity", [value], [name], {}))
        self._outputs.append((name, shape, dtype))

    def size(self, x, axis):
        """Returns the size of x along an axis, [1]."""
        return self("Shape", x, start=axis, end=axis + 1)

    def product(self, x, weight, bias=None):
        """Returns ``x @ weight.T``, plus a bias.

        With ``int8`` each row of the weight is stored as int8, with a scale of
        its own. Both become float32 when a model is loaded, so the product of
        spikes is a sum of whole numbers, which is exact.

        Arguments
        ---------
        x : str
            [..., channels].
        weight : torch.Tensor
            [outputs, channels].
        bias : torch.Tensor, optional
            [outputs].

        Returns
        -------
        str
            [..., outputs].
        """
        if self.int8:
            whole, scale = quantise(weight)
            whole = self("Cast", whole.t(), to=_type(np.float32))
            y = self("Mul", self("MatMul", x, whole), scale)
        else:
            y = self("MatMul", x, weight.t())
        return y if bias is None else self("Add", y, bias)

    def scan(self, body, states, steps):
        """Goes through values along their axis 1.

        Arguments
        ---------
        body : callable
            ``body(graph, states, steps)`` adds the nodes of one step; it
            returns the list of the next states and the list of this step's
            outputs.
        states : list of str
            Values before the first step.
        steps : list of str
            [batch, steps, ...]; the body gets them without axis 1.

        Returns
        -------
        states, outputs : list of str
            Values after the last step, and all steps' outputs, [batch, steps,
            ...].
        """
        inner = Graph(self.int8, self)
        names = [inner._new("step") for _ in [*states, *steps]]
        inner._inputs = [(name, None, np.float32) for name in names]
        n = len(states)
        ends, outputs = body(inner, names[:n], names[n:])
        inner._end([*ends, *outputs], np.float32)
        results = self(
            "Scan",
            *states,
            *steps,
            n_outputs=n + len(outputs),
            body=inner,
            num_scan_inputs=len(steps),
            scan_input_axes=[1] * len(steps),
            scan_output_axes=[1] * len(outputs),
        )
        return results[:n], results[n:]

    def choose(self, condition, then, otherwise, dtypes):
        """Computes one of two things.

        Arguments
        ---------
        condition : str
            A bool.
        then, otherwise : callable
            ``then(graph)`` adds the nodes for True and returns the list of
            their results.
        dtypes : list of numpy.dtype
            Those of the results.

        Returns
        -------
        list of str
            The results.
        """
        branches = []
        for make in (then, otherwise):
            inner = Graph(self.int8, self)
            inner._end(make(inner), *dtypes)
            branches.append(inner)
        return self(
            "If",
            condition,
            n_outputs=len(dtypes),
            then_branch=branches[0],
            else_branch=branches[1],
        )

    def model(self, metadata):
        """Builds the model.

        Arguments
        ---------
        metadata : dict
            Name to text.

        Returns
        -------
        onnx.ModelProto

        Raises
        ------
        InputError
            If the package onnx is not installed.
        """
        onnx = onnx_package()
        graph = self._proto(onnx, "ptssnn")
        for name, array in self._constants.values():
            graph.initializer.append(onnx.numpy_helper.from_array(array, name))
        model = onnx.helper.make_model(
            graph,
            producer_name="speechbrain-ptssnn",
            opset_imports=[onnx.helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
        )
        onnx.helper.set_model_props(model, metadata)
        onnx.checker.check_model(model, full_check=True)
        return model

    def _new(self, operator):
        return f"{operator.lower()}_{next(self._numbers)}"

    def _value(self, value):
        if isinstance(value, str):
            return value
        array = _array(value)
        key = array.dtype, array.shape, array.tobytes()
        if key not in self._constants:
            self._constants[key] = self._new("constant"), array
        return self._constants[key][0]

    def _end(self, values, *dtypes):
        """Makes values a body's outputs; these must be nodes of their own."""
        dtypes = dtypes * len(values) if len(dtypes) == 1 else dtypes
        for value, dtype in zip(values, dtypes, strict=True):
            self.output(self._new("end"), value, None, dtype)

    def _proto(self, onnx, name):
        def infos(values):
            return [
                onnx.helper.make_tensor_value_info(each, _type(dtype), shape)
                for each, shape, dtype in values
            ]

        nodes = []
        for operator, inputs, outputs, attributes in self._nodes:
            attributes = {
                key: value._proto(onnx, key)
                if isinstance(value, Graph)
                else value
                for key, value in attributes.items()
            }
            nodes.append(
                onnx.helper.make_node(operator, inputs, outputs, **attributes)
            )
        return onnx.helper.make_graph(
            nodes, name, infos(self._inputs), infos(self._outputs)
        )


def quantise(weight):
    """Rounds a weight to int8, each row with a scale of its own.

    Arguments
    ---------
    weight : torch.Tensor
        [outputs, channels].

    Returns
    -------
    whole : torch.Tensor
        int8, [outputs, channels], from -127 to 127.
    scale : torch.Tensor
        What it is multiplied by, [outputs].

    Example
    -------
    >>> whole, scale = quantise(torch.tensor([[0.5, -1.0], [0.0, 0.0]]))
    >>> whole.tolist(), (127 * scale).tolist()
    ([[64, -127], [0, 0]], [1.0, 127.0])
    """
    largest = weight.abs().amax(1)
    scale = torch.where(largest > 0, largest / INT8_LARGEST, 1)
    return (weight / scale.unsqueeze(1)).round().to(torch.int8), scale


def _type(dtype):
    from onnx.helper import np_dtype_to_tensor_dtype

    return np_dtype_to_tensor_dtype(np.dtype(dtype))


def _array(value):
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().contiguous().numpy()
    array = np.asarray(value)
    return array.astype(np.float32) if array.dtype == np.float64 else array
