"""What the training and the extraction command begin with: command line,
processes, settings, corpus, store.
"""

import os
from dataclasses import dataclass, replace

import torch
from speechbrain.utils.distributed import (
    ddp_init_group,
    if_main_process,
    infer_device,
)
from speechbrain.utils.run_opts import RunOptions

from speechbrain_ptssnn.corpora.checks import check_utterances
from speechbrain_ptssnn.corpora.common import Corpus, classes_of, map_labels
from speechbrain_ptssnn.corpora.registry import find_corpus
from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.features.store import FeatureStore
from speechbrain_ptssnn.training.arguments import (
    check_arguments,
    several_seeds,
    value_of,
    with_values,
)
from speechbrain_ptssnn.training.hyperparams import Hyperparams
from speechbrain_ptssnn.utils.distributed import on_main
from speechbrain_ptssnn.utils.memory import (
    bound_kernel_cache,
    keep_freed_memory,
)


@dataclass
class Job:
    """What a command works on.

    Arguments
    ---------
    corpus : Corpus
        Its reader and its own labels.
    labels : tuple of str
        The classes that are trained, in index order.
    settings : Hyperparams
        As they were given.
    hparams : dict
        As they were built.
    run_opts : RunOptions
        SpeechBrain's own options.
    device : str
        Where the backbone and the head are.
    processes : int
        Of torchrun; 1 without it.
    seeds : tuple of int
        To be trained with; ``hparams`` were built with the first.
    """

    corpus: Corpus
    labels: tuple
    settings: Hyperparams
    hparams: dict
    run_opts: RunOptions
    device: str
    processes: int
    seeds: tuple

    def open_store(self):
        """Reads the corpus.

        Returns
        -------
        tuple
            (list of Utterance, FeatureStore); the store knows the audio and
            is not filled yet.

        Raises
        ------
        InputError
            If the corpus or the store's folder is not usable.
        """
        hparams = self.hparams
        utterances = on_main(
            self.corpus.read, [hparams["data_folder"], hparams["complete"]]
        )
        check_utterances(self.corpus, utterances)
        utterances = map_labels(utterances, hparams["label_map"])
        store = FeatureStore(
            hparams["features_folder"],
            hparams["backbone"].to(self.device),
            utterances,
            hparams["features_dtype"],
            hparams["extraction_precision"],
            hparams["channel"],
        )
        # The others find what the first one remembered.
        on_main(store.hash_audio, [not self.run_opts.noprogressbar])
        store.hash_audio(progressbar=False)
        return utterances, store

    def fill(self, store):
        """Computes the missing features; every process does its share.

        Arguments
        ---------
        store : FeatureStore
            Of :meth:`open_store`.

        Returns
        -------
        int
            How many utterances were computed by all processes.

        Raises
        ------
        InputError
            In every process, if it is raised in one.
        """
        show = if_main_process() and not self.run_opts.noprogressbar
        try:
            outcome = store.fill(show)
        except InputError as error:
            outcome = error
        outcomes = [outcome]
        if torch.distributed.is_initialized():
            outcomes = [None] * self.processes
            torch.distributed.all_gather_object(outcomes, outcome)
        for outcome in outcomes:
            if isinstance(outcome, InputError):
                raise outcome
        return sum(outcomes)


def open_job(argv, corpus=None, recipe_folder=None):
    """Reads a command line and joins torchrun's other processes.

    Arguments
    ---------
    argv : list of str
        A YAML file, then ``--key=value`` for its keys and SpeechBrain's
        options.
    corpus : str, optional
        The corpus's name; by default the command line's ``--corpus``.
    recipe_folder : Path, optional
        Holds ``protocols/``; without it no protocol is read.

    Returns
    -------
    Job

    Raises
    ------
    InputError
        If the settings are not usable.
    """
    check_arguments(argv)
    seeds = several_seeds(argv)
    if seeds:
        argv = with_values(argv, seed=seeds[0])
    keep_freed_memory()
    bound_kernel_cache()
    param_file, run_opts, overrides = RunOptions.from_command_line_args(argv)
    if "RANK" in os.environ and not torch.cuda.is_available():
        run_opts = replace(
            run_opts,
            distributed_backend="gloo",
            overridden_args=run_opts.overridden_args | {"distributed_backend"},
        )
    ddp_init_group(run_opts)
    corpus = find_corpus(corpus or _corpus_of(argv))
    settings = Hyperparams(
        param_file,
        overrides,
        recipe_folder,
        corpus.protocol,
        corpus=corpus.name,
    )
    if corpus.configure is not None:
        corpus = corpus.configure(settings)
    labels = classes_of(corpus, settings.value("label_map"))
    settings.overrides.update(corpus=corpus.name, n_classes=len(labels))
    return Job(
        corpus,
        labels,
        settings,
        settings.build(),
        run_opts,
        run_opts.device or infer_device(),
        int(os.environ.get("WORLD_SIZE", 1)),
        seeds or (settings.value("seed"),),
    )


def _corpus_of(argv):
    corpus = value_of(argv, "corpus")
    if corpus is None:
        raise InputError("--corpus is not set; write e.g. --corpus=URDU")
    return corpus
