"""Runs commands of ptssnn in forked processes and judges how they end.

torch is imported and every command is run once before the first fork, so that
a forked command takes tenths of a second.
"""

import io
import json
import logging
import os
import pickle
import resource
import select
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import torch
from tqdm import tqdm

from speechbrain_ptssnn.backbones import Fbank
from speechbrain_ptssnn.cli import main
from speechbrain_ptssnn.corpora.custom import read_custom
from speechbrain_ptssnn.features.store import FeatureStore

TIME_LIMIT = 60  # seconds of one command
MEMORY_LIMIT = 2 * 2**30  # bytes; of one command, beyond what is imported
SENTENCE_LIMIT = 3000  # characters
TRACEBACK = 70  # exit status of a command that raised anything
NOBODY = 65534  # a user who may not do everything
QUIET = ("--device=cpu", "--noprogressbar")
LABELS = ("calm", "angry")
RUN = "Cafe/two_folds/tiny_fbank/pts_snn/1"
HEAD = """\
base: pts_snn.yaml
corpus: Cafe
data_folder: cafe.csv
label_map: {calm: calm, angry: angry}
backbone: tiny_fbank
protocol: cafe/two_folds.yaml
number_of_epochs: 1
batch_size: 4
precision: fp32
lr: 0.01
saturation: 1.0
head:
    hidden_size: 16
    size: 8
    key_size: 2
    bias_hidden: 2
    readout: membrane
"""
BACKBONE = """\
backbone: !new:speechbrain_ptssnn.backbones.Fbank
    n_mels: 4
normalize: corpus
layer_norm: False
"""
PROTOCOL = """\
protocol: !new:speechbrain_ptssnn.corpora.folds.Protocol
    n_folds: 2
    unit: utterance
    seed: !ref <split_seed>
    valid_parts: 3
"""


class Find(Exception):
    """A command did what it must not."""


@dataclass
class Outcome:
    """How a command ended.

    Arguments
    ---------
    words : tuple of str
        The command line.
    status : int
        Exit status; negative: the signal that ended it.
    out, err : str
        What it printed.
    seconds : float
        How long it ran.
    memory : int
        Largest resident memory, in bytes.
    was_late : bool
        Whether it was killed at the time limit.
    """

    words: tuple
    status: int
    out: str
    err: str
    seconds: float
    memory: int
    was_late: bool

    @property
    def sentence(self):
        """The last line of the errors."""
        return (self.err.strip().splitlines() or [""])[-1]

    def judge(self):
        """Returns "accepted" or "refused".

        Raises
        ------
        Find
            If it ended otherwise, or took too much time or memory.
        """
        if self.was_late:
            raise Find(f"hang: {TIME_LIMIT} s; {self.sentence}")
        said = self.out + self.err
        if "allocate memory" in said or "MemoryError" in said:
            raise Find(f"memory: {self.sentence}")
        if "Traceback (most recent" in said or self.status == TRACEBACK:
            raise Find(f"traceback: {self.sentence}")
        if self.status < 0:
            raise Find(f"killed by signal {-self.status}")
        if self.memory > MEMORY_LIMIT:
            raise Find(f"memory: {self.memory / 2**30:.1f} GB")
        if self.status == 0:
            return "accepted"
        if not self.sentence.startswith("error: "):
            raise Find(f"no sentence, or more than a line: {self.err[-500:]!r}")
        if len(self.sentence) > SENTENCE_LIMIT:
            raise Find(f"a sentence of {len(self.sentence)} characters")
        return "refused"


def call(function, folder, *, kill_after=None, nobody=False, encoding="utf-8"):
    """Calls a function in a forked process.

    Arguments
    ---------
    function : callable
        Without arguments.
    folder : Path
        The process works here; it holds ``home`` and ``tmp``.
    kill_after : float, optional
        SIGKILL after so many seconds.
    nobody : bool
        Whether the process loses root's rights, if it has them.
    encoding : str
        Of what is printed.

    Returns
    -------
    Outcome
        Without words.
    """
    start = time.perf_counter()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        pid = os.fork()
        if not pid:
            os.setsid()
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            _run(function, folder, nobody, encoding)
        descriptor = os.pidfd_open(pid)
        limit = TIME_LIMIT if kill_after is None else kill_after
        ended, *_ = select.select([descriptor], [], [], limit)
        os.close(descriptor)
        # With the jobs that it started; perhaps it has ended, or not begun.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
        if not ended:
            os.kill(pid, signal.SIGKILL)
        _, status, usage = os.wait4(pid, 0)
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode(encoding, "replace"))
    return Outcome(
        (),
        os.waitstatus_to_exitcode(status),
        *texts,
        time.perf_counter() - start,
        usage.ru_maxrss * 1024,
        not ended and kill_after is None,
    )


