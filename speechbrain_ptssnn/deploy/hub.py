"""Trained models on the Hugging Face hub, with a card of measured values."""

import re
import shutil
import tempfile
from pathlib import Path

from huggingface_hub import EvalResult, HfApi, ModelCardData
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from ruamel.yaml import YAML

from speechbrain_ptssnn.corpora.common import EMOTION
from speechbrain_ptssnn.corpora.registry import find_corpus, is_known
from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.evaluation.run_folder import ADAPTED, RunFolder
from speechbrain_ptssnn.evaluation.summary_table import (
    interval_note,
    score_rows,
)
from speechbrain_ptssnn.inference import HUB_ID, check_bundle, file_of
from speechbrain_ptssnn.utils.files import read_file, write_text
from speechbrain_ptssnn.utils.own_files import HPARAMS, first_comment
from speechbrain_ptssnn.utils.text_tables import markdown, number, percent
from speechbrain_ptssnn.utils.weights import read_weights, write_safetensors

# Scores of the card's metadata, by their names on the hub.
METRICS = {"WA": "accuracy", "UA": "recall", "macro_F1": "f1"}
PRETRAINER = (
    "pretrainer: !new:speechbrain_ptssnn.inference.BundlePretrainer\n"
    "    safetensors: True"
)


def write_model(model, name, folder, licence="other"):
    """Writes what is pushed to the hub: the bundle and its card.

    Arguments
    ---------
    model : str or Path
        ``fold_<k>/model`` of a run, in its place: the card's values come from
        the run.
    name : str
        The model's name on the hub, "user/name".
    folder : str or Path
        Where to write; it must not exist.
    licence : str
        Of the trained weights, for the card.

    Raises
    ------
    InputError
        If the model is no whole bundle or lies outside its run, the name is
        none, or the folder exists.
    """
    model, folder = Path(model), Path(folder)
    if not HUB_ID.fullmatch(name):
        raise InputError(
            f"{name!r} is no name on the hub; write it as user/name"
        )
    check_bundle(model)
    card = model_card(model, name, licence)
    write_safe_bundle(model, folder)
    write_text(folder / "README.md", card)


def write_safe_bundle(model, folder):
    """Writes a bundle whose weights are safetensors, which hold no code.

    Arguments
    ---------
    model : Path
        A whole bundle, of :func:`~speechbrain_ptssnn.inference.check_bundle`.
    folder : Path
        Where to write; it must not exist.

    Raises
    ------
    InputError
        If the folder exists, or weights cannot be read.
    """
    new_folder(folder)
    text = read_file(model / "hyperparams.yaml")
    pretrainer = YAML().load(text)["pretrainer"]
    is_pushed = pretrainer.get("safetensors", False)
    for part in pretrainer["loadables"]:
        source = model / file_of(part, is_pushed)
        target = folder / file_of(part, True)
        if is_pushed or part == "label_encoder":
            shutil.copyfile(source, target)
        else:
            write_safetensors(read_weights(source), target)
    # Bundles of older versions have SpeechBrain's own pretrainer.
    text = re.sub(r"(?m)^pretrainer: !new:.*$", PRETRAINER, text)
    write_text(folder / "hyperparams.yaml", text)


def new_folder(folder):
    """Makes a folder, and those above it.

    Arguments
    ---------
    folder : Path
        It must not exist.

    Raises
    ------
    InputError
        If it exists or cannot be made.
    """
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise InputError(
            f"{folder}: cannot be made ({error.strerror}); choose a new folder"
        ) from error


def push(model, name, licence="other", private=False):
    """Uploads a model to the hub, as one commit.

    Arguments
    ---------
    model, name, licence : str or Path, str, str
        See :func:`write_model`.
    private : bool
        Whether only its owner sees it. Of a repository that exists nothing is
        changed but the files.

    Returns
    -------
    str
        The model's address.

    Raises
    ------
    InputError
        As :func:`write_model`; if the hub refuses it or cannot be reached.
    """
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent, "model")
        write_model(model, name, folder, licence)
        try:
            hub = HfApi()
            address = hub.create_repo(name, private=private, exist_ok=True)
            hub.upload_folder(
                repo_id=name,
                folder_path=folder,
                commit_message="Trained by speechbrain-ptssnn",
            )
        except (OSError, HfHubHTTPError, HFValidationError) as error:
            reason = (str(error).strip() or repr(error)).splitlines()[0]
            raise InputError(
                f"{name}: the hub does not take it ({reason}); log in with "
                "'hf auth login', or write it with --to_folder and upload it "
                "otherwise"
            ) from error
    return str(address)


