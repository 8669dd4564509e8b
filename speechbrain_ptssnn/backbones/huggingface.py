"""Speech encoders in the Hugging Face format."""

import math
import re
from pathlib import Path
from pickle import UnpicklingError

import torch
import transformers
from huggingface_hub import hf_hub_download
from safetensors import SafetensorError
from torch.nn import functional
from transformers import AutoConfig, AutoFeatureExtractor, AutoModel
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from speechbrain_ptssnn.backbones.pretrained import (
    Pretrained,
    check_complete,
    loading,
)
from speechbrain_ptssnn.backbones.signal_processing import (
    frame_count,
    power_spectrum,
)
from speechbrain_ptssnn.errors import InputError

# Keys of a configuration that differ between copies of the same model.
TRANSIENT = ("_name_or_path", "transformers_version", "architectures", "dtype")

# Kinds whose layers can be removed, besides Whisper: what follows these layers
# is known. Other kinds compute all layers.
TRUNCATED = (
    *("wav2vec2", "hubert", "wavlm", "data2vec-audio", "wav2vec2-bert"),
    *("unispeech", "unispeech-sat"),
)

# Whisper's checkpoints put these prefixes before its encoder's weights.
WHISPER_NAMES = {r"^(model\.)?encoder\.": ""}


class EncoderOfWhisper(WhisperEncoder):
    """Whisper's encoder, loaded from a checkpoint of the whole model."""

    _keys_to_ignore_on_load_unexpected = (r"decoder\.", r"proj_out\.")

    def states(self, mels):
        """Returns all hidden states, the last after the final norm.

        It computes what ``forward`` does, but takes windows of any length.

        Arguments
        ---------
        mels : torch.Tensor
            [batch, mels, 2 * time], at most as long as the positions.

        Returns
        -------
        list of torch.Tensor
            Each [batch, time, size].
        """
        x = functional.gelu(self.conv1(mels))
        x = functional.gelu(self.conv2(x)).permute(0, 2, 1)
        states = [x + self.embed_positions.weight[: x.shape[1]]]
        for layer in self.layers:
            states.append(layer(states[-1], None))
        states[-1] = self.layer_norm(states[-1])
        return states


