"""Names of front-ends in the results' path; each condition has its own."""

import os


def backbone_name(hub, layer="last", window="full", margin=0.5):
    """Returns the name of a pretrained model as it is read.

    It carries what differs from the defaults, so that two conditions never
    share a folder of results.

    Arguments
    ---------
    hub : str
        Hub id or local folder; the name begins with its last part.
    layer, window, margin : str or int, str, float
        See :class:`~speechbrain_ptssnn.backbones.HuggingFace`.

    Returns
    -------
    str

    Example
    -------
    >>> backbone_name("openai/whisper-base")
    'whisper-base'
    >>> backbone_name("models/whisper-base/", 3, "audio")
    'whisper-base-L3-audio'
    >>> backbone_name("openai/whisper-base", "mean:2-5", "audio", 1.0)
    'whisper-base-mean2-5-audio1.0'
    """
    parts = [os.path.basename(os.path.normpath(hub))]
    layer = str(layer)
    if layer != "last":
        is_index = layer.lstrip("-").isdecimal()
        parts.append(f"L{layer}" if is_index else layer.replace(":", ""))
    if window != "full":
        parts.append(window if margin == 0.5 else f"{window}{margin}")
    return "-".join(parts)


def joined_name(names):
    """Returns the name of front-ends side by side.

    Arguments
    ---------
    names : list of str
        Of each.

    Returns
    -------
    str

    Example
    -------
    >>> joined_name(["whisper-base-L3", "fbank"])
    'whisper-base-L3+fbank'
    """
    return "+".join(names)
