"""emotion2vec, the paper's backbone, in FunASR's format."""

import json
import logging
import re
from pathlib import Path
from pickle import UnpicklingError

from huggingface_hub import snapshot_download
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from torch.nn import functional

from speechbrain_ptssnn.backbones.pretrained import (
    Pretrained,
    check_complete,
    loading,
)
from speechbrain_ptssnn.errors import InputError

# Such as "[(512, 10, 5)] + [(512, 3, 2)] * 4": FunASR evaluates the text as
# Python, and it may be a stranger's.
LAYERS = r"\[ *\(\d{1,4}, *\d{1,3}, *\d{1,3}\) *\] *(\* *\d{1,2} *)?"
CONVOLUTIONS = re.compile(rf" *{LAYERS}(\+ *{LAYERS})*")


class Emotion2vec(Pretrained):
    r"""Frame-level features of emotion2vec (arXiv:2312.15185), 50 per second,
    equal to those of FunASR's ``generate(granularity="frame")``.

    The model class comes from the package funasr. The parts for pre-training
    and for its own nine classes are left out.

    Arguments
    ---------
    source : str or None
        Hub id, e.g. "emotion2vec/emotion2vec_base", or a local folder as
        published: config.yaml and model.pt, or the files that
        configuration.json names instead; None as in the base class.
    revision, layer : str, str or int
        See :class:`~speechbrain_ptssnn.backbones.pretrained.Pretrained`.

    Raises
    ------
    InputError
        If funasr is not installed, or the model cannot be loaded or lacks
        the layer.
    """

    def __init__(self, source, revision=None, layer="last"):
        super().__init__(source, revision, layer)
        _funasr()
        if source is None:
            return
        with loading(
            source,
            "config.yaml and model.pt, as published",
            KeyError,
            EOFError,
            YAMLError,
            UnpicklingError,
        ):
            folder = Path(source)
            if not folder.is_dir():
                folder = Path(
                    snapshot_download(
                        source,
                        revision=revision,
                        allow_patterns=["*.json", "*.yaml", "*.pt"],
                    )
                )
                self.revision = folder.name  # the commit
            config, checkpoint = _read(folder)
            self.restore({"model_conf": config["model_conf"]})
            check_complete(source, self._load_weights(checkpoint, config))
            self.stop_at_layer()

    def _load_weights(self, path, config):
        """Loads the checkpoint and returns the names of missing weights, which
        FunASR's loader only prints.
        """
        _, load_pretrained_model = _funasr()
        loaded = set()
        self.model.on_pretrained_model_loaded = loaded.update
        load_pretrained_model(
            str(path),
            self.model,
            scope_map=list(config.get("scope_map") or []),
            excludes=config.get("excludes"),
        )
        del self.model.on_pretrained_model_loaded
        return self.model.state_dict().keys() - loaded

    def restore(self, settings):
        """Builds the model, with random weights."""
        self.model_conf = settings["model_conf"]
        audio = self.model_conf["modalities"]["audio"]
        audio["decoder"] = None
        convolutions = str(audio.get("feature_encoder_spec"))
        if not CONVOLUTIONS.fullmatch(convolutions):
            raise InputError(
                f"backbone {self.source!r}: feature_encoder_spec is "
                f"{convolutions:.80}, which is no list of convolutions such "
                "as '[(512, 10, 5)] + [(512, 3, 2)] * 4'"
            )
        model_class, _ = _funasr()
        model = model_class(model_conf=self.model_conf)
        convolutions = model.modality_encoders["AUDIO"].feature_enc_layers
        self.adopt(
            model,
            len(_blocks(model)) + 1,
            self.model_conf["embed_dim"],
            [kernel for _, kernel, _ in convolutions],
            [stride for _, _, stride in convolutions],
        )

    def settings(self):
        """Returns the model's configuration."""
        return {"model_conf": self.model_conf}

    def truncate(self, depth):
        """Removes all blocks but the first ``depth``, and the norms that
        follow.
        """
        first = self.model.modality_encoders["AUDIO"].context_encoder
        n_first = len(first.blocks)
        del first.blocks[depth:]
        del self.model.blocks[max(depth - n_first, 0) :]
        self.model.norm = None
        if first.layer_norm_first and depth <= n_first:
            first.norm = None

    def extract_batch(self, wavs):
        """Maps [batch, samples] to [batch, time, output_size]."""
        if self.model_conf["normalize"]:
            wavs = functional.layer_norm(wavs, wavs.shape[1:])
        states = []
        blocks = _blocks(self.model)
        hooks = [
            block.register_forward_pre_hook(
                lambda block, inputs: states.append(inputs[0])
            )
            for block in blocks[:1]
        ]
        hooks += [
            block.register_forward_hook(
                lambda block, inputs, output: states.append(output[0])
            )
            for block in blocks[:-1]  # the last one's output is "x"
        ]
        try:
            with self.autocast(wavs.device):
                last = self.model.extract_features(wavs)["x"]
        finally:
            for hook in hooks:
                hook.remove()
        # Learnt tokens stand before the frames; "x" no longer has them.
        n_tokens = states[0].shape[1] - last.shape[1] if states else 0
        return self.join([*(s[:, n_tokens:] for s in states), last])


def _blocks(model):
    """Returns all transformer layers, in order."""
    return [
        *model.modality_encoders["AUDIO"].context_encoder.blocks,
        *model.blocks,
    ]


def _funasr():
    """Returns FunASR's model class and its checkpoint loader."""
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    try:
        from funasr.models.emotion2vec.model import Emotion2vec
        from funasr.train_utils.load_pretrained_model import (
            load_pretrained_model,
        )
    except ImportError as error:
        raise InputError(
            f"the backbone emotion2vec needs the package funasr ({error}): "
            "pip install 'speechbrain-ptssnn[emotion2vec]'"
        ) from error
    finally:  # the import changes the root logger
        root.setLevel(level)
        root.handlers = handlers
    return Emotion2vec, load_pretrained_model


def _read(folder):
    """Returns the configuration and the checkpoint's path."""
    files = {"config": "config.yaml", "init_param": "model.pt"}
    index = folder / "configuration.json"
    if index.exists():
        files |= json.loads(index.read_text()).get("file_path_metas", {})
    text = (folder / files["config"]).read_text(encoding="utf-8")
    return YAML(typ="safe").load(text), folder / files["init_param"]
