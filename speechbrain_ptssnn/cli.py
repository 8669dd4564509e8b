"""The command ``ptssnn``: every subcommand's arguments and help."""

import argparse
import json
import math
import re
import sys
import textwrap
from importlib.metadata import version
from os.path import expanduser
from pathlib import Path

from speechbrain.utils.distributed import if_main_process

from speechbrain_ptssnn.apps import (
    demo,
    explore,
    layer_profile,
    stage_probes,
    timeline_files,
)
from speechbrain_ptssnn.apps.timeline import (
    HOP,
    SHORTEST_HOP,
    SMOOTHING,
    Settings,
    timeline,
)
from speechbrain_ptssnn.audio import Levels
from speechbrain_ptssnn.corpora.checks import check_silence
from speechbrain_ptssnn.corpora.databases import is_database
from speechbrain_ptssnn.corpora.registry import (
    NAMES,
    all_corpora,
    find_corpus,
    is_known,
)
from speechbrain_ptssnn.deploy import classify as classification
from speechbrain_ptssnn.deploy import hub, nir_export, streaming
from speechbrain_ptssnn.deploy.many_files import Bundle, classify_into_csv
from speechbrain_ptssnn.deploy.onnx_export import (
    export_onnx,
    front_end,
    own_export,
)
from speechbrain_ptssnn.energy import measure as energy
from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.evaluation import compare as comparison
from speechbrain_ptssnn.experiments.trials import run_set
from speechbrain_ptssnn.features.shards import DTYPES
from speechbrain_ptssnn.features.store import PRECISIONS
from speechbrain_ptssnn.inference import bundle_folder
from speechbrain_ptssnn.nnet.normalization import RULES
from speechbrain_ptssnn.recipe import train
from speechbrain_ptssnn.report.page import write_report
from speechbrain_ptssnn.training.arguments import FLAGS, OPTIONS, Arguments
from speechbrain_ptssnn.training.command import start_command
from speechbrain_ptssnn.training.launchers import LAUNCHERS
from speechbrain_ptssnn.utils.distributed import (
    on_main,
    one_sentence_errors,
)
from speechbrain_ptssnn.utils.files import write_text
from speechbrain_ptssnn.utils.long_lists import named
from speechbrain_ptssnn.utils.own_files import (
    HEAD_FOLDERS,
    HPARAMS,
    RECIPES,
    find_yaml,
    list_yaml,
)
from speechbrain_ptssnn.utils.suggestions import suggestion
from speechbrain_ptssnn.utils.yaml_files import parse_yaml, read_yaml

RUN = "results/<corpus>/<protocol>/<backbone>/<head>/<seed>"
# The last lines of each command's help.
ENDS = {
    "train": """\
To resume an interrupted run, give the same command again.

examples:
  ptssnn train URDU --data_folder=/path/to/URDU --backbone=fbank
  ptssnn train cafe/cafe.yaml --backbone=fbank --protocol=speaker""",
    "extract": """\
It takes all keys of 'ptssnn train', so that one command line serves both.

example:
  ptssnn extract URDU --data_folder=/path/to/URDU --backbone=fbank""",
    "layers": """\
It takes all keys of 'ptssnn train'. Defaults that differ from those above:
layer weighted (all layers), number_of_epochs 30, restart_period 30, lr 0.003.
--fold=1 profiles one fold; the next fold's command adds to it. An interrupted
profile goes on where it was.

example:
  ptssnn layers URDU --data_folder=/path/to/URDU --backbone=whisper-base \\
      --window=audio --protocol=speaker""",
    "explore": """\
It takes all keys of 'ptssnn train'. An interrupted extraction goes on where it
was. The page is results/<corpus>/<protocol>/<backbone>/explore.html.

examples:
  ptssnn explore URDU --data_folder=/path/to/URDU --backbone=fbank
  ptssnn explore cafe/cafe.yaml --backbone=fbank""",
    "classify": f"""\
MODEL: {RUN}/fold_<k>/model

With --csv, the same command goes on after an interruption, and classifies what
is new or was changed (docs/classify.md).

examples:
  ptssnn classify results/URDU/random/fbank/pts_snn/1/fold_1/model new.wav
  ptssnn classify results/URDU/random/fbank/pts_snn/1/fold_1/model calls \\
      --csv=calls.csv --jobs=4 --unsure=0.6
  ptssnn classify results/URDU/random/fbank/pts_snn/1/fold_1/model new.wav \\
      --label_map='{{Angry: bad, Sad: bad, Happy: good, Neutral: null}}'""",
    "push": f"""\
MODEL: {RUN}/fold_<k>/model

examples:
  ptssnn push results/URDU/random/fbank/pts_snn/1/fold_1/model anna/urdu
  ptssnn push results/URDU/random/fbank/pts_snn/1/fold_1/model anna/urdu \\
      --to_folder=urdu""",
    "stream": f"""\
MODEL: {RUN}/fold_<k>/model, trained as
  ptssnn train URDU ablations/causal --backbone=fbank_stream

examples:
  ptssnn stream results/URDU/random/fbank_stream/causal/1/fold_1/model new.wav
  ptssnn stream results/URDU/random/fbank_stream/causal/1/fold_1/model -
From a microphone:
  arecord -q -t raw -f S16_LE -c 1 -r 16000 | ptssnn stream MODEL""",
    "timeline": f"""\
MODEL: {RUN}/fold_<k>/model

Files that are there already are left as they are, so after an interruption the
same command goes on with the recordings that are not done (docs/timeline.md).

examples:
  ptssnn timeline results/URDU/random/fbank/pts_snn/1/fold_1/model talk.wav
  ptssnn timeline results/URDU/random/fbank/pts_snn/1/fold_1/model calls \\
      --channels=split --format=html,textgrid --output_folder=timelines""",
    "export": f"""\
MODEL: {RUN}/fold_<k>/model

example:
  ptssnn export results/URDU/random/fbank/pts_snn/1/fold_1/model --format=onnx
The file runs without this package: docs/run_onnx.py
NIR takes heads without attention, whose neurons reset to 0 (docs/nir.md):
  ptssnn train URDU ablations/temporal_shift_only --plif='{{reset: hard}}' \\
      --backbone=fbank --data_folder=/path/to/URDU
  ptssnn export MODEL --format=nir""",
    "experiments": """\
All keys hold for all models, but --lr only for those to which the set gives no
learning rates. A key that a model's head does not use is refused.

example:
  ptssnn experiments table5 --corpus=URDU --data_folder=/path/to/URDU \\
      --protocol=random,speaker --backbone=fbank --seed=1,2""",
    "compare": f"""\
RUN_A, RUN_B: {RUN}

example:
  ptssnn compare results/URDU/random/fbank/pts_snn/1 \\
      results/URDU/random/fbank/linear_probe/1""",
    "energy": f"""\
RUN: {RUN}

example:
  ptssnn energy results/URDU/random/fbank/pts_snn/1""",
    "probe": """\
RUN: results/<corpus>/<protocol>/fbank_10ms/spike_encoder_<name>/<seed>

example:
  ptssnn probe results/FSDD/authors/fbank_10ms/spike_encoder_small/1""",
    "report": f"""\
RUN: {RUN}

example:
  ptssnn report results/URDU/random/fbank/pts_snn/1 \\
      results/URDU/random/fbank/linear_probe/1""",
    "demo": f"""\
MODEL: {RUN}/fold_<k>/model

examples:
  ptssnn demo
  ptssnn demo results/URDU/random/fbank/pts_snn/1/fold_1/model \\
      results/URDU/random/fbank/linear_probe/1/fold_1/model
  ptssnn demo anna/urdu --to_folder=space""",
    "list": """\
example:
  ptssnn list backbones heads""",
}
CHOICES = {
    "normalize": RULES,
    "launcher": LAUNCHERS,
    "features_dtype": tuple(DTYPES),
    "extraction_precision": PRECISIONS,
    "precision": ("auto", "fp32", "bf16", "fp16"),
}


