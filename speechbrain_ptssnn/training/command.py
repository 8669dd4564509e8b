"""A parsed command of training or extraction: settings, corpus, store."""

import os
from dataclasses import dataclass, replace
from functools import cached_property

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
from speechbrain_ptssnn.evaluation.run_folder import ADAPTED, model_folder
from speechbrain_ptssnn.features.store import FeatureStore, check_settings
from speechbrain_ptssnn.training.arguments import Arguments
from speechbrain_ptssnn.training.hyperparams import Hyperparams
from speechbrain_ptssnn.utils.distributed import on_main
from speechbrain_ptssnn.utils.memory import (
    bound_kernel_cache,
    keep_freed_memory,
)


@dataclass
class Command:
    """What is to be trained or extracted. Nothing is built before ``hparams``
    is asked for.

    Arguments
    ---------
    arguments : Arguments
        The command line.
    corpus : Corpus
        Its reader and its own labels.
    labels : tuple of str
        The classes that are trained, in index order.
    settings : Hyperparams
        The YAML before anything is built.
    run_opts : RunOptions
        SpeechBrain's own options.
    """

    arguments: Arguments
    corpus: Corpus
    labels: tuple
    settings: Hyperparams
    run_opts: RunOptions

    @cached_property
    def plain(self):
        """The settings that are no objects, a dict."""
        return self.settings.plain()

    @cached_property
    def protocol(self):
        """The protocol, built before everything else."""
        protocol = self.settings.build(["protocol"])["protocol"]
        # A text has a split() too.
        if isinstance(protocol, str) or not hasattr(protocol, "split"):
            raise InputError(
                f"protocol is {protocol!r}, which has no folds; choose one of "
                "'ptssnn list protocols' or write an object with a split()"
            )
        return protocol

    @cached_property
    def hparams(self):
        """The settings with every object built, for the first seed."""
        check_settings(
            self.plain["features_dtype"], self.plain["extraction_precision"]
        )
        return self.settings.build()

    @cached_property
    def seeds(self):
        """The seeds that are trained, a tuple of int."""
        return self.arguments.seeds or (self.plain["seed"],)

    @property
    def device(self):
        """Where the backbone and the head are."""
        return self.run_opts.device or infer_device()

    @property
    def processes(self):
        """Number of torchrun's processes; 1 without it."""
        return int(os.environ.get("WORLD_SIZE", 1))

    @cached_property
    def condition(self):
        """Corpus, protocol and backbone, as the results folder names them.
        Speaker adaptation is a condition too, and ends the backbone's name.
        """
        # It is an object in the YAML, as it is derived from the model's id.
        named = "backbone_name" in self.settings.document
        names = self.settings.build(["backbone_name"]) if named else {}
        backbone = names.get("backbone_name", self.settings.backbone_name)
        return {
            "corpus": self.corpus.name,
            "protocol": self.settings.protocol_name,
            "backbone": backbone + ADAPTED * self.is_adapted,
        }

    @cached_property
    def is_adapted(self):
        """Whether features are standardised with the speaker's own."""
        rules = self.plain["normalize"]
        # The object's own may be set otherwise.
        arguments = self.settings.arguments("normalizer")
        return "speaker" in [
            *(rules if isinstance(rules, list) else [rules]),
            *(arguments.get("rules") or [arguments.get("rule")]),
        ]

    @cached_property
    def model_folder(self):
        """The folder of results that holds a folder for each seed."""
        # A reference may lead to a number.
        names = {**self.condition, "model": str(self.plain["model"])}
        for key, name in names.items():
            if name in ("", ".", "..") or {*"/\0"} & {*name}:
                raise InputError(
                    f"the {key} is called {name!r}, which cannot be the name "
                    "of a folder of results; choose another name, without '/'"
                )
        return model_folder(self.plain["results_folder"], **names)

    @cached_property
    def utterances(self):
        """The corpus, a list of Utterance.

        Raises
        ------
        InputError
            If the corpus is not usable.
        """
        utterances = on_main(
            self.corpus.read,
            [self.plain["data_folder"], self.plain["complete"]],
        )
        check_utterances(self.corpus, utterances)
        return map_labels(utterances, self.plain["label_map"])

    def open_store(self):
        """Opens the feature store of the corpus.

        The corpus is read first: a mistake there is told before a backbone is
        fetched from its hub.

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
        utterances, hparams = self.utterances, self.hparams
        store = FeatureStore(
            hparams["features_folder"],
            hparams["backbone"].to(self.device),
            utterances,
            hparams["features_dtype"],
            hparams["extraction_precision"],
            hparams["channel"],
        )
        # The first process remembers the hashes; the others find them.
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


def read_command(arguments, corpus, recipe_folder=None):
    """Reads the settings of a command line; builds nothing.

    Arguments
    ---------
    arguments : Arguments
        The command line.
    corpus : str
        The corpus's name.
    recipe_folder : Path, optional
        Holds ``protocols/``; without it no protocol is read.

    Returns
    -------
    Command

    Raises
    ------
    InputError
        If the settings are not usable.
    """
    run_opts = arguments.run_options
    seeds = arguments.seeds
    if seeds:
        arguments_of_one = arguments.with_keys(seed=seeds[0])
    else:
        arguments_of_one = arguments
    corpus = find_corpus(corpus)
    settings = Hyperparams(
        arguments.file,
        arguments_of_one.keys,
        recipe_folder,
        corpus.protocol,
        corpus=corpus.name,
    )
    if corpus.configure is not None:
        corpus = corpus.configure(settings)
    else:
        for key in ("columns", "audio_folder", "table"):
            if settings.value(key):
                raise InputError(
                    f"{key} is for the table of your own corpus, and "
                    f"{corpus.name} has none; leave it out, or give "
                    "--corpus=Custom"
                )
    labels = classes_of(corpus, settings.value("label_map"))
    settings.overrides.update(corpus=corpus.name, n_classes=len(labels))
    return Command(arguments, corpus, labels, settings, run_opts)


def start_command(arguments, corpus, recipe_folder=None):
    """As :func:`read_command`, in a process that is going to compute: bounds
    its memory and joins torchrun's other processes.
    """
    keep_freed_memory()
    bound_kernel_cache()
    command = read_command(arguments, corpus, recipe_folder)
    run_opts = command.run_opts
    if "RANK" in os.environ and not torch.cuda.is_available():
        run_opts = replace(
            run_opts,
            distributed_backend="gloo",
            overridden_args=run_opts.overridden_args | {"distributed_backend"},
        )
    ddp_init_group(run_opts)
    command = replace(command, run_opts=run_opts)
    try:
        torch.empty(0, device=command.device)
    # The last two where torch was built without the device.
    except (RuntimeError, AssertionError, ImportError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"--device={command.device} cannot be used: {reason}"
        ) from error
    return command
