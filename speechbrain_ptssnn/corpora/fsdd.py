"""FSDD, the Free Spoken Digit Dataset: six speakers say the English digits
zero to nine 50 times each, 3,000 recordings, 8 kHz mono. No emotion here: the
label is the word.

A file is called ``7_jackson_32.wav``: digit, speaker, index 0 to 49. The
authors' split tests index 0 to 4 and trains on the rest. They have no
validation set; here it is index 5 to 9 (own choice: as many of each digit and
speaker as are tested).
"""

import re

from speechbrain_ptssnn.corpora.common import Corpus
from speechbrain_ptssnn.corpora.release import Release

# Index order is the digits' own; the words are those of Speech Commands.
LABELS = (
    *("zero", "one", "two", "three", "four"),
    *("five", "six", "seven", "eight", "nine"),
)
SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
FILE_NAME = re.compile(r"(\d)_([a-z]+)_(\d|[1-4]\d)", re.ASCII)


def _describe(wav):
    match = FILE_NAME.fullmatch(wav.stem)
    if match is None or match[2] not in SPEAKERS:
        return None
    index = int(match[3])
    return {
        "id": wav.stem,
        "speaker": match[2],
        "label": LABELS[int(match[1])],
        "fold": "test" if index < 5 else "valid" if index < 10 else "train",
    }


RELEASE = Release(
    corpus="FSDD",
    source="https://github.com/Jakobovski/free-spoken-digit-dataset",
    layout="recordings/, which holds 3,000 wav files",
    folders=("recordings",),
    files="recordings/*.wav",
    example="recordings/7_jackson_32.wav (digit, speaker, index 0 to 49)",
    describe=_describe,
    counts={
        "label": dict.fromkeys(LABELS, 300),
        "speaker": dict.fromkeys(SPEAKERS, 500),
        "fold": {"train": 2400, "valid": 300, "test": 300},
    },
    sample_rate=8000,
    channels=1,
)
CORPUS = Corpus(
    name="FSDD",
    labels=LABELS,
    read=RELEASE.read,
    protocol="authors",
    description="English digits, 6 speakers, 10 words, 3,000 utterances",
    task="Spoken digit recognition",
)
