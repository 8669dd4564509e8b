"""Trained bundles as ONNX files, which onnxruntime runs without torch."""

import json
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from speechbrain_ptssnn.backbones import (
    Emotion2vec,
    Fbank,
    HuggingFace,
    OpenSmile,
)
from speechbrain_ptssnn.deploy.onnx_graph import Graph, onnx_package
from speechbrain_ptssnn.deploy.onnx_layers import (
    HeadWriter,
    mel_frames,
    normalise,
    power_spectrum,
    silence,
    stream_mel_frames,
    stream_rates,
)
from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.inference import labels_of, temperature_of
from speechbrain_ptssnn.utils.files import write_bytes

# How other front-ends become ONNX files.
OWN_EXPORTS = {
    HuggingFace: "optimum-cli export onnx --task feature-extraction, which "
    "gives the last hidden state; the head's layer is in front_end",
    Emotion2vec: "FunASR's AutoModel(...).export(type='onnx')",
    OpenSmile: "none; openSMILE's own program SMILExtract computes them",
}


@dataclass(frozen=True)
class Exported:
    """An ONNX file.

    Arguments
    ---------
    path : Path
        The file.
    what : str
        What goes in and what comes out.
    """

    path: Path
    what: str


def export_onnx(classifier, path, int8=False, spikes=False):
    r"""Writes a trained model as an ONNX file, and a causal head's stream as a
    second one.

    Of ``fbank`` and ``fbank_stream`` the file goes from the waveform, [batch,
    samples], to the posteriors; of other front-ends from their features,
    [batch, frames, channels]. Batch and length are not fixed; what stands in a
    batch has one length. Normalisation and temperature are inside.

    Arguments
    ---------
    classifier : EmotionClassifier
        Of :func:`~speechbrain_ptssnn.deploy.classify.open_bundle`.
    path : str or Path
        The file; the stream's is beside it, ``<name>_stream.onnx``.
    int8 : bool
        Whether weights are stored as int8, each row with a scale of its own.
    spikes : bool
        Whether each layer's spikes, [batch, frames, neurons], are outputs too,
        under the layer's name. Not of the stream.

    Returns
    -------
    list of Exported
        The files.

    Raises
    ------
    InputError
        If the package onnx is missing, the folder does not exist, or the model
        cannot be written: another head, other neurons, or a speaker-adapted
        one.
    """
    path = Path(path)
    onnx_package()
    if not path.parent.is_dir():
        raise InputError(f"{path}: there is no folder {path.parent}")
    encoder = classifier.mods.embedding_model
    if encoder.normalizer.by_speaker:
        raise InputError(
            "this model was trained speaker-adapted: it needs each speaker's "
            "statistics, which no ONNX file holds; train it with "
            "--normalize=corpus"
        )
    made = [(path, _whole(classifier, int8, spikes))]
    if encoder.head.causal:
        beside = path.with_name(f"{path.stem}_stream{path.suffix}")
        made.append((beside, _stream(classifier, int8)))
    files = []
    for file, (graph, kind, what) in made:
        model = graph.model(_metadata(classifier, kind, int8))
        write_bytes(file, model.SerializeToString())
        files.append(Exported(file, what))
    return files


def own_export(backbone):
    """Says how a front-end that is not in the ONNX file becomes one itself.

    Arguments
    ---------
    backbone : Backbone
        The front-end.

    Returns
    -------
    str or None
        None if it is in the file.

    Example
    -------
    >>> own_export(Fbank()) is None
    True
    """
    if isinstance(backbone, Fbank):
        return None
    for kind, text in OWN_EXPORTS.items():
        if isinstance(backbone, kind):
            return text
    return "that of each of the front-ends side by side"


def front_end(backbone):
    """Returns a front-end's name: its settings, and where its weights are from.

    Arguments
    ---------
    backbone : Backbone
        The front-end.

    Returns
    -------
    str

    Example
    -------
    >>> front_end(Fbank())
    'fbank n_mels=80 sample_rate=16000'
    """
    source = getattr(backbone, "source", None)
    return " ".join(filter(None, [source, backbone.fingerprint()]))