def main(argv=None):
    """Runs a subcommand; what a user can mend ends in one sentence.

    Arguments
    ---------
    argv : list of str, optional
        Command line; ``sys.argv[1:]`` by default.
    """
    name, *words = (sys.argv[1:] if argv is None else argv) or ["--help"]
    with one_sentence_errors():
        if name in ("-h", "--help"):
            print(_overview())
        elif name == "--version":
            print(f"speechbrain-ptssnn {version('speechbrain-ptssnn')}")
        elif name in COMMANDS:
            COMMANDS[name](words)
        else:
            raise InputError(
                f"unknown command {name!r}{suggestion(name, COMMANDS)}; there "
                f"are {', '.join(COMMANDS)}"
            )


def train_command(words):
    """Trains and tests a head on a corpus."""
    parser = _Parser("train", train_command.__doc__)
    parser.usage = "ptssnn train CORPUS|MY.yaml [HEAD] [--key=value ...]"
    _describe_target(parser)
    if _asks_for_help(words):
        _describe_training(parser)
        parser.print_help()
        return
    train(*_target("train", words))


def extract_command(words):
    """Computes a corpus's features ahead of training."""
    parser = _Parser(
        "extract",
        f"{extract_command.__doc__} Optional: train computes missing features "
        "itself. If it is started several times, by torchrun or on several "
        "machines with one --features_folder, each process computes its "
        "share.",
    )
    parser.usage = "ptssnn extract CORPUS|MY.yaml [HEAD] [--key=value ...]"
    _describe_target(parser)
    if _asks_for_help(words):
        _describe_training(parser)
        parser.print_help()
        return
    corpus, recipe_folder, arguments = _target("extract", words)
    command = start_command(arguments, corpus, recipe_folder)
    utterances, store = command.open_store()
    show = not command.run_opts.noprogressbar
    on_main(_check_silence, [utterances, store, show])
    computed = command.fill(store)
    if if_main_process():
        print(
            f"{store.folder}: features of {len(utterances)} utterances, "
            f"{computed} computed now"
        )


def _check_silence(utterances, store, progressbar):
    check_silence(utterances, store.recordings(progressbar))


def layers_command(words):
    """Shows which layer of a pretrained model tells most about the label."""
    parser = _Parser(
        "layers",
        f"{layers_command.__doc__} Trains a linear head on each hidden state, "
        "all from one extraction, and prints and plots what each gives in "
        "validation; the test folds are not looked at.",
    )
    parser.usage = "ptssnn layers CORPUS|MY.yaml [HEAD] [--key=value ...]"
    _describe_target(parser, "linear_probe")
    if _asks_for_help(words):
        _describe_training(parser)
        parser.print_help()
        return
    corpus, recipe_folder, arguments = _target("layers", words, "linear_probe")
    outcome, path = layer_profile.profile_layers(
        arguments, corpus, recipe_folder
    )
    print(f"{layer_profile.table(outcome)}\n\n{path}, and the plot beside it")


