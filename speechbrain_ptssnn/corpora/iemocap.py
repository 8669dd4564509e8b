"""IEMOCAP (Busso et al., 2008, doi:10.1007/s10579-008-9076-6): ten American
actors talk in pairs, one woman and one man in each of five sessions, 16 kHz
mono.

The reader does what most papers do. It takes the annotators' majority label,
merges happy and excited, and keeps angry, happy, neutral and sad: 5,531
utterances. The files of one dialogue are, for example:

- ``Session1/dialog/EmoEvaluation/Ses01F_impro01.txt``, labels,
- ``Session1/dialog/transcriptions/Ses01F_impro01.txt``, texts,
- ``Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_M003.wav``, audio.

The letter before the last number says who speaks. The letter after the session
says who wore the motion capture markers.
"""

import re
from pathlib import Path

from speechbrain.utils.logger import get_logger

from speechbrain_ptssnn.corpora.common import Corpus
from speechbrain_ptssnn.corpora.release import Release, visible
from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.utils.long_lists import named

logger = get_logger(__name__)

LABELS = {
    "ang": "angry",
    "hap": "happy",
    "exc": "happy",
    "neu": "neutral",
    "sad": "sad",
}
# xxx: the annotators do not agree.
LEFT_OUT = ("dis", "fea", "fru", "oth", "sur", "xxx")
NAME = re.compile(r"(Ses0([1-5]))[FM]_\w+_([FM])\d{3}")
TURN = re.compile(r"\[[\d.]+ - [\d.]+\]\t(\S+)\t(\S+)\t\[.*\]")
TRANSCRIPT = re.compile(r"(\S+) \[[\d.-]+\]: (.*)")


def _describe(wav):  # all but the label, which the path does not tell
    match = NAME.fullmatch(wav.stem)
    if match is None:
        return None
    return {
        "id": wav.stem,
        "speaker": match[1] + match[3],
        "session": match[2],
        "sex": match[3].lower(),
    }


RELEASE = Release(
    corpus="IEMOCAP",
    source="https://sail.usc.edu/iemocap",
    layout="Session1/ to Session5/, in each dialog/EmoEvaluation/, "
    "dialog/transcriptions/ and sentences/wav/",
    folders=tuple(f"Session{k}" for k in range(1, 6)),
    files="Session[1-5]/sentences/wav/*/*.wav",
    example="Ses01F_impro01/Ses01F_impro01_M003.wav (session, dialogue, "
    "speaker)",
    describe=_describe,
    counts={
        "label": {"angry": 1103, "happy": 1636, "neutral": 1708, "sad": 1084},
        "session": {"1": 1085, "2": 1023, "3": 1151, "4": 1031, "5": 1241},
        "speaker": {
            "Ses01F": 528,
            "Ses01M": 557,
            "Ses02F": 481,
            "Ses02M": 542,
            "Ses03F": 522,
            "Ses03M": 629,
            "Ses04F": 528,
            "Ses04M": 503,
            "Ses05F": 590,
            "Ses05M": 651,
        },
    },
    sample_rate=16000,
    channels=1,
)


def wav_path(name):
    """Returns the path of an utterance's audio file in the release.

    Arguments
    ---------
    name : str
        The utterance's id.

    Returns
    -------
    Path

    Example
    -------
    >>> wav_path("Ses01F_impro01_M003").as_posix()
    'Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_M003.wav'
    """
    dialogue = name.rpartition("_")[0]
    folder = Path(f"Session{name[4:5]}", "sentences", "wav", dialogue)
    return folder / f"{name}.wav"


def read_labels(path):
    """Reads the annotators' majority labels of one dialogue.

    Arguments
    ---------
    path : Path
        A file of ``EmoEvaluation``.

    Returns
    -------
    dict
        From an utterance's id to one of the four labels; utterances with
        other labels are left out.

    Raises
    ------
    InputError
        If a line that begins an utterance cannot be read, or its label is
        not one of IEMOCAP's.
    """
    labels = {}
    for number, line in enumerate(_lines(path), 1):
        if not line.startswith("["):
            continue  # the header, and each single annotator's label
        match = TURN.fullmatch(line)
        if match is None or match[2] not in (*LABELS, *LEFT_OUT):
            raise InputError(
                f"{path}:{number}: {line!r} is not like '[6.2901 - 8.2357] "
                "Ses01F_impro01_F000 neu [2.5000, 2.5000, 2.5000]', separated "
                f"by tabs, with one of {[*LABELS, *LEFT_OUT]}"
            )
        if match[2] in LABELS:
            labels[match[1]] = LABELS[match[2]]
    return labels


def read_iemocap(data_folder, complete=True):
    """Lists the utterances of IEMOCAP's four classes, sorted by id.

    Arguments
    ---------
    data_folder : str or Path
        ``IEMOCAP_full_release``, which holds ``Session1`` to ``Session5``.
    complete : bool
        Whether each label, session and speaker must have the published
        number of utterances, 5,531 in all. If not, utterances without an
        audio file are left out, and a warning counts them.

    Returns
    -------
    list of Utterance

    Raises
    ------
    InputError
        If the folder, a count, an annotation, a file name or a file's header
        is not as published.
    """
    folder = RELEASE.find(data_folder)
    annotations = visible(folder, "Session[1-5]/dialog/EmoEvaluation/*.txt")
    if not annotations:
        raise InputError(
            f"{folder}: no Session*/dialog/EmoEvaluation/*.txt, which hold the "
            f"labels; expected: {RELEASE.layout}, from {RELEASE.source}"
        )
    utterances, missing = [], []
    # By their paths in lower case: some copies end in .WAV.
    wavs = {
        wav.relative_to(folder).as_posix().lower(): wav
        for wav in visible(folder, RELEASE.files)
    }
    for path in annotations:
        texts = _read_texts(path.parents[1] / "transcriptions" / path.name)
        for name, label in read_labels(path).items():
            wav = wavs.get(wav_path(name).as_posix().lower())
            if wav is None:
                missing.append(folder / wav_path(name))
                continue
            text = texts.get(name, "")
            utterances.append(RELEASE.utterance(wav, label=label, text=text))
    if missing:
        what = (
            f"{folder}: {len(missing)} audio files are annotated but missing: "
            f"{named(missing, 'missing audio files')}"
        )
        if complete:
            raise InputError(f"{what}; a partial download? Copy them again")
        logger.warning("%s; their utterances are left out", what)
    if complete:
        RELEASE.check(folder, utterances)
    else:
        RELEASE.warn_of_part(folder, utterances)
    return sorted(utterances, key=lambda utterance: utterance.id)


def _read_texts(path):
    if not path.exists():
        return {}
    matches = (TRANSCRIPT.fullmatch(line) for line in _lines(path))
    return {match[1]: match[2] for match in matches if match}


def _lines(path):
    # The files are ASCII, except for a stray byte in a comment.
    text = path.read_text(encoding="utf-8", errors="replace")
    return [line.rstrip() for line in text.splitlines()]


CORPUS = Corpus(
    name="IEMOCAP",
    labels=tuple(dict.fromkeys(LABELS.values())),
    read=read_iemocap,
    protocol="session",
    description="English dialogues, 10 actors, 4 emotions, 5,531 utterances",
)
