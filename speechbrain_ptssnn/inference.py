"""Bundles: trained models that SpeechBrain's ``EncoderClassifier`` loads."""

import filecmp
import os
import pickle
import re
import shutil
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from zipfile import BadZipFile

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from hyperpyyaml import load_hyperpyyaml
from ruamel.yaml import YAML, YAMLError
from speechbrain.dataio.encoder import CategoricalEncoder
from speechbrain.inference import EncoderClassifier
from speechbrain.utils.logger import get_logger
from speechbrain.utils.parameter_transfer import Pretrainer
from torch.nn.utils.rnn import pad_sequence

from speechbrain_ptssnn.audio import (
    Levels,
    as_float,
    check_samples,
    load_audio,
)
from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.utils.files import read_file, write_text
from speechbrain_ptssnn.utils.label_map import check_label_map
from speechbrain_ptssnn.utils.weights import read_weights

logger = get_logger(__name__)

# A model's name on the hub, and what is downloaded of it.
HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*")
LOADABLES = ("head", "normalizer", "label_encoder")  # and backbone, if local

UNSURE = "unsure"  # the label of an answer below the threshold

LARGEST_TEXT = 2**20  # bytes of a bundle's YAML, and of its labels

TEMPLATE = """\
# Written by speechbrain_ptssnn. Load this folder, here or moved elsewhere:
#   from speechbrain_ptssnn.inference import EmotionClassifier
#   classifier = EmotionClassifier.from_hparams("<this folder>")
# SpeechBrain's own EncoderClassifier loads it too.
{objects}
# The stock class hands lengths to two of its four slots only, so one of these
# holds the whole chain from waveform to rates.
compute_features: !new:torch.nn.Identity
mean_var_norm: !new:speechbrain_ptssnn.inference.PassWaveform
embedding_model: !new:speechbrain_ptssnn.inference.UtteranceEncoder
    backbone: !ref <backbone>
    normalizer: !ref <normalizer>
    head: !ref <head>
    precision: {precision}
classifier: !new:speechbrain_ptssnn.inference.CalibratedLogSoftmax
    temperature: {temperature}
modules:
    compute_features: !ref <compute_features>
    mean_var_norm: !ref <mean_var_norm>
    embedding_model: !ref <embedding_model>
    classifier: !ref <classifier>

sample_rate: {sample_rate}
audio_normalizer: !new:speechbrain_ptssnn.audio.MonoAudio
    sample_rate: !ref <sample_rate>
    channel: {channel}
label_encoder: !new:speechbrain.dataio.encoder.CategoricalEncoder
expect_len: !apply:speechbrain.dataio.encoder.CategoricalEncoder.expect_len
    - !ref <label_encoder>
    - {n_classes}
pretrainer: !new:speechbrain_ptssnn.inference.BundlePretrainer
    loadables:
        head: !ref <head>
        normalizer: !ref <normalizer>
        label_encoder: !ref <label_encoder>
"""


class PassWaveform(torch.nn.Module):
    """Returns the waveforms unchanged, for ``EncoderClassifier``'s slot
    ``mean_var_norm``, which must take lengths.

    Example
    -------
    >>> PassWaveform()(torch.ones(1, 2), torch.ones(1)).tolist()
    [[1.0, 1.0]]
    """

    def forward(self, wavs, wav_lens):
        """Returns the waveforms."""
        return wavs


class CalibratedLogSoftmax(torch.nn.Module):
    r"""Log posteriors, log softmax(x / T).

    Arguments
    ---------
    temperature : float
        T, above 0. Training fits it on validation.

    Example
    -------
    >>> CalibratedLogSoftmax(0.1)(torch.tensor([[0.5, 0.4]])).exp()
    tensor([[0.7311, 0.2689]])
    """

    def __init__(self, temperature=1.0):
        super().__init__()
        self.temperature = temperature

    def forward(self, x):
        """Takes and returns [..., classes]."""
        return (x / self.temperature).log_softmax(-1)