def explore_command(words):
    """Shows a corpus before it is trained on, as one HTML page."""
    parser = _Parser(
        "explore",
        f"{explore_command.__doc__} Counts, sound, twins, a map of the "
        "features, what a linear head tells, and in words what gives the "
        "class away beside the emotion.",
    )
    parser.usage = "ptssnn explore CORPUS|MY.yaml [HEAD] [--key=value ...]"
    _describe_target(parser)
    if _asks_for_help(words):
        _describe_training(parser)
        parser.print_help()
        return
    corpus, recipe_folder, arguments = _target("explore", words)
    path, warnings = explore.explore(arguments, corpus, recipe_folder)
    for sentence in warnings:
        print(f"warning: {sentence}")
    if path is not None:
        print(path)


def classify_command(words):
    """Classifies audio files with a trained model."""
    parser = _Parser("classify", classify_command.__doc__)
    _describe_model(parser)
    parser.add_argument(
        "paths",
        nargs="+",
        metavar="FILE|FOLDER",
        help="audio files, and folders, which are searched with their "
        "subfolders",
    )
    parser.add_argument(
        "--csv",
        metavar="FILE",
        type=expanduser,
        help="write a table of all files to FILE instead of printing them; the "
        "row of a file that cannot be classified says why (default: none is "
        "written)",
    )
    parser.add_argument(
        "--jobs",
        metavar="VALUE",
        type=int,
        default=1,
        help="with --csv: processes at once, each with the model in memory "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--noprogressbar",
        action="store_true",
        help="with --csv: show no progress bar",
    )
    parser.add_argument(
        "--format",
        choices=classification.FORMATS,
        help="without --csv: text, a line for each file, or json, a list of "
        f"objects (default: {classification.FORMATS[0]})",
    )
    _describe_answers(parser)
    _describe_adaptation(parser)
    args = parser.parse_args(words)
    if args.csv and args.format:
        raise InputError("--format is for the screen; leave it out with --csv")
    if not args.csv and (args.jobs != 1 or args.noprogressbar):
        raise InputError("--jobs and --noprogressbar need --csv=FILE; add it")
    if args.jobs < 1:
        raise InputError(f"--jobs must be at least 1, got {args.jobs}")
    if args.csv:
        _check_parent("csv", args.csv)
    skipped = {}
    model = bundle_folder(args.model)
    files = classification.check_arguments(
        model, args.paths, "classify", skipped
    )
    bundle = _bundle(model, args)
    if args.csv:
        _classify_into_csv(bundle, files, skipped, args)
    else:
        for line in classification.name_skipped(skipped):
            print(line, file=sys.stderr)
        _classify_on_screen(bundle.open(), files, args.format)


def _classify_into_csv(bundle, files, skipped, args):
    outcome = classify_into_csv(
        bundle,
        files,
        args.csv,
        args.model,
        skipped,
        args.jobs,
        not args.noprogressbar,
    )
    print(outcome.summary())
    if outcome.odd:
        print(
            f"warning: {len(outcome.odd)} of {outcome.n_files} recordings are "
            "silent or too loud: "
            f"{named(outcome.odd, 'odd recordings', args.csv)}",
            file=sys.stderr,
        )
    if outcome.bad:
        raise InputError(
            f"{len(outcome.bad)} of {outcome.n_files} files could not be "
            "classified, the same command tries them again: "
            f"{named(outcome.bad, 'files not classified', args.csv)}"
        )


def _classify_on_screen(classifier, files, layout):
    is_text = layout != "json"
    results, bad, levels = [], [], Levels()
    for path in files:
        try:
            results.append(classification.classify(classifier, path, levels))
        except InputError as error:
            bad.append(str(error))
            continue
        if is_text:
            print(classification.as_text(results[-1:]), end="", flush=True)
    if not is_text:
        print(classification.as_text(results, layout), end="")
    for sentence in levels.warnings():
        print(f"warning: {sentence}", file=sys.stderr)
    if bad:
        raise InputError(
            f"{len(bad)} of {len(files)} files could not be classified: "
            f"{named(bad, 'files not classified')}"
        )


