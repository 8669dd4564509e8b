"""A NIR file in another framework: how many spikes differ on real recordings.

The head of a bundle is written as NIR, read by snnTorch's own reader (delays by
nirtorch's table of nodes) and run step by step. Every layer's spikes are
compared with those of the head in PyTorch. At each recording's first difference
the membrane's distance from the threshold is computed in float64.

python benchmarks/nir_round_trip.py MODEL FOLDER [--recordings 100]

MODEL is a fold's model/, which 'ptssnn export' takes; FOLDER has recordings, of
which every n-th is taken.
"""

import tempfile
from collections import Counter
from importlib.metadata import version
from pathlib import Path

import nir
import torch
from snntorch.import_nir import import_from_nir
from timing import begin, parser, save

from speechbrain_ptssnn.audio import load_audio
from speechbrain_ptssnn.deploy.classify import find_audio, open_bundle
from speechbrain_ptssnn.deploy.nir_export import DT, export_nir, graph_input
from speechbrain_ptssnn.deploy.nir_reading import register_delay
from speechbrain_ptssnn.nnet.monitor import LayerMonitor
from speechbrain_ptssnn.nnet.plif import PLIF


class Calls(LayerMonitor):
    """Collects the currents and spikes of some layers, call by call."""

    def __init__(self, network, kinds):
        super().__init__(network, kinds)
        self.calls = {name: [] for name in self.layers}

    def record(self, name, layer, args, output):
        self.calls[name].append((args[0], output))


def read_back(classifier):
    """Writes the bundle's head as NIR, and reads it with snnTorch."""
    register_delay(DT)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "head.nir")
        export_nir(classifier, path, DT)
        size = path.stat().st_size
        return import_from_nir(nir.read(path)), size


def run(network, neurons, x):
    """Runs an utterance through snnTorch's network; returns each layer's
    spikes, [1, steps, neurons].
    """
    for layer in neurons.values():
        layer.reset_mem()
    state = None
    with Calls(network, type(next(iter(neurons.values())))) as theirs:
        for step in x.unbind(1):
            _, state = network(step, state)
    return {
        name: torch.stack([spikes for _, spikes in calls], 1)
        for name, calls in theirs.calls.items()
    }


def first_distances(plifs, ours, differ):
    """Returns how far the membranes are from the threshold, in float64, where
    an utterance's first difference is: the first step, and the first layer in
    it, since later differences may follow from these.
    """
    first = {
        name: int(each[0].any(1).nonzero()[0])
        for name, each in differ.items()
        if each.any()
    }
    if not first:
        return []
    name = min(first, key=first.get)
    step, plif = first[name], plifs[name]
    current, spikes = (each[0].double() for each in ours[name])
    decay = torch.sigmoid(plif.w.double()).expand(plif.n_neurons)
    u = torch.zeros_like(current[0])
    for k in range(step):
        u = (decay * u + current[k]) * (1 - spikes[k])
    u = decay * u + current[step]
    distance = (u - plif.v_threshold).abs()
    return distance[differ[name][0, step]].tolist()


@torch.no_grad()
def compare(classifier, files):
    """Counts spikes, neuron-steps and differences for each layer."""
    encoder = classifier.mods.embedding_model
    network, size = read_back(classifier)
    head, counts, labels, rates, first = encoder.head, {}, 0, 0.0, []
    layers = LayerMonitor(head, PLIF).layers
    names = {name: name.replace(".", "_") for name in layers}
    neurons = {name: network.get_submodule(names[name]) for name in names}
    for file in files:
        wav = load_audio(file, classifier.audio_normalizer)
        feats = encoder.normalizer(encoder.backbone(wav)).unsqueeze(0)
        with Calls(head, PLIF) as calls:
            result = head(feats)[0]
        ours = {name: call for name, (call,) in calls.calls.items()}
        theirs = run(network, neurons, graph_input(head, feats))
        differ = {
            name: spikes != theirs[names[name]]
            for name, (_, spikes) in ours.items()
        }
        first += first_distances(layers, ours, differ)
        for name, (_, spikes) in ours.items():
            counts.setdefault(name, Counter()).update(
                differ=int(differ[name].sum()),
                spikes=int(spikes.sum()),
                neuron_steps=spikes.numel(),
            )
        other = theirs[names["classifier.output"]].mean(1)[0]
        other = head.classifier.logit_scale * other
        rates = max(rates, (other - result).abs().max().item())
        labels += int(other.argmax() != result.argmax())
    return {
        "recordings": len(files),
        "file_bytes": size,
        "layers": counts,
        "first_differences": first,
        "rates_difference": rates,
        "labels_that_differ": labels,
    }


if __name__ == "__main__":
    arguments = parser(__doc__, "nir_round_trip.json")
    arguments.add_argument("model")
    arguments.add_argument("folder")
    arguments.add_argument("--recordings", type=int, default=100)
    arguments.set_defaults(threads=1)
    args = begin(arguments)
    found = find_audio([args.folder])
    files = found[:: max(1, len(found) // args.recordings)][: args.recordings]
    outcome = compare(open_bundle(args.model), files)
    print(f"{'':24}{'neuron-steps':>14}{'spikes':>12}{'differ':>9}")
    for name, row in outcome["layers"].items():
        print(
            f"{name:24}{row['neuron_steps']:>14,}{row['spikes']:>12,}"
            f"{row['differ']:>9,}"
        )
    print(
        f"{len(files)} recordings; rates differ by at most "
        f"{outcome['rates_difference']:.2g}, "
        f"{outcome['labels_that_differ']} labels differ"
    )
    if outcome["first_differences"]:
        print(
            f"{len(outcome['first_differences'])} first differences, where the "
            "membrane is at most "
            f"{max(outcome['first_differences']):.1e} from the threshold"
        )
    packages = ("nir", "nirtorch", "snntorch")
    save(args.output, **outcome, versions={n: version(n) for n in packages})