class HuggingFace(Pretrained):
    r"""Hidden states of wav2vec 2.0, HuBERT, WavLM, data2vec-audio,
    w2v-BERT 2.0 or Whisper's encoder.

    It is loaded with transformers. SpeechBrain's lobe asks the hub even when
    the weights are on disk, normalises the waveform with its padding and leaves
    eval mode in training. Whisper takes at most 30 s: longer audio is split
    into parts of 30 s, and only the frames of real audio are kept and joined.

    Arguments
    ---------
    source : str or None
        Hub id, e.g. "microsoft/wavlm-base-plus", or local folder; None as in
        the base class.
    revision, layer : str, str or int
        See :class:`~speechbrain_ptssnn.backbones.pretrained.Pretrained`.
    window : str
        What Whisper hears: "full" is the audio and silence up to 30 s, as it
        was trained; "audio" is the audio and ``margin`` seconds of silence,
        which is several times as fast and gives nearly the same features.
        Other models always hear the audio alone.
    margin : float
        Silence after the audio with ``window="audio"``, in seconds, 0 or more.
    allow_pickle : bool
        Whether weights may be a pickle (``pytorch_model.bin``), which can run
        code. One from the hub at a full commit is read in any case: a commit
        cannot change.

    Raises
    ------
    InputError
        If the model cannot be loaded, has another architecture or lacks the
        layer, or ``window`` or ``margin`` is not one of these.
    """

    def __init__(
        self,
        source,
        revision=None,
        layer="last",
        window="full",
        margin=0.5,
        allow_pickle=False,
    ):
        super().__init__(source, revision, layer)
        if window not in ("full", "audio"):
            raise InputError(f"window must be full or audio, got {window!r}")
        if not 0 <= margin < math.inf:
            raise InputError(f"margin must be 0 seconds or more, got {margin}")
        self.window = window
        self.margin = margin
        if source is None:
            return
        # A commit cannot change, unlike a branch or a folder.
        is_fixed = re.fullmatch("[0-9a-f]{40}", str(revision))
        may_unpickle = allow_pickle or (is_fixed and not self.is_local)
        files = (
            "config.json, weights in safetensors (in a pickle, only with "
            "allow_pickle: True) and preprocessor_config.json"
        )
        with loading(source, files, SafetensorError, UnpicklingError):
            if not self.is_local:
                # One commit for all files; a bundle names it.
                config = hf_hub_download(
                    source, "config.json", revision=revision
                )
                self.revision = revision = Path(config).parent.name
            # Of a stranger's model, no code is run, and nobody is asked.
            config = AutoConfig.from_pretrained(
                source, revision=revision, trust_remote_code=False
            )
            self._check_kind(config)
            if not may_unpickle:
                self._check_no_pickle()
            extractor = AutoFeatureExtractor.from_pretrained(
                source, revision=revision, trust_remote_code=False
            )
            is_whisper = config.model_type == "whisper"
            loader = EncoderOfWhisper if is_whisper else AutoModel
            model, report = loader.from_pretrained(
                source,
                revision=revision,
                # Some are published in float16, which would be kept.
                dtype=torch.float32,
                key_mapping=WHISPER_NAMES if is_whisper else None,
                use_safetensors=None if may_unpickle else True,
                output_loading_info=True,
                **({} if is_whisper else {"trust_remote_code": False}),
            )
        # Only what masks spans in pre-training may be missing.
        missing = set(report["missing_keys"]) - {"masked_spec_embed"}
        check_complete(source, missing)
        self._adopt(model, extractor)
        self.stop_at_layer()

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

    def _check_no_pickle(self):
        folder = Path(self.source)
        pickles = sorted(folder.glob("*.bin"))
        if pickles and not any(folder.glob("*.safetensors")):
            raise InputError(
                f"backbone {self.source!r} has its weights in "
                f"{pickles[0].name} only, a pickle, which can run any code "
                "when it is read; save them as safetensors, or set "
                "allow_pickle to True if you trust whoever made the file"
            )

    def _adopt(self, model, extractor):
        if hasattr(model, "masked_spec_embed"):
            # It is never used. Where a checkpoint lacks it, it would be
            # random, and the fingerprint with it.
            model.masked_spec_embed.data.zero_()
        config = model.config
        self.extractor = extractor
        self.sample_rate = extractor.sampling_rate
        self.is_whisper = config.model_type == "whisper"
        if self.is_whisper:
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
        self._check_window(config)

    def _check_window(self, config):
        if not self.is_whisper:
            if self.window == "audio":
                raise InputError(
                    f"window=audio is for Whisper; {self.source!r} is a "
                    f"{config.model_type} model, which always hears the audio "
                    "alone: leave window at full"
                )
            return
        n_frames = 2 * config.max_source_positions
        if self.extractor.nb_max_frames != n_frames:
            raise InputError(
                f"backbone {self.source!r}: its preprocessor_config.json makes "
                f"windows of {self.extractor.nb_max_frames} frames, but its "
                f"config.json has positions for {n_frames}; take both files "
                "from the same model"
            )

    def truncate(self, depth):
        """Removes all layers but the first ``depth``, and the final norm."""
        if self.is_whisper:
            del self.model.layers[depth:]
            self.model.layer_norm = torch.nn.Identity()
        elif self.model.config.model_type in TRUNCATED:
            del self.model.encoder.layers[depth:]
            if getattr(self.model.config, "do_stable_layer_norm", False):
                self.model.encoder.layer_norm = torch.nn.Identity()
            for name in ("adapter", "intermediate_ffn"):
                if hasattr(self.model, name):
                    setattr(self.model, name, None)

    def extract_batch(self, wavs):
        """Maps [batch, samples] to [batch, time, output_size]."""
        return torch.cat(
            [
                self._encode(wavs[:, first:end])
                for first, end in self._parts(wavs.shape[1])
            ],
            1,
        )

    def _parts(self, n_samples):
        """Returns (first, end) of the parts that are encoded one by one, each
        as long as the model can hear; a rest too short for a frame is none.
        """
        longest = self.extractor.n_samples if self.is_whisper else n_samples
        return [
            (first, min(first + longest, n_samples))
            for first in range(0, n_samples, longest)
            if n_samples - first >= self.min_samples
        ]

    def _encode(self, wavs):
        n_samples = wavs.shape[1]
        options, n_mels = {}, None
        if self.is_whisper and self.window == "audio":
            options["max_length"], n_mels = self._window(n_samples)
        inputs = self.extractor(
            list(wavs.cpu().numpy()),
            sampling_rate=self.sample_rate,
            return_tensors="pt",
            **options,
        )
        values = inputs[self.model.main_input_name].to(wavs.device)
        with self.autocast(wavs.device):
            if self.is_whisper:
                states = self.model.states(values[..., :n_mels])
            else:
                output = self.model(values, output_hidden_states=True)
                # Large models normalise the last layer's output; hidden_states
                # holds it before that.
                states = [*output.hidden_states[:-1], output.last_hidden_state]
        # Inputs are padded to whole windows or pairs of frames: their frames
        # are cut off.
        n_frames = 1 + (n_samples - self.min_samples) // self.hop
        return self.join(states)[:, :n_frames]

    def _window(self, n_samples):
        """Returns the samples that the extractor needs and the mel frames that
        are kept of them, so that these frames equal the first ones of the
        window of 30 s.

        They are equal since the extractor's floor, 8 below the largest value
        of the window, is the same: silence cannot hold that value, unless all
        is silence, where every value is the smallest that there is. A frame
        reaches half an FFT to each side, hence the samples beyond the last.
        """
        extractor = self.extractor
        heard = n_samples + self.margin * self.sample_rate
        n_mels = 2 * math.ceil(heard / extractor.hop_length / 2)
        n_mels = min(n_mels, extractor.nb_max_frames)
        needed = n_mels * extractor.hop_length + extractor.n_fft
        return min(needed, extractor.n_samples), n_mels

    def multiplications(self, n_samples):
        """Returns those of the mel spectrum that Whisper and w2v-BERT 2.0
        hear: window, FFT, power and mel filters; 0 for other models, which
        hear the waveform.
        """
        filters = getattr(self.extractor, "mel_filters", None)
        if filters is None:
            return 0
        if self.is_whisper:
            window, n_fft = self.extractor.n_fft, self.extractor.n_fft
            frame = power_spectrum(window, n_fft)
            n_frames = sum(
                self._heard(end - first) // self.extractor.hop_length
                for first, end in self._parts(n_samples)
            )
        else:
            # Kaldi's frames, each with a pre-emphasis of its own.
            window, step, n_fft = 400, 160, 512
            frame = window + power_spectrum(window, n_fft)
            n_frames = frame_count(n_samples, window, step)
        return n_frames * (frame + int((filters != 0).sum()))

    def _heard(self, n_samples):
        """Returns how many samples Whisper's extractor sees."""
        if self.window == "audio":
            return self._window(n_samples)[0]
        return self.extractor.n_samples

    def fingerprint(self):
        """As the base class's, and Whisper's window if it is the audio's."""
        heard = ""
        if self.window == "audio":
            heard = f" window=audio margin={float(self.margin)}"
        return super().fingerprint() + heard

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
            model = AutoModel.from_config(config, trust_remote_code=False)
        self._adopt(model, extractor.from_dict(settings["extractor"]))