def _run(function, folder, nobody, encoding):
    """The forked process: never returns."""
    status = TRACEBACK
    try:
        os.chdir(folder)
        os.environ["HOME"] = str(folder / "home")
        os.environ["TMPDIR"] = tempfile.tempdir = str(folder / "tmp")
        _, most = resource.getrlimit(resource.RLIMIT_DATA)
        used = int(Path("/proc/self/statm").read_text().split()[5]) * 4096
        resource.setrlimit(resource.RLIMIT_DATA, (used + MEMORY_LIMIT, most))
        if nobody and os.getuid() == 0:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
        sys.stdout, sys.stderr = (
            io.TextIOWrapper(io.FileIO(k, "w"), encoding, write_through=True)
            for k in (1, 2)
        )
        function()
        status = 0
    except SystemExit as error:
        status = error.code or 0
        if isinstance(status, str):
            status = 1
            print(error.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(status)


class Workspace:
    """A folder with a valid corpus that a case may spoil.

    Arguments
    ---------
    path : Path
        The folder; it is made anew.
    template : Template or None
        What it is copied from; None leaves it empty.
    """

    def __init__(self, path, template=None):
        self.path, self.template = path, template
        self.outcomes = []
        self.encoding, self.nobody = "utf-8", False
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
        for name in ("home", "tmp"):
            (path / name).mkdir()
        if template:
            shutil.copytree(template.path / "cafe", path / "cafe")

    def __truediv__(self, name):
        return self.path / name

    def add_run(self):
        """Copies the results and the features of the undisturbed training."""
        for name in ("results", "features"):
            shutil.copytree(self.template / name, self / name, symlinks=True)

    def give_to_nobody(self):
        """Takes root's rights away from the commands that follow."""
        self.nobody = True
        if os.getuid() == 0:
            for folder, _, files in os.walk(self.path):
                for name in ("", *files):
                    path = Path(folder, name)
                    os.chown(path, NOBODY, NOBODY, follow_symlinks=False)

    def run(self, *words, before=None, **how):
        """Runs ``ptssnn`` with these words; ``before()`` is called first."""

        def function():
            if before:
                before()
            main(list(words))

        outcome = call(
            function,
            self.path,
            nobody=self.nobody,
            encoding=self.encoding,
            **how,
        )
        outcome.words = words
        self.outcomes.append(outcome)
        return outcome

    def ask(self, function, *arguments):
        """What a function returns in a forked process."""
        file = self / "tmp" / "answer"

        def function_in_fork():
            file.write_bytes(pickle.dumps(function(*arguments)))

        outcome = call(function_in_fork, self.path, nobody=self.nobody)
        outcome.words = (function.__name__,)
        if not file.exists():
            raise Find(f"{function.__name__}: {outcome.err[-500:]}")
        answer = pickle.loads(file.read_bytes())
        file.unlink()
        return answer

    def train(self, *words, target="cafe/tiny.yaml", **how):
        """Trains the tiny head on the corpus."""
        return self.run("train", target, *words, *QUIET, **how)

    def extract(self, *words, target="cafe/tiny.yaml", **how):
        """Computes the features of the corpus."""
        return self.run("extract", target, *words, *QUIET, **how)

    def predictions(self, results="results"):
        """The text of predictions.csv; None if there is none."""
        file = self / results / RUN / "predictions.csv"
        return file.read_text("utf-8") if file.is_file() else None

    def check_same(self, results="results"):
        """Raises a Find unless the predictions are the undisturbed ones."""
        found = self.predictions(results)
        if found is None:
            raise Find(f"accepted, but {results} holds no predictions")
        if found != self.template.predictions:
            raise Find("other predictions than the undisturbed training's")

    def check_refused(self, results="results"):
        """Raises a Find if a refused training left predictions."""
        if self.predictions(results) is not None:
            raise Find("refused, but there are predictions")

    def check_leftovers(self):
        """Raises a Find if there are temporary files that no message names."""
        said = "".join(outcome.err for outcome in self.outcomes)
        left = [
            str(path.relative_to(self.path))
            for path in self.path.rglob("*")
            if path.name.endswith((".part", ".tmp"))
            or (path.parent == self / "tmp" and path.name not in said)
        ]
        if left:
            raise Find(f"left behind: {left[:3]}")


class Template(Workspace):
    """The valid corpus, the undisturbed training and what it gave.

    Arguments
    ---------
    path : Path
        The folder; it is made anew.

    Attributes
    ----------
    predictions : str
        The text of ``predictions.csv``.
    features : dict
        Id to array.
    classified : dict
        Name of the file to what ``classify`` says.
    """

    def __init__(self, path):
        super().__init__(path)
        make_corpus(path / "cafe")
        self._warm_up()
        outcome = self.train()
        if outcome.judge() != "accepted":
            raise RuntimeError(f"the template is refused: {outcome.err}")
        self.seconds = outcome.seconds
        self.predictions = self.predictions()
        self.features = self.ask(stored_features, path / "cafe/cafe.csv")
        outcome = self.run("classify", self.bundle, "cafe", "--format=json")
        self.classified = classified(outcome.out)

    @property
    def bundle(self):
        """The path of a trained bundle, as text."""
        return str(self / "results" / RUN / "fold_1" / "model")

    def _warm_up(self):
        """Runs every command once in this process, which loads what they
        need.
        """
        with _silence(), _working_in(self.path):
            folder = ("--results_folder=warm", "--features_folder=warm")
            run = f"warm/{RUN}"
            main(["train", "cafe/tiny.yaml", *folder, *QUIET])
            main(["classify", f"{run}/fold_1/model", "cafe/0.wav"])
            main(["energy", run])
            main(["report", run])
            main(["compare", run, run])
            shutil.rmtree("warm")


def make_corpus(folder):
    """Writes eight noisy tones of two speakers, the manifest and the YAML."""
    (folder / "backbones").mkdir(parents=True)
    (folder / "tiny.yaml").write_text(HEAD)
    (folder / "backbones" / "tiny_fbank.yaml").write_text(BACKBONE)
    (folder / "two_folds.yaml").write_text(PROTOCOL)
    rows = ["path,label,speaker"]
    for k in range(8):
        soundfile.write(folder / f"{k}.wav", tone(k), 16000)
        rows.append(f"{k}.wav,{LABELS[k % 2]},{'ab'[k // 4]}")
    (folder / "cafe.csv").write_text("\n".join(rows) + "\n")


def tone(k, rate=16000, seconds=0.3):
    """The samples of utterance k, [time], in steps of 1 / 32768."""
    time = np.arange(round(rate * seconds)) / rate
    wave = 0.3 * np.sin(2 * np.pi * (300 + 400 * (k % 2) + 23 * k) * time)
    wave += 0.02 * np.random.default_rng(k).standard_normal(len(time))
    return np.round(wave * 32768) / 32768


def stored_features(manifest, folder="features"):
    """The features of a corpus's store, id to array."""
    utterances = read_custom(manifest, True, LABELS)
    store = FeatureStore(folder, Fbank(n_mels=4), utterances)
    store.hash_audio(progressbar=False)
    return {u.id: store[u.id].numpy() for u in utterances}


def classified(text):
    """What ``classify --format=json`` says, by the file's name."""
    return {
        Path(each.pop("path")).name: each for each in json.loads(text or "[]")
    }


@contextmanager
def _silence():
    sys.stdout.flush()
    saved = os.dup(1), os.dup(2)
    null = os.open(os.devnull, os.O_WRONLY)
    for k in (1, 2):
        os.dup2(null, k)
    try:
        yield
    finally:
        sys.stdout.flush()
        for handler in logging.getLogger().handlers[:]:
            logging.getLogger().removeHandler(handler)
            handler.close()
        for k, descriptor in enumerate(saved, 1):
            os.dup2(descriptor, k)
            os.close(descriptor)
        os.close(null)


@contextmanager
def _working_in(folder):
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@contextmanager
def scratch_folder():
    """A folder that every user can enter, in memory where that is possible."""
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=place) as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


def one_thread():
    """Takes one thread, as forked processes would not have the others, and
    a lock for progress bars in each process.
    """
    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"
    # The usual lock is shared with forked processes. If one is killed while
    # it has the lock, all others wait for ever.
    tqdm.set_lock(threading.RLock())
