"""URDU (Latif et al., 2018, arXiv:1812.10411): 400 utterances of Urdu talk
shows, four emotions, 100 each, 44.1 kHz mono.

A file is called ``SM1_F10_A010.wav``: speaker (M male, F female), number of
the file for that speaker, emotion and number within the emotion. The file
names hold 29 speakers, though the corpus's README says 38; 26 of them show
one emotion only, so that under random folds knowing the speaker is nearly
knowing the label.
"""

import re

from speechbrain_ptssnn.corpora.common import Corpus
from speechbrain_ptssnn.corpora.release import Release
from speechbrain_ptssnn.errors import InputError

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
RELEASE = Release(
    corpus="URDU",
    source="https://github.com/siddiquelatif/URDU-Dataset",
    layout="Angry/, Happy/, Neutral/ and Sad/, 100 wav files each",
    folders=LABELS,
    files="*/*.wav",
    counts={
        "label": dict.fromkeys(LABELS, 100),
        "speaker": SPEAKERS,
    },
    sample_rate=44100,
    channels=1,
)


def describe(wav):
    """What the path of a file of URDU says.

    Arguments
    ---------
    wav : Path
        E.g. ``Angry/SM1_F10_A010.wav``.

    Returns
    -------
    dict
        id, speaker, label and sex.

    Raises
    ------
    InputError
        If the path is not like that.

    Example
    -------
    >>> from pathlib import Path
    >>> describe(Path("Angry/SM1_F10_A010.wav"))
    {'id': 'SM1_F10_A010', 'speaker': 'SM1', 'label': 'Angry', 'sex': 'm'}
    """
    match, label = FILE_NAME.fullmatch(wav.stem), wav.parent.name
    if match is None or label not in LABELS or match[3] != label[0]:
        raise InputError(
            f"{wav}: the name is not like Angry/SM1_F10_A010.wav "
            "(speaker, file, emotion of its folder); remove or rename it"
        )
    return {
        "id": wav.stem,
        "speaker": match[1],
        "label": label,
        "sex": match[2].lower(),
    }


def read_urdu(data_folder, complete=True):
    """Lists the utterances of URDU, sorted by id.

    Arguments
    ---------
    data_folder : str or Path
        Holds the four folders ``Angry``, ``Happy``, ``Neutral``, ``Sad``.
    complete : bool
        Whether each label must have its published 100 utterances, and each
        speaker theirs.

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


CORPUS = Corpus(name="URDU", labels=LABELS, read=read_urdu)
