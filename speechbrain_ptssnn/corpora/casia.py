"""CASIA (Institute of Automation, Chinese Academy of Sciences): four Mandarin
speakers read the same 50 sentences in six emotions, 1,200 utterances, 16 kHz
mono. Most papers mean this part, in which all speakers read the same texts.

A file is called ``wangzhe/neutral/239.wav``: speaker, emotion, sentence (201
to 250). The paper's table has four emotions: ``--protocol=four_classes``.
"""

import re

from speechbrain_ptssnn.corpora.common import Corpus
from speechbrain_ptssnn.corpora.release import Release

LABELS = ("angry", "fear", "happy", "neutral", "sad", "surprise")
SPEAKERS = ("liuchanhg", "wangzhe", "zhaoquanyin", "zhaozuoxiang")
SENTENCE = re.compile(r"20[1-9]|2[1-4]\d|250")


def _describe(wav):
    # Some copies write ZhaoZuoxiang.
    label, speaker = wav.parent.name, wav.parent.parent.name.lower()
    if (
        speaker not in SPEAKERS
        or label not in LABELS
        or not SENTENCE.fullmatch(wav.stem)
    ):
        return None
    return {
        "id": f"{speaker}-{label}-{wav.stem}",
        "speaker": speaker,
        "label": label,
        "sentence": wav.stem,
    }


RELEASE = Release(
    corpus="CASIA",
    source="http://www.chineseldc.org",
    layout="liuchanhg/, wangzhe/, zhaoquanyin/ and zhaozuoxiang/, in each "
    "angry/, fear/, happy/, neutral/, sad/ and surprise/, in each 201.wav to "
    "250.wav",
    folders=SPEAKERS,
    files="*/*/*.wav",
    example="wangzhe/neutral/239.wav (speaker, emotion, sentence 201 to 250)",
    describe=_describe,
    counts={
        "label": dict.fromkeys(LABELS, 200),
        "speaker": dict.fromkeys(SPEAKERS, 300),
    },
    sample_rate=16000,
    channels=1,
)
CORPUS = Corpus(
    name="CASIA",
    labels=LABELS,
    read=RELEASE.read,
    protocol="speaker",
    description="Mandarin, 4 speakers, 6 emotions, 1,200 utterances",
)
