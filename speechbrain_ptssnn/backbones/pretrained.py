"""What frozen front-ends with weights have in common."""

import hashlib
import json
from pathlib import Path

import torch
from speechbrain.utils.checkpoints import (
    mark_as_saver,
    mark_as_transfer,
    register_checkpoint_hooks,
)

from speechbrain_ptssnn.backbones.base import Backbone
from speechbrain_ptssnn.errors import InputError


@register_checkpoint_hooks
class Pretrained(Backbone):
    r"""A model from a hub, a local folder or a bundle, and which of its hidden
    states are the features.

    A subclass defines :meth:`settings` and :meth:`restore`, which ends with
    :meth:`adopt`, and :meth:`extract`.

    Arguments
    ---------
    source : str or None
        Hub id or local folder. None leaves the model to be loaded from a
        bundle's ``backbone.ckpt``.
    revision : str, optional
        Commit, tag or branch of a hub model.
    layer : str or int
        "last"; an index, 0 being the input of the first transformer layer and
        -1 the last; or "weighted": all hidden states side by side, for the
        head's :class:`~speechbrain_ptssnn.nnet.layer_mixture.LayerMixture`.
    """

    def __init__(self, source, revision=None, layer="last"):
        super().__init__(sample_rate=16000, frame_rate=50.0, min_samples=400)
        self.source = source
        self.revision = revision
        self.layer = layer

    @property
    def is_local(self):
        """Whether the weights came from a folder, which a moved bundle would
        miss.
        """
        return self.source is not None and Path(self.source).is_dir()

    def adopt(self, model, n_states, size, kernels, strides):
        """Takes the model; works out layers, frame rate and shortest input.

        Arguments
        ---------
        model : torch.nn.Module
            Whole; is frozen.
        n_states : int
            Hidden states that it gives.
        size : int
            Channels of each.
        kernels, strides : sequence of int
            Of the steps from samples to frames, in order.
        """
        self.model = model
        self._choose_layers(n_states)
        self.n_layers = len(self.layers)
        self.output_size = self.n_layers * size
        self.min_samples, self.hop = 1, 1
        for kernel, stride in zip(
            reversed(kernels), reversed(strides), strict=True
        ):
            self.min_samples = (self.min_samples - 1) * stride + kernel
            self.hop *= stride
        self.frame_rate = self.sample_rate / self.hop
        self.freeze()

    def _choose_layers(self, n_states):
        every = list(range(n_states))
        if self.layer == "weighted":
            self.layers = every
            return
        try:
            index = -1 if self.layer == "last" else int(self.layer)
            self.layers = [every[index]]
        except (ValueError, TypeError, IndexError) as error:
            raise InputError(
                f"layer {self.layer} is not among the {n_states} hidden states "
                f"of {self.source!r}; choose last, weighted, or -{n_states} to "
                f"{n_states - 1}"
            ) from error

    def join(self, states):
        """The chosen ones of all hidden states, each [1, time, size], as
        [time, output_size].
        """
        return torch.cat([states[k] for k in self.layers], -1).squeeze(0)

    def settings(self):
        """What makes the model, with its weights; a subclass defines it.

        Returns
        -------
        dict
            Of numbers, strings, lists and dicts.
        """
        raise NotImplementedError

    def restore(self, settings):
        """Builds the model that :meth:`settings` tells; a subclass defines
        it.
        """
        raise NotImplementedError

    def fingerprint(self):
        """Hash of weights and settings, with the layers."""
        settings = json.dumps(self.settings(), sort_keys=True, default=str)
        digest = hashlib.sha256(settings.encode())
        for name, tensor in sorted(self.model.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.cpu().contiguous().numpy().tobytes())
        return f"{type(self).__name__} {digest.hexdigest()} {self.layers}"

    @mark_as_saver
    def save(self, path):
        """Writes the model to one file, for a bundle that can be moved."""
        weights = self.model.state_dict()
        torch.save({"settings": self.settings(), "weights": weights}, path)

    @mark_as_transfer
    def load(self, path):
        """Reads what :meth:`save` wrote."""
        saved = torch.load(path, map_location="cpu", weights_only=True)
        self.restore(saved["settings"])
        self.model.load_state_dict(saved["weights"])


def not_loadable(source, error, files):
    """The error for a model that is not there or is damaged.

    Arguments
    ---------
    source : str
        Hub id or folder.
    error : Exception
        What loading it raised.
    files : str
        What a folder should hold.

    Returns
    -------
    InputError

    Example
    -------
    >>> not_loadable("my/model", EOFError(), "config.json").args[0]
    "backbone 'my/model' cannot be loaded (EOFError()); give a hub id or ..."
    """
    reason = (str(error).strip() or repr(error)).splitlines()[0]
    return InputError(
        f"backbone {source!r} cannot be loaded ({reason}); give a hub id or "
        f"a local folder with {files}"
    )


def missing_weights(source, names):
    """The error for weights that a checkpoint should have.

    Arguments
    ---------
    source : str
        Hub id or folder.
    names : set of str
        At least one.

    Returns
    -------
    InputError

    Example
    -------
    >>> missing_weights("my/model", {"norm.weight"}).args[0]
    "backbone 'my/model' lacks 1 weights, e.g. norm.weight; they would be ..."
    """
    return InputError(
        f"backbone {source!r} lacks {len(names)} weights, e.g. {min(names)}; "
        "they would be random: get the whole checkpoint"
    )
