"""EMOVO (Costantini et al., LREC 2014): six Italian actors speak 14 sentences
in seven emotions, 588 utterances, 48 kHz, two channels that differ.

A file is called ``rab-f1-b1.wav``: emotion (Italian), speaker (f female, m
male), sentence. Every speaker speaks every sentence in every emotion, so that
neither tells the emotion.
"""

import re

from speechbrain_ptssnn.audio import audio_seconds
from speechbrain_ptssnn.corpora.common import (
    Corpus,
    Utterance,
    check_counts,
    check_folder,
)
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
LAYOUT = "f1/, f2/, f3/, m1/, m2/ and m3/, 98 wav files each"
SOURCE = "http://voice.fub.it/activities/corpora/emovo/index.html"
FILE_NAME = re.compile(r"([a-z]{3})-([fm]\d)-([a-z]\d)")


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
    folder = check_folder("EMOVO", data_folder, LAYOUT, SOURCE)
    utterances = []
    for wav in folder.glob("*/*.wav"):
        match = FILE_NAME.fullmatch(wav.stem)
        if (
            match is None
            or match[1] not in LABELS
            or match[2] != wav.parent.name
        ):
            raise InputError(
                f"{wav}: the name is not like f1/rab-f1-b1.wav (emotion, "
                "speaker of its folder, sentence); remove or rename it"
            )
        utterances.append(
            Utterance(
                id=wav.stem,
                wav=str(wav),
                speaker=match[2],
                label=LABELS[match[1]],
                duration=audio_seconds(wav),
            )
        )
    if complete:
        hint = f"expected under {folder}: {LAYOUT}, as published at {SOURCE}"
        check_counts(
            "EMOVO", utterances, dict.fromkeys(LABELS.values(), 84), hint
        )
        check_counts(
            "EMOVO", utterances, dict.fromkeys(SPEAKERS, 98), hint, by="speaker"
        )
    return sorted(utterances, key=lambda utterance: utterance.id)


CORPUS = Corpus(name="EMOVO", labels=tuple(LABELS.values()), read=read_emovo)