class GroupedLogPosteriors(torch.nn.Module):
    r"""Log posteriors of groups of classes.

    The posterior of a group is the sum of its classes' posteriors, divided by
    the sum over all groups, which is below 1 if a class is in none.

    Arguments
    ---------
    log_posteriors : torch.nn.Module
        Gives the log posteriors of the classes.
    groups : sequence of sequence of int
        The classes of each group.

    Example
    -------
    >>> classes = torch.tensor([0.5, 0.3, 0.2]).log()
    >>> GroupedLogPosteriors(CalibratedLogSoftmax(), [[0, 1], [2]])(
    ...     classes
    ... ).exp()
    tensor([0.8000, 0.2000])
    >>> GroupedLogPosteriors(CalibratedLogSoftmax(), [[0], [1]])(classes).exp()
    tensor([0.6250, 0.3750])
    """

    def __init__(self, log_posteriors, groups):
        super().__init__()
        self.log_posteriors = log_posteriors
        self.groups = groups

    @property
    def temperature(self):
        """No temperature gives these posteriors, so exports are refused."""
        raise InputError(
            "a model that was loaded with a label_map cannot be exported; "
            "load it without"
        )

    def forward(self, x):
        """Takes [..., classes], returns [..., groups]."""
        logs = self.log_posteriors(x)
        sums = [logs[..., group].logsumexp(-1) for group in self.groups]
        return torch.stack(sums, -1).log_softmax(-1)


class UtteranceEncoder(torch.nn.Module):
    r"""Maps padded waveforms to the head's rates. Padding does not change the
    result.

    The backbone gets each utterance alone, without its padding. The features
    are padded to a batch, whose padding the head masks.

    Arguments
    ---------
    backbone : Backbone
        The frozen backbone.
    normalizer : FeatureNorm
        Holds the training fold's statistics.
    head : torch.nn.Module
        The trained head.
    precision : str
        Of the backbone's matrix products in training: "fp32", "bf16" or
        "fp16".

    Example
    -------
    >>> from speechbrain_ptssnn.backbones import Fbank
    >>> from speechbrain_ptssnn.nnet.normalization import FeatureNorm
    >>> encoder = UtteranceEncoder(Fbank(), FeatureNorm(160), PTSSNN(160))
    >>> encoder(torch.randn(2, 16000), torch.tensor([1.0, 0.5])).shape
    torch.Size([2, 1, 4])
    """

    def __init__(self, backbone, normalizer, head, precision="fp32"):
        super().__init__()
        self.backbone = backbone
        self.normalizer = normalizer
        self.head = head
        self.precision = precision
        # In a tuple, which keeps it out of the module's state.
        self._unadapted = (normalizer,)
        self._is_adapted = False
        self._is_told = False

    def adapt(self, wavs):
        """Prepares a speaker-adapted model for a speaker. Call it before the
        speaker's recordings are classified, and again for another speaker.

        Arguments
        ---------
        wavs : sequence of torch.Tensor
            The speaker's recordings, each [samples], at the backbone's sample
            rate, from -1 to 1; no labels. They should show several emotions:
            what they have in common is removed.

        Raises
        ------
        InputError
            If the model was not trained with ``normalize: speaker``, or there
            is no usable waveform.
        """
        if not self.normalizer.by_speaker:
            raise InputError(
                "this model was not trained speaker-adapted, so there is "
                "nothing to adapt; train with --normalize=speaker for that"
            )
        if not len(wavs):
            raise InputError("adapt needs recordings of the speaker, got none")
        features = []
        for k, wav in enumerate(wavs):
            with _waveform(k, len(wavs)):
                features.append(self._features(wav))
        (normalizer,) = self._unadapted
        self.normalizer = normalizer.adapted(features)
        self._is_adapted = True

    @property
    def lacks_speaker(self):
        """Whether the model is speaker-adapted, but not to a speaker yet."""
        return self.normalizer.by_speaker and not self._is_adapted

    def features(self, wav):
        """Computes the head's input.

        Arguments
        ---------
        wav : torch.Tensor
            [samples], at the backbone's sample rate, from -1 to 1.

        Returns
        -------
        torch.Tensor
            Normalized features, [time, channels].

        Raises
        ------
        InputError
            If the waveform is too short, not finite or far beyond 1.
        """
        return self.normalizer(self._features(wav))

    def _features(self, wav):
        check_samples(wav)
        self.backbone.to_precision(self.precision)
        return self.backbone(wav)

    def forward(self, wavs, wav_lens):
        """Classifies a batch.

        Arguments
        ---------
        wavs : torch.Tensor
            [batch, samples], at the backbone's sample rate.
        wav_lens : torch.Tensor
            Relative lengths, [batch], in (0, 1].

        Returns
        -------
        torch.Tensor
            The head's mean firing rates (or logits), [batch, 1, classes].

        Raises
        ------
        InputError
            If there is not one length in (0, 1] for each waveform, or a
            waveform is too short, not finite or far beyond 1.
        """
        if self.lacks_speaker and not self._is_told:
            self._is_told = True
            logger.warning(
                "this model was trained speaker-adapted and was not given the "
                "speaker's recordings, so it takes the training's statistics, "
                "which costs accuracy: call "
                "classifier.mods.embedding_model.adapt(wavs) first, or "
                "'ptssnn classify --adapt FOLDER'"
            )
        counts = _counts(wavs, wav_lens)
        features = []
        for k, n in enumerate(counts):
            with _waveform(k, len(wavs)):
                features.append(self.features(wavs[k, :n]))
        frames = torch.tensor([len(f) for f in features], device=wavs.device)
        padded = pad_sequence(features, batch_first=True)
        rates = self.head(padded, frames / padded.shape[1])
        return rates.unsqueeze(1)


