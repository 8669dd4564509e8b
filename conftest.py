"""Names for doctests; tiny corpora and backbones, so that nothing downloads."""

import numpy as np
import pytest
import soundfile
import torch
import transformers

import speechbrain_ptssnn

TINY = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "conv_dim": (8,) * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
}
# The class that transformers loads for it, and whether the waveform and the
# convolutions are normalised over the utterance ("group") or per frame.
BACKBONES = {
    "wav2vec2": ("Wav2Vec2", "group"),
    "hubert": ("Hubert", "layer"),
    "wavlm": ("WavLM", "group"),
    "data2vec": ("Data2VecAudio", "layer"),
}


@pytest.fixture(autouse=True)
def _doctest_names(doctest_namespace):
    doctest_namespace["torch"] = torch
    for name in speechbrain_ptssnn.__all__:
        doctest_namespace[name] = getattr(speechbrain_ptssnn, name)


@pytest.fixture(scope="session")
def make_backbone(tmp_path_factory):
    """Saves a tiny model with random weights in the Hugging Face layout."""

    def make(kind):
        name, norm = BACKBONES[kind]
        folder = tmp_path_factory.getbasetemp() / f"tiny-{kind}"
        if not folder.exists():
            config = getattr(transformers, f"{name}Config")(
                feat_extract_norm=norm, **TINY
            )
            torch.manual_seed(0)
            getattr(transformers, f"{name}Model")(config).save_pretrained(
                folder
            )
            transformers.Wav2Vec2FeatureExtractor(
                do_normalize=norm == "layer"
            ).save_pretrained(folder)
        return folder

    return make


@pytest.fixture(scope="session")
def mini_urdu(tmp_path_factory):
    """Eight speakers, forty tones, in URDU's layout and format."""
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