def _whole(classifier, int8, spikes):
    encoder, g = classifier.mods.embedding_model, Graph(int8)
    backbone, head = encoder.backbone, encoder.head
    if isinstance(backbone, Fbank):
        stft = backbone.fbank.compute_STFT
        wav = silence(g, stft, g.input("waveform", ["batch", "samples"]))
        x = mel_frames(g, backbone, power_spectrum(g, stft, wav))
        kind = "waveform"
        came = f"waveform [batch, samples] at {backbone.sample_rate} Hz"
    else:
        kind = "features"
        x, came = _features(g, backbone)
    write = HeadWriter(g, head)
    rates = write(g, normalise(g, encoder.normalizer, x))
    _outputs(g, classifier, rates)
    if spikes:
        for name, value in write.spikes.items():
            g.output(name, value, ["batch", "pooled frames", None])
    return g, kind, f"{came} -> posteriors"


def _features(g, backbone):
    size = backbone.output_size
    x = g.input("features", ["batch", "frames", size])
    return x, f"features [batch, frames, {size}]"


def _outputs(g, classifier, rates):
    shape = ["batch", len(classifier.hparams.label_encoder)]
    temperature = temperature_of(classifier)
    posteriors = g("Softmax", g("Div", rates, temperature), axis=-1)
    g.output("posteriors", posteriors, shape)
    g.output("rates", rates, shape)


def _metadata(classifier, kind, int8):
    encoder = classifier.mods.embedding_model
    norms = getattr(encoder.normalizer, "norms", [encoder.normalizer])
    return {
        "labels": json.dumps(labels_of(classifier)),
        "input": kind,
        "sample_rate": str(encoder.backbone.sample_rate),
        "channel": str(classifier.audio_normalizer.channel),
        "normalize": "+".join(norm.rule for norm in norms),
        "clip_features": "+".join(str(norm.clip) for norm in norms),
        "temperature": str(temperature_of(classifier)),
        "front_end": front_end(encoder.backbone),
        "head": type(encoder.head).__name__,
        "weights": "int8" if int8 else "float32",
        "package": f"speechbrain-ptssnn {version('speechbrain-ptssnn')}",
    }


def _stream(classifier, int8):
    """A block of a stream. Every tensor of the state is an input and an output;
    zeros start an utterance.
    """
    encoder, g = classifier.mods.embedding_model, Graph(int8)
    backbone, head = encoder.backbone, encoder.head
    # Without pooling no frame is held, and no other head's state gets here.
    unused = (
        {"head", "held", "n_held"} if head.pooling.n_frames == 1 else {"head"}
    )
    tensors = {
        name: each.numpy()
        for name, each in head.stream().state.items()
        if name not in unused
    }
    is_audio = isinstance(backbone, Fbank) and backbone.top_db is None
    if is_audio:
        kind, came = "waveform", "next waveform [batch, samples]"
        x = g.input("waveform", ["batch", "samples"])
        held = backbone.stream().state
        tensors["fbank.samples"] = held["samples"].unsqueeze(0).numpy()
        tensors["fbank.n_held"] = held["n_held"].numpy()
    else:
        kind = "features"
        x, came = _features(g, backbone)
        came = f"next {came}"
    shapes = {
        name: ["batch", *each.shape[1:]] if each.ndim else []
        for name, each in tensors.items()
    }
    dtypes = {name: each.dtype for name, each in tensors.items()}
    state = {
        name: g.input(name, shapes[name], dtypes[name]) for name in tensors
    }
    if is_audio:
        x = stream_mel_frames(g, backbone, x, state)
    rates = stream_rates(
        g, head, normalise(g, encoder.normalizer, x), state, dtypes
    )
    _outputs(g, classifier, rates)
    for name, value in state.items():
        g.output(f"{name}.next", value, shapes[name], dtypes[name])
    return g, kind, f"{came} and state -> posteriors so far and state"
