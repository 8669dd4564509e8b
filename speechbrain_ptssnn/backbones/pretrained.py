"""What frozen backbones with pretrained weights share."""

import hashlib
import json
import re
from contextlib import contextmanager, nullcontext
from pathlib import Path

import torch
from speechbrain.utils.checkpoints import (
    mark_as_saver,
    mark_as_transfer,
    register_checkpoint_hooks,
)

from speechbrain_ptssnn.backbones.base import Backbone
from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.utils.weights import read_weights

PRECISIONS = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}
# Their products are most of the work; autocast rounds their inputs.
ROUNDED = (torch.nn.Linear, torch.nn.Conv1d)


@register_checkpoint_hooks
class Pretrained(Backbone):
    r"""A model from a hub, a local folder or a bundle. Its hidden states, one
    or several, are the features.

    The layers above the last hidden state that is read are removed, so they
    cost no time, memory or energy, and bundles do not hold them.

    A subclass defines :meth:`extract_batch`, :meth:`settings`,
    :meth:`restore`, which ends with :meth:`adopt`, and :meth:`truncate`.

    Arguments
    ---------
    source : str or None
        Hub id or local folder. With None, the model is loaded later, from a
        bundle's ``backbone.ckpt``.
    revision : str, optional
        Commit, tag or branch of a hub model.
    layer : str or int
        Which hidden states are read. An index takes one: 0 is the input of the
        first transformer layer, k the output of layer k. "last", or -1, is
        the output of the model, after its final norm if it has one. "mean" is
        the mean of all transformer layers, without state 0, and "mean:2-5" of
        layers 2 to 5. "weighted" gives all hidden states side by side, and
        "weighted:2-5" these four; the head learns to mix them.
    """

    def __init__(self, source, revision=None, layer="last"):
        super().__init__(sample_rate=16000, frame_rate=50.0, min_samples=400)
        self.source = source
        self.revision = revision
        self.layer = layer
        self.precision = "fp32"
        self._digest = None

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
        self.n_states = n_states
        self.layers = self._choose_layers()
        self.n_layers = 1 if self._is_mean else len(self.layers)
        self.output_size = self.n_layers * size
        self.min_samples, self.hop = 1, 1
        for kernel, stride in zip(
            reversed(kernels), reversed(strides), strict=True
        ):
            self.min_samples = (self.min_samples - 1) * stride + kernel
            self.hop *= stride
        self.frame_rate = self.sample_rate / self.hop
        self.freeze()

    @property
    def _is_mean(self):
        return str(self.layer).startswith("mean")

    def _choose_layers(self):
        every = list(range(self.n_states))
        if self.layer == "weighted":
            return every
        if self.layer == "mean":
            return every[1:]
        span = re.fullmatch(r"(mean|weighted):(\d+)-(\d+)", str(self.layer))
        if span is not None and int(span[2]) > int(span[3]):
            raise InputError(
                f"layer {self.layer} runs backwards; write "
                f"{span[1]}:{span[3]}-{span[2]}"
            )
        try:
            if span is not None:
                return [every[k] for k in range(int(span[2]), int(span[3]) + 1)]
            return [every[-1 if self.layer == "last" else int(self.layer)]]
        except (ValueError, TypeError, IndexError) as error:
            raise InputError(
                f"layer {self.layer} is not among the {self.n_states} hidden "
                f"states of {self.source!r}; choose last, mean, weighted, a "
                f"range such as mean:1-{self.n_states - 1}, or -{self.n_states}"
                f" to {self.n_states - 1}"
            ) from error

    def stop_at_layer(self, digest=None):
        """Removes the layers that are not read. Called when the weights are
        loaded.

        Arguments
        ---------
        digest : str, optional
            The whole model's, if its weights above are not at hand.
        """
        self._digest = digest
        depth = max(self.layers)
        if depth < self.n_states - 1:
            # The fingerprint stays that of the whole model, so that stores
            # made before layers were removed are found.
            self._digest = digest or self._hash()
            self.truncate(depth)

    def truncate(self, depth):
        """Removes all layers but the first ``depth``, and all that follows the
        last, so that the model's output is hidden state ``depth``; a subclass
        defines it.
        """
        raise NotImplementedError

    def to_precision(self, precision):
        """Rounds the weights of linear and convolution layers, once.

        Their products take rounded inputs then; norms, softmax and, where the
        model allows it, the sums of residual connections stay in float32.

        Arguments
        ---------
        precision : str
            "fp32", "bf16" or "fp16". It cannot go back.
        """
        if precision == self.precision:
            return
        if self.precision != "fp32":
            raise InputError(
                f"the backbone's weights are rounded to {self.precision} "
                f"already; load it again for {precision}"
            )
        self._digest = self._digest or self._hash()
        self.precision = precision
        for module in self.model.modules():
            if isinstance(module, ROUNDED):
                for parameter in module.parameters(recurse=False):
                    parameter.data = parameter.data.to(PRECISIONS[precision])

    def extract(self, wav):
        """Maps [samples] to [time, output_size]."""
        return self.extract_batch(wav.unsqueeze(0)).squeeze(0)

    def autocast(self, device):
        """Returns the context in which the model computes on a device."""
        if self.precision == "fp32":
            return nullcontext()  # what is set outside counts
        return torch.autocast(device.type, PRECISIONS[self.precision])

    def join(self, states):
        """Joins the chosen hidden states, each [batch, time, size], to
        [batch, time, output_size].
        """
        chosen = [states[k] for k in self.layers]
        if self._is_mean:
            return torch.stack(chosen).float().mean(0)
        return torch.cat(chosen, -1)

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

    def _hash(self):
        """Returns the hash of weights and settings, in hexadecimal."""
        settings = json.dumps(self.settings(), sort_keys=True, default=str)
        digest = hashlib.sha256(settings.encode())
        for name, tensor in sorted(self.model.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    def fingerprint(self):
        """Returns a hash of the whole model's weights and settings, and the
        chosen layers.
        """
        digest = self._digest or self._hash()
        mean = " mean" if self._is_mean else ""
        return f"{type(self).__name__} {digest} {self.layers}{mean}"

    def packed(self):
        """Returns what :meth:`unpack` needs, for a bundle: settings, weights
        and, where these are cut or rounded, the whole model's hash.
        """
        packed = {
            "settings": self.settings(),
            "weights": self.model.state_dict(),
        }
        if self._digest is not None:
            packed["digest"] = self._digest
        if self.precision != "fp32":
            packed["precision"] = self.precision
        return packed

    def unpack(self, packed):
        """Takes over what :meth:`packed` returned, also from a bundle of the
        time when models were kept whole.
        """
        digest = packed.get("digest")
        self.restore(packed["settings"])
        if digest is not None:
            self.stop_at_layer(digest)
        self.to_precision(packed.get("precision", "fp32"))
        self.model.load_state_dict(packed["weights"])
        if digest is None:
            self.stop_at_layer()

    @mark_as_saver
    def save(self, path):
        """Writes the model to one file, for a bundle."""
        torch.save(self.packed(), path)

    @mark_as_transfer
    def load(self, path):
        """Reads what :meth:`save` wrote."""
        self.unpack(read_weights(path))


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
        reason = re.sub(r"\x1b\[\d*m", "", reason)  # torch prints in bold
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
