"""Audio files classified with a trained bundle, one after the other."""

import json
import os
import shlex
from dataclasses import dataclass
from pathlib import Path

from speechbrain_ptssnn.audio import load_audio
from speechbrain_ptssnn.deploy.trust import check_trusted
from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.inference import (
    EmotionClassifier,
    check_bundle,
    file_of,
    label_above,
    labels_of,
)
from speechbrain_ptssnn.utils.long_lists import named

# Of a folder, the files with these endings are classified.
SUFFIXES = (
    *(".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus"),
    *(".aif", ".aiff", ".aifc", ".au", ".snd", ".caf", ".w64", ".rf64"),
)
FORMATS = ("text", "json")
# What torch and NumPy say, in errors of several classes.
NO_MEMORY = ("allocate memory", "out of memory", "Unable to allocate")


@dataclass(frozen=True)
class Classified:
    """What a bundle says about a file.

    Arguments
    ---------
    path : str
        The file.
    label : str
        The most likely class, or "unsure".
    posteriors : dict
        Class to posterior probability, in index order.
    """

    path: str
    label: str
    posteriors: dict


def open_bundle(folder, trust=False, label_map=None, unsure=None):
    """Loads a bundle.

    Arguments
    ---------
    folder : str or Path
        ``fold_<k>/model`` of a run, or a copy of it.
    trust : bool
        Whether it may build any object and run any code; else only what
        training writes is loaded, see
        :func:`~speechbrain_ptssnn.deploy.trust.check_trusted`.
    label_map, unsure : dict, float
        As in
        :meth:`~speechbrain_ptssnn.inference.EmotionClassifier.from_hparams`.

    Returns
    -------
    EmotionClassifier

    Raises
    ------
    InputError
        If the folder is no bundle; says where one is. If a file of it is
        missing or damaged, or holds what training does not write; names the
        file. If ``label_map`` or ``unsure`` does not fit.
    """
    _check_model(Path(folder))
    if not trust:
        check_trusted(folder)
    return EmotionClassifier.from_hparams(
        folder, label_map=label_map, unsure=unsure
    )


def check_arguments(model, paths, command="classify", skipped=None):
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
    skipped : dict, optional
        As in :func:`find_audio`.

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
    return find_audio(paths, skipped)


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


def find_audio(paths, skipped=None):
    """Lists files as they are, and the audio files in folders, sorted.

    Links to folders are not followed, so a loop of links has an end.

    Arguments
    ---------
    paths : list of str
        Files and folders.
    skipped : dict, optional
        What else is in the folders is noted here: path to reason.

    Returns
    -------
    list of str

    Raises
    ------
    InputError
        If a path does not exist, or a folder holds no audio file.
    OSError
        If a folder cannot be read.

    Example
    -------
    >>> folder, skipped = getfixture("tmp_path"), {}
    >>> for name in ("b.wav", "a.FLAC", "notes.txt"):
    ...     (folder / name).touch()
    >>> [Path(path).name for path in find_audio([folder], skipped)]
    ['a.FLAC', 'b.wav']
    >>> list(skipped.values())
    ['no ending of an audio file']
    """
    missing = [path for path in paths if not Path(path).exists()]
    if missing:
        raise InputError(
            f"{named(missing, 'missing files')}: there is no such file; "
            "correct the path"
        )
    files, skipped = [], {} if skipped is None else skipped
    for path in map(Path, paths):
        if not path.is_dir():
            files.append(str(path))
            continue
        found = sorted(_search(path, skipped))
        if not found:
            raise InputError(
                f"{path}: holds no audio file, which end with "
                f"{', '.join(SUFFIXES)}"
            )
        files += found
    return files


def name_skipped(skipped, listed_in=None):
    """What a search for audio left out, as lines for people.

    Arguments
    ---------
    skipped : dict
        Of :func:`find_audio`.
    listed_in : str, optional
        A file that lists all of it.

    Returns
    -------
    list of str

    Example
    -------
    >>> name_skipped({"a.txt": "no audio", "b.m4a": "no audio"})
    ['skipped, no audio: 2 (a.txt; b.m4a)']
    """
    reasons = {}
    for path, reason in skipped.items():
        reasons.setdefault(reason, []).append(path)
    return [
        f"skipped, {reason}: {len(paths)} ({named(paths, reason, listed_in)})"
        for reason, paths in reasons.items()
    ]


def _search(top, skipped):
    """Yields the audio files of a folder, and notes what else it holds."""

    def fail(error):
        if error.filename == str(top):
            raise error
        skipped[error.filename] = f"cannot be entered ({error.strerror})"

    for parent, folders, names in os.walk(top, onerror=fail):
        for name in folders:
            path = os.path.join(parent, name)
            if os.path.islink(path):
                skipped[path] = "a link to a folder"
        for name in names:
            path = os.path.join(parent, name)
            if name.startswith("."):
                skipped[path] = "a hidden file"
            elif Path(name).suffix.lower() not in SUFFIXES:
                skipped[path] = "no ending of an audio file"
            else:
                yield path


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
        If the file cannot be read, is too short, changes while it is read, or
        is too long for the memory.
    """
    before = size_and_time(path)
    try:
        wav = load_audio(path, classifier.audio_normalizer, levels=levels)
        if size_and_time(path) != before:
            raise InputError(
                f"{path}: was changed while it was read; classify it again "
                "when it is whole"
            )
        log_posteriors, _, _, text = _classify_whole(classifier, wav, path)
    except (MemoryError, RuntimeError) as error:
        if not any(words in str(error) for words in NO_MEMORY):
            raise
        raise InputError(
            f"{path}: is too long to be classified as a whole (the memory was "
            "used up); cut it into utterances"
        ) from error
    return Classified(path, text[0], by_label(classifier, log_posteriors[0]))


def _classify_whole(classifier, wav, path):
    try:
        return classifier.classify_batch(wav.unsqueeze(0))
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def size_and_time(path):
    """Tells whether a file was changed, without reading it.

    Arguments
    ---------
    path : str
        The file.

    Returns
    -------
    tuple
        Its size in bytes and the time of its last change in nanoseconds, as
        the file system has it; None for both if there is no such file.
    """
    try:
        status = os.stat(path)
    except OSError:
        return None, None
    return status.st_size, status.st_mtime_ns


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


def most_likely(posteriors):
    """Returns the class with the largest posterior, of :func:`by_label`."""
    return max(posteriors, key=posteriors.get)


def label_of(classifier, posteriors):
    """The label of an utterance.

    Arguments
    ---------
    classifier : EmotionClassifier
        Whose labels they are.
    posteriors : dict
        Of :func:`by_label`.

    Returns
    -------
    str
        The most likely class, or "unsure".
    """
    best = most_likely(posteriors)
    return label_above(classifier, best, posteriors[best])


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
        "text": a line a file; "json": a list of objects.

    Returns
    -------
    str

    Example
    -------
    >>> results = [Classified("a.wav", "calm", {"calm": 0.75, "mad": 0.25})]
    >>> as_text(results)
    'a.wav: calm (calm 0.750, mad 0.250)\n'
    """
    if layout == "json":
        rows = [vars(each) for each in results]
        return json.dumps(rows, indent=1, ensure_ascii=False) + "\n"
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
