"""Speech, a file of it, and bundles whose heads are alive."""

import numpy as np
import pytest
import soundfile
import torch

from speechbrain_ptssnn import HomeostaticBiasGenerator, PLIFClassifier
from speechbrain_ptssnn.inference import save_bundle
from speechbrain_ptssnn.training.hyperparams import Hyperparams
from speechbrain_ptssnn.utils.own_files import HPARAMS

LABELS = ["calm", "angry", "sad"]
RATE = 16000


@pytest.fixture(scope="module")
def speech():
    """Two seconds of a tone that grows, and noise, as 16-bit integers."""
    rng = np.random.default_rng(0)
    time = np.arange(2 * RATE + 123) / RATE
    wave = np.sin(2 * np.pi * 300 * time) * time + rng.normal(0, 0.1, len(time))
    return np.round(np.clip(wave / 3, -1, 1) * 32767).astype("<i2")


@pytest.fixture(scope="module")
def write_bundle(tmp_path_factory, speech):
    """Writes a bundle; options are keys of its YAML. The head's neurons fire,
    unless it is to be as it was built.
    """

    def write(file="ablations/causal", fires=True, **options):
        settings = Hyperparams(
            HPARAMS / f"{file}.yaml",
            {"backbone": "fbank_stream", **options},
            None,
            corpus="Cafe",
            n_classes=len(LABELS),
        )
        torch.manual_seed(0)
        parts = settings.build()
        wav = torch.from_numpy(speech / 32768).float()
        features = parts["backbone"](wav)
        parts["normalizer"].fit([features])
        parts["normalizer"].std += 0.1  # of tiny models some never change
        made = parts["head"]
        if fires:
            for module in made.modules():
                if isinstance(module, PLIFClassifier):
                    torch.nn.init.normal_(module.linear.weight)
                elif isinstance(module, HomeostaticBiasGenerator):
                    torch.nn.init.normal_(module.up.weight)
            with torch.no_grad():
                for _ in range(5):
                    made(parts["normalizer"](features)[None])
        folder = tmp_path_factory.mktemp("bundle") / "1" / "fold_1" / "model"
        save_bundle(
            folder,
            settings.text(extraction_precision="fp32"),
            parts["backbone"],
            parts["normalizer"],
            made,
            LABELS,
            temperature=0.1,
        )
        return folder

    return write


@pytest.fixture(scope="module")
def bundle(write_bundle):
    return write_bundle()


@pytest.fixture(scope="module")
def windowed(write_bundle, make_backbone):
    """A bundle of a front-end that hears whole utterances, and its head."""
    return write_bundle(
        "pts_snn",
        backbone="huggingface",
        hub=str(make_backbone("wav2vec2")),
    )


@pytest.fixture
def wav(tmp_path, speech):
    path = tmp_path / "new.wav"
    soundfile.write(path, speech, RATE)
    return str(path)
