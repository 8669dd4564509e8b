"""The energy of counted operations, at 45 nm with 32-bit floats.

An operation is a multiply-accumulate (MAC, 4.6 pJ) or an accumulate alone
(AC, 0.9 pJ). Source of both values: M. Horowitz, ISSCC 2014. A rule decides
which of the two an operation is:

strict
    A product with a binary input (all its elements are 0 or 1) consists of
    ACs: each 1 costs one AC for each weight it meets. A product with a real
    input consists of MACs, and its zeros count too. Real are the first layer,
    a layer behind the "spike" shortcut, K^T V, Q (K^T V) and the bias
    generator.
paper
    Section IV.D and formula 21, read literally: EC = activated synapses * 0.9
    + MACs of the ANN * 4.6. A synapse is a weight, and any input that is not
    0 activates it, real or spike. So a real input that meets weights costs
    one AC for each of its elements that is not 0 and each weight it meets;
    the first layer is such a product. A product of two activations, neither
    of them binary (K^T V, Q (K^T V)), has no synapse and consists of MACs.
    Without such products this is formula 20. In a head without any binary
    input every product consists of MACs (formula 19).
    The paper does not say which product it counts in which way.

By both rules, a spike encoder consists of ACs: its additions and comparisons.

As in the paper, the energy leaves out the biases and all element-wise
operations (membranes, norms, tanh, softmax, means). It also leaves out reading
and writing memory.
"""

from speechbrain_ptssnn.evaluation.run_folder import RULES

MAC_PJ, AC_PJ = 4.6, 0.9


def split_operations(rows, rule="strict"):
    """Splits the operations of each row into MACs and ACs.

    Arguments
    ---------
    rows : list of LayerCount
        All rows of a head: under the rule "paper" one row with a binary input
        changes how the others are counted.
    rule : str
        "strict" or "paper"; see the top of this file.

    Returns
    -------
    list of tuple of float
        (MACs, ACs) of each row.

    Raises
    ------
    ValueError
        If there is no such rule.

    Example
    -------
    >>> from speechbrain_ptssnn.energy.operations import count_operations
    >>> rows = count_operations(LinearProbe(3, 2, size=4), torch.randn(1, 5, 3))
    >>> [pair for pair in split_operations(rows) if any(pair)]
    [(60, 0), (8, 0)]
    """
    if rule not in RULES:
        raise ValueError(f"rule must be one of {RULES}, got {rule!r}")
    has_synapses = rule == "paper" and any(row.kind == "binary" for row in rows)
    pairs = []
    for row in rows:
        if row.kind in ("binary", "sums"):
            pairs.append((0, row.events))
        elif has_synapses and row.weights:
            pairs.append((0, row.density * row.operations))
        else:
            pairs.append((row.operations, 0))
    return pairs


def energy(macs, acs):
    """Returns the energy of MACs and ACs together, in mJ.

    Example
    -------
    >>> energy(1e9, 1e9)
    5.5
    """
    return (macs * MAC_PJ + acs * AC_PJ) / 1e9


def total_energy(rows, rule="strict"):
    """Returns the energy of a whole head, in mJ.

    Arguments
    ---------
    rows : list of LayerCount
        From :func:`~speechbrain_ptssnn.energy.operations.count_operations`.
    rule : str
        "strict" or "paper"; see the top of this file.

    Returns
    -------
    float

    Example
    -------
    >>> from speechbrain_ptssnn.energy.operations import count_operations
    >>> rows = count_operations(LinearProbe(), torch.randn(1, 226, 768))
    >>> round(total_energy(rows), 3)
    0.204
    """
    return sum(energy(*pair) for pair in split_operations(rows, rule))
