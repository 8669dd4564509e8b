"""What every frozen backbone shares."""

from contextlib import contextmanager
from itertools import accumulate, pairwise

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

    # Whether an utterance of any length gives one frame.
    is_pooled = False

    def __init__(self, sample_rate, frame_rate, min_samples):
        super().__init__()
        self.sample_rate = sample_rate
        self.frame_rate = frame_rate
        self.min_samples = min_samples
        self.n_layers = 1

    @property
    def sizes(self):
        """The channels of each front-end, a list of int; one number if there
        is one front-end.
        """
        return [self.output_size]

    @property
    def streams(self):
        """The channels of each front-end, a list of slices."""
        return [slice(*ends) for ends in pairwise(accumulate([0, *self.sizes]))]

    def freeze(self):
        """Turns off all gradients and enters eval mode."""
        self.requires_grad_(False)
        self.eval()

    def train(self, mode=True):
        """Stays in eval mode. ``Brain.fit`` calls this in every epoch, which
        would turn dropout and LayerDrop on again.
        """
        return super().train(False)

    def to_precision(self, precision):
        """Chooses the type of the matrix products; features stay float32.

        Without weights nothing changes: signal processing needs float32.

        Arguments
        ---------
        precision : str
            "fp32", "bf16" or "fp16".
        """

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
        return self._features(self.extract, wav)

    @torch.no_grad()
    def batch(self, wavs):
        """Returns the features of utterances of equal length, all at once.

        They equal those of :meth:`forward` up to float32 rounding, about 1e-5.
        It is for GPUs, which one utterance does not keep busy.

        Arguments
        ---------
        wavs : torch.Tensor
            [batch, samples], at ``sample_rate``, without padding.

        Returns
        -------
        torch.Tensor
            [batch, time, output_size], float32.

        Raises
        ------
        InputError
            As in :meth:`forward`.
        """
        if wavs.ndim != 2:
            raise InputError(
                "a batch holds waveforms of equal length [batch, samples], got "
                f"shape {list(wavs.shape)}"
            )
        return self._features(self.extract_batch, wavs)

    def _features(self, extract, wav):
        n = wav.shape[-1]
        if n < self.min_samples:
            raise InputError(
                f"too short for one frame: {n} samples at "
                f"{self.sample_rate} Hz, but at least {self.min_samples} are "
                "needed"
            )
        with without_tf32(wav.device.type):
            features = extract(wav).float()
        if not torch.isfinite(features).all():
            raise InputError("the backbone's features are not finite")
        return features

    def extract(self, wav):
        """Maps [samples] to [time, output_size]; a subclass defines it."""
        raise NotImplementedError

    def extract_batch(self, wavs):
        """Maps [batch, samples] to [batch, time, output_size]; a subclass
        defines it if it can do more than one utterance after the other.
        """
        return torch.stack([self.extract(wav) for wav in wavs])

    def multiplications(self, n_samples):
        """Returns the multiplications of signal processing, which no learnt
        weight takes part in; see
        :mod:`~speechbrain_ptssnn.backbones.signal_processing`. None by default,
        as in a model that hears the waveform.

        Arguments
        ---------
        n_samples : int
            Length of the waveform.

        Returns
        -------
        int
        """
        return 0

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
