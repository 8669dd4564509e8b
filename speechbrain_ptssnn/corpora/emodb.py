"""EMODB (Burkhardt et al., Interspeech 2005): ten German actors speak ten
sentences in seven emotions, 535 utterances, 16 kHz mono.

A file is called ``03a01Fa.wav``: speaker, sentence, first letter of the German
emotion (Wut, Langeweile, Ekel, Angst, Freude, Trauer, neutral), take.
"""

import re

from speechbrain_ptssnn.corpora.common import Corpus
from speechbrain_ptssnn.corpora.release import Release

LABELS = {
    "W": "anger",
    "L": "boredom",
    "E": "disgust",
    "A": "fear",
    "F": "happiness",
    "N": "neutral",
    "T": "sadness",
}
SEX = {
    "03": "m",
    "08": "f",
    "09": "f",
    "10": "m",
    "11": "m",
    "12": "m",
    "13": "f",
    "14": "f",
    "15": "m",
    "16": "f",
}
SENTENCES = {
    "a01": "Der Lappen liegt auf dem Eisschrank.",
    "a02": "Das will sie am Mittwoch abgeben.",
    "a04": "Heute abend könnte ich es ihm sagen.",
    "a05": "Das schwarze Stück Papier befindet sich da oben neben dem "
    "Holzstück.",
    "a07": "In sieben Stunden wird es soweit sein.",
    "b01": "Was sind denn das für Tüten, die da unter dem Tisch stehen?",
    "b02": "Sie haben es gerade hochgetragen und jetzt gehen sie wieder "
    "runter.",
    "b03": "An den Wochenenden bin ich jetzt immer nach Hause gefahren und "
    "habe Agnes besucht.",
    "b09": "Ich will das eben wegbringen und dann mit Karl was trinken gehen.",
    "b10": "Die wird auf dem Platz sein, wo wir sie immer hinlegen.",
}
FILE_NAME = re.compile(r"(\d\d)([ab]\d\d)([WLEAFNT])[a-z]")


def _describe(wav):
    match = FILE_NAME.fullmatch(wav.stem)
    if match is None or match[1] not in SEX or match[2] not in SENTENCES:
        return None
    return {
        "id": wav.stem,
        "speaker": match[1],
        "label": LABELS[match[3]],
        "sex": SEX[match[1]],
        "sentence": match[2],
        "text": SENTENCES[match[2]],
    }


RELEASE = Release(
    corpus="EMODB",
    source="http://emodb.bilderbar.info",
    layout="wav/, which holds 535 wav files",
    folders=("wav",),
    files="wav/*.wav",
    example="wav/03a01Fa.wav (speaker, sentence, emotion, take)",
    describe=_describe,
    counts={
        "label": {
            "anger": 127,
            "boredom": 81,
            "disgust": 46,
            "fear": 69,
            "happiness": 71,
            "neutral": 79,
            "sadness": 62,
        },
        "speaker": {
            "03": 49,
            "08": 58,
            "09": 43,
            "10": 38,
            "11": 55,
            "12": 35,
            "13": 61,
            "14": 69,
            "15": 56,
            "16": 71,
        },
    },
    sample_rate=16000,
    channels=1,
)
CORPUS = Corpus(
    name="EMODB",
    labels=tuple(LABELS.values()),
    read=RELEASE.read,
    description="German, 10 actors, 7 emotions, 535 utterances",
)
