"""Any number of files classified into a CSV, by several processes."""

import hashlib
import sys
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from tqdm import tqdm

from speechbrain_ptssnn.audio import Levels
from speechbrain_ptssnn.deploy.answer_table import AnswerTable
from speechbrain_ptssnn.deploy.classify import (
    adapt,
    classify,
    name_skipped,
    open_bundle,
    size_and_time,
)
from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.inference import (
    LOADABLES,
    UNSURE,
    check_answers,
    file_of,
    read_labels,
)
from speechbrain_ptssnn.utils.processes import Died, map_in_processes
from speechbrain_ptssnn.utils.processor import threads_per_job


@dataclass(frozen=True)
class Bundle:
    """A bundle, and how it is opened.

    Arguments
    ---------
    folder : Path
        Where it is.
    trust : bool
        As in :func:`~speechbrain_ptssnn.deploy.classify.open_bundle`.
    label_map : dict or None
        From class to group.
    unsure : float or None
        The least posterior of an answer.
    recordings : list of str
        The speaker's, for a speaker-adapted model.
    """

    folder: Path
    trust: bool = False
    label_map: dict | None = None
    unsure: float | None = None
    recordings: list = field(default_factory=list)

    def open(self):
        """Loads the bundle, adapted to the speaker of the recordings.

        Returns
        -------
        EmotionClassifier

        Raises
        ------
        InputError
            As :func:`~speechbrain_ptssnn.deploy.classify.open_bundle` and
            :func:`~speechbrain_ptssnn.deploy.classify.adapt`.
        """
        classifier = open_bundle(
            self.folder, self.trust, self.label_map, self.unsure
        )
        if self.recordings:
            adapt(classifier, self.recordings)
        return classifier

    def settings(self):
        """What the answers depend on, with a hash of the files that are read.

        Returns
        -------
        dict
            For JSON.

        Raises
        ------
        InputError
            If ``label_map`` or ``unsure`` does not fit the bundle.
        """
        labels = read_labels(self.folder)
        names = [
            file_of(name, is_pushed)
            for name in (*LOADABLES, "backbone")
            for is_pushed in (False, True)
        ]
        files = [self.folder / name for name in ("hyperparams.yaml", *names)]
        return {
            "model_sha256": _digest(path for path in files if path.is_file()),
            "label_map": self.label_map,
            "unsure": self.unsure,
            "adapt": _digest(self.recordings) if self.recordings else None,
            "labels": check_answers(labels, self.label_map, self.unsure),
        }


def _digest(files):
    digest = hashlib.sha256()
    for path in sorted(files):
        with open(path, "rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


@dataclass(frozen=True)
class Outcome:
    """What became of the files.

    Arguments
    ---------
    path : Path
        The CSV.
    n_files : int
        How many were to be classified.
    n_before : int
        How many of them an earlier command had classified.
    bad : list of str
        Those that could not be classified, and why.
    odd : list of str
        Those that were, and what is strange about them.
    n_unsure : int
        How many answers are "unsure".
    n_others : int
        How many rows the CSV has of files that are not among these.
    skipped : dict
        What else is in the folders: path to reason.
    """

    path: Path
    n_files: int
    n_before: int
    bad: list
    odd: list
    n_unsure: int
    n_others: int
    skipped: dict

    def summary(self):
        """What was read and skipped, as lines for people."""
        n_good = self.n_files - len(self.bad)
        before = f" ({self.n_before} of them before)" if self.n_before else ""
        lines = [f"{self.path}: {n_good} of {self.n_files} files classified"]
        lines[0] += before
        if self.n_unsure:
            lines.append(f"{UNSURE}: {self.n_unsure} of {n_good} answers")
        if self.n_others:
            lines.append(f"kept: {self.n_others} rows of other files")
        lines += name_skipped(self.skipped, f"{self.path}.json")
        return "\n".join(lines)


def classify_into_csv(
    bundle, files, path, model, skipped=None, jobs=1, progressbar=True
):
    """Classifies files into a CSV, one row a file, sorted by path.

    If it is interrupted or killed, the same call goes on. A file is
    classified again only if it could not be classified before, or if its size
    or time was changed since. Rows of other files stay in the CSV.

    Arguments
    ---------
    bundle : Bundle
        The trained model.
    files : list of str
        Audio files, of :func:`~speechbrain_ptssnn.deploy.classify.find_audio`.
    path : str or Path
        The CSV, of which
        :class:`~speechbrain_ptssnn.deploy.answer_table.AnswerTable` says more.
    model : str
        The model's name, for people.
    skipped : dict, optional
        Of :func:`~speechbrain_ptssnn.deploy.classify.find_audio`.
    jobs : int
        Number of processes. Each has the model in memory, and its share of
        the CPU's threads.
    progressbar : bool
        Whether there is a progress bar.

    Returns
    -------
    Outcome

    Raises
    ------
    InputError
        If the CSV is of another model or other settings, or another process
        is writing it; if the model cannot be loaded; if the disk is full.
    """
    files, skipped = list(dict.fromkeys(files)), skipped or {}
    settings = bundle.settings()
    labels = settings["labels"]
    prepare = partial(_prepare, bundle, threads_per_job(jobs))
    with AnswerTable(path, labels, settings, model) as table:
        left = [
            each for each in files if not table.has(each, *size_and_time(each))
        ]
        n_before = n_done = len(files) - len(left)
        try:
            with (
                closing(map_in_processes(prepare, left, jobs)) as answers,
                tqdm(
                    total=len(files),
                    initial=n_before,
                    unit="file",
                    disable=not progressbar,
                ) as bar,
            ):
                for each, cells in answers:
                    if isinstance(cells, Died):
                        cells = {"error": f"the process {cells}"}
                    table.append(each, **cells)
                    n_done += 1
                    bar.update()
        except BaseException:
            if n_done:
                said = f"{table.part}: {n_done} of {len(files)} files are done"
                print(said, file=sys.stderr)
            raise
        table.finish(skipped)
        return _outcome(table, files, n_before, skipped)


def _prepare(bundle, threads):
    """What each process does first; returns how it classifies a file."""
    torch.set_num_threads(threads)
    return partial(_cells, bundle.open())


def _cells(classifier, path):
    size, time = size_and_time(path)
    levels = Levels()
    try:
        answer = classify(classifier, path, levels)
        warnings = "; ".join(levels.warnings())
        cells = {
            "label": answer.label,
            "posteriors": answer.posteriors,
            "warning": warnings.replace(f"{path}: ", ""),
        }
    except InputError as error:
        cells = {"error": str(error).removeprefix(f"{path}: ")}
    return {**cells, "size": size, "time": time}


def _outcome(table, files, n_before, skipped):
    rows = [table.row(path) for path in files]
    return Outcome(
        path=table.path,
        n_files=len(files),
        n_before=n_before,
        bad=[f"{row['path']}: {row['error']}" for row in rows if row["error"]],
        odd=[
            f"{row['path']}: {row['warning']}" for row in rows if row["warning"]
        ],
        n_unsure=sum(row["label"] == UNSURE for row in rows),
        n_others=len(table.rows) - len(files),
        skipped=skipped,
    )
