"""EMOVO (Costantini et al., LREC 2014): six Italian actors speak 14 sentences
in seven emotions, 588 utterances, 48 kHz, two channels that differ.

A file is called ``rab-f1-b1.wav``: emotion (Italian), speaker (f female, m
male), sentence. Every speaker speaks every sentence in every emotion, so
neither the speaker nor the sentence predicts the emotion.
"""

import re

from speechbrain_ptssnn.corpora.common import Corpus
from speechbrain_ptssnn.corpora.release import Release

LABELS = {
    "dis": "disgust",
    "gio": "joy",
    "neu": "neutral",
    "pau": "fear",
    "rab": "anger",
    "sor": "surprise",
    "tri": "sadness",
}
SPEAKERS = ("f1", "f2", "f3", "m1", "m2", "m3")
FILE_NAME = re.compile(r"([a-z]{3})-([fm]\d)-([a-z]\d)")


def _describe(wav):
    match = FILE_NAME.fullmatch(wav.stem)
    if match is None or match[1] not in LABELS or match[2] != wav.parent.name:
        return None
    return {
        "id": wav.stem,
        "speaker": match[2],
        "label": LABELS[match[1]],
        "sex": match[2][0],
        "sentence": match[3],
    }


RELEASE = Release(
    corpus="EMOVO",
    source="http://voice.fub.it/activities/corpora/emovo/index.html",
    layout="f1/, f2/, f3/, m1/, m2/ and m3/, 98 wav files each",
    folders=SPEAKERS,
    files="*/*.wav",
    example="f1/rab-f1-b1.wav (emotion, speaker of its folder, sentence)",
    describe=_describe,
    counts={
        "label": dict.fromkeys(LABELS.values(), 84),
        "speaker": dict.fromkeys(SPEAKERS, 98),
    },
)
CORPUS = Corpus(
    name="EMOVO",
    labels=tuple(LABELS.values()),
    read=RELEASE.read,
    description="Italian, 6 actors, 7 emotions, 588 utterances",
)
