"""Fixtures of several test files: real speech, EmoBox's lists of real files,
miniature corpora and an independent PLIF neuron.
"""

import json
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from speechbrain_ptssnn.corpora.common import Utterance


def beside_the_clone(name):
    """Returns a folder of data that is not in the repository, or skips."""
    folder = Path(__file__).resolve().parents[2] / "shared" / name
    if not folder.is_dir():
        pytest.skip(f"the folder shared/{name} is not beside the clone")
    return folder


@pytest.fixture(scope="session")
def shared_data():
    """Returns the folder of real speech."""
    return beside_the_clone("data")


@pytest.fixture(scope="session")
def emobox():
    """Returns the folder of EmoBox's lists of files."""
    return beside_the_clone("emobox")


@pytest.fixture(scope="session")
def listed(emobox):
    """Reads a whole corpus by our reader's rules from EmoBox's list of it."""

    def utterances(corpus):
        name = corpus.lower()
        module = import_module(f"speechbrain_ptssnn.corpora.{name}")
        result = []
        for line in (emobox / name / f"{name}.jsonl").open():
            row = json.loads(line)
            facts = module.RELEASE.describe(Path(row["wav"]))
            if corpus == "IEMOCAP":  # whose labels are not in the names
                facts["label"] = module.LABELS[row["emo"]]
            wav, seconds = row["wav"], row["length"]
            result.append(Utterance(wav=wav, duration=seconds, **facts))
        return result

    return utterances


