"""URDU (Latif et al., 2018, arXiv:1812.10411): 400 utterances of Urdu talk
shows, four emotions, 100 each, 44.1 kHz mono.

A file is called ``SM1_F10_A010.wav``: speaker (M male, F female), number of
the file for that speaker, emotion and number within the emotion. The file
names hold 29 speakers, though the corpus's README says 38; 26 of them show
one emotion only, so that under random folds knowing the speaker is nearly
knowing the label.
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

LABELS = ("Angry", "Happy", "Neutral", "Sad")
LAYOUT = "Angry/, Happy/, Neutral/ and Sad/, 100 wav files each"
SOURCE = "https://github.com/siddiquelatif/URDU-Dataset"
FILE_NAME = re.compile(r"(S[MF]\d+)_F\d+_([AHNS])\d+")


def read_urdu(data_folder, complete=True):
    """Lists the utterances of URDU, sorted by id.

    Arguments
    ---------
    data_folder : str or Path
        Holds the four folders ``Angry``, ``Happy``, ``Neutral``, ``Sad``.
    complete : bool
        Whether each label must have its published 100 utterances.

    Returns
    -------
    list of Utterance

    Raises
    ------
    InputError
        If the folder, a count, a file name or a file's header is not as
        published.
    """
    folder = check_folder("URDU", data_folder, LAYOUT, SOURCE)
    utterances = []
    for wav in folder.glob("*/*.wav"):
        match = FILE_NAME.fullmatch(wav.stem)
        if match is None or not wav.parent.name.startswith(match[2]):
            raise InputError(
                f"{wav}: the name is not like Angry/SM1_F10_A010.wav "
                "(speaker, file, emotion of its folder); remove or rename it"
            )
        utterances.append(
            Utterance(
                id=wav.stem,
                wav=str(wav),
                speaker=match[1],
                label=wav.parent.name,
                duration=audio_seconds(wav, sample_rate=44100, channels=1),
            )
        )
    if complete:
        check_counts(
            "URDU",
            utterances,
            dict.fromkeys(LABELS, 100),
            f"expected under {folder}: {LAYOUT}, as published at {SOURCE}",
        )
    return sorted(utterances, key=lambda utterance: utterance.id)


CORPUS = Corpus(name="URDU", labels=LABELS, read=read_urdu)
