"""What frozen backbones with pretrained weights share."""

import hashlib
import json
from contextlib import contextmanager
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
    r"""A model from a hub, a local folder or a bundle. One or all of its
    hidden states are the features.

    A subclass defines :meth:`extract`, :meth:`settings` and :meth:`restore`,
    which ends with :meth:`adopt`.

    Arguments
    ---------
    source : str or None
        Hub id or local folder. With None, the model is loaded later, from a
        bundle's ``backbone.ckpt``.
    revision : str, optional
        Commit, tag or branch of a hub model.
    layer : str or int
        "last"; the index of a hidden state, where 0 is the input of the first
        transformer layer and -1 is the last state; or "weighted": all hidden
        states side by side, which the head learns to mix.
    """

    def __init__(self, source, revision=None, layer="last"):
        super().__init__(sample_rate=16000, frame_rate=50.0, min_samples=400)
        self.source = source
        self.revision = revision
        self.layer = layer

    @property
    def is_local(self):
        """Whether the weights come from a local folder. Then a bundle holds a
        copy of them, so that it can be moved.
        """
        return self.source is not None and Path(self.source).is_dir()

    def adopt(self, model, n_states, size, kernels, strides):
        """Freezes the model and derives layers, frame rate and shortest input.

        Arguments
        ---------
        model : torch.nn.Module
            The whole model.
        n_states : int
            Number of its hidden states.
        size : int
            Channels of each hidden state.
        kernels, strides : sequence of int
            Kernel sizes and strides of the layers from samples to frames, in
            order.
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
        """Joins the chosen hidden states, each [1, time, size], to
        [time, output_size].
        """
        return torch.cat([states[k] for k in self.layers], -1).squeeze(0)

    def settings(self):
        """Returns what rebuilds the model, except for its weights; a subclass
        defines it.

        Returns
        -------
        dict
            Numbers, strings, lists and dicts.
        """
        raise NotImplementedError

    def restore(self, settings):
        """Builds the model from :meth:`settings`, with random weights; a
        subclass defines it.
        """
        raise NotImplementedError

    def fingerprint(self):
        """Returns a hash of weights and settings, and the chosen layers."""
        settings = json.dumps(self.settings(), sort_keys=True, default=str)
        digest = hashlib.sha256(settings.encode())
        for name, tensor in sorted(self.model.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.cpu().contiguous().numpy().tobytes())
        return f"{type(self).__name__} {digest.hexdigest()} {self.layers}"

    @mark_as_saver
    def save(self, path):
        """Writes the whole model to one file, for a bundle."""
        weights = self.model.state_dict()
        torch.save({"settings": self.settings(), "weights": weights}, path)

    @mark_as_transfer
    def load(self, path):
        """Reads what :meth:`save` wrote."""
        saved = torch.load(path, map_location="cpu", weights_only=True)
        self.restore(saved["settings"])
        self.model.load_state_dict(saved["weights"])


@contextmanager
def loading(source, files, *errors):
    """Turns an error in loading a model into one :class:`InputError`.

    Arguments
    ---------
    source : str
        Hub id or folder.
    files : str
        The files that a folder should hold.
    *errors : type
        Errors of the model's format, besides OSError, ValueError and
        RuntimeError.

    Example
    -------
    >>> with loading("my/model", "config.json", EOFError):
    ...     raise EOFError
    Traceback (most recent call last):
    speechbrain_ptssnn.errors.InputError: backbone 'my/model' cannot be ...
    """
    try:
        yield
    except InputError:
        raise
    except (OSError, ValueError, RuntimeError, *errors) as error:
        reason = (str(error).strip() or repr(error)).splitlines()[0]
        raise InputError(
            f"backbone {source!r} cannot be loaded ({reason}); give a hub id "
            f"or a local folder with {files}"
        ) from error


def check_complete(source, missing):
    """Refuses a checkpoint that lacks weights, which would stay random.

    Arguments
    ---------
    source : str
        Hub id or folder.
    missing : set of str
        Names of the missing weights.

    Raises
    ------
    InputError
        If there is one.
    """
    if missing:
        raise InputError(
            f"backbone {source!r} lacks {len(missing)} of its weights, e.g. "
            f"{min(missing)}; get the whole checkpoint"
        )
