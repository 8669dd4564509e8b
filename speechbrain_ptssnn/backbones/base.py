"""What every frozen front-end has in common."""

from contextlib import contextmanager

import torch

from speechbrain_ptssnn.errors import InputError


class Backbone(torch.nn.Module):
    r"""A front-end that stays frozen and in eval mode whatever is called.

    A subclass sets ``output_size``, defines :meth:`extract` and
    :meth:`fingerprint`, and ends its constructor with :meth:`freeze`.
    ``n_layers`` hidden states of equal size stand side by side in the
    ``output_size`` channels.

    Arguments
    ---------
    sample_rate : int
        Rate of the waveforms, in Hz.
    frame_rate : float
        Frames per second of the features.
    min_samples : int
        The shortest waveform that gives one frame.
    """

    def __init__(self, sample_rate, frame_rate, min_samples):
        super().__init__()
        self.sample_rate = sample_rate
        self.frame_rate = frame_rate
        self.min_samples = min_samples
        self.n_layers = 1

    def freeze(self):
        """Takes every parameter out of training; eval mode, for good."""
        self.requires_grad_(False)
        self.eval()

    def train(self, mode=True):
        """Stays in eval mode: ``Brain.fit`` calls this every epoch, and
        dropout and LayerDrop would come back on.
        """
        return super().train(False)

    @torch.no_grad()
    def forward(self, wav):
        """Features of one utterance; there is no padding to leak in.

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
            If the waveform is too short for one frame or a feature is not
            finite.
        """
        if wav.ndim != 1:
            raise InputError(
                f"a backbone takes one waveform [samples], got "
                f"{list(wav.shape)}"
            )
        if len(wav) < self.min_samples:
            raise InputError(
                f"too short for one frame: {len(wav)} samples, at least "
                f"{self.min_samples} are needed at {self.sample_rate} Hz"
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
        """A string that changes with whatever changes the features."""
        raise NotImplementedError


@contextmanager
def without_tf32(device):
    """Full float32 products on a GPU.

    SpeechBrain lets GPUs round the factors to ten bits, even where float32 is
    asked for; what a feature store keeps for ever should be exact. Whoever has
    set torch's newer ``fp32_precision`` keeps what they set.

    Arguments
    ---------
    device : str
        Type of the device that multiplies; nothing is done but for "cuda".

    Example
    -------
    >>> with without_tf32("cuda"):
    ...     print(torch.backends.cuda.matmul.allow_tf32)
    False
    """
    products = torch.backends.cuda.matmul, torch.backends.cudnn
    try:
        before = [each.allow_tf32 for each in products]
    except RuntimeError:  # torch's refusal to mix the newer with the older
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
