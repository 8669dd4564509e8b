"""Several front-ends, whose features stand side by side."""

import torch
from speechbrain.utils.checkpoints import (
    mark_as_saver,
    mark_as_transfer,
    register_checkpoint_hooks,
)

from speechbrain_ptssnn.backbones.base import Backbone
from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.utils.weights import read_weights

# Front-ends differ in the frames that they lose at the end: up to this many.
TOLERANCE = 5


@register_checkpoint_hooks
class SideBySide(Backbone):
    r"""Joins the channels of several front-ends with the same frame rate.

    They hear the same audio, and frame t of each begins at the same time. The
    shortest says how many frames there are. ``streams`` has the channels of
    each, for heads that take them apart.

    Arguments
    ---------
    backbones : list of Backbone
        The front-ends, in order.

    Raises
    ------
    InputError
        If they differ in frame rate or sample rate, or one gives several
        layers side by side, which the head would have to mix.

    Example
    -------
    >>> from speechbrain_ptssnn.backbones import Fbank
    >>> backbone = SideBySide([Fbank(n_mels=80), Fbank(n_mels=20)])
    >>> backbone(torch.randn(16000)).shape, backbone.streams
    (torch.Size([50, 200]), [slice(0, 160, None), slice(160, 200, None)])
    """

    def __init__(self, backbones):
        super().__init__(sample_rate=16000, frame_rate=50.0, min_samples=400)
        self.backbones = torch.nn.ModuleList(backbones)
        if all(hasattr(each, "output_size") for each in backbones):
            self._settle()

    def _settle(self):
        """Derives sizes and rates, when all weights are loaded."""
        for key, unit in (
            ("frame_rate", "frames a second"),
            ("sample_rate", "Hz"),
        ):
            values = [getattr(each, key) for each in self.backbones]
            if len(set(values)) > 1:
                raise InputError(
                    "front-ends side by side need the same "
                    f"{key.replace('_', ' ')}, and these have "
                    f"{' and '.join(f'{value:g}' for value in values)} {unit}; "
                    "choose others"
                )
            setattr(self, key, values[0])
        if any(each.n_layers > 1 for each in self.backbones):
            raise InputError(
                "layer=weighted gives several layers, which a head cannot mix "
                "beside another front-end; choose one layer, or a mean such "
                "as mean:2-5"
            )
        self.output_size = sum(self.sizes)
        self.is_pooled = all(each.is_pooled for each in self.backbones)
        self.min_samples = max(each.min_samples for each in self.backbones)
        self.freeze()

    @property
    def sizes(self):
        """The channels of each front-end, a list of int."""
        return [each.output_size for each in self.backbones]

    @property
    def is_local(self):
        """Whether weights come from a local folder, as in
        :class:`~speechbrain_ptssnn.backbones.pretrained.Pretrained`.
        """
        return any(_is_local(each) for each in self.backbones)

    def to_precision(self, precision):
        """Chooses the type of the matrix products of those with weights."""
        for each in self.backbones:
            each.to_precision(precision)

    def extract(self, wav):
        """Maps [samples] to [time, output_size]."""
        return _join([each.extract(wav).float() for each in self.backbones])

    def extract_batch(self, wavs):
        """Maps [batch, samples] to [batch, time, output_size]."""
        return _join(
            [each.extract_batch(wavs).float() for each in self.backbones]
        )

    def multiplications(self, n_samples):
        """Returns the sum of all front-ends' multiplications."""
        return sum(each.multiplications(n_samples) for each in self.backbones)

    def fingerprint(self):
        """Returns the fingerprints of all."""
        return " + ".join(each.fingerprint() for each in self.backbones)

    @mark_as_saver
    def save(self, path):
        """Writes the models of local folders to one file, for a bundle."""
        packed = {
            k: each.packed()
            for k, each in enumerate(self.backbones)
            if _is_local(each)
        }
        torch.save(packed, path)

    @mark_as_transfer
    def load(self, path):
        """Reads what :meth:`save` wrote."""
        saved = read_weights(path)
        for k, packed in saved.items():
            self.backbones[k].unpack(packed)
        self._settle()


def _is_local(backbone):
    return getattr(backbone, "is_local", False)


def _join(parts):
    """Joins the channels of features, each [..., time, size]."""
    lengths = [part.shape[-2] for part in parts]
    if max(lengths) - min(lengths) > TOLERANCE:
        raise InputError(
            f"front-ends give {lengths} frames for the same audio, so they "
            "cannot stand side by side"
        )
    return torch.cat([part[..., : min(lengths), :] for part in parts], -1)