@contextmanager
def _waveform(k, n):
    """Names the waveform in errors, if there are several."""
    try:
        yield
    except InputError as error:
        name = f"waveform {k} of {n}: " if n > 1 else ""
        raise InputError(f"{name}{error}") from error


class BundlePretrainer(Pretrainer):
    """SpeechBrain's ``Pretrainer``, except for three things. It refuses files
    that another bundle left in ``savedir``, which would be loaded instead. It
    also reads safetensors. Its errors name the file that cannot be loaded or
    does not fit.

    Arguments
    ---------
    *arguments, **options
        As SpeechBrain's.
    safetensors : bool
        Whether the weights are safetensors, and the labels a text file, as in
        a bundle that was pushed to the hub.
    """

    def __init__(self, *arguments, safetensors=False, **options):
        self.safetensors = safetensors
        super().__init__(*arguments, **options)

    def collect_files(self, default_source=None, **options):
        """Finds the files, as SpeechBrain does.

        Raises
        ------
        InputError
            If ``savedir`` holds those of another bundle.
        """
        if self.safetensors and default_source is not None:
            self.add_paths(
                {
                    name: f"{default_source}/{file_of(name, True)}"
                    for name in self.loadables
                }
            )
        found = super().collect_files(default_source, **options)
        if self.collect_in is None or not Path(str(default_source)).is_dir():
            return found
        names = {"hyperparams.yaml": "hyperparams.yaml"}
        for name in found:
            names[file_of(name, self.safetensors)] = file_of(name)
        for name, collected in names.items():
            wanted = Path(default_source, name)
            used = self.collect_in / collected
            if (
                wanted.is_file()
                and used.is_file()
                and not filecmp.cmp(wanted, used, shallow=False)
            ):
                raise InputError(
                    f"{used}: is another bundle's, not that of "
                    f"{default_source}; give each bundle a savedir of its "
                    "own, or none"
                )
        return found

    def load_collected(self):
        """Loads the files, as SpeechBrain does.

        Raises
        ------
        InputError
            If one is missing, damaged or does not fit.
        """
        for name, part in self.loadables.items():
            path = Path(self.paths[name])
            with reading_bundle(path):
                if not path.stat().st_size:
                    raise _empty(path)
                if isinstance(part, CategoricalEncoder):
                    _load_labels(path, part)
                    continue
                if name in ("head", "normalizer"):
                    weights = read_weights(path)
                    _check_keys(path, part, weights)
                    part.load_state_dict(weights, strict=False)
                    continue
                one = Pretrainer(loadables={name: part})
                one.add_paths({name: str(path)})
                one.collect_files()
                one.load_collected()


def file_of(name, safetensors=False):
    """Returns the file of one of a bundle's loadables.

    Arguments
    ---------
    name : str
        "head", "normalizer", "backbone" or "label_encoder".
    safetensors : bool
        Whether the bundle was pushed to the hub.

    Returns
    -------
    str

    Example
    -------
    >>> file_of("head"), file_of("head", True), file_of("label_encoder", True)
    ('head.ckpt', 'head.safetensors', 'label_encoder.txt')
    """
    if not safetensors:
        return f"{name}.ckpt"
    is_text = name == "label_encoder"
    return f"{name}.txt" if is_text else f"{name}.safetensors"


