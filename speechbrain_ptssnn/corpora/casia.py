"""CASIA (Institute of Automation, Chinese Academy of Sciences): four Mandarin
speakers read the same 50 sentences in six emotions, 1,200 utterances, 16 kHz
mono. It is the part with the same texts, which is what most papers call CASIA.

A file is called ``wangzhe/neutral/239.wav``: speaker, emotion, sentence (201
to 250). The paper's table counts four emotions: ``--protocol=four_classes``.
"""

import re

from speechbrain_ptssnn.corpora.common import Corpus
from speechbrain_ptssnn.corpora.release import Release
from speechbrain_ptssnn.errors import InputError

LABELS = ("angry", "fear", "happy", "neutral", "sad", "surprise")
SPEAKERS = ("liuchanhg", "wangzhe", "zhaoquanyin", "zhaozuoxiang")
SENTENCE = re.compile(r"20[1-9]|2[1-4]\d|250")
RELEASE = Release(
    corpus="CASIA",
    source="http://www.chineseldc.org",
    layout="liuchanhg/, wangzhe/, zhaoquanyin/ and zhaozuoxiang/, in each "
    "angry/, fear/, happy/, neutral/, sad/ and surprise/, in each 201.wav to "
    "250.wav",
    folders=SPEAKERS,
    files="*/*/*.wav",
    counts={
        "label": dict.fromkeys(LABELS, 200),
        "speaker": dict.fromkeys(SPEAKERS, 300),
    },
    sample_rate=16000,
    channels=1,
)


def describe(wav):
    """What the path of a file of CASIA says.

    Arguments
    ---------
    wav : Path
        E.g. ``wangzhe/neutral/239.wav``; some copies write ``ZhaoZuoxiang``.

    Returns
    -------
    dict
        id, speaker, label and sentence.

    Raises
    ------
    InputError
        If the path is not like that.

    Example
    -------
    >>> from pathlib import Path
    >>> describe(Path("ZhaoZuoxiang/sad/201.wav"))["id"]
    'zhaozuoxiang-sad-201'
    """
    label, speaker = wav.parent.name, wav.parent.parent.name.lower()
    if (
        speaker not in SPEAKERS
        or label not in LABELS
        or not SENTENCE.fullmatch(wav.stem)
    ):
        raise InputError(
            f"{wav}: the path is not like wangzhe/neutral/239.wav (speaker, "
            "emotion, sentence 201 to 250); remove or rename it"
        )
    return {
        "id": f"{speaker}-{label}-{wav.stem}",
        "speaker": speaker,
        "label": label,
        "sentence": wav.stem,
    }


def read_casia(data_folder, complete=True):
    """Lists the utterances of CASIA, sorted by id.

    Arguments
    ---------
    data_folder : str or Path
        Holds the four speakers' folders.
    complete : bool
        Whether each label must have its published 200 utterances and each
        speaker 300.

    Returns
    -------
    list of Utterance

    Raises
    ------
    InputError
        If the folder, a count, a path or a file's header is not as published.
    """
    return RELEASE.read(data_folder, complete, describe)


CORPUS = Corpus(
    name="CASIA", labels=LABELS, read=read_casia, protocol="speaker"
)
