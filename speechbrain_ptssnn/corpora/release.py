"""A corpus's folder as it was published: found, checked and read."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from speechbrain.utils.logger import get_logger

from speechbrain_ptssnn.audio import audio_seconds
from speechbrain_ptssnn.corpora.checks import check_counts
from speechbrain_ptssnn.corpora.common import Utterance
from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.utils.long_lists import named

logger = get_logger(__name__)

# Endings of files that may be recordings of a corpus.
AUDIO = (".wav", ".flac", ".ogg", ".mp3", ".aif", ".aiff", ".m4a", ".wma")


@dataclass(frozen=True)
class Release:
    """A published corpus, as it lies on disk.

    Arguments
    ---------
    corpus : str
        The corpus's name.
    source : str
        The web page that offers it.
    layout : str
        What the folder holds, in words, for messages.
    folders : tuple of str
        Folders at its top; a folder that has one of them is the right one.
    files : str
        Glob pattern of the audio files, relative to the folder.
    example : str
        The path of one audio file and what its parts mean, for messages.
    describe : callable
        From the Path of an audio file to a dict of what the path says about
        the :class:`Utterance`; None if the corpus has no such path.
    counts : dict
        From an attribute of :class:`Utterance` to a dict from its values to
        the published number of utterances.
    sample_rate : int, optional
        In Hz, if all files were published at one rate.
    channels : int, optional
        Number of channels, if all files were published with the same.
    """

    corpus: str
    source: str
    layout: str
    folders: tuple
    files: str
    example: str
    describe: Callable
    counts: dict
    sample_rate: int | None = None
    channels: int | None = None

    def find(self, data_folder):
        """Checks that a folder is the one of the release.

        Arguments
        ---------
        data_folder : str or Path or None
            What the user gave as ``--data_folder``.

        Returns
        -------
        Path

        Raises
        ------
        InputError
            If it is not; the message names the right folder if it is inside
            the given one or around it.
        """
        hint = (
            f"{self.corpus} needs a folder with {self.layout}; get it from "
            f"{self.source}"
        )
        if not data_folder:
            raise InputError(f"--data_folder is not set: {hint}")
        folder = Path(os.path.expanduser(data_folder))
        if not folder.is_dir():
            raise InputError(f"--data_folder={folder} is not a folder: {hint}")
        if self._is_at(folder):
            return folder
        inside = [*sorted(folder.glob("*/")), *sorted(folder.glob("*/*/"))]
        for other in (*inside, *folder.resolve().parents):
            if self._is_at(other):
                where = "inside it" if other in inside else "around it"
                raise InputError(
                    f"--data_folder={folder} is not the folder of "
                    f"{self.corpus} itself, which lies {where}: use "
                    f"--data_folder={other}"
                )
        found = sorted(path.name for path in folder.iterdir())[:5]
        raise InputError(f"--data_folder={folder} holds {found}: {hint}")

    def read(self, data_folder, complete=True):
        """Lists the utterances of a corpus whose paths say everything.

        Arguments
        ---------
        data_folder : str or Path
            The release's folder.
        complete : bool
            Whether to require the published number of utterances. If not, a
            warning counts the audio files that are not read.

        Returns
        -------
        list of Utterance
            Sorted by id.

        Raises
        ------
        InputError
            If the folder, a count, a path or an audio file's header is not as
            published.
        """
        folder = self.find(data_folder)
        wavs = visible(folder, self.files)
        utterances = [self.utterance(wav) for wav in wavs]
        if complete:
            self.check(folder, utterances)
        else:
            self.warn_of_part(folder, utterances)
            known = set(wavs)
            others = [
                path
                for path in visible(folder, "**/*")
                if path.suffix.lower() in AUDIO and path not in known
            ]
            if others:
                logger.warning(
                    "%s: %d audio files are left out, since they are not "
                    "called %s: %s",
                    folder,
                    len(others),
                    self.files,
                    named(others, "audio files that are left out"),
                )
        return sorted(utterances, key=lambda utterance: utterance.id)

    def utterance(self, wav, **facts):
        """Makes an utterance from the path and the header of its audio file.

        Arguments
        ---------
        wav : Path
            The audio file.
        **facts
            What else is known about the :class:`Utterance`.

        Returns
        -------
        Utterance

        Raises
        ------
        InputError
            If the path or the file's header is not as published.
        """
        described = self.describe(wav)
        if described is None:
            raise InputError(
                f"{wav}: the path is not like {self.example}; rename or "
                "remove the file"
            )
        seconds = audio_seconds(wav, self.sample_rate, self.channels)
        return Utterance(wav=str(wav), duration=seconds, **described, **facts)

    def check(self, folder, utterances):
        """Compares the numbers of utterances with the published ones.

        Arguments
        ---------
        folder : Path
            The release's folder.
        utterances : list of Utterance
            What was found in it.

        Raises
        ------
        InputError
            If a number differs; the message says what is likely wrong.
        """
        hint = f"expected under {folder}: {self.layout}, from {self.source}"
        try:
            for by, expected in self.counts.items():
                check_counts(self.corpus, utterances, expected, hint, by)
        except InputError as error:
            right = set(visible(folder, self.files))
            nested = [
                wav
                for wav in visible(folder, f"**/{self.files}")
                if wav not in right
            ]
            if not nested:
                raise
            raise InputError(
                f"{error}; {len(nested)} files lie deeper, such as "
                f"{nested[0]}: move nested folders up"
            ) from error

    def warn_of_part(self, folder, utterances):
        """Warns if there are fewer utterances than were published.

        Arguments
        ---------
        folder : Path
            The release's folder.
        utterances : list of Utterance
            What was found in it.
        """
        published = sum(self.counts["label"].values())
        if len(utterances) != published:
            logger.warning(
                "%s: has %d of the %d utterances of %s, as --complete=False "
                "allows",
                folder,
                len(utterances),
                published,
                self.corpus,
            )

    def _is_at(self, folder):
        return any((folder / name).is_dir() for name in self.folders)


def visible(folder, pattern):
    """Lists the files of a pattern without the ``._*`` files of macOS.

    ``.wav`` at the end of the pattern stands for ``.WAV`` and so on as well.

    Arguments
    ---------
    folder : Path
        Where to look.
    pattern : str
        For ``Path.glob``.

    Returns
    -------
    list of Path
        Sorted.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> for name in ("b.WAV", "._a.wav", "a.wav"):
    ...     (folder / name).touch()
    >>> [path.name for path in visible(folder, "*.wav")]
    ['a.wav', 'b.WAV']
    """
    if pattern.endswith(".wav"):
        pattern = f"{pattern.removesuffix('.wav')}.[wW][aA][vV]"
    return sorted(
        path for path in folder.glob(pattern) if not path.name.startswith("._")
    )
