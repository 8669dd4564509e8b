"""Label maps: each label's class, or None to leave the label out."""

from collections.abc import Mapping

from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.utils.suggestions import suggestion


def check_label_map(label_map, labels, whose):
    """Returns the classes of a label map, in the order of the map.

    Arguments
    ---------
    label_map : dict
        From label to class, or to None to leave the label out.
    labels : sequence of str
        The labels that the map must name.
    whose : str
        Whose labels they are, for errors.

    Returns
    -------
    tuple of str

    Raises
    ------
    InputError
        If the map lacks a label or names another, or if fewer than two
        classes are left.

    Example
    -------
    >>> check_label_map({"mad": "bad", "sad": "bad", "calm": "good"},
    ...     ["calm", "mad", "sad"], "the model")
    ('bad', 'good')
    >>> check_label_map({"clam": "good"}, ["calm", "mad"], "the model")
    Traceback (most recent call last):
    speechbrain_ptssnn.errors.InputError: ...; it names 'clam' (did you mean \
'calm'?) and lacks ['calm', 'mad']
    """
    if not isinstance(label_map, Mapping):
        raise InputError(
            "label_map must be like '{label: class}', written where it stands"
        )
    for text in (*label_map, *label_map.values()):
        if text is not None and not isinstance(text, str):
            raise InputError(f"label_map: write {text!r} in quotes")
    unknown = [
        f"{name!r}{suggestion(name, labels)}"
        for name in label_map
        if name not in labels
    ]
    lacking = [name for name in labels if name not in label_map]
    problems = []
    if unknown:
        problems.append(f"names {', '.join(unknown)}")
    if lacking:
        problems.append(f"lacks {lacking}")
    if problems:
        raise InputError(
            f"label_map must name each label of {whose}, {list(labels)}, and "
            f"no other; it {' and '.join(problems)}"
        )
    if "" in label_map.values():
        raise InputError(
            "label_map: a class is empty; write null to leave a label out"
        )
    classes = tuple(dict.fromkeys(filter(None, label_map.values())))
    if len(classes) < 2:
        raise InputError(
            f"label_map leaves {len(classes)} classes; 2 are needed"
        )
    return classes
