"""What a training logged, epoch by epoch, read back."""

from tensorboard.backend.event_processing.event_accumulator import (
    EventAccumulator,
)


def read_curves(folder):
    """Reads a fold's TensorBoard log.

    Arguments
    ---------
    folder : Path
        fold_<k> of a run.

    Returns
    -------
    dict
        Tag, such as "loss/train", "UA/valid" or
        "firing/classifier.hidden/silent", to {epoch: value}; empty where the
        log was removed. Of an epoch that was trained twice, because the first
        was killed, the second counts.

    Example
    -------
    >>> from torch.utils.tensorboard import SummaryWriter
    >>> folder = getfixture("tmp_path")
    >>> with SummaryWriter(folder / "tensorboard") as writer:
    ...     writer.add_scalar("UA/valid", 0.5, 1)
    >>> read_curves(folder)
    {'UA/valid': {1: 0.5}}
    """
    log = folder / "tensorboard"
    if not log.is_dir():
        return {}
    events = EventAccumulator(str(log), size_guidance={"scalars": 0})
    events.Reload()
    return {
        tag: {event.step: event.value for event in events.Scalars(tag)}
        for tag in events.Tags()["scalars"]
    }


def mean_curve(folds, tag):
    """One tag, averaged over folds.

    Arguments
    ---------
    folds : list of dict
        Of :func:`read_curves`.
    tag : str
        Folds that have it not are left out.

    Returns
    -------
    tuple of list
        Epochs, and the mean of the folds that have logged each.

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
