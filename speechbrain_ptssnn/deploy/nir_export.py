"""A trained spiking head as a graph of NIR, which neuromorphic software reads.

NIR (arXiv:2311.14641) describes neurons in continuous time. docs/nir.md derives
the nodes' numbers from the head's, and says what the format cannot express.
"""

import json
import os
from pathlib import Path

import numpy as np
import torch

from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.inference import labels_of, temperature_of
from speechbrain_ptssnn.lobes.baselines import VanillaSNN
from speechbrain_ptssnn.lobes.pts_snn import PTSSNN
from speechbrain_ptssnn.nnet.attention import PromptsAlone
from speechbrain_ptssnn.nnet.plif import PLIF
from speechbrain_ptssnn.utils.extras import extra_package
from speechbrain_ptssnn.utils.files import system_errors

# Seconds from one step to the next. snnTorch's reader has this value fixed, and
# it is SpikingJelly's default.
DT = 1e-4
# Machine epsilons by which r is larger. A current of exactly the threshold must
# fire also where it is computed as dt / tau * r * i, with four roundings of
# half an epsilon each.
MARGIN = 3
REMEDY = (
    "train vanilla_snn, or ablations/temporal_shift_only or without_attention, "
    "with --plif='{reset: hard}'"
)


def export_nir(classifier, path, dt=DT):
    """Writes the head of a bundle as a NIR file.

    Arguments
    ---------
    classifier : EmotionClassifier
        Of :func:`~speechbrain_ptssnn.deploy.classify.open_bundle`.
    path : str or Path
        The file, which is replaced if it is there; ``nir.read`` reads it.
    dt : float
        See :func:`nir_graph`.

    Raises
    ------
    InputError
        As :func:`nir_graph`, or if the file cannot be written.
    """
    encoder = classifier.mods.embedding_model
    graph = nir_graph(encoder.head, dt)
    frames = graph.metadata["frames_per_step"]
    graph.metadata |= {
        "backbone": type(encoder.backbone).__name__,
        "seconds_of_audio_per_step": frames / encoder.backbone.frame_rate,
        "labels": json.dumps(labels_of(classifier)),
        "temperature": temperature_of(classifier),
    }
    partial = Path(f"{path}.part")
    with system_errors(path):
        _nir().write(partial, graph)
        os.replace(partial, path)


def nir_graph(head, dt=DT):
    r"""Builds a graph whose spikes are the head's.

    Its input is what :func:`graph_input` returns, one frame a step; its output
    are the spikes of one neuron per class, whose mean over the steps is the
    head's result. Edges that meet in a node are summed. Neurons have the names
    of the head's modules. With

        tau = dt / (1 - decay), r = 1 / (1 - decay), v_leak = v_reset = 0,

    one Euler step of NIR's equation, u += dt / tau * (r * i - u), is PLIF's
    u = decay * u + i. NIR's neurons fire above their threshold, ours at it too;
    so theirs is the next smaller number.

    Arguments
    ---------
    head : PTSSNN or VanillaSNN
        A trained head without attention, whose neurons have ``reset: hard``.
        Its weights' type is the graph's.
    dt : float
        Seconds that a step has for the program that reads the graph.

    Returns
    -------
    nir.NIRGraph

    Raises
    ------
    InputError
        If a layer cannot be expressed, or dt is not above 0; names the layer
        and what can be exported. If the package nir is missing.

    Example
    -------
    >>> from functools import partial
    >>> head = VanillaSNN(8, 3, size=4, plif=partial(PLIF, reset="hard"))
    >>> graph = nir_graph(head)
    >>> for name, node in graph.nodes.items():
    ...     print(name, type(node).__name__)
    input Input
    linear Affine
    classifier.hidden LIF
    classifier.linear Affine
    classifier.output LIF
    output Output
    """
    if not 0 < dt < float("inf"):
        raise InputError(f"dt must be a number of seconds above 0, got {dt:g}")
    builder = _Builder(head, dt)
    with torch.no_grad():
        if isinstance(head, PTSSNN):
            _check_pts_snn(head)
            expects, frames = _expects_pooled(head), head.pooling.n_frames
            current = _encode(builder, head)
        elif isinstance(head, VanillaSNN):
            expects, frames = _features(head), 1
            current = builder.affine("linear", ["input"], head.linear)
        else:
            raise InputError(
                f"{type(head).__name__} is a head that NIR cannot express; "
                f"{REMEDY}"
            )
        _classify(builder, head.classifier, current)
    return builder.graph(expects, frames, head.classifier.logit_scale)