def stream_command(words):
    """Classifies audio as it comes, from a file or a microphone."""
    parser = _Parser(
        "stream",
        f"{stream_command.__doc__} Prints label and posteriors of the audio so "
        "far. With fbank_stream and a causal head each frame is computed once; "
        "with other front-ends the last seconds are classified each time.",
    )
    _describe_model(parser)
    parser.add_argument(
        "file",
        nargs="?",
        default="-",
        metavar="FILE|-",
        help="an audio file, or - for raw samples on standard input: 16 bits, "
        "little-endian, one channel, no header (default: %(default)s)",
    )
    parser.add_argument(
        "--every",
        metavar="VALUE",
        type=float,
        default=0.5,
        help="seconds from one line to the next (default: %(default)s)",
    )
    parser.add_argument(
        "--rate",
        metavar="VALUE",
        type=int,
        help="sample rate of standard input, in Hz; another one than the "
        "model's is resampled (default: the model's)",
    )
    parser.add_argument(
        "--window",
        metavar="VALUE",
        type=float,
        help="seconds that are classified each time, for front-ends other than "
        f"fbank_stream (default: {streaming.WINDOW:g})",
    )
    parser.add_argument(
        "--format",
        choices=("text", "json"),
        default="text",
        help="text, or json: an object in each line (default: %(default)s)",
    )
    _describe_answers(parser)
    _describe_adaptation(parser)
    args = parser.parse_args(words)
    if not 0.001 <= args.every < math.inf:
        raise InputError(
            "--every must be a number of seconds, at least 0.001, got "
            f"{args.every:g}"
        )
    is_raw = args.file == "-"
    if not is_raw and args.rate is not None:
        raise InputError(
            f"--rate is for standard input; {args.file} says its rate itself"
        )
    files = [] if is_raw else [args.file]
    model = bundle_folder(args.model)
    files = classification.check_arguments(model, files, "stream")
    if len(files) > 1:
        raise InputError(f"{args.file}: is a folder; give one file of it")
    if is_raw and sys.stdin.isatty():
        raise InputError(
            "standard input is a terminal; give a FILE, or send raw samples: "
            "arecord -q -t raw -f S16_LE -c 1 -r 16000 | ptssnn stream MODEL"
        )
    classifier, levels = _bundle(model, args).open(), Levels()
    stream = streaming.AudioStream(classifier, args.window)
    if is_raw:
        rate = stream.sample_rate if args.rate is None else args.rate
        blocks = streaming.pcm_blocks(
            sys.stdin.buffer, rate, stream.sample_rate, args.every
        )
    else:
        blocks = streaming.file_blocks(files[0], classifier, args.every, levels)
    try:
        for block in blocks:
            heard = stream(block)
            if heard is not None:
                print(streaming.as_text(heard, args.format), end="", flush=True)
    except KeyboardInterrupt:  # ends the recording, not the command
        print(file=sys.stderr)
    print(streaming.as_text(stream.finish(), args.format), end="")
    for sentence in levels.warnings():
        print(f"warning: {sentence}", file=sys.stderr)


def timeline_command(words):
    """Says which emotion is heard when, in recordings of any length."""
    parser = _Parser(
        "timeline",
        f"{timeline_command.__doc__} Speech is found, then classified in "
        "windows that overlap, or by a causal model as it comes. Writes a page "
        "to look at and listen to, and files for spreadsheets, Praat, Audacity "
        "and diarization.",
    )
    _describe_model(parser)
    parser.add_argument(
        "paths",
        nargs="+",
        metavar="RECORDING|FOLDER",
        help="audio files, and folders, which are searched with their "
        "subfolders",
    )
    parser.add_argument(
        "--format",
        metavar="VALUE",
        default=timeline_files.DEFAULT,
        help="what is written, with commas between: "
        f"{', '.join(timeline_files.FORMATS)} (default: %(default)s)",
    )
    parser.add_argument(
        "--output_folder",
        metavar="FOLDER",
        type=expanduser,
        help="where the files <name>_timeline.* are written; it is made if it "
        "is not there (default: beside each recording)",
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="write files that are there already anew; without it, they are "
        "left as they are",
    )
    parser.add_argument(
        "--window",
        metavar="VALUE",
        type=float,
        help="seconds that are classified at once; not for a causal model "
        f"(default: {streaming.WINDOW:g})",
    )
    parser.add_argument(
        "--hop",
        metavar="VALUE",
        type=float,
        default=HOP,
        help="seconds from one window to the next, at most, and length of a "
        f"step of the timeline, at least {SHORTEST_HOP:g} (default: "
        "%(default)s)",
    )
    parser.add_argument(
        "--smoothing",
        metavar="VALUE",
        type=float,
        help="seconds of the median over the steps, 0 for none; not for a "
        f"causal model (default: {SMOOTHING:g})",
    )
    parser.add_argument(
        "--channels",
        metavar="VALUE",
        default="model",
        help="model: the channel that the model's rule takes, the louder one "
        "unless it was trained otherwise; split: a track of each, as of the "
        "two sides of a telephone call; 0, 1, ...: that one (default: "
        "%(default)s)",
    )
    parser.add_argument(
        "--noprogressbar", action="store_true", help="show no progress"
    )
    _describe_answers(parser)
    _describe_adaptation(parser)
    args = parser.parse_args(words)
    settings = Settings(args.window, args.hop, args.smoothing, args.channels)
    formats = timeline_files.check_formats(args.format)
    model = bundle_folder(args.model)
    recordings = classification.check_arguments(model, args.paths, "timeline")
    plan = timeline_files.plan_files(recordings, formats, args.output_folder)
    classifier = _bundle(model, args).open()
    bad = []
    for recording, files in plan.items():
        there = [path for path in files.values() if path.exists()]
        if there and not args.overwrite:
            print(
                f"{', '.join(map(str, there))}: there already, left as it is; "
                "--overwrite writes it anew"
            )
            files = {
                name: path for name, path in files.items() if path not in there
            }
        if not files:
            continue
        try:
            made = timeline(
                classifier, recording, settings, not args.noprogressbar
            )
        except InputError as error:
            bad.append(str(error))
            continue
        for sentence in made.notes:
            print(f"note: {sentence}", file=sys.stderr)
        written = timeline_files.write_files(made, files)
        names = ", ".join(map(str, written))
        print(f"{timeline_files.summary(made)}: {names}", flush=True)
        if made.problem:
            bad.append(
                f"{recording}: {made.problem}; what stands before is in {names}"
            )
        if made.until is not None:
            raise KeyboardInterrupt
    if bad:
        raise InputError(
            f"{len(bad)} of {len(plan)} recordings could not be read, or not "
            f"to their end: {named(bad, 'recordings not read')}"
        )


