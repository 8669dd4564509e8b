"""Which frames of a padded batch are real."""

import torch


def frame_counts(lengths, n_frames):
    """Valid frames of each utterance.

    Arguments
    ---------
    lengths : torch.Tensor
        SpeechBrain's relative lengths, [batch], in (0, 1].
    n_frames : int
        Frames of the padded batch.

    Returns
    -------
    torch.Tensor
        [batch], int64, each in 1 to ``n_frames``. Rounded, because a ratio of
        integers in float32 may lie just below the count it stands for.

    Example
    -------
    >>> frame_counts(torch.tensor([1.0, 0.4999]), 10).tolist()
    [10, 5]
    """
    return (lengths * n_frames).round().long().clamp(1, n_frames)


def frame_mask(lengths, n_frames):
    """True where a frame is real, or None when every frame is.

    None lets the layers skip their masks, which most batches of one utterance
    need not pay for.

    Arguments
    ---------
    lengths : torch.Tensor or None
        Relative lengths, [batch], in (0, 1]; None means no padding.
    n_frames : int
        Frames of the padded batch.

    Returns
    -------
    torch.Tensor or None
        Bool, [batch, time, 1].

    Raises
    ------
    ValueError
        If a length is not in (0, 1], as absolute lengths are not.

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
            f"lengths are relative, in (0, 1], got {shortest:g} to {longest:g}"
        )
    counts = frame_counts(lengths, n_frames)
    if bool((counts == n_frames).all()):
        return None
    frames = torch.arange(n_frames, device=lengths.device)
    return (frames < counts[:, None]).unsqueeze(-1)


def masked_mean(x, lengths=None):
    """Mean over each utterance's own frames.

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
