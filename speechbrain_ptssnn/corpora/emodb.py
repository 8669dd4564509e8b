"""EMODB (Burkhardt et al., Interspeech 2005): ten German actors speak ten
sentences in seven emotions, 535 utterances, 16 kHz mono.

A file is called ``03a01Fa.wav``: speaker, sentence, the German emotion's
letter (Wut, Langeweile, Ekel, Angst, Freude, Trauer, neutral), and which take
it is.
"""

import re

from speechbrain_ptssnn.corpora.common import Corpus
from speechbrain_ptssnn.corpora.release import Release
from speechbrain_ptssnn.errors import InputError

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
RELEASE = Release(
    corpus="EMODB",
    source="http://emodb.bilderbar.info",
    layout="wav/, which holds 535 wav files",
    folders=("wav",),
    files="wav/*.wav",
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


def describe(wav):
    """What the path of a file of EMODB says.

    Arguments
    ---------
    wav : Path
        E.g. ``wav/03a01Fa.wav``.

    Returns
    -------
    dict
        id, speaker, label, sex, sentence and text.

    Raises
    ------
    InputError
        If the name is not like that.

    Example
    -------
    >>> from pathlib import Path
    >>> facts = describe(Path("wav/03a01Fa.wav"))
    >>> facts["speaker"], facts["sex"], facts["label"], facts["text"]
    ('03', 'm', 'happiness', 'Der Lappen liegt auf dem Eisschrank.')
    """
    match = FILE_NAME.fullmatch(wav.stem)
    if match is None or match[1] not in SEX or match[2] not in SENTENCES:
        raise InputError(
            f"{wav}: the name is not like 03a01Fa.wav (speaker, sentence, "
            "emotion, take); remove or rename it"
        )
    return {
        "id": wav.stem,
        "speaker": match[1],
        "label": LABELS[match[3]],
        "sex": SEX[match[1]],
        "sentence": match[2],
        "text": SENTENCES[match[2]],
    }


def read_emodb(data_folder, complete=True):
    """Lists the utterances of EMODB, sorted by id.

    Arguments
    ---------
    data_folder : str or Path
        Holds the folder ``wav``.
    complete : bool
        Whether each label and each speaker must have the published number of
        utterances, 535 in all.

    Returns
    -------
    list of Utterance

    Raises
    ------
    InputError
        If the folder, a count, a file name or a file's header is not as
        published.
    """
    return RELEASE.read(data_folder, complete, describe)


CORPUS = Corpus(name="EMODB", labels=tuple(LABELS.values()), read=read_emodb)