@torch.no_grad()
def graph_input(head, feats):
    """Computes what the graph of a head takes.

    Arguments
    ---------
    head : PTSSNN or VanillaSNN
        A head in evaluation mode.
    feats : torch.Tensor
        Features of the model's normalizer, [batch, time, input_size], without
        padding.

    Returns
    -------
    torch.Tensor
        [batch, steps, channels]; a step for each group of pooled frames.

    Example
    -------
    >>> graph_input(PTSSNN(8, pooling=3), torch.randn(1, 7, 8)).shape
    torch.Size([1, 3, 8])
    """
    x = head.mix(feats)
    if isinstance(head, VanillaSNN):
        return x
    x, _ = head.pooling(x)
    return head.saturation(x)


def _nir():
    need = "the format NIR needs the package nir"
    return extra_package("nir", need, "nir")


def _array(tensor):
    return tensor.detach().cpu().contiguous().numpy()


class _Builder:
    """Collects the nodes of a head's graph. Methods that add a node take its
    name and the names of its sources, and return the sources of the next node.
    """

    def __init__(self, head, dt):
        self.nir = _nir()
        self.dt = dt
        self.names = {module: name for name, module in head.named_modules()}
        self.nodes = {}
        self.edges = []
        self.n_input = head.feature_size

    def add(self, name, sources, node):
        self.nodes[name] = node
        self.edges += [(source, name) for source in sources]
        return [name]

    def affine(self, name, sources, linear):
        return self.add_affine(name, sources, linear.weight, linear.bias)

    def add_affine(self, name, sources, weight, bias):
        node = self.nir.Affine(weight=_array(weight), bias=_array(bias))
        return self.add(name, sources, node)

    def linear(self, name, sources, weight):
        return self.add(name, sources, self.nir.Linear(weight=_array(weight)))

    def delay(self, name, sources, n_delayed, like):
        """Delays the first channels of ``like``'s columns by one step."""
        delay = np.zeros(like.shape[1], _array(like).dtype)
        delay[:n_delayed] = self.dt
        return self.add(name, sources, self.nir.Delay(delay=delay))

    def neurons(self, layer, sources):
        name = self.names[layer]
        if not isinstance(layer, PLIF):
            raise InputError(
                f"{name}: neurons of the class {type(layer).__name__} cannot "
                "be exported; only PLIF neurons can"
            )
        if layer.reset != "hard":
            raise InputError(
                f"{name}: subtracts the threshold after a spike, but NIR's "
                "neurons are set to a value; train the head with "
                "--plif='{reset: hard}'"
            )
        leak = _array(torch.sigmoid(-layer.w).expand(layer.n_neurons))
        threshold = np.full_like(leak, layer.v_threshold)
        return self.add(
            name,
            sources,
            self.nir.LIF(
                **self.constants(leak),
                v_threshold=np.nextafter(threshold, np.zeros_like(leak)),
                v_reset=np.zeros_like(leak),
            ),
        )

    def integrators(self, layer, sources):
        leak = _array(torch.sigmoid(-layer.w))
        node = self.nir.LI(**self.constants(leak))
        return self.add(self.names[layer], sources, node)

    def constants(self, leak):
        return {
            "tau": (self.dt / leak).astype(leak.dtype),
            "r": (1 + MARGIN * np.finfo(leak.dtype).eps) / leak,
            "v_leak": np.zeros_like(leak),
        }

    def graph(self, expects, frames, logit_scale):
        """Returns the graph; says what it takes and what its spikes mean."""
        *_, (last, node) = self.nodes.items()
        readout = (
            "rates = logit_scale * mean over all steps; posteriors = "
            "softmax(rates / temperature)"
        )
        return self.nir.NIRGraph(
            {
                "input": self.nir.Input(
                    np.array([self.n_input]), metadata={"expects": expects}
                ),
                **self.nodes,
                "output": self.nir.Output(
                    np.array(node.output_type["output"]),
                    metadata={
                        "readout": readout,
                        "logit_scale": float(logit_scale),
                    },
                ),
            },
            [*self.edges, (last, "output")],
            metadata={
                "dt": self.dt,
                "frames_per_step": frames,
                "discretisation": "u += dt / tau * (v_leak - u + r * i)",
            },
        )


