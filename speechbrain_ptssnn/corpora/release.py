"""A corpus's files as they were published, and how to tell that they are."""

from dataclasses import dataclass
from pathlib import Path

from speechbrain_ptssnn.audio import audio_seconds
from speechbrain_ptssnn.corpora.common import Utterance, check_counts
from speechbrain_ptssnn.errors import InputError


@dataclass(frozen=True)
class Release:
    """What a corpus's folder holds.

    Arguments
    ---------
    corpus : str
        The corpus's name.
    source : str
        Where it is had.
    layout : str
        What the folder holds, for people.
    folders : tuple of str
        Those at its top; one of them tells that it is the right folder.
    files : str
        Pattern of the audio files.
    counts : dict
        Attribute of :class:`Utterance` to its values to the number of
        utterances that were published.
    sample_rate : int, optional
        In Hz, if all files were published with it.
    channels : int, optional
        Likewise.
    """

    corpus: str
    source: str
    layout: str
    folders: tuple
    files: str
    counts: dict
    sample_rate: int | None = None
    channels: int | None = None

    def find(self, data_folder):
        """The release's folder.

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
            If it is not the release's folder; the message says where that
            is, if it is near.
        """
        hint = (
            f"{self.corpus} needs a folder with {self.layout}; it is had from "
            f"{self.source}"
        )
        if not data_folder:
            raise InputError(f"--data_folder is not set: {hint}")
        folder = Path(data_folder)
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

    def read(self, data_folder, complete, describe):
        """Lists the utterances of a corpus whose file names say everything.

        Arguments
        ---------
        data_folder : str or Path
            The release's folder.
        complete : bool
            Whether the published counts are asked for.
        describe : callable
            Path of an audio file to what it says of its :class:`Utterance`,
            as a dict.

        Returns
        -------
        list of Utterance
            Sorted by id.

        Raises
        ------
        InputError
            If the folder, a count, a file name or a file's header is not as
            published.
        """
        folder = self.find(data_folder)
        utterances = [
            self.utterance(wav, **describe(wav))
            for wav in visible(folder, self.files)
        ]
        if complete:
            self.check(folder, utterances)
        return sorted(utterances, key=lambda utterance: utterance.id)

    def utterance(self, wav, **facts):
        """One utterance; its file's header is checked and tells the seconds.

        Arguments
        ---------
        wav : Path
            The audio file.
        **facts
            What else is known of the :class:`Utterance`.

        Returns
        -------
        Utterance
        """
        seconds = audio_seconds(wav, self.sample_rate, self.channels)
        return Utterance(wav=str(wav), duration=seconds, **facts)

    def check(self, folder, utterances):
        """Compares the counts with the published ones.

        Arguments
        ---------
        folder : Path
            The release's.
        utterances : list of Utterance
            What was found in it.

        Raises
        ------
        InputError
            If a count differs; the message says what is likely wrong.
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

    def _is_at(self, folder):
        return any((folder / name).is_dir() for name in self.folders)


def visible(folder, pattern):
    """The files of a pattern, sorted, without macOS's ``._*`` twins.

    Arguments
    ---------
    folder : Path
        Where to look.
    pattern : str
        For ``Path.glob``.

    Returns
    -------
    list of Path

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> for name in ("b.wav", "._a.wav", "a.wav"):
    ...     (folder / name).touch()
    >>> [path.name for path in visible(folder, "*.wav")]
    ['a.wav', 'b.wav']
    """
    return sorted(
        path for path in folder.glob(pattern) if not path.name.startswith("._")
    )
