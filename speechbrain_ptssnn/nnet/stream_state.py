"""What a stream keeps between two blocks of frames, layer by layer."""


def part(state, name):
    """Returns the keyword arguments that give a layer its part of a state.

    A stream's state is a dict of tensors and of the parts' dicts. Each layer
    reads its tensors there and puts others in their place; it never changes a
    tensor. The layers of a whole utterance get no such argument.

    Arguments
    ---------
    state : dict or None
        The state of the module that calls the layer; None if it has the whole
        utterance.
    name : str
        The layer's name in that module.

    Returns
    -------
    dict

    Example
    -------
    >>> part(None, "plif")
    {}
    >>> state = {}
    >>> part(state, "plif")["state"]["membrane"] = torch.zeros(1)
    >>> state
    {'plif': {'membrane': tensor([0.])}}
    """
    return {} if state is None else {"state": state.setdefault(name, {})}


def flat(state, prefix=""):
    """Returns a state as one dict, in which names of parts end with a dot.

    Example
    -------
    >>> flat({"plif": {"membrane": 1}, "frames": 2})
    {'plif.membrane': 1, 'frames': 2}
    """
    result = {}
    for name, value in state.items():
        if isinstance(value, dict):
            result |= flat(value, f"{prefix}{name}.")
        else:
            result[prefix + name] = value
    return result


def nested(tensors):
    """Returns the opposite of :func:`flat`, as new dicts of the same tensors.

    Example
    -------
    >>> nested({"plif.membrane": 1, "frames": 2})
    {'plif': {'membrane': 1}, 'frames': 2}
    """
    result = {}
    for name, tensor in tensors.items():
        *parts, last = name.split(".")
        state = result
        for each in parts:
            state = state.setdefault(each, {})
        state[last] = tensor
    return result