class EmotionClassifier(EncoderClassifier):
    r"""SpeechBrain's ``EncoderClassifier``, except for what goes wrong
    unnoticed. It reads audio as the training did, and refuses files that end
    early. It takes a ``Path``, NumPy arrays and integer samples. It warns of
    silence. Its errors are sentences. And it can answer in groups of classes,
    or that it is unsure.

    Example
    -------
    >>> EmotionClassifier.from_hparams("results/no such run")
    Traceback (most recent call last):
    speechbrain_ptssnn.errors.InputError: results/no such run: is no folder...
    """

    unsure = 0.0

    @classmethod
    def from_hparams(
        cls,
        source,
        overrides=None,
        savedir=None,
        label_map=None,
        unsure=None,
        **options,
    ):
        """Loads a bundle.

        Arguments
        ---------
        source : str or Path
            ``fold_<k>/model`` of a run, a copy of it, or a model on the hub,
            such as "user/name". It can run code: see
            :func:`speechbrain_ptssnn.deploy.trust.check_trusted`.
        overrides : dict, optional
            Replaces values of the bundle's YAML.
        savedir : str or Path, optional
            Not used: the files are read where they are.
        label_map : dict, optional
            From each class to a group, or to None to leave the class out. The
            groups then take the classes' place: the posterior of a group is
            the sum of its classes', divided by the sum over all groups.
        unsure : float, optional
            An answer whose posterior is below this gets the label "unsure";
            above 0, at most 1. Index, score and posteriors do not change.
        **options
            For ``Pretrained``, such as ``run_opts={"device": "cuda"}``.

        Returns
        -------
        EmotionClassifier

        Raises
        ------
        InputError
            If the folder is no whole bundle; names the file at fault. If the
            hub has no such model or cannot be reached. If the label map does
            not fit the model's classes, or ``unsure`` is not in its range.
        """
        source = bundle_folder(source)
        check_bundle(source)
        path = Path(source, "hyperparams.yaml")
        with reading_bundle(path), open(path, encoding="utf-8") as file:
            hparams = load_hyperpyyaml(file, overrides or {})
            # Of older bundles it is SpeechBrain's own.
            written = hparams["pretrainer"]
            pretrainer = BundlePretrainer(
                loadables=written.loadables,
                safetensors=getattr(written, "safetensors", False),
            )
        pretrainer.collect_files(str(source))
        pretrainer.load_collected()
        with reading_bundle(path):
            made = cls(modules=hparams["modules"], hparams=hparams, **options)
        groups = check_answers(labels_of(made), label_map, unsure)
        if label_map:
            made._group(groups, label_map)
        made.unsure = unsure or 0.0
        return made

    def _group(self, groups, label_map):
        labels, encoder = labels_of(self), CategoricalEncoder()
        encoder.expect_len(len(groups))
        for group in groups:
            encoder.add_label(group)
        self.hparams.label_encoder = encoder
        members = [
            [k for k, label in enumerate(labels) if label_map[label] == group]
            for group in groups
        ]
        self.mods.classifier = GroupedLogPosteriors(
            self.mods.classifier, members
        )

    def classify_batch(self, wavs, wav_lens=None):
        """As SpeechBrain's, with groups and "unsure" where they are asked
        for.
        """
        return self._answer(*super().classify_batch(wavs, wav_lens))

    def classify_file(self, path, **options):
        """As SpeechBrain's, with groups and "unsure" where they are asked
        for.
        """
        return self._answer(*super().classify_file(path, **options))

    def _answer(self, log_posteriors, scores, indices, labels):
        labels = [
            label_above(self, label, posterior)
            for label, posterior in zip(
                labels, scores.exp().tolist(), strict=True
            )
        ]
        return log_posteriors, scores, indices, labels

    def load_audio(self, path, savedir=None):
        """Reads a file.

        Arguments
        ---------
        path : str or Path
            The file, on this machine.
        savedir : str
            Not used; SpeechBrain's class has it for downloads.

        Returns
        -------
        torch.Tensor
            [time], at the bundle's sample rate.

        Raises
        ------
        InputError
            If the file is not audio, ends early or is not finite.
        """
        levels = Levels()
        audio = load_audio(path, self.audio_normalizer, levels=levels)
        for sentence in levels.warnings():
            logger.warning(sentence)
        return audio.to(self.device)

    def encode_batch(self, wavs, wav_lens=None, normalize=False):
        """As SpeechBrain's, for floats from -1 to 1 or for integers, which are
        converted by their type.
        """
        if wav_lens is not None:
            wav_lens = torch.as_tensor(wav_lens)
        return super().encode_batch(as_float(wavs), wav_lens, normalize)