def model_card(model, name, licence="other"):
    """Describes a model with what its run has measured.

    Arguments
    ---------
    model, name, licence : Path, str, str
        See :func:`write_model`.

    Returns
    -------
    str
        Markdown with the hub's metadata in front.

    Raises
    ------
    InputError
        If the model does not lie in its run, or the run has no summary.
    """
    run, summary, own = run_of(model)
    parts = [
        f"---\n{_metadata(name, licence, summary, own)}\n---",
        f"# {name.partition('/')[2]}",
        _what(summary, own),
        _use(name, summary),
        _values(summary, own),
        _energy(run),
        _training(run, summary),
        _limits(run, summary),
        _licences(summary, licence),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def run_of(model):
    """Finds the run that a model lies in.

    Arguments
    ---------
    model : Path
        ``fold_<k>/model`` of a run, in its place.

    Returns
    -------
    tuple
        (RunFolder, dict, dict): the run, its ``summary.json``, and what that
        says of the model's own fold.

    Raises
    ------
    InputError
        If the model does not lie in its run, or the run has no summary.
    """
    fold_folder = model.resolve().parent
    number = re.fullmatch(r"fold_(\d+)", fold_folder.name)
    run = RunFolder(fold_folder.parent)
    if number is None or not run.summary.is_file():
        raise InputError(
            f"{model}: does not lie in its run, whose summary.json the card "
            "needs; give results/<corpus>/.../<seed>/fold_<k>/model"
        )
    summary = run.read_json(run.summary)
    own = {each["fold"]: each for each in summary["per_fold"]}.get(
        int(number[1])
    )
    if own is None:
        raise InputError(
            f"{run.summary}: lacks fold {number[1]}; the training's command, "
            "given again, writes it"
        )
    return run, summary, own


def _metadata(name, licence, summary, own):
    task = _task(summary["corpus"])
    results = [
        EvalResult(
            task_type="audio-classification",
            task_name=task,
            dataset_type=summary["corpus"].lower(),
            dataset_name=summary["corpus"],
            dataset_config=f"{summary['protocol']} folds",
            dataset_split=split,
            metric_type=kind,
            metric_name=key.replace("_", " "),
            metric_value=round(scores[key], 4),
        )
        for split, scores in (
            (f"fold {own['fold']}, which this model did not hear", own),
            (f"{len(summary['folds_done'])} folds, a model each", summary),
        )
        for key, kind in METRICS.items()
    ]
    return ModelCardData(
        model_name=name,
        eval_results=results,
        library_name="speechbrain",
        license=licence,
        pipeline_tag="audio-classification",
        tags=[
            *(task.lower().replace(" ", "-"), "spiking-neural-network"),
            *("speechbrain", "pts-snn", summary["corpus"].lower()),
        ],
    ).to_yaml()


def _what(summary, own):
    labels = ", ".join(summary["labels"])
    return (
        f"{_task(summary['corpus'])}: one of {len(summary['labels'])} labels "
        f"({labels}) for an utterance. A head of "
        f"{summary['trainable_params']:,} parameters ("
        f"`{summary['model']}`) on the frozen front-end "
        f"`{summary['backbone']}`, trained on fold {own['fold']} of "
        f"{summary['folds']} of {summary['corpus']} "
        f"({_description(summary['corpus'])}) with "
        "[speechbrain-ptssnn](https://arxiv.org/abs/2602.08240), a SpeechBrain "
        "plugin for PTS-SNN, a spiking neural network."
    )


def _task(corpus):
    return find_corpus(corpus).task if is_known(corpus) else EMOTION


def _description(corpus):
    try:
        return find_corpus(corpus).description
    except InputError:
        return "a corpus of its owner"


def _use(name, summary):
    option = adapt = note = ""
    if summary["backbone"].endswith(ADAPTED):
        option = " --adapt speaker"
        adapt = """
others = [classifier.load_audio(file) for file in speaker]
classifier.mods.embedding_model.adapt(others)"""
        note = """

The model was trained speaker-adapted. The scores below hold where it is given
other recordings of the same speaker, in several emotions: `speaker` is their
folder, in Python the list of the files."""
    return f"""\
## How to use it

```bash
ptssnn classify {name} recording.wav{option}
```

```python
from speechbrain.inference import EncoderClassifier

classifier = EncoderClassifier.from_hparams("{name}"){adapt}
log_posteriors, score, index, label = classifier.classify_file("recording.wav")
```

Both need the package speechbrain-ptssnn. The posteriors are calibrated: a
temperature that was fitted on the validation part is in the model.{note}"""


def _values(summary, own):
    header, *rows = score_rows(summary)
    scores = [[*row, *[""] * (len(header) - len(row))] for row in rows]
    confusion = [
        ["true / predicted", *summary["labels"], "recall"],
        *(
            [label, *map(str, counts), percent(summary["recall"][label])]
            for label, counts in zip(
                summary["labels"], summary["confusion"], strict=True
            )
        ),
    ]
    speakers = f"{own['n_speakers']} speaker{'s'[: own['n_speakers'] > 1]}"
    return "\n".join(
        [
            "## What was measured",
            "",
            "On the test part of its own fold, which it did not hear "
            f"({own['n_utterances']} utterances, {speakers}), this model has "
            f"WA {percent(own['WA'])}, UA {percent(own['UA'])}; knowing only "
            f"who speaks gives {percent(own['speaker_oracle']['WA'])}. "
            f"{len(summary['folds_done'])} of {summary['folds']} folds "
            "together, each tested by a model that did not hear it "
            f"({interval_note(summary)}):",
            "",
            *markdown([header, *scores]),
            "",
            "WA is the share of utterances that were classified correctly, UA "
            "the mean recall of the classes. The speaker oracle knows who "
            "speaks, and answers with this speaker's most frequent label of "
            "the training part.",
            "",
            *markdown(confusion),
        ]
    )


def _energy(run):
    if not run.energy.is_file():
        return ""
    scaled = run.read_energy()["scaled"]
    head = scaled["strict"]["mJ"]
    front_end = scaled.get("backbone", {}).get("mJ")
    length = f"{scaled['frames']} frames"
    if "seconds" in scaled:  # files of older versions lack it
        length = f"{scaled['seconds']:.2f} s"
    text = (
        "## Energy\n\nEstimated from counted operations at 45 nm (4.6 pJ for "
        "a multiplication with addition, 0.9 pJ for an addition), not measured "
        f"on a device, for an utterance of {length}: head "
        f"{number(head, '.3g')} mJ"
    )
    if front_end is not None:
        text += (
            f", front-end {number(front_end, '.3g')} mJ, together "
            f"{number(head + front_end, '.3g')} mJ"
        )
    return f"{text}."


def _training(run, summary):
    hyperparams = run.read_hyperparams()
    versions = summary.get("versions", {})
    names = ", ".join(f"{key} {value}" for key, value in versions.items())
    return (
        f"## Training\n\n{hyperparams['number_of_epochs']} epochs, learning "
        f"rate {hyperparams['lr']:g}, batches of {hyperparams['batch_size']}, "
        f"seed {summary['seed']}; the epoch was chosen on a validation part of "
        f"the training folds. Revision {summary['git_revision'] or 'unknown'}; "
        f"{names}. Every setting of the model is in hyperparams.yaml."
    )


def _limits(run, summary):
    texts = [
        "The corpus's labels, language, speakers and recording conditions are "
        "all that it knows; on others it can be far worse, and it always "
        "answers, also for silence or music."
    ]
    if _task(summary["corpus"]) == EMOTION:
        texts.append(
            "Emotions that are acted, or named by listeners, are not what a "
            "person feels. It is meant for research; do not use it to judge "
            "people, in hiring, teaching, policing or health."
        )
    if _knows_voices(run):
        texts.insert(
            0,
            "The folds share speakers: the values hold for known voices, and "
            "new ones are recognised worse.",
        )
    return "## Limits\n\n" + "\n".join(f"- {text}" for text in texts)


def _knows_voices(run):
    """Whether a test speaker, perhaps one without a name, is in training."""
    manifest = run.read_json(run.manifest)
    return any(
        {manifest[name]["speaker"] for name in fold["train"]}
        & {manifest[name]["speaker"] for name in fold["test"]}
        for fold in run.read_json(run.folds).values()
    )


def _licences(summary, licence):
    texts = [
        f"Weights of the head: {licence}.",
        f"Corpus: {summary['corpus']}; its owner's terms hold for what is "
        "trained on it.",
    ]
    for name in summary["backbone"].removesuffix(ADAPTED).split("+"):
        if name.startswith("fbank"):
            continue  # it has no weights
        said = _front_end_licence(name)
        texts.append(f"Front-end `{name}`: {said or 'see its publisher'}.")
    return "## Licences\n\n" + "\n".join(f"- {text}" for text in texts)


def _front_end_licence(name):
    """What the front-end's YAML file says of its licence."""
    files = [
        file
        for file in (HPARAMS / "backbones").glob("*.yaml")
        if name == file.stem or name.startswith(f"{file.stem}-")
    ]
    if not files:
        return ""
    file = max(files, key=lambda each: len(each.stem))
    return ". ".join(
        each for each in first_comment(file) if "icence" in each
    ).removeprefix("Licence: ")
