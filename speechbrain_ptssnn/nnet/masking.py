"""Which frames of a padded batch are valid, that is, not padding."""

import torch

from speechbrain_ptssnn.errors import InputError


def frame_counts(lengths, n_frames):
    """Returns the number of valid frames of each utterance.

    Arguments
    ---------
    lengths : torch.Tensor
        SpeechBrain's relative lengths, [batch], in (0, 1].
    n_frames : int
        Frames of the padded batch.

    Returns
    -------
    torch.Tensor
        [batch], int64, each from 1 to ``n_frames``. Products are rounded,
        because a float32 ratio may give slightly less than the true count.

    Raises
    ------
    InputError
        If the type of ``lengths`` is too coarse to tell the frames apart:
        bfloat16 above 128 frames, float16 above 1024.

    Example
    -------
    >>> frame_counts(torch.tensor([1.0, 0.4999]), 10).tolist()
    [10, 5]
    """
    if lengths.is_floating_point():
        most = int(1 / torch.finfo(lengths.dtype).eps)
        # Ratios rounded that much would give counts that are off by some.
        if n_frames > most:
            raise InputError(
                f"lengths of {lengths.dtype} tell at most {most} frames "
                f"apart, got {n_frames}; keep lengths in float32, also where "
                "the features are cast"
            )
    return (lengths * n_frames).round().long().clamp(1, n_frames)


def valid_counts(x, lengths=None):
    """Returns the number of valid frames of each utterance of a batch.

    Arguments
    ---------
    x : torch.Tensor
        [batch, time, ...].
    lengths : torch.Tensor, optional
        Relative lengths, [batch], in (0, 1]; None if nothing is padded.

    Returns
    -------
    torch.Tensor
        [batch], int64.

    Raises
    ------
    InputError
        As :func:`frame_counts`.

    Example
    -------
    >>> valid_counts(torch.zeros(2, 10, 3)).tolist()
    [10, 10]
    """
    if lengths is None:
        return x.new_full((len(x),), x.shape[1], dtype=torch.int64)
    return frame_counts(lengths, x.shape[1])


def frame_mask(lengths, n_frames):
    """Returns True for each valid frame, or None if all frames are valid.

    None means nothing is padded, as in a batch of one utterance, so layers can
    skip masking.

    Arguments
    ---------
    lengths : torch.Tensor or None
        Relative lengths, [batch], in (0, 1]; None if nothing is padded.
    n_frames : int
        Frames of the padded batch.

    Returns
    -------
    torch.Tensor or None
        Bool, [batch, time, 1].

    Raises
    ------
    ValueError
        If a length is not in (0, 1], for example an absolute one.
    InputError
        As :func:`frame_counts`.

    Example
    -------
    >>> frame_mask(torch.tensor([1.0, 0.5]), 2)[..., 0].tolist()
    [[True, True], [True, False]]
    >>> frame_mask(torch.tensor([1.0, 1.0]), 2) is None
    True
    """
    if lengths is None:
        return None
    shortest, longest = (float(end) for end in lengths.aminmax())
    if not 0 < shortest <= longest < 1 + 1e-4:
        raise ValueError(
            "lengths must be relative, in (0, 1], got "
            f"{shortest:g} to {longest:g}"
        )
    counts = frame_counts(lengths, n_frames)
    if bool((counts == n_frames).all()):
        return None
    frames = torch.arange(n_frames, device=lengths.device)
    return (frames < counts[:, None]).unsqueeze(-1)


def masked_mean(x, lengths=None):
    """Returns the mean over each utterance's valid frames.

    Arguments
    ---------
    x : torch.Tensor
        [batch, time, channels].
    lengths : torch.Tensor or None
        Relative lengths, [batch].

    Returns
    -------
    torch.Tensor
        [batch, channels].

    Example
    -------
    >>> x = torch.tensor([[[1.0], [9.0]]])
    >>> masked_mean(x, torch.tensor([0.5])).tolist()
    [[1.0]]
    """
    mask = frame_mask(lengths, x.shape[1])
    if mask is None:
        return x.mean(1)
    return x.masked_fill(~mask, 0).sum(1) / mask.sum(1)


def mean_so_far(x, state):
    """Returns the mean over a stream's frames, of these and all before.

    Arguments
    ---------
    x : torch.Tensor
        [batch, time, channels].
    state : dict
        Holds the sum and the number of the frames before, which are replaced
        by those after these frames.

    Returns
    -------
    torch.Tensor
        [batch, channels].

    Example
    -------
    >>> state = {}
    >>> mean_so_far(torch.tensor([[[1.0], [3.0]]]), state).tolist()
    [[2.0]]
    >>> mean_so_far(torch.tensor([[[8.0]]]), state).tolist()
    [[4.0]]
    """
    # Exact for spikes, and for membranes over hours.
    total = x.sum(1, dtype=torch.float64)
    frames = torch.tensor(x.shape[1])
    if state:
        total, frames = state["sum"] + total, state["frames"] + frames
    state.update(sum=total, frames=frames)
    return (total / frames).to(x.dtype)