def export_command(words):
    """Writes a trained model in a format that other programs run."""
    parser = _Parser(
        "export",
        f"{export_command.__doc__} With onnx: from waveform to posteriors for "
        "fbank and fbank_stream, from features for other front-ends. A causal "
        "head gets a second file, whose state goes in and out. With nir: the "
        "head, from saturated frames to spikes, for neuromorphic software.",
    )
    _describe_model(parser)
    parser.add_argument(
        "--format",
        choices=("onnx", "nir"),
        required=True,
        help="onnx: for onnxruntime and other programs; nir: for snnTorch and, "
        "in part, others (docs/nir.md)",
    )
    parser.add_argument(
        "--output",
        metavar="FILE",
        type=expanduser,
        help="write to FILE (default: MODEL.onnx or MODEL.nir, with --int8 "
        "MODEL_int8.onnx)",
    )
    parser.add_argument(
        "--int8",
        action="store_true",
        help="onnx: store weights as int8, each row with a scale of its own",
    )
    parser.add_argument(
        "--spikes",
        action="store_true",
        help="onnx: give out each layer's spikes too",
    )
    parser.add_argument(
        "--dt",
        metavar="VALUE",
        type=float,
        help="nir: seconds from one step to the next in the program that "
        f"reads the file (default: {nir_export.DT:g}, as in snnTorch)",
    )
    args = parser.parse_args(words)
    if args.output:
        _check_parent("output", args.output)
    model = bundle_folder(args.model)
    classification.check_arguments(model, [], "export")
    is_onnx = args.format == "onnx"
    for option, is_given, of_onnx in (
        ("int8", args.int8, True),
        ("spikes", args.spikes, True),
        ("dt", args.dt is not None, False),
    ):
        if is_given and of_onnx != is_onnx:
            raise InputError(
                f"--{option} is not for --format={args.format}; leave it out"
            )
    ending = f"{'_int8' * args.int8}.{args.format}"
    output = args.output or f"{model.resolve()}{ending}"
    classifier = classification.open_bundle(model, args.trust)
    if not is_onnx:
        dt = nir_export.DT if args.dt is None else args.dt
        nir_export.export_nir(classifier, output, dt)
        print(output)
        return
    for file in export_onnx(classifier, output, args.int8, args.spikes):
        size = file.path.stat().st_size / 1e6
        print(f"{file.path} ({size:.2f} MB): {file.what}")
    backbone = classifier.mods.embedding_model.backbone
    if (its_export := own_export(backbone)) is not None:
        print(
            f"The front-end, {front_end(backbone)}, is not inside. Its own "
            f"export: {its_export}"
        )


def push_command(words):
    """Uploads a trained model to the Hugging Face hub, with a card."""
    parser = _Parser(
        "push",
        f"{push_command.__doc__} The weights are written as safetensors; the "
        "card has what the run has measured. Log in with 'hf auth login' "
        "before.",
    )
    parser.add_argument(
        "model",
        metavar="MODEL",
        help="a fold's folder model/, in its run",
    )
    parser.add_argument(
        "name", metavar="USER/NAME", help="the model's name on the hub"
    )
    parser.add_argument(
        "--private", action="store_true", help="show it to its owner only"
    )
    parser.add_argument(
        "--licence",
        default="other",
        metavar="NAME",
        help="of the trained weights, e.g. cc-by-4.0 (default: %(default)s)",
    )
    parser.add_argument(
        "--to_folder",
        metavar="FOLDER",
        type=expanduser,
        help="write the files to this new folder and upload nothing (default: "
        "upload)",
    )
    args = parser.parse_args(words)
    if args.to_folder:
        hub.write_model(args.model, args.name, args.to_folder, args.licence)
        print(f"{args.to_folder}: written")
    else:
        print(hub.push(args.model, args.name, args.licence, args.private))


def experiments_command(words):
    """Trains a set of models and prints them in one table."""
    parser = _Parser("experiments", experiments_command.__doc__)
    parser.usage = "ptssnn experiments SET --corpus=CORPUS [--key=value ...]"
    parser.add_argument(
        "set",
        metavar="SET",
        help="a name of 'ptssnn list sets', or the path of a YAML file",
    )
    parser.add_argument(
        "--corpus",
        help="a name of 'ptssnn list corpora'. --corpus, --protocol and "
        "--backbone accept several values, separated by commas; one table is "
        "printed for each combination. With several corpora, --data_folder "
        "holds one folder for each, with the corpus's name.",
    )
    flags = {
        "--energy": "also count the operations and energy of the models",
        "--table_only": "train nothing; print what is finished",
        "--markdown": "print tables as Markdown",
    }
    for flag, text in flags.items():
        parser.add_argument(flag, action="store_true", help=text)
    if _asks_for_help(words):
        _describe_training(parser)
        parser.print_help()
        return
    given = {flag for flag in flags if flag in words}
    words = [word for word in words if word not in flags]
    if not words or words[0].startswith("-"):
        raise InputError(
            "name a set first: ptssnn experiments table5 --corpus=URDU; "
            "'ptssnn list sets' has the sets"
        )
    run_set(
        Arguments.parse(words),
        energy="--energy" in given,
        table_only="--table_only" in given,
        as_markdown="--markdown" in given,
    )