def bundle_folder(source):
    """Finds a bundle; one on the hub is downloaded, unless it was before.

    Arguments
    ---------
    source : str or Path
        A folder, or a model's name on the hub.

    Returns
    -------
    Path
        The folder. It is not looked into, and may not exist.

    Raises
    ------
    InputError
        If the hub has no such model or cannot be reached.

    Example
    -------
    >>> bundle_folder("my runs/model").as_posix()
    'my runs/model'
    """
    path = Path(source)
    # "results/best" in a folder with results is a mistake, not a name there.
    is_name = HUB_ID.fullmatch(str(source)) and not path.parent.exists()
    if path.exists() or not is_name:
        return path
    files = [
        file_of(name, is_pushed)
        for is_pushed in (False, True)
        for name in (*LOADABLES, "backbone")
    ]
    try:
        return Path(
            snapshot_download(
                str(source), allow_patterns=["hyperparams.yaml", *files]
            )
        )
    except (OSError, HFValidationError, HfHubHTTPError) as error:
        reason = (str(error).strip() or repr(error)).splitlines()[0]
        raise InputError(
            f"{source}: is no folder here, and the hub does not give it "
            f"({reason}); correct the path or the name"
        ) from error


def labels_of(classifier):
    """A bundle's labels, a list in index order."""
    labels = classifier.hparams.label_encoder.ind2lab
    return [labels[k] for k in range(len(labels))]


def label_above(classifier, label, posterior):
    """The label of an answer, or "unsure" if its posterior is below the
    classifier's threshold.
    """
    return UNSURE if posterior < classifier.unsure else label


def read_labels(folder):
    """Reads a bundle's labels alone.

    Arguments
    ---------
    folder : Path
        The bundle, of :func:`check_bundle`.

    Returns
    -------
    list of str
        In index order.

    Raises
    ------
    InputError
        If their file cannot be read.
    """
    paths = [folder / file_of("label_encoder", each) for each in (False, True)]
    path = next(path for path in paths if path.is_file())
    encoder = CategoricalEncoder()
    with reading_bundle(path):
        _load_labels(path, encoder)
    return [encoder.ind2lab[k] for k in range(len(encoder))]


def check_answers(labels, label_map=None, unsure=None):
    """Checks what answers are asked for.

    Arguments
    ---------
    labels : list of str
        The model's classes.
    label_map, unsure : dict, float
        As in :meth:`EmotionClassifier.from_hparams`.

    Returns
    -------
    list of str
        The labels that answers are chosen from, in the order of their
        posteriors.

    Raises
    ------
    InputError
        If the map does not name each class and no other; if ``unsure`` is
        not above 0 and at most 1, or is the name of a class too.

    Example
    -------
    >>> check_answers(["mad", "calm"], {"mad": "bad", "calm": "good"}, 0.6)
    ['bad', 'good']
    """
    if label_map:
        labels = list(check_label_map(label_map, labels, "the model"))
    if unsure is None:
        return labels
    if not 0 < unsure <= 1:
        raise InputError(
            f"unsure must be a posterior, above 0 and at most 1, got {unsure:g}"
        )
    if UNSURE in labels:
        raise InputError(
            f"the class {UNSURE!r} would be mixed up with answers below the "
            "threshold; give it another name with label_map"
        )
    return labels


def temperature_of(classifier):
    """What a bundle's rates are divided by for posteriors; 1 in older ones."""
    return float(getattr(classifier.mods.classifier, "temperature", 1.0))


