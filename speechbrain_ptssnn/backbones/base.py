"""What every frozen backbone shares."""

from contextlib import contextmanager

import torch

from speechbrain_ptssnn.errors import InputError


class Backbone(torch.nn.Module):
    r"""A feature extractor that always stays frozen and in eval mode.

    A subclass sets ``output_size``, defines :meth:`extract` and
    :meth:`fingerprint`, and ends its constructor with :meth:`freeze`. The
    ``output_size`` channels hold ``n_layers`` hidden states of equal size,
    side by side.

    Arguments
    ---------
    sample_rate : int
        Sample rate of the waveforms, in Hz.
    frame_rate : float
        Frames per second of the features.
    min_samples : int
        Length of the shortest waveform that gives one frame.
    """

    def __init__(self, sample_rate, frame_rate, min_samples):
        super().__init__()
        self.sample_rate = sample_rate
        self.frame_rate = frame_rate
        self.min_samples = min_samples
        self.n_layers = 1

    def freeze(self):
        """Turns off all gradients and enters eval mode."""
        self.requires_grad_(False)
        self.eval()

    def train(self, mode=True):
        """Stays in eval mode. ``Brain.fit`` calls this in every epoch, which
        would turn dropout and LayerDrop on again.
        """
        return super().train(False)

    @torch.no_grad()
    def forward(self, wav):
        """Returns the features of one utterance, without padding.

        Arguments
        ---------
        wav : torch.Tensor
            [samples], at ``sample_rate``.

        Returns
        -------
        torch.Tensor
            [time, output_size], float32.

        Raises
        ------
        InputError
            If there is not one waveform, it is too short for one frame, or a
            feature is not finite.
        """
        if wav.ndim != 1:
            raise InputError(
                "a backbone takes one waveform [samples], got shape "
                f"{list(wav.shape)}"
            )
        if len(wav) < self.min_samples:
            raise InputError(
                f"too short for one frame: {len(wav)} samples at "
                f"{self.sample_rate} Hz, but at least {self.min_samples} are "
                "needed"
            )
        with without_tf32(wav.device.type):
            features = self.extract(wav).float()
        if not torch.isfinite(features).all():
            raise InputError("the backbone's features are not finite")
        return features

    def extract(self, wav):
        """Maps [samples] to [time, output_size]; a subclass defines it."""
        raise NotImplementedError

    def fingerprint(self):
        """Returns a string that changes if the features would change; a
        subclass defines it.
        """
        raise NotImplementedError


@contextmanager
def without_tf32(device):
    """Turns TF32 off, so that float32 products on a GPU are exact.

    SpeechBrain turns TF32 on, which rounds factors to ten bits. Features are
    stored and used again in every later run, so they should be exact. A user's
    own setting of torch's newer ``fp32_precision`` is left as it is.

    Arguments
    ---------
    device : str
        Type of the device; only "cuda" changes anything.

    Example
    -------
    >>> with without_tf32("cuda"):
    ...     print(torch.backends.cuda.matmul.allow_tf32)
    False
    """
    products = torch.backends.cuda.matmul, torch.backends.cudnn
    try:
        before = [each.allow_tf32 for each in products]
    except RuntimeError:  # fp32_precision is set: torch refuses to mix both
        device = None
    if device != "cuda":
        yield
        return
    try:
        for each in products:
            each.allow_tf32 = False
        yield
    finally:
        for each, allowed in zip(products, before, strict=True):
            each.allow_tf32 = allowed
