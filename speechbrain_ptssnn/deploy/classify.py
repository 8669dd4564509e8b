"""Audio files classified with a trained bundle, one after the other."""

import csv
import json
import shlex
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from speechbrain_ptssnn.audio import load_audio
from speechbrain_ptssnn.deploy.trust import check_trusted
from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.inference import (
    EmotionClassifier,
    check_bundle,
    file_of,
    labels_of,
)
from speechbrain_ptssnn.utils.long_lists import named

# Of a folder, the files with these endings are classified.
SUFFIXES = (
    *(".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus"),
    *(".aif", ".aiff", ".aifc", ".au", ".snd", ".caf", ".w64", ".rf64"),
)
FORMATS = ("text", "csv", "json")


@dataclass(frozen=True)
class Classified:
    """What a bundle says about a file.

    Arguments
    ---------
    path : str
        The file.
    label : str
        The most likely class.
    posteriors : dict
        Class to posterior probability, in index order.
    """

    path: str
    label: str
    posteriors: dict


def open_bundle(folder, trust=False):
    """Loads a bundle.

    Arguments
    ---------
    folder : str or Path
        ``fold_<k>/model`` of a run, or a copy of it.
    trust : bool
        Whether it may build any object and run any code; else only what
        training writes is loaded, see
        :func:`~speechbrain_ptssnn.deploy.trust.check_trusted`.

    Returns
    -------
    EmotionClassifier

    Raises
    ------
    InputError
        If the folder is no bundle; says where one is. If a file of it is
        missing or damaged, or holds what training does not write; names the
        file.
    """
    _check_model(Path(folder))
    if not trust:
        check_trusted(folder)
    return EmotionClassifier.from_hparams(folder)


def check_arguments(model, paths, command="classify"):
    """Looks at both arguments before anything is loaded.

    Arguments
    ---------
    model : Path
        What should be a bundle, of
        :func:`~speechbrain_ptssnn.inference.bundle_folder`.
    paths : list of str
        What should be audio files, and folders of them.
    command : str
        The command whose arguments they are.

    Returns
    -------
    list of str
        The audio files.

    Raises
    ------
    InputError
        If one is not what it should be; says so if they are swapped.
    """
    try:
        _check_model(model)
    except InputError as error:
        swapped = [path for path in paths if _is_bundle(Path(path))]
        if not swapped:
            raise
        raise InputError(
            f"{error}; did you mean: ptssnn {command} "
            f"{shlex.quote(swapped[0])} {shlex.quote(str(model))}"
        ) from error
    check_bundle(model)
    return find_audio(paths)


def _is_bundle(folder):
    return any(
        (folder / file_of("label_encoder", is_pushed)).is_file()
        for is_pushed in (False, True)
    )


def _check_model(folder):
    if not folder.exists():
        raise InputError(
            f"{folder}: is not there; MODEL is the folder that a training "
            "left, e.g. results/.../pts_snn/1/fold_1/model"
        )
    if folder.suffix == ".onnx" and folder.is_file():
        raise InputError(
            f"{folder}: is an exported model, which onnxruntime runs (python "
            f"docs/run_onnx.py {shlex.quote(str(folder))} FILE); MODEL is the "
            "folder that it was exported from"
        )
    if folder.is_file():
        raise InputError(
            f"{folder}: is a file; MODEL comes first and is a folder, e.g. "
            "results/.../pts_snn/1/fold_1/model"
        )
    if not _is_bundle(folder):
        found = sorted(folder.rglob("model/label_encoder.ckpt"))
        where = (
            f"did you mean {found[0].parent}?"
            if found
            else "it holds no label_encoder.ckpt"
        )
        raise InputError(f"{folder}: is not a trained model's folder; {where}")


