"""EMOVO (Costantini et al., LREC 2014): six Italian actors speak 14 sentences
in seven emotions, 588 utterances, 48 kHz, two channels that differ.

A file is called ``rab-f1-b1.wav``: emotion (Italian), speaker (f female, m
male), sentence. Every speaker speaks every sentence in every emotion, so that
neither tells the emotion.
"""

import re

from speechbrain_ptssnn.corpora.common import Corpus
from speechbrain_ptssnn.corpora.release import Release
from speechbrain_ptssnn.errors import InputError

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
RELEASE = Release(
    corpus="EMOVO",
    source="http://voice.fub.it/activities/corpora/emovo/index.html",
    layout="f1/, f2/, f3/, m1/, m2/ and m3/, 98 wav files each",
    folders=SPEAKERS,
    files="*/*.wav",
    counts={
        "label": dict.fromkeys(LABELS.values(), 84),
        "speaker": dict.fromkeys(SPEAKERS, 98),
    },
)


def describe(wav):
    """What the path of a file of EMOVO says.

    Arguments
    ---------
    wav : Path
        E.g. ``f1/rab-f1-b1.wav``.

    Returns
    -------
    dict
        id, speaker, label, sex and sentence.

    Raises
    ------
    InputError
        If the path is not like that.

    Example
    -------
    >>> from pathlib import Path
    >>> facts = describe(Path("f1/rab-f1-b1.wav"))
    >>> facts["speaker"], facts["label"], facts["sentence"]
    ('f1', 'anger', 'b1')
    """
    match = FILE_NAME.fullmatch(wav.stem)
    if match is None or match[1] not in LABELS or match[2] != wav.parent.name:
        raise InputError(
            f"{wav}: the name is not like f1/rab-f1-b1.wav (emotion, speaker "
            "of its folder, sentence); remove or rename it"
        )
    return {
        "id": wav.stem,
        "speaker": match[2],
        "label": LABELS[match[1]],
        "sex": match[2][0],
        "sentence": match[3],
    }


def read_emovo(data_folder, complete=True):
    """Lists the utterances of EMOVO, sorted by id.

    Arguments
    ---------
    data_folder : str or Path
        Holds the speakers' folders ``f1`` to ``m3``.
    complete : bool
        Whether each label must have its published 84 utterances and each
        speaker 98.

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


CORPUS = Corpus(name="EMOVO", labels=tuple(LABELS.values()), read=read_emovo)
