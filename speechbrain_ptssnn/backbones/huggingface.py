"""Speech encoders in the Hugging Face format."""

from pathlib import Path

import torch
import transformers
from huggingface_hub import hf_hub_download
from safetensors import SafetensorError
from transformers import AutoConfig, AutoFeatureExtractor, AutoModel
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from speechbrain_ptssnn.backbones.pretrained import (
    Pretrained,
    check_complete,
    loading,
)
from speechbrain_ptssnn.errors import InputError

# Keys of a configuration that differ between copies of the same model.
TRANSIENT = ("_name_or_path", "transformers_version", "architectures", "dtype")

# Whisper's checkpoints put these prefixes before its encoder's weights.
WHISPER_NAMES = {r"^(model\.)?encoder\.": ""}


class EncoderOfWhisper(WhisperEncoder):
    """Whisper's encoder, loaded from a checkpoint of the whole model."""

    _keys_to_ignore_on_load_unexpected = (r"decoder\.", r"proj_out\.")


class HuggingFace(Pretrained):
    r"""Hidden states of wav2vec 2.0, HuBERT, WavLM, data2vec-audio,
    w2v-BERT 2.0 or Whisper's encoder.

    It is loaded with transformers. SpeechBrain's lobe asks the hub even when
    the weights are on disk, normalises the waveform with its padding and leaves
    eval mode in training. Whisper needs windows of 30 s: longer audio is split
    into windows, and only the frames of real audio are kept and joined.

    Arguments
    ---------
    source : str or None
        Hub id, e.g. "microsoft/wavlm-base-plus", or local folder; None as in
        the base class.
    revision, layer : str, str or int
        See :class:`~speechbrain_ptssnn.backbones.pretrained.Pretrained`.

    Raises
    ------
    InputError
        If the model cannot be loaded, has another architecture or lacks the
        layer.
    """

    def __init__(self, source, revision=None, layer="last"):
        super().__init__(source, revision, layer)
        if source is None:
            return
        files = "config.json, weights and preprocessor_config.json"
        with loading(source, files, SafetensorError):
            if not self.is_local:
                # One commit for all files; a bundle names it.
                config = hf_hub_download(
                    source, "config.json", revision=revision
                )
                self.revision = revision = Path(config).parent.name
            config = AutoConfig.from_pretrained(source, revision=revision)
            self._check_kind(config)
            extractor = AutoFeatureExtractor.from_pretrained(
                source, revision=revision
            )
            is_whisper = config.model_type == "whisper"
            loader = EncoderOfWhisper if is_whisper else AutoModel
            model, report = loader.from_pretrained(
                source,
                revision=revision,
                # Some are published in float16, which would be kept.
                dtype=torch.float32,
                key_mapping=WHISPER_NAMES if is_whisper else None,
                output_loading_info=True,
            )
        # Only what masks spans in pre-training may be missing.
        missing = set(report["missing_keys"]) - {"masked_spec_embed"}
        check_complete(source, missing)
        self._adopt(model, extractor)

    def _check_kind(self, config):
        kind = config.model_type
        if kind not in ("whisper", "wav2vec2-bert") and not hasattr(
            config, "conv_stride"
        ):
            raise InputError(
                f"backbone {self.source!r} is a {kind} model; wav2vec2, "
                "hubert, wavlm, data2vec-audio, wav2vec2-bert and whisper are "
                "supported"
            )

    def _adopt(self, model, extractor):
        if hasattr(model, "masked_spec_embed"):
            # It is never used. Where a checkpoint lacks it, it would be
            # random, and the fingerprint with it.
            model.masked_spec_embed.data.zero_()
        config = model.config
        self.extractor = extractor
        self.sample_rate = extractor.sampling_rate
        self.window = None
        if config.model_type == "whisper":
            self.window = extractor.n_samples
            # One mel frame per hop; the encoder's second convolution has
            # stride 2.
            kernels = strides = [extractor.hop_length, 2]
        elif config.model_type == "wav2vec2-bert":
            # Windows of 25 ms every 10 ms, as in Kaldi, then joined frames.
            kernels, strides = [400, extractor.stride], [160, extractor.stride]
        else:
            kernels, strides = config.conv_kernel, config.conv_stride
        self.adopt(
            model,
            config.num_hidden_layers + 1,
            config.hidden_size,
            kernels,
            strides,
        )

    def extract(self, wav):
        """Maps [samples] to [time, output_size]."""
        windows = wav.split(self.window or len(wav))
        return torch.cat(
            [self._encode(w) for w in windows if len(w) >= self.min_samples]
        )

    def _encode(self, wav):
        inputs = self.extractor(
            wav.cpu().numpy(),
            sampling_rate=self.sample_rate,
            return_tensors="pt",
        )
        values = inputs[self.model.main_input_name].to(wav.device)
        output = self.model(values, output_hidden_states=True)
        # Large models normalise the last layer's output; hidden_states holds
        # it before that.
        states = [*output.hidden_states[:-1], output.last_hidden_state]
        # Inputs are padded to whole windows or pairs of frames: their frames
        # are cut off.
        n_frames = 1 + (len(wav) - self.min_samples) // self.hop
        return self.join(states)[:n_frames]

    def settings(self):
        """Returns the configurations of model and feature extractor."""
        config = self.model.config.to_dict()
        for name in TRANSIENT:
            config.pop(name, None)
        return {"config": config, "extractor": self.extractor.to_dict()}

    def restore(self, settings):
        """Builds the model, with random weights."""
        config = AutoConfig.for_model(**settings["config"])
        extractor = getattr(
            transformers, settings["extractor"]["feature_extractor_type"]
        )
        if config.model_type == "whisper":
            model = EncoderOfWhisper(config)
        else:
            model = AutoModel.from_config(config)
        self._adopt(model, extractor.from_dict(settings["extractor"]))