def find_audio(paths):
    """Lists files as they are, and the audio files in folders, sorted.

    Arguments
    ---------
    paths : list of str
        Files and folders.

    Returns
    -------
    list of str

    Raises
    ------
    InputError
        If a path does not exist, or a folder holds no audio file.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> for name in ("b.wav", "a.FLAC", "notes.txt"):
    ...     (folder / name).touch()
    >>> [Path(path).name for path in find_audio([folder])]
    ['a.FLAC', 'b.wav']
    """
    missing = [path for path in paths if not Path(path).exists()]
    if missing:
        raise InputError(
            f"{named(missing, 'missing files')}: there is no such file; "
            "correct the path"
        )
    files = []
    for path in map(Path, paths):
        if not path.is_dir():
            files.append(str(path))
            continue
        found = sorted(
            str(each)
            for each in path.rglob("*")
            if each.suffix.lower() in SUFFIXES and not each.name.startswith(".")
        )
        if not found:
            raise InputError(
                f"{path}: holds no audio file, which end with "
                f"{', '.join(SUFFIXES)}"
            )
        files += found
    return files


def classify(classifier, path, levels=None):
    """Classifies one file.

    Arguments
    ---------
    classifier : EmotionClassifier
        Of :func:`open_bundle`.
    path : str
        The file.
    levels : Levels, optional
        Notes whether the file is silent or too loud.

    Returns
    -------
    Classified

    Raises
    ------
    InputError
        If the file cannot be read, or is too short.
    """
    wav = load_audio(path, classifier.audio_normalizer, levels=levels)
    try:
        log_posteriors, _, _, text = classifier.classify_batch(wav.unsqueeze(0))
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return Classified(path, text[0], by_label(classifier, log_posteriors[0]))


def by_label(classifier, log_posteriors):
    """Names the posteriors of an utterance.

    Arguments
    ---------
    classifier : EmotionClassifier
        Whose labels they are.
    log_posteriors : torch.Tensor
        [classes].

    Returns
    -------
    dict
        Label to posterior probability, in index order.
    """
    posteriors = log_posteriors.exp().tolist()
    return dict(zip(labels_of(classifier), posteriors, strict=True))


def adapt(classifier, files):
    """Prepares a speaker-adapted model with recordings of the speaker.

    Arguments
    ---------
    classifier : EmotionClassifier
        Of :func:`open_bundle`.
    files : list of str
        The speaker's audio files, of :func:`find_audio`.

    Raises
    ------
    InputError
        If a file cannot be read, or the model is not speaker-adapted.
    """
    wavs = [
        load_audio(path, classifier.audio_normalizer).to(classifier.device)
        for path in files
    ]
    classifier.mods.embedding_model.adapt(wavs)


def as_text(results, layout="text"):
    r"""Results for people or programs.

    Arguments
    ---------
    results : list of Classified
        One a file.
    layout : str
        "text": a line a file; "csv": columns path, label and one ``p_<class>``
        a class; "json": a list of objects.

    Returns
    -------
    str

    Example
    -------
    >>> results = [Classified("a.wav", "calm", {"calm": 0.75, "mad": 0.25})]
    >>> as_text(results)
    'a.wav: calm (calm 0.750, mad 0.250)\n'
    >>> as_text(results, "csv")
    'path,label,p_calm,p_mad\na.wav,calm,0.750000,0.250000\n'
    """
    if layout == "json":
        rows = [vars(each) for each in results]
        return json.dumps(rows, indent=1, ensure_ascii=False) + "\n"
    if layout == "csv":
        stream = StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        labels = list(results[0].posteriors) if results else []
        writer.writerow(["path", "label", *(f"p_{label}" for label in labels)])
        for each in results:
            values = (f"{p:.6f}" for p in each.posteriors.values())
            writer.writerow([each.path, each.label, *values])
        return stream.getvalue()
    return "".join(
        as_line(each.path, each.label, each.posteriors) for each in results
    )


def as_line(name, label, posteriors):
    r"""A label and its posteriors, as a line for people.

    Arguments
    ---------
    name : str
        What was classified.
    label : str
        The most likely class.
    posteriors : dict
        Class to posterior probability.

    Returns
    -------
    str

    Example
    -------
    >>> as_line("a.wav", "calm", {"calm": 0.75, "mad": 0.25})
    'a.wav: calm (calm 0.750, mad 0.250)\n'
    """
    values = ", ".join(f"{each} {p:.3f}" for each, p in posteriors.items())
    return f"{name}: {label} ({values})\n"