def check_bundle(folder):
    """Looks whether a folder is a whole bundle, before anything is loaded.

    Arguments
    ---------
    folder : str or Path
        What should be a bundle.

    Raises
    ------
    InputError
        If it is not; names the file that is missing, empty or broken.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(
            f"{folder}: is no folder; give the folder that a training left, "
            "e.g. results/.../pts_snn/1/fold_1/model"
        )
    path = folder / "hyperparams.yaml"
    document = _read_yaml(path)
    try:
        names = list(document["pretrainer"]["loadables"])
        safetensors = document["pretrainer"].get("safetensors", False)
    except (TypeError, KeyError) as error:
        raise InputError(
            f"{path}: is not that of a bundle, as it has no pretrainer; give "
            "the folder that a training left, .../fold_<k>/model"
        ) from error
    lacking = {*LOADABLES} - {*names}
    if lacking:
        raise InputError(
            f"{path}: does not load {', '.join(sorted(lacking))}, which would "
            "be random; copy the bundle again, or train the fold again"
        )
    for name in names:
        file = folder / file_of(name, safetensors)
        if not file.is_file():
            raise InputError(
                f"{file}: is missing; copy the bundle again, or train the "
                "fold again"
            )
        if not file.stat().st_size:
            raise _empty(file)


def _read_yaml(path):
    try:
        if path.stat().st_size > LARGEST_TEXT:
            raise YAMLError("it is larger than a megabyte")
        return YAML().load(read_file(path))
    except RecursionError as error:
        raise InputError(
            f"{path}: cannot be read (it is nested too deeply); copy the "
            "bundle again, or train the fold again"
        ) from error
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        mark = getattr(error, "problem_mark", None)
        reason = getattr(error, "problem", None) or str(error)
        line = f", line {mark.line + 1}" if mark else ""
        raise InputError(
            f"{path}{line}: cannot be read ({reason}); copy the bundle again, "
            "or train the fold again"
        ) from error


@contextmanager
def reading_bundle(path):
    """Turns what a damaged bundle raises into a sentence about a file.

    Arguments
    ---------
    path : Path
        The file that is read in the context.

    Raises
    ------
    InputError
        Instead of the errors of reading and building; names the file.

    Example
    -------
    >>> with reading_bundle("head.ckpt"):
    ...     raise EOFError("too short")
    Traceback (most recent call last):
    speechbrain_ptssnn.errors.InputError: head.ckpt: cannot be loaded (too...
    """
    try:
        yield
    except InputError:
        raise
    except (
        *(OSError, ValueError, TypeError, KeyError, AttributeError),
        *(IndexError, ImportError, RuntimeError, EOFError, SyntaxError),
        *(MemoryError, OverflowError, BadZipFile),
        *(pickle.UnpicklingError, YAMLError),
    ) as error:
        reason = (str(error).strip() or repr(error)).splitlines()[0]
        raise InputError(
            f"{path}: cannot be loaded ({reason}); copy the bundle again, or "
            "train the fold again"
        ) from error


def _empty(path):
    return InputError(
        f"{path}: is empty; copy the bundle again, or train the fold again"
    )


def _load_labels(path, encoder):
    # SpeechBrain's hook says nothing about a file that it cannot read.
    encoder.load(path)
    expected = getattr(encoder, "expected_len", len(encoder))
    is_whole = sorted(encoder.ind2lab) == list(range(len(encoder)))
    if len(encoder) != expected or not len(encoder) or not is_whole:
        raise InputError(
            f"{path}: holds {len(encoder)} labels instead of {expected}; copy "
            "the bundle again, or train the fold again"
        )


def _check_keys(path, part, weights):
    # What is missing would stay random.
    missing = part.state_dict().keys() - weights.keys()
    if missing:
        raise InputError(
            f"{path}: lacks {len(missing)} weights, e.g. {min(missing)}, so "
            "it belongs to another model; copy the bundle again"
        )


def _counts(wavs, wav_lens):
    """The number of samples of each waveform of a batch."""
    if wavs.dim() != 2:
        raise InputError(
            "waveforms must be [batch, samples], one channel each, got "
            f"{list(wavs.shape)}"
        )
    if wav_lens.shape != wavs.shape[:1]:
        raise InputError(
            f"got lengths of shape {list(wav_lens.shape)} for {len(wavs)} "
            "waveforms; give one length for each"
        )
    if wav_lens.dtype in (torch.bfloat16, torch.float16):
        raise InputError(
            f"lengths of {wav_lens.dtype} cannot count samples; keep them in "
            "float32"
        )
    if not ((wav_lens > 0) & (wav_lens < 1 + 1e-4)).all():
        raise InputError(
            "lengths must be relative to the longest waveform, in (0, 1], got "
            f"{wav_lens.min():g} to {wav_lens.max():g}"
        )
    return (wav_lens * wavs.shape[1]).round().long().tolist()


def save_bundle(
    folder, text, backbone, normalizer, head, labels, temperature=1.0
):
    """Writes a folder that ``EncoderClassifier.from_hparams`` loads.

    Arguments
    ---------
    folder : Path
        Where to write; an older folder is replaced.
    text : str
        The run's resolved YAML, from which backbone and head are built.
    backbone : Backbone
        The bundle holds a local model's weights, but only the id and commit
        of a hub model.
    normalizer : FeatureNorm
        The fitted normalizer.
    head : torch.nn.Module
        The trained head.
    labels : sequence of str
        All labels, in index order.
    temperature : float
        What the outputs are divided by for posteriors.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    run = YAML().load(text)
    objects = {key: run[key] for key in ("backbone", "normalizer", "head")}
    for part in (objects["normalizer"], objects["head"]):
        if "sizes" in part:
            part["sizes"] = backbone.sizes
    if "sizes" not in objects["normalizer"]:
        objects["normalizer"]["size"] = backbone.output_size
    objects["head"]["input_size"] = backbone.output_size
    # By default a reference; a number was set for this head.
    if not isinstance(objects["head"].get("n_layers", 1), int):
        objects["head"]["n_layers"] = backbone.n_layers
    template = TEMPLATE
    _fix_sources(objects["backbone"], backbone)
    if getattr(backbone, "is_local", False):
        template += "        backbone: !ref <backbone>\n"
        _link_or_save(backbone, folder)
    stream = StringIO()
    YAML().dump(objects, stream)
    torch.save(head.state_dict(), folder / "head.ckpt")
    torch.save(normalizer.state_dict(), folder / "normalizer.ckpt")
    encoder = CategoricalEncoder()
    for label in labels:
        encoder.add_label(label)
    encoder.save(folder / "label_encoder.ckpt")
    write_text(
        folder / "hyperparams.yaml",
        template.format(
            objects=stream.getvalue(),
            channel=run["channel"],
            precision=run.get("extraction_precision", "fp32"),
            temperature=temperature,
            sample_rate=backbone.sample_rate,
            n_classes=len(labels),
        ),
    )


def load_parts(folder, names, weights=True):
    """Builds and loads only some parts of a bundle.

    Arguments
    ---------
    folder : Path
        A folder that :func:`save_bundle` wrote.
    names : sequence of str
        Some of "backbone", "normalizer" and "head".
    weights : bool
        False leaves the weights as they were built.

    Returns
    -------
    list of torch.nn.Module
        The trained parts, in the order of ``names``.
    """
    path = folder / "hyperparams.yaml"
    document = _read_yaml(path)
    stream = StringIO()
    with reading_bundle(path):
        YAML().dump({name: document[name] for name in names}, stream)
        parts = load_hyperpyyaml(stream.getvalue())
    if not weights:
        return [parts[name] for name in names]
    pretrainer = BundlePretrainer(
        loadables={
            name: part
            for name, part in parts.items()
            if (folder / f"{name}.ckpt").exists()
        }
    )
    pretrainer.collect_files(default_source=str(folder))
    pretrainer.load_collected()
    return [parts[name] for name in names]


def _fix_sources(node, backbone):
    """Empties the folder of local models, and names the commit of others."""
    for part, each in zip(
        node.get("backbones", ()),
        getattr(backbone, "backbones", ()),
        strict=True,
    ):
        _fix_sources(part, each)
    if "source" not in node:
        return
    if backbone.is_local:
        node["source"] = None
    else:
        node["revision"] = backbone.revision


def _link_or_save(backbone, folder):
    # The bundles of all folds hold the same frozen weights: links save space.
    for other in sorted(folder.parent.parent.glob("*/model/backbone.ckpt")):
        try:
            os.link(other, folder / "backbone.ckpt")
            return
        except OSError:
            break
    partial = folder / "backbone.part"
    backbone.save(partial)
    os.replace(partial, folder / "backbone.ckpt")