def compare_command(words):
    """Compares two runs on the same utterances."""
    parser = _Parser(
        "compare",
        f"{compare_command.__doc__} Prints the accuracy of A minus B, its 95 % "
        "interval and p (permutation test over speakers).",
    )
    for name in ("run_a", "run_b"):
        parser.add_argument(
            name,
            metavar=name.upper(),
            help="a run's folder, or the folder above it for the mean of all "
            "its seeds",
        )
    parser.add_argument(
        "--json",
        metavar="FILE",
        type=expanduser,
        help="also write the result to FILE as JSON (default: not written)",
    )
    args = parser.parse_args(words)
    if args.json:
        _check_parent("json", args.json)
    outcome = comparison.compare(args.run_a, args.run_b)
    if args.json:
        write_text(args.json, json.dumps(outcome, indent=2))
    print(comparison.table(outcome))


def energy_command(words):
    """Counts a run's operations and energy; writes energy.json into it."""
    parser = _Parser("energy", energy_command.__doc__)
    parser.add_argument("run", metavar="RUN", help="a run's folder")
    parser.add_argument(
        "--frames",
        type=int,
        default=energy.MEAN_FRAMES,
        help="length of the utterance in the table, in frames of 20 ms "
        "(default: %(default)s, the mean of IEMOCAP)",
    )
    parser.add_argument(
        "--count_backbone",
        choices=("yes", "no"),
        default="yes",
        help="whether the frozen backbone is counted too (default: "
        "%(default)s)",
    )
    _add_folders(parser)
    args = parser.parse_args(words)
    outcome, path = energy.write_energy(
        args.run,
        args.frames,
        args.count_backbone == "yes",
        args.features_folder,
        args.data_folder,
    )
    print(f"{energy.table(outcome)}\n\n{path}")


def probe_command(words):
    """Shows what each stage of a spike encoder's network tells, over time."""
    parser = _Parser(
        "probe",
        f"{probe_command.__doc__} Linear heads on mel values, each stream and "
        "each layer, trained and untrained; and how well the spikes rebuild "
        "the mel values. Writes probes.json and probes.svg into the run's "
        "folder.",
    )
    parser.add_argument("run", metavar="RUN", help="a run's folder")
    _add_folders(parser)
    args = parser.parse_args(words)
    outcome, path = stage_probes.probe_run(
        args.run, args.features_folder, args.data_folder
    )
    print(f"{stage_probes.table(outcome)}\n\n{path}, and the plot beside it")


def report_command(words):
    """Writes one HTML report of a run, compared with other runs."""
    parser = _Parser("report", report_command.__doc__)
    parser.add_argument(
        "runs",
        nargs="+",
        metavar="RUN",
        help="run folders; the first is shown in full, the others are "
        "compared with it",
    )
    parser.add_argument(
        "--output",
        metavar="FILE",
        type=expanduser,
        help="write to FILE (default: report.html in the first RUN)",
    )
    _add_folders(parser)
    args = parser.parse_args(words)
    path = write_report(
        args.runs, args.output, args.features_folder, args.data_folder
    )
    print(f"{path} ({path.stat().st_size / 1e6:.1f} MB)")


def demo_command(words):
    """Opens a page on this machine to hear models, with a microphone too."""
    parser = _Parser(
        "demo",
        f"{demo_command.__doc__} Nothing leaves the machine; Ctrl-C ends the "
        "page.",
    )
    parser.add_argument(
        "models",
        nargs="*",
        metavar="MODEL",
        help="folders model/ of folds, or models' names on the Hugging Face "
        "hub; several stand side by side (default: the model that 'make demo' "
        "leaves, which is trained first if it is not there)",
    )
    _describe_trust(parser)
    parser.add_argument(
        "--port",
        metavar="VALUE",
        type=int,
        help="the page's port (default: 7860, or the next free one)",
    )
    parser.add_argument(
        "--max_seconds",
        metavar="VALUE",
        type=float,
        default=demo.MAX_SECONDS,
        help="length of a recording, at most (default: %(default)s)",
    )
    parser.add_argument(
        "--max_mb",
        metavar="VALUE",
        type=float,
        default=demo.MAX_MB,
        help="megabytes of a recording, at most (default: %(default)s)",
    )
    parser.add_argument(
        "--to_folder",
        metavar="FOLDER",
        type=expanduser,
        help="write the page and its models to this new folder, to run as a "
        "Hugging Face Space (default: open the page)",
    )
    _describe_answers(parser)
    args = parser.parse_args(words)
    answers = args.trust, _label_map(args), args.unsure
    limits = demo.Limits(args.max_seconds, args.max_mb)
    demo.gradio_package()
    models = args.models or [_demo_model()]
    if args.to_folder:
        demo.write_space(models, args.to_folder, limits, *answers)
        print(f"{args.to_folder}: written; python {args.to_folder}/app.py")
    else:
        demo.serve(models, args.port, limits, demo.HOST, *answers)


def _demo_model():
    """The model that 'make demo' leaves; trains it if it is not there."""
    model = Path(demo.DEFAULT_MODEL)
    if model.is_dir():
        print(f"{model}: this model is shown, as none was named")
    else:
        print(
            f"{model}: is not there, so it is trained now, on synthetic "
            "speech; that takes a minute or two"
        )
        train(*_target("train", demo.DEFAULT_TRAINING))
    return model