def paths_of(corpus):
    """Yields some of a corpus's files: path and number of the emotion."""
    if corpus == "IEMOCAP":
        for k in range(40):
            session, speaker, emotion = k % 5 + 1, "FM"[k // 5 % 2], k // 10
            dialogue = f"Ses0{session}{'MF'[k % 2]}_impro01"
            yield (
                f"Session{session}/sentences/wav/{dialogue}/"
                f"{dialogue}_{speaker}{k:03d}.wav",
                emotion,
            )
    elif corpus == "CASIA":
        for speaker in ("liuchanhg", "wangzhe", "zhaoquanyin", "ZhaoZuoxiang"):
            for k, emotion in enumerate(
                ("angry", "fear", "happy", "neutral", "sad", "surprise")
            ):
                for sentence in (201, 250):
                    yield f"{speaker}/{emotion}/{sentence}.wav", k
    elif corpus == "EMODB":
        for speaker in (3, *range(8, 17)):
            for k, letter in enumerate("WLEAFTN"):
                yield f"wav/{speaker:02}a0{1 + k % 2}{letter}b.wav", k
    elif corpus == "EMOVO":
        speakers = ("f1", "f2", "f3", "m1", "m2", "m3")
        many = {"b": 3, "d": 2, "l": 4, "n": 5}
        sentences = [f"{c}{n + 1}" for c in many for n in range(many[c])]
        emotions = ("dis", "gio", "neu", "pau", "rab", "sor", "tri")
        for s, sentence in enumerate(sentences):
            for k, emotion in enumerate(emotions):
                speaker = speakers[(s + k) % 6]
                yield f"{speaker}/{emotion}-{speaker}-{sentence}.wav", k
    elif corpus == "FSDD":
        for digit in range(10):
            for speaker in FSDD_SPEAKERS:
                for index in (4, 5, 49):
                    yield f"recordings/{digit}_{speaker}_{index}.wav", digit
    elif corpus == "SpeechCommands":
        for k, word in enumerate(SPEECH_COMMANDS):
            for speaker in ("0165e0e8", "c50f55b8", "ffd2ba2f"):
                yield f"{word}/{speaker}_nohash_0.wav", k
    else:
        for k, label in enumerate(("Angry", "Happy", "Neutral", "Sad")):
            for n in range(10):
                yield f"{label}/SM{n + 1}_F{n}_{label[0]}{n}.wav", k


FORMAT = {"URDU": (44100, 1), "EMOVO": (48000, 2), "FSDD": (8000, 1)}
STEP = {"FSDD": 1.3, "SpeechCommands": 1.1}  # from one label's tone to the next
FSDD_SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
SPEECH_COMMANDS = (
    *("backward", "bed", "bird", "cat", "dog", "down", "eight", "five"),
    *("follow", "forward", "four", "go", "happy", "house", "learn", "left"),
    *("marvin", "nine", "no", "off", "on", "one", "right", "seven", "sheila"),
    *("six", "stop", "three", "tree", "two", "up", "visual", "wow", "yes"),
    "zero",
)


@pytest.fixture(scope="session")
def mini_corpus(tmp_path_factory):
    """Makes a few noisy tones in the layout of a corpus."""

    def make(corpus):
        folder = tmp_path_factory.mktemp("mini") / corpus
        rate, channels = FORMAT.get(corpus, (16000, 1))
        rng = np.random.default_rng(0)
        time = np.arange(int(0.3 * rate)) / rate
        for name, emotion in paths_of(corpus):
            step = STEP.get(corpus, 1.5)
            wave = 0.3 * np.sin(2 * np.pi * 150 * step**emotion * time)
            noise = 0.05 * rng.standard_normal((len(time), channels))
            wav = folder / name
            wav.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(wav, wave[:, None] + noise, rate)
        if corpus == "IEMOCAP":
            codes = ("ang", "exc", "neu", "sad")
            annotate(folder, [(n, codes[k]) for n, k in paths_of(corpus)])
        if corpus == "SpeechCommands":
            for name, speaker in (
                ("validation_list.txt", "c50f55b8"),
                ("testing_list.txt", "ffd2ba2f"),
            ):
                listed = [n for n, _ in paths_of(corpus) if speaker in n]
                (folder / name).write_text("".join(f"{n}\n" for n in listed))
            noise = folder / "_background_noise_" / "white_noise.wav"
            noise.parent.mkdir()
            soundfile.write(noise, rng.normal(0, 0.1, 32000), 16000)
        return folder

    return make


@pytest.fixture(scope="session")
def annotate_iemocap():
    return annotate


def annotate(folder, files):
    """Writes IEMOCAP's EmoEvaluation and transcriptions in their format."""
    for path, code in files:
        name, dialogue = Path(path).stem, Path(path).parent.name
        dialog = folder / path.split("/")[0] / "dialog"
        labels = dialog / "EmoEvaluation" / f"{dialogue}.txt"
        texts = dialog / "transcriptions" / f"{dialogue}.txt"
        for file in (labels, texts):
            file.parent.mkdir(parents=True, exist_ok=True)
        if not labels.exists():
            labels.write_text("% [START_TIME - END_TIME] TURN_NAME EMOTION\n")
            labels.with_name(f"._{dialogue}.txt").write_bytes(b"\0\5\x16\7")
        with labels.open("a") as file:
            file.write(
                f"\n[6.2901 - 8.2357]\t{name}\t{code}\t[2.5, 2.5, 2.5000]\n"
                "C-E2:\tNeutral;\t()\nA-E3:\tval 3; act 2; dom  2;\t()\n"
            )
        with texts.open("a") as file:
            file.write(f"{name} [006.2901-008.2357]: Excuse me, {name[-4:]}.\n")


@pytest.fixture(scope="session")
def numpy_plif():
    def plif(current, tau, v_threshold=1.0, decay_reset=False, hard=False):
        """Computes eq. 1 and 2 frame by frame; returns (spikes, membranes
        before the reset).
        """
        u, s = np.zeros(current[:, 0].shape), np.zeros(current[:, 0].shape)
        spikes, membranes = [], []
        for t in range(current.shape[1]):
            if hard:
                u = tau * np.where(s == 1, 0.0, u) + current[:, t]
            elif decay_reset:
                u = tau * (u - v_threshold * s) + current[:, t]
            else:
                u = tau * u + current[:, t] - v_threshold * s
            s = np.where(u >= v_threshold, 1.0, 0.0)
            spikes.append(s)
            membranes.append(u)
        return np.stack(spikes, 1), np.stack(membranes, 1)

    return plif


@pytest.fixture
def allow_tf32():
    """Allows or forbids TF32 products on the GPU, for one test."""
    products = torch.backends.cuda.matmul, torch.backends.cudnn
    before = [each.allow_tf32 for each in products]

    def allow(*allowed):
        for each, may in zip(products, allowed, strict=True):
            each.allow_tf32 = may

    yield allow
    allow(*before)