def _check_pts_snn(head):
    if head.spike_encoder is not None:
        raise InputError(
            "spike_encoder: NIR has no node for "
            f"{type(head.spike_encoder).__name__}; {REMEDY}"
        )
    if not isinstance(head.attention, PromptsAlone):
        raise InputError(
            f"attention: NIR has no node for {type(head.attention).__name__}, "
            f"which multiplies signals with each other; {REMEDY}"
        )
    for k, block in enumerate(head.encoder.blocks):
        if block.shift.two_sided:
            raise InputError(
                f"encoder.blocks.{k}.shift: looks one step ahead "
                "(two_sided_shift: True), but NIR can only delay; train "
                "with two_sided_shift: False"
            )


def _expects_pooled(head):
    scale = head.saturation.scale
    x = "x"
    if head.saturation.norm is not None:
        x = "LayerNorm(x), whose weights are in the bundle"
    return (
        f"{_features(head)}, averaged over each "
        f"{head.pooling.n_frames} frames and saturated, tanh({scale:g} * {x}); "
        "speechbrain_ptssnn.deploy.nir_export.graph_input computes them"
    )


def _features(head):
    features = "features of the model's normalizer"
    if head.mixture.n_layers == 1:
        return features
    shares = head.mixture.logits.softmax(0).tolist()
    weights = ", ".join(f"{share:.6g}" for share in shares)
    return f"the hidden states among the {features}, mixed by {weights}"


def _encode(builder, head):
    """Adds what stands before the classifier; returns its sources."""
    sources = ["input"]
    if head.spiking_input is not None:
        scale, offset = head.spiking_input.norm.affine()
        eye = torch.eye(len(scale) // 2).to(scale)
        weight = scale.unsqueeze(1) * torch.cat([eye, -eye])
        name = "spiking_input.norm"
        sources = builder.add_affine(name, sources, weight, offset)
        sources = builder.neurons(head.spiking_input.plif, sources)
    for k, block in enumerate(head.encoder.blocks):
        name, h = f"encoder.blocks.{k}", sources
        unshifted, shifted, bias = block.fuse()
        n_shifted = block.shift.n_shifted(shifted.shape[1])
        sources = builder.add_affine(f"{name}.linear", h, unshifted, bias)
        if n_shifted:
            shifted = shifted.clone()
            shifted[:, n_shifted:] = 0
            delayed = builder.delay(f"{name}.shift", h, n_shifted, shifted)
            sources += builder.linear(f"{name}.shifted", delayed, shifted)
        sources = builder.neurons(block.plif, sources)
        if block.shortcut == "spike":
            weight = block.projection.weight
            sources += builder.linear(f"{name}.projection", h, weight)
    if head.bias_generator is not None:
        # The prompts see no frame, so the bias is the same for all.
        bias = head.bias_generator(head.attention.prompts.unsqueeze(0))[0]
        eye = torch.eye(len(bias)).to(bias)
        sources = builder.add_affine("bias_generator", sources, eye, bias)
    return sources


def _classify(builder, classifier, sources):
    sources = builder.neurons(classifier.hidden, sources)
    sources = builder.affine("classifier.linear", sources, classifier.linear)
    if classifier.readout == "spike":
        builder.neurons(classifier.output, sources)
    else:
        builder.integrators(classifier.output, sources)
