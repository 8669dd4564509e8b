"""Speech Commands, version 2 (Warden, 2018, arXiv:1804.03209): thousands of
speakers say 35 English words, 105,829 utterances of a second at most, 16 kHz
mono. No emotion here: the label is the word.

A file is called ``backward/0165e0e8_nohash_0.wav``: word, speaker, number of
the word for that speaker. ``validation_list.txt`` and ``testing_list.txt``
name the files that validate and test; all others train. The authors chose by
the speaker's name, so that a speaker is in one part only.
``_background_noise_/`` has no words in it and is not read.
"""

import re

from speechbrain.utils.logger import get_logger
from tqdm import tqdm

from speechbrain_ptssnn.corpora.common import Corpus
from speechbrain_ptssnn.corpora.release import Release, visible
from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.utils.long_lists import named

logger = get_logger(__name__)

COUNTS = {
    "backward": 1664,
    "bed": 2014,
    "bird": 2064,
    "cat": 2031,
    "dog": 2128,
    "down": 3917,
    "eight": 3787,
    "five": 4052,
    "follow": 1579,
    "forward": 1557,
    "four": 3728,
    "go": 3880,
    "happy": 2054,
    "house": 2113,
    "learn": 1575,
    "left": 3801,
    "marvin": 2100,
    "nine": 3934,
    "no": 3941,
    "off": 3745,
    "on": 3845,
    "one": 3890,
    "right": 3778,
    "seven": 3998,
    "sheila": 2022,
    "six": 3860,
    "stop": 3872,
    "three": 3727,
    "tree": 1759,
    "two": 3880,
    "up": 3723,
    "visual": 1592,
    "wow": 2123,
    "yes": 4044,
    "zero": 4052,
}
NOT_IN_VERSION_1 = {"backward", "follow", "forward", "learn", "visual"}
LISTS = {"valid": "validation_list.txt", "test": "testing_list.txt"}
FILE_NAME = re.compile(r"([0-9a-f]+)_nohash_\d+", re.ASCII)


def _describe(wav):  # all but the part, which the lists tell
    match, label = FILE_NAME.fullmatch(wav.stem), wav.parent.name
    if match is None or label not in COUNTS:
        return None
    return {"id": f"{label}-{wav.stem}", "speaker": match[1], "label": label}


RELEASE = Release(
    corpus="SpeechCommands",
    source="http://download.tensorflow.org/data/speech_commands_v0.02.tar.gz",
    layout="35 folders, backward/ to zero/, validation_list.txt and "
    "testing_list.txt",
    # Not by go/, which many home folders have.
    folders=tuple(word for word in COUNTS if word != "go"),
    files="[!_]*/*.wav",
    example="backward/0165e0e8_nohash_0.wav (one of the 35 words, speaker, "
    "number)",
    describe=_describe,
    counts={
        "label": COUNTS,
        "fold": {"train": 84843, "valid": 9981, "test": 11005},
    },
    sample_rate=16000,
    channels=1,
)


def read_lists(folder):
    r"""Reads which files validate and which test.

    Arguments
    ---------
    folder : Path
        The release's folder.

    Returns
    -------
    dict
        From a path as the lists have it to "valid" or "test".

    Raises
    ------
    InputError
        If a list is missing or cannot be read, or a file is in both.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> _ = (folder / "validation_list.txt").write_text("up/a_nohash_0.wav\n")
    >>> _ = (folder / "testing_list.txt").write_text("on/b_nohash_0.wav\n")
    >>> read_lists(folder)
    {'up/a_nohash_0.wav': 'valid', 'on/b_nohash_0.wav': 'test'}
    """
    parts, twice = {}, []
    for part, name in LISTS.items():
        path = folder / name
        try:
            lines = path.read_text(encoding="utf-8").split("\n")
        except FileNotFoundError as error:
            raise InputError(
                f"{path}: is missing; it says which files are of the part "
                f"{part!r}: copy it from {RELEASE.source}"
            ) from error
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path}: cannot be read ({error})") from error
        for wav in filter(None, map(str.strip, lines)):
            if parts.setdefault(wav, part) != part:
                twice.append(wav)
    if twice:
        raise InputError(
            f"{folder}: {' and '.join(LISTS.values())} both name {len(twice)} "
            f"files: {named(twice, 'files in both lists')}; copy the lists "
            f"from {RELEASE.source}"
        )
    return parts


def read_speechcommands(data_folder, complete=True):
    """Lists the utterances of Speech Commands, sorted by id.

    Arguments
    ---------
    data_folder : str or Path
        Holds the words' folders and both lists.
    complete : bool
        Whether each word and each part must have the published number of
        utterances, 105,829 in all. If not, a warning counts the files that
        the lists name and that are not there.

    Returns
    -------
    list of Utterance
        ``fold`` is "train", "valid" or "test".

    Raises
    ------
    InputError
        If the folder is another version's, a list or a file that it names is
        missing, or a count, a path or a file's header is not as published.
    """
    folder = RELEASE.find(data_folder)
    words = {path.name for path in folder.glob("[!_]*/")}
    if COUNTS.keys() - words == NOT_IN_VERSION_1:
        raise InputError(
            f"{folder}: is version 1 of Speech Commands, which has 30 words "
            f"and other lists; get version 2 from {RELEASE.source}"
        )
    parts = read_lists(folder)
    # By their paths in lower case: some copies end in .WAV.
    wavs = {
        wav.relative_to(folder).as_posix().lower(): wav
        for wav in visible(folder, RELEASE.files)
    }
    missing = [wav for wav in parts if wav not in wavs]
    if missing:
        what = (
            f"{folder}: {len(missing)} files of {' and '.join(LISTS.values())} "
            f"are missing: {named(missing, 'missing files')}"
        )
        if complete:
            raise InputError(f"{what}; a partial download? Copy them again")
        logger.warning("%s", what)
    utterances = [
        RELEASE.utterance(wav, fold=parts.get(path, "train"))
        for path, wav in tqdm(
            wavs.items(), "headers of audio files", disable=None, delay=2
        )
    ]
    if complete:
        RELEASE.check(folder, utterances)
    else:
        RELEASE.warn_of_part(folder, utterances)
    return sorted(utterances, key=lambda utterance: utterance.id)


CORPUS = Corpus(
    name="SpeechCommands",
    labels=tuple(COUNTS),
    read=read_speechcommands,
    protocol="authors",
    description="version 2, English, 35 words, 105,829 utterances",
    task="Keyword spotting",
)