def list_command(words):
    """Lists corpora, protocols, backbones, heads and sets."""
    parser = _Parser("list", list_command.__doc__)
    parser.add_argument(
        "kinds",
        nargs="*",
        metavar="KIND",
        help=f"any of {', '.join(LISTS)} (default: all)",
    )
    args = parser.parse_args(words)
    for kind in args.kinds:
        if kind not in LISTS:
            raise InputError(
                f"unknown kind {kind!r}{suggestion(kind, LISTS)}; there are "
                f"{', '.join(LISTS)}"
            )
    parts = []
    for kind in args.kinds or LISTS:
        rows = LISTS[kind]()
        width = max(len(name) for name, _ in rows) + 2
        lines = [f"  {name.ljust(width)}{text}" for name, text in rows]
        parts.append("\n".join([f"{kind}:", *lines]))
    print("\n\n".join(parts))


COMMANDS = {
    "train": train_command,
    "extract": extract_command,
    "layers": layers_command,
    "explore": explore_command,
    "classify": classify_command,
    "stream": stream_command,
    "timeline": timeline_command,
    "export": export_command,
    "push": push_command,
    "experiments": experiments_command,
    "compare": compare_command,
    "energy": energy_command,
    "probe": probe_command,
    "report": report_command,
    "demo": demo_command,
    "list": list_command,
}


