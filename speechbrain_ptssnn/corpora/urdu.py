"""URDU (Latif et al., 2018, arXiv:1812.10411): 400 utterances of Urdu talk
shows, four emotions, 100 each, 44.1 kHz mono.

A file is called ``SM1_F10_A010.wav``: speaker (M male, F female), number of
the file for that speaker, emotion, number of the file for that emotion. The
file names have 29 speakers, though the corpus's README says 38. Of these, 26
speak in one emotion only: with random folds, a model that recognises the
speaker nearly knows the label.
"""

import re

from speechbrain_ptssnn.corpora.common import Corpus
from speechbrain_ptssnn.corpora.release import Release

LABELS = ("Angry", "Happy", "Neutral", "Sad")
SPEAKERS = {
    "SF1": 12,
    "SF2": 2,
    "SF3": 2,
    "SF4": 4,
    "SF5": 4,
    "SF6": 14,
    "SF7": 6,
    "SF8": 2,
    "SF9": 4,
    "SF10": 2,
    "SF11": 4,
    "SM1": 22,
    "SM2": 28,
    "SM3": 12,
    "SM4": 48,
    "SM5": 80,
    "SM6": 14,
    "SM7": 28,
    "SM17": 2,
    "SM18": 2,
    "SM19": 2,
    "SM20": 10,
    "SM21": 4,
    "SM22": 2,
    "SM23": 6,
    "SM24": 38,
    "SM25": 40,
    "SM26": 2,
    "SM27": 4,
}
FILE_NAME = re.compile(r"(S([MF])\d+)_F\d+_([AHNS])\d+")


def _describe(wav):
    match, label = FILE_NAME.fullmatch(wav.stem), wav.parent.name
    if match is None or label not in LABELS or match[3] != label[0]:
        return None
    return {
        "id": wav.stem,
        "speaker": match[1],
        "label": label,
        "sex": match[2].lower(),
    }


RELEASE = Release(
    corpus="URDU",
    source="https://github.com/siddiquelatif/URDU-Dataset",
    layout="Angry/, Happy/, Neutral/ and Sad/, 100 wav files each",
    folders=LABELS,
    files="*/*.wav",
    example="Angry/SM1_F10_A010.wav (speaker, file, emotion of its folder)",
    describe=_describe,
    counts={
        "label": dict.fromkeys(LABELS, 100),
        "speaker": SPEAKERS,
    },
    sample_rate=44100,
    channels=1,
)
CORPUS = Corpus(
    name="URDU",
    labels=LABELS,
    read=RELEASE.read,
    description="Urdu talk shows, 29 speakers, 4 emotions, 400 utterances",
)
