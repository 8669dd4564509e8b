"""Frozen wav2vec 2.0, HuBERT, WavLM or data2vec-audio from Hugging Face."""

import hashlib
import json
import math
from pathlib import Path

import torch
from safetensors import SafetensorError
from speechbrain.utils.checkpoints import (
    mark_as_saver,
    mark_as_transfer,
    register_checkpoint_hooks,
)
from transformers import AutoConfig, AutoFeatureExtractor, AutoModel

from speechbrain_ptssnn.backbones.base import Backbone
from speechbrain_ptssnn.errors import InputError


@register_checkpoint_hooks
class HuggingFace(Backbone):
    r"""Hidden states of a speech model in the Hugging Face format.

    Loaded with transformers, not SpeechBrain's lobe, which asks the hub even
    when the weights are on disk, scales the wave over its padding and leaves
    eval mode in training.

    Arguments
    ---------
    source : str or None
        Hub id, e.g. "microsoft/wavlm-base-plus", or local folder. None leaves
        the model to be loaded from a bundle's ``backbone.ckpt``.
    revision : str, optional
        Commit, tag or branch of a hub model.
    layer : int
        Which hidden state: -1 the last, 0 the input of the first transformer
        layer.

    Raises
    ------
    InputError
        If the model can not be loaded, is no such model or lacks the layer.
    """

    def __init__(self, source, revision=None, layer=-1):
        super().__init__(sample_rate=16000, frame_rate=50.0, min_samples=400)
        self.source = source
        self.layer = layer
        if source is None:
            return
        try:
            model, report = AutoModel.from_pretrained(
                source, revision=revision, output_loading_info=True
            )
            extractor = AutoFeatureExtractor.from_pretrained(
                source, revision=revision
            )
        except (OSError, ValueError, SafetensorError) as error:
            reason = str(error).strip().splitlines()[0]
            raise InputError(
                f"backbone {source!r} can not be loaded ({reason}); give a "
                "hub id or a local folder with config.json, weights and "
                "preprocessor_config.json"
            ) from error
        # What masks spans in pre-training is all that may be missing.
        missing = sorted(set(report["missing_keys"]) - {"masked_spec_embed"})
        if missing:
            raise InputError(
                f"backbone {source!r} lacks {len(missing)} weights, e.g. "
                f"{missing[0]}; they would be random: get the whole checkpoint"
            )
        self._adopt(
            model,
            getattr(extractor, "do_normalize", False),
            extractor.sampling_rate,
        )

    def _adopt(self, model, normalize, sample_rate):
        config = model.config
        if not hasattr(config, "conv_stride"):
            raise InputError(
                f"backbone {self.source!r} is a {config.model_type} model; "
                "wav2vec2, hubert, wavlm and data2vec-audio are supported"
            )
        n_layers = config.num_hidden_layers
        if not -n_layers - 1 <= self.layer <= n_layers:
            raise InputError(
                f"layer {self.layer} is not among the {n_layers + 1} hidden "
                f"states of {self.source!r}"
            )
        if hasattr(model, "masked_spec_embed"):
            # Random where a checkpoint lacks it, and never used here.
            model.masked_spec_embed.data.zero_()
        self.model = model
        self.normalize = normalize
        self.sample_rate = sample_rate
        self.output_size = config.hidden_size
        self.frame_rate = sample_rate / math.prod(config.conv_stride)
        self.min_samples = 1
        for kernel, stride in zip(
            reversed(config.conv_kernel),
            reversed(config.conv_stride),
            strict=True,
        ):
            self.min_samples = (self.min_samples - 1) * stride + kernel
        self.freeze()

    @property
    def is_local(self):
        """Whether the weights came from a folder, which a moved bundle would
        miss.
        """
        return self.source is not None and Path(self.source).is_dir()

    def extract(self, wav):
        """Maps [samples] to [time, output_size]."""
        if self.normalize:
            # What the feature extractor does, over the utterance's own length.
            wav = (wav - wav.mean()) / (wav.var(correction=0) + 1e-7).sqrt()
        last = self.layer in (-1, self.model.config.num_hidden_layers)
        output = self.model(wav.unsqueeze(0), output_hidden_states=not last)
        if last:
            return output.last_hidden_state.squeeze(0)
        return output.hidden_states[self.layer].squeeze(0)

    def fingerprint(self):
        """Hash of weights and configuration, with the settings."""
        config = self.model.config.to_dict()
        for name in ("_name_or_path", "transformers_version", "architectures"):
            config.pop(name, None)
        settings = json.dumps(config, sort_keys=True, default=str)
        digest = hashlib.sha256(settings.encode())
        for name, tensor in sorted(self.model.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.cpu().contiguous().numpy().tobytes())
        return (
            f"{self.model.config.model_type} {digest.hexdigest()} "
            f"layer={self.layer} normalize={self.normalize} "
            f"sample_rate={self.sample_rate}"
        )

    @mark_as_saver
    def save(self, path):
        """Writes the model to one file, for a bundle that can be moved."""
        torch.save(
            {
                "config": self.model.config.to_dict(),
                "weights": self.model.state_dict(),
                "normalize": self.normalize,
                "sample_rate": self.sample_rate,
            },
            path,
        )

    @mark_as_transfer
    def load(self, path):
        """Reads what :meth:`save` wrote."""
        saved = torch.load(path, map_location="cpu", weights_only=True)
        model = AutoModel.from_config(AutoConfig.for_model(**saved["config"]))
        model.load_state_dict(saved["weights"])
        self._adopt(model, saved["normalize"], saved["sample_rate"])