class _Parser(argparse.ArgumentParser):
    """Argparse, whose errors are our sentences."""

    def __init__(self, name, description):
        super().__init__(
            prog=f"ptssnn {name}",
            description=textwrap.fill(description, 79),
            epilog=ENDS[name],
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def parse_args(self, words):
        args, unknown = self.parse_known_args(words)
        if unknown:
            known = [
                option
                for action in self._actions
                for option in action.option_strings
            ]
            name = unknown[0].partition("=")[0]
            raise InputError(
                f"unknown argument {unknown[0]!r}{suggestion(name, known)}; "
                f"see {self.prog} --help"
            )
        return args

    def error(self, message):
        raise InputError(f"{message}; see {self.prog} --help")


def _asks_for_help(words):
    return "--help" in words or "-h" in words


def _target(name, words, head=None):
    """The corpus, its recipe's folder and the parsed rest of a command line
    that begins with a corpus, or with the YAML file of a corpus of one's own;
    ``head`` is trained if none is named.
    """
    n_names = next(
        (k for k, word in enumerate(words) if word.startswith("-")), len(words)
    )
    names, rest = words[:n_names], words[n_names:]
    head = names[1] if len(names) > 1 else head
    if not names:
        raise InputError(
            f"name a corpus first, or your corpus's YAML file: ptssnn {name} "
            "URDU --data_folder=...; 'ptssnn list corpora' has the corpora"
        )
    if names[0].endswith((".yaml", ".yml")):
        corpus, file = "Custom", find_yaml("head", names[0])
        if len(names) > 1 or (head and "base" in read_yaml(file)):
            rest = [*rest, f"--base={find_yaml('head', head)}"]
    else:
        is_folder = is_database(names[0])
        corpus = "Custom" if is_folder else _corpus(names[0], name)
        file = find_yaml("head", head or "pts_snn")
        if is_folder:
            rest = [*rest, f"--data_folder={names[0]}"]
    arguments = Arguments.parse([str(file), *names[2:], *rest])
    if "corpus" in arguments.keys:
        raise InputError(
            f"--corpus cannot be set here; write ptssnn {name} "
            f"{arguments.keys['corpus']} ..."
        )
    return corpus, RECIPES / corpus, arguments


def _corpus(name, command):
    """The name of a corpus as its recipe has it."""
    if not is_known(name) and Path(name).exists():
        kind = "folder" if Path(name).is_dir() else "file"
        raise InputError(
            f"{name} is no corpus's name{suggestion(name, NAMES)}, but a "
            f"{kind} of yours; say in a YAML file what it holds "
            f"(docs/own_corpus.md), and write ptssnn {command} MY.yaml"
        )
    return find_corpus(name).name


def _check_parent(option, path):
    if not Path(path).parent.is_dir():
        raise InputError(f"--{option}={path}: there is no such folder")


def _add_folders(parser):
    parser.add_argument(
        "--features_folder",
        metavar="FOLDER",
        type=expanduser,
        help="folder of the stored features (default: that of the training)",
    )
    parser.add_argument(
        "--data_folder",
        metavar="FOLDER",
        type=expanduser,
        help="where the corpus is (default: where it was in training)",
    )


def _describe_model(parser):
    parser.add_argument(
        "model",
        metavar="MODEL",
        help="a fold's folder model/, which training has written, or a model's "
        "name on the Hugging Face hub, such as user/name",
    )
    _describe_trust(parser)


def _describe_trust(parser):
    parser.add_argument(
        "--trust",
        action="store_true",
        help="load the model whatever it holds, even code; without it, only "
        "what training writes (docs/python.md)",
    )


def _describe_adaptation(parser):
    parser.add_argument(
        "--adapt",
        nargs="+",
        metavar="FILE|FOLDER",
        help="recordings of the speaker in several emotions, for a model that "
        "was trained with --normalize=speaker (default: none)",
    )


def _describe_answers(parser):
    parser.add_argument(
        "--label_map",
        metavar="VALUE",
        help="answer in groups of classes, '{class: group, ...}'; null leaves "
        "a class out. A group's posterior is the sum of its classes' (default: "
        "the classes)",
    )
    parser.add_argument(
        "--unsure",
        metavar="VALUE",
        type=float,
        help="an answer whose posterior is below VALUE is 'unsure'; a run's "
        "report says how many answers that leaves (default: never)",
    )


def _label_map(args):
    """The option's value; None if it is not given."""
    if args.label_map is None:
        return None
    return parse_yaml("--label_map", args.label_map)


def _bundle(model, args):
    """The bundle, as a command's options ask for it."""
    return Bundle(
        model,
        args.trust,
        _label_map(args),
        args.unsure,
        classification.find_audio(args.adapt or []),
    )


def _describe_target(parser, head="pts_snn"):
    parser.add_argument(
        "corpus",
        metavar="CORPUS|MY.yaml",
        help="a name of 'ptssnn list corpora', or the YAML file of a corpus "
        "of your own (docs/own_corpus.md)",
    )
    parser.add_argument(
        "head",
        nargs="?",
        metavar="HEAD",
        help="a name of 'ptssnn list heads', or the path of a YAML file "
        f"(default: {head})",
    )


def _describe_training(parser):
    """Adds the keys of a head's YAML and SpeechBrain's options to the help."""
    group = None
    for title, key, default, text in _keys(HPARAMS / "pts_snn.yaml"):
        if group is None or title != group.title:
            group = parser.add_argument_group(title)
        _describe_key(group, key, default, text)
    for title, key, example in (
        ("The head, with HEAD=pts_snn", "head", "{n_prompts: 3, kappa: 0.4}"),
        ("Its neurons", "plif", "{decay: 0.7}"),
    ):
        group = parser.add_argument_group(
            f"{title}: --{key}='{example}'",
            _arguments_of(key, HPARAMS / "pts_snn.yaml"),
        )
    group = parser.add_argument_group("keys of your own corpus's protocols")
    texts, defaults = {}, {}
    for file in sorted((RECIPES / "Custom" / "protocols").glob("*.yaml")):
        for _, key, default, text in _keys(file):
            texts[key] = text
            defaults.setdefault(key, set()).add(default)
    for key in sorted(texts):
        default = " or ".join(sorted(defaults[key]))
        _describe_key(group, key, default, texts[key])
    group = parser.add_argument_group("keys of pretrained backbones")
    for _, key, default, text in _keys(HPARAMS / "backbones/huggingface.yaml"):
        _describe_key(group, key, default, text)
    group = parser.add_argument_group("SpeechBrain's options")
    for name in OPTIONS:
        text = OPTIONS[name].replace("%", "%%")
        if name in FLAGS:
            group.add_argument(f"--{name}", action="store_true", help=text)
        else:
            default = getattr(Arguments("", {}, {}).run_options, name)
            _describe_key(group, name, default, text)


def _describe_key(group, key, default, text):
    if key in CHOICES:
        text = f"one of {', '.join(CHOICES[key])}; {text}".strip("; ")
    text = f"{text} (default: {default})".replace("%", "%%")
    group.add_argument(f"--{key}", metavar="VALUE", help=text)


def _keys(file):
    """The plain keys of a YAML file: (heading, key, default, comment). A
    heading is a line of comment with an empty line below.
    """
    heading, above = "keys", []
    for line in file.read_text(encoding="utf-8").splitlines():
        pair = re.match(r"(\w+):\s*(.*?)\s*(?:# (.*))?$", line)
        if line.startswith("# "):
            above.append(line[2:])
        elif pair and not pair[1].startswith("_"):
            key, default, beside = pair.groups()
            if default[:5] not in ("!PLAC", "!new:", "!name", "!appl"):
                text = " ".join([*above, beside or ""]).strip()
                yield heading, key, default or '""', text
            above = []
        elif not line:
            heading, above = above[0] if len(above) == 1 else heading, []


def _arguments_of(key, file):
    """What a YAML file has inside an object, line by line as it is there."""
    text = file.read_text(encoding="utf-8")
    inside = re.search(rf"^{key}: .*\n((?: +.*\n?)+)", text, re.M)[1]
    return "".join(
        line for line in inside.splitlines(True) if ": !ref" not in line
    )


def _list_protocols():
    return [
        (f"{corpus.name} {name}", _with_default(text, name == corpus.protocol))
        for corpus in all_corpora()
        for name, text in list_yaml(RECIPES / corpus.name / "protocols")
    ]


def _with_default(text, is_default):
    return f"{text} (default)" if is_default else text


def _list_heads():
    return [
        (f"{folder}/{name}".lstrip("./"), text)
        for folder in HEAD_FOLDERS
        for name, text in list_yaml(HPARAMS / folder)
    ]


LISTS = {
    "corpora": lambda: [
        (corpus.name, corpus.description) for corpus in all_corpora()
    ],
    "protocols": _list_protocols,
    "backbones": lambda: list_yaml(HPARAMS / "backbones"),
    "heads": _list_heads,
    "sets": lambda: list_yaml(HPARAMS / "sets"),
}


def _overview():
    width = max(map(len, COMMANDS)) + 2
    return "\n".join(
        [
            "usage: ptssnn COMMAND [ARGUMENTS]",
            "",
            "Speech emotion recognition with a frozen speech model and a "
            "spiking head.",
            "",
            *(
                f"  {name.ljust(width)}{command.__doc__}"
                for name, command in COMMANDS.items()
            ),
            "",
            "ptssnn COMMAND --help lists the command's arguments.",
        ]
    )


if __name__ == "__main__":
    main()
