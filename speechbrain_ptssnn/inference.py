"""Bundles: trained models that SpeechBrain's ``EncoderClassifier`` loads."""

import os
import shutil
from io import StringIO

import torch
from hyperpyyaml import load_hyperpyyaml
from ruamel.yaml import YAML
from speechbrain.dataio.encoder import CategoricalEncoder
from speechbrain.utils.parameter_transfer import Pretrainer
from torch.nn.utils.rnn import pad_sequence

from speechbrain_ptssnn.nnet.masking import frame_mask
from speechbrain_ptssnn.utils.files import write_text

TEMPLATE = """\
# Written by speechbrain_ptssnn. Load this folder, here or moved elsewhere:
#   from speechbrain.inference import EncoderClassifier
#   classifier = EncoderClassifier.from_hparams(source="<this folder>")
{objects}
# The stock class hands lengths to two of its four slots only, so one of these
# holds the whole chain from waveform to rates.
compute_features: !new:torch.nn.Identity
mean_var_norm: !new:speechbrain_ptssnn.inference.PassWaveform
embedding_model: !new:speechbrain_ptssnn.inference.UtteranceEncoder
    backbone: !ref <backbone>
    normalizer: !ref <normalizer>
    head: !ref <head>
classifier: !new:torch.nn.LogSoftmax
    dim: -1
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
pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer
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

    Example
    -------
    >>> from speechbrain_ptssnn.backbones import Fbank
    >>> from speechbrain_ptssnn.nnet.normalization import FeatureNorm
    >>> encoder = UtteranceEncoder(Fbank(), FeatureNorm(160), PTSSNN(160))
    >>> encoder(torch.randn(2, 16000), torch.tensor([1.0, 0.5])).shape
    torch.Size([2, 1, 4])
    """

    def __init__(self, backbone, normalizer, head):
        super().__init__()
        self.backbone = backbone
        self.normalizer = normalizer
        self.head = head

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
        """
        frame_mask(wav_lens, wavs.shape[1])  # refuses absolute lengths
        counts = (wav_lens * wavs.shape[1]).round().long().tolist()
        features = [
            self.normalizer(self.backbone(wav[:n]))
            for wav, n in zip(wavs, counts, strict=True)
        ]
        frames = torch.tensor([len(f) for f in features], device=wavs.device)
        padded = pad_sequence(features, batch_first=True)
        rates = self.head(padded, frames / padded.shape[1])
        return rates.unsqueeze(1)


def save_bundle(folder, text, backbone, normalizer, head, labels):
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
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    run = YAML().load(text)
    objects = {key: run[key] for key in ("backbone", "normalizer", "head")}
    if "sizes" in objects["normalizer"]:
        objects["normalizer"]["sizes"] = backbone.sizes
    else:
        objects["normalizer"]["size"] = backbone.output_size
    objects["head"]["input_size"] = backbone.output_size
    if "n_layers" in objects["head"]:
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
            sample_rate=backbone.sample_rate,
            n_classes=len(labels),
        ),
    )


def load_parts(folder, names):
    """Builds and loads only some parts of a bundle.

    Arguments
    ---------
    folder : Path
        A folder that :func:`save_bundle` wrote.
    names : sequence of str
        Some of "backbone", "normalizer" and "head".

    Returns
    -------
    list of torch.nn.Module
        The trained parts, in the order of ``names``.
    """
    document = YAML().load((folder / "hyperparams.yaml").read_text("utf-8"))
    stream = StringIO()
    YAML().dump({name: document[name] for name in names}, stream)
    parts = load_hyperpyyaml(stream.getvalue())
    pretrainer = Pretrainer(
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
