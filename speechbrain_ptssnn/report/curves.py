"""Reads a training's curves from its TensorBoard logs."""

from tensorboard.backend.event_processing.event_accumulator import (
    EventAccumulator,
)


def read_curves(folder):
    """Reads a fold's TensorBoard log.

    Arguments
    ---------
    folder : Path
        TensorBoard's folder of a fold.

    Returns
    -------
    dict
        Tag, such as "loss/train", "UA/valid" or
        "firing/classifier.hidden/silent", to {epoch: value}; empty if the log
        was removed. An epoch that was killed and trained again has its last
        value.

    Example
    -------
    >>> from torch.utils.tensorboard import SummaryWriter
    >>> folder = getfixture("tmp_path")
    >>> with SummaryWriter(folder) as writer:
    ...     writer.add_scalar("UA/valid", 0.5, 1)
    >>> read_curves(folder)
    {'UA/valid': {1: 0.5}}
    """
    if not folder.is_dir():
        return {}
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    events.Reload()
    return {
        tag: {event.step: event.value for event in events.Scalars(tag)}
        for tag in events.Tags()["scalars"]
    }


def mean_curve(folds, tag):
    """Averages one tag's curve over the folds.

    Arguments
    ---------
    folds : list of dict
        From :func:`read_curves`.
    tag : str
        Folds without this tag are left out.

    Returns
    -------
    tuple of list
        The epochs, and for each the mean over the folds that logged it.

    Example
    -------
    >>> mean_curve([{"a": {1: 0.5, 2: 1.0}}, {"a": {1: 0.0}}], "a")
    ([1, 2], [0.25, 1.0])
    """
    curves = [fold[tag] for fold in folds if tag in fold]
    epochs = sorted({epoch for curve in curves for epoch in curve})
    means = []
    for epoch in epochs:
        values = [curve[epoch] for curve in curves if epoch in curve]
        means.append(sum(values) / len(values))
    return epochs, means
