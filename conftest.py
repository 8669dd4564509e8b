"""For tests and doctests: names, one thread, a tiny corpus, tiny backbones."""

import tempfile

import numpy as np
import pytest
import soundfile
import torch
import transformers
from ruamel.yaml import YAML

import speechbrain_ptssnn

# A link to recipes/, so that `pytest .` does not collect a file twice.
collect_ignore = ["speechbrain_ptssnn/recipes"]

LAYERS = {"num_hidden_layers": 2, "num_attention_heads": 2}
TINY = {
    "hidden_size": 16,
    "intermediate_size": 32,
    **LAYERS,
    "conv_dim": (8,) * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
}
GROUP = {"feat_extract_norm": "group", **TINY}
LAYER = {"feat_extract_norm": "layer", **TINY}
# The class in transformers and its configuration. Base-size models normalise
# their convolutions over the utterance ("group").
BACKBONES = {
    "wav2vec2": ("Wav2Vec2Model", GROUP),
    "xls-r": ("Wav2Vec2Model", {"do_stable_layer_norm": True, **LAYER}),
    "hubert": ("HubertModel", LAYER),
    "wavlm": ("WavLMModel", GROUP),
    "data2vec": ("Data2VecAudioModel", LAYER),
    "w2v-bert": (
        "Wav2Vec2BertModel",
        {"hidden_size": 16, "intermediate_size": 32, **LAYERS},
    ),
    "whisper": (
        "WhisperForConditionalGeneration",  # as published, with its decoder
        {
            "d_model": 16,
            "encoder_layers": 2,
            "decoder_layers": 1,
            "encoder_attention_heads": 2,
            "decoder_attention_heads": 2,
            "encoder_ffn_dim": 32,
            "decoder_ffn_dim": 32,
            "max_source_positions": 50,  # windows of 1 s, not 30
            "vocab_size": 8,
            "pad_token_id": 0,
            "bos_token_id": 1,
            "eos_token_id": 2,
            "decoder_start_token_id": 1,
        },
    ),
}
EMOTION2VEC = """\
model: Emotion2vec
model_conf:
    depth: {depth}
    start_drop_path_rate: 0.0
    end_drop_path_rate: 0.0
    num_heads: {heads}
    norm_eps: 1e-05
    norm_affine: true
    encoder_dropout: 0.1
    post_mlp_drop: 0.1
    attention_dropout: 0.1
    activation_dropout: 0.0
    dropout_input: 0.0
    layerdrop: 0.05
    embed_dim: {size}
    mlp_ratio: 4.0
    layer_norm_first: false
    average_top_k_layers: {depth}
    end_of_block_targets: false
    clone_batch: 8
    normalize: true
    modalities:
        audio:
            prenet_depth: {prenet}
            prenet_layerdrop: 0.05
            prenet_dropout: 0.1
            start_drop_path_rate: 0.0
            end_drop_path_rate: 0.0
            num_extra_tokens: 10
            init_extra_token_zero: true
            extractor_mode: layer_norm
            feature_encoder_spec: '{convolutions}'
            conv_pos_width: 95
            conv_pos_groups: 16
            conv_pos_depth: 5
            conv_pos_pre_ln: false
            use_alibi_encoder: true
            alibi_scale: 1.0
            learned_alibi: false
            alibi_max_pos: null
            learned_alibi_scale: true
            learned_alibi_scale_per_head: true
            learned_alibi_scale_per_layer: false
            num_alibi_heads: {heads}
            model_depth: {depth}
            local_grad_mult: 1.0
            decoder:
                decoder_dim: {decoder}
                decoder_groups: 16
                decoder_kernel: 7
                decoder_layers: 4
                input_dropout: 0.1
                add_positions_masked: false
                add_positions_all: false
                decoder_residual: true
                projection_layers: 1
                projection_ratio: 2.0
"""


def pytest_runtest_setup():
    """One thread, whatever the last test left: trainings depend on the number.

    The tensors in tests are tiny. More threads make them up to 40 times slower
    if other processes use the cores.
    """
    torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def _temporary_files(tmp_path_factory):
    """Lists that errors name are removed with pytest's other folders."""
    tempfile.tempdir = str(tmp_path_factory.mktemp("temp"))
    yield
    tempfile.tempdir = None


@pytest.fixture(autouse=True)
def _doctest_names(doctest_namespace):
    doctest_namespace["torch"] = torch
    for name in speechbrain_ptssnn.__all__:
        doctest_namespace[name] = getattr(speechbrain_ptssnn, name)


@pytest.fixture(scope="session")
def make_backbone(tmp_path_factory):
    """Saves a tiny model with random weights, in the published layout."""

    def make(kind):
        folder = tmp_path_factory.getbasetemp() / f"tiny-{kind}"
        if not folder.exists():
            torch.manual_seed(0)
            if kind == "emotion2vec":
                save_emotion2vec(folder)
            else:
                save_hugging_face(folder, kind)
        return folder

    return make


def save_hugging_face(folder, kind):
    """Saves the weights, config.json and preprocessor_config.json."""
    name, settings = BACKBONES[kind]
    model_class = getattr(transformers, name)
    model_class(model_class.config_class(**settings)).save_pretrained(folder)
    if kind == "whisper":
        extractor = transformers.WhisperFeatureExtractor(chunk_length=1)
    elif kind == "w2v-bert":
        extractor = transformers.SeamlessM4TFeatureExtractor()
    else:
        extractor = transformers.Wav2Vec2FeatureExtractor(
            do_normalize=settings["feat_extract_norm"] == "layer"
        )
    extractor.save_pretrained(folder)


def save_emotion2vec(
    folder,
    depth=2,
    prenet=1,
    heads=2,
    size=16,
    decoder=16,
    convolutions="[(8, 10, 5)] + [(8, 3, 2)] * 4 + [(8, 2, 2)] * 2",
):
    """Saves config.yaml and model.pt, as on the hub."""
    pytest.importorskip("funasr", reason="the extra [emotion2vec] is missing")
    from funasr.models.emotion2vec.model import Emotion2vec

    text = EMOTION2VEC.format(
        depth=depth,
        prenet=prenet,
        heads=heads,
        size=size,
        decoder=decoder,
        convolutions=convolutions,
    )
    settings = YAML(typ="safe").load(text)
    model = Emotion2vec(**settings)
    folder.mkdir()
    (folder / "config.yaml").write_text(text)
    torch.save({"model": model.state_dict()}, folder / "model.pt")


@pytest.fixture(scope="session")
def mini_urdu(tmp_path_factory):
    """Makes forty tones of eight speakers in URDU's layout and format."""
    folder = tmp_path_factory.mktemp("corpus") / "URDU"
    rng = np.random.default_rng(0)
    for k, label in enumerate(("Angry", "Happy", "Neutral", "Sad")):
        (folder / label).mkdir(parents=True)
        for n in range(10):
            seconds = 0.3 + 0.4 * rng.random()
            time = np.arange(int(44100 * seconds)) / 44100
            wave = np.sin(2 * np.pi * 200 * 2**k * time) * 0.3
            wave += 0.05 * rng.standard_normal(len(time))
            soundfile.write(
                folder / label / f"SM{n % 8 + 1}_F{n}_{label[0]}{n}.wav",
                wave,
                44100,
                subtype="PCM_16",
            )
    return folder
