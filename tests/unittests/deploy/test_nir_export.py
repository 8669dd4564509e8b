"""NIR graphs have the spikes of the heads: by NIR's own equations in NumPy,
and in the frameworks that read them.
"""

import json
import sys
from functools import partial
from graphlib import TopologicalSorter
from pathlib import Path

import nir
import numpy as np
import pytest
import torch
from nirtorch.nir_interpreter import DEFAULT_MAP
from spikingjelly.activation_based import nir_exchange

from speechbrain_ptssnn import PLIF, PTSSNN, LinearProbe, VanillaSNN, cli
from speechbrain_ptssnn.deploy.nir_export import (
    DT,
    export_nir,
    graph_input,
    nir_graph,
)
from speechbrain_ptssnn.deploy.nir_reading import register_delay
from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.inference import EmotionClassifier
from speechbrain_ptssnn.nnet.monitor import LayerMonitor

HARD = {"plif": partial(PLIF, reset="hard")}
SMALL = {"hidden_size": 24, "size": 16, "n_classes": 3}
SHIFT_ONLY = {**SMALL, **HARD, "attention": False, "n_prompts": 0}
EXPORTABLE = {
    "temporal shift only": (PTSSNN, SHIFT_ONLY),
    "without attention": (PTSSNN, {**SMALL, **HARD, "attention": False}),
    "pooled, no LayerNorm": (
        PTSSNN,
        {**SHIFT_ONLY, "pooling": 3, "layer_norm": False, "saturation": 0.3},
    ),
    "shortcut spike": (PTSSNN, {**SHIFT_ONLY, "shortcut": "spike"}),
    "shortcut none": (PTSSNN, {**SHIFT_ONLY, "shortcut": "none"}),
    "no shift": (PTSSNN, {**SHIFT_ONLY, "shift_fraction": 0.0}),
    "all shifted": (PTSSNN, {**SHIFT_ONLY, "shift_fraction": 1.0}),
    "spiking input": (PTSSNN, {**SHIFT_ONLY, "spiking_input": True}),
    "layer decay": (
        PTSSNN,
        {**SHIFT_ONLY, "plif": partial(PLIF, reset="hard", per_neuron=False)},
    ),
    "threshold 0.7": (
        PTSSNN,
        {**SHIFT_ONLY, "plif": partial(PLIF, reset="hard", v_threshold=0.7)},
    ),
    "membrane read-out": (PTSSNN, {**SHIFT_ONLY, "readout": "membrane"}),
    "weighted layers": (PTSSNN, {**SHIFT_ONLY, "n_layers": 2}),
    "vanilla": (VanillaSNN, {"size": 16, "n_classes": 3, **HARD}),
}


def make(cls, settings, dtype=torch.float64):
    """A head with other decays in each neuron, whose layers are alive."""
    torch.manual_seed(0)
    head = cls(8, **settings).to(dtype)
    for name, p in head.named_parameters():
        if name.endswith(".w"):
            torch.nn.init.normal_(p)
    torch.nn.init.normal_(head.classifier.linear.weight)
    if getattr(head, "bias_generator", None) is not None:
        torch.nn.init.normal_(head.bias_generator.up.weight)
    with torch.no_grad():
        for _ in range(5):
            head(utterance(dtype))
    return head.eval()


def utterance(dtype=torch.float64):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(2, 61, 8, generator=generator, dtype=dtype) * 2


class Spikes(LayerMonitor):
    def __init__(self, head):
        super().__init__(head, PLIF)
        self.seen = {}

    def record(self, name, layer, args, output):
        self.seen[name] = output


@torch.no_grad()
def spikes_of(head, feats):
    """Each neuron layer's spikes, and the result."""
    with Spikes(head) as spikes:
        result = head(feats)
    return spikes.seen, result


def interpret(graph, x, dt):
    """Runs a graph by the equations of NIR, in Euler steps, in NumPy.

    Returns each node's output, [batch, steps, channels].
    """
    sources = {name: [] for name in graph.nodes}
    for source, target in graph.edges:
        sources[target].append(source)
    order = list(TopologicalSorter(sources).static_order())
    kept = dict.fromkeys(order, 0.0)  # membranes, and inputs of delays
    found = {name: [] for name in order}
    for t in range(x.shape[1]):
        for name in order:
            node, kind = graph.nodes[name], type(graph.nodes[name]).__name__
            i = sum(found[source][-1] for source in sources[name])
            if kind == "Input":
                y = x[:, t]
            elif kind == "Output":
                y = i
            elif kind == "Affine":
                y = i @ node.weight.T + node.bias
            elif kind == "Linear":
                y = i @ node.weight.T
            elif kind == "Delay":
                y = np.where(node.delay == dt, kept[name], i)
                assert np.isin(node.delay, [0, dt]).all()
                kept[name] = i
            else:
                u = kept[name]
                u = u + dt / node.tau * (node.v_leak - u + node.r * i)
                y = u
                if kind == "LIF":
                    y = np.where(u > node.v_threshold, 1.0, 0.0)
                    u = np.where(y == 1, node.v_reset, u)
                kept[name] = u
            found[name].append(y)
    return {name: np.stack(each, 1) for name, each in found.items()}


@pytest.mark.parametrize("name", EXPORTABLE)
@pytest.mark.parametrize("dt", [DT, 0.06])
def test_nirs_equations_give_the_heads_spikes(name, dt, tmp_path):
    head, feats = make(*EXPORTABLE[name]), utterance()
    nir.write(tmp_path / "head.nir", nir_graph(head, dt))
    graph = nir.read(tmp_path / "head.nir")
    x = graph_input(head, feats)
    found = interpret(graph, x.numpy(), graph.metadata["dt"])
    spikes, result = spikes_of(head, feats)
    for layer, ours in spikes.items():
        assert 0.02 < ours.mean() < 0.98, layer
        assert np.array_equal(found[layer], ours.numpy()), layer
    np.testing.assert_allclose(found["output"].mean(1), result, atol=1e-12)


@pytest.mark.parametrize("v_threshold", [1.0, 0.7])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_current_of_the_threshold_fires(v_threshold, dtype):
    plif = partial(PLIF, reset="hard", v_threshold=v_threshold)
    head = VanillaSNN(1, 2, size=50, plif=plif).to(getattr(torch, dtype))
    torch.nn.init.constant_(head.linear.weight, v_threshold)
    torch.nn.init.zeros_(head.linear.bias)
    torch.nn.init.normal_(head.classifier.hidden.w, std=3)
    x = torch.ones(1, 5, 1, dtype=head.linear.weight.dtype)
    spikes, _ = spikes_of(head, x)
    found = interpret(nir_graph(head), x.numpy(), DT)
    assert spikes["classifier.hidden"].all()
    assert found["classifier.hidden"].all()


@pytest.fixture
def delays(monkeypatch):
    """Has nirtorch read delays, until the test ends."""
    monkeypatch.setitem(DEFAULT_MAP, nir.Delay, None)
    register_delay(DT)


@torch.no_grad()
def run(network, x):
    """Runs a network that nirtorch built, step by step."""
    state, outputs = None, []
    for step in x.unbind(1):
        output, state = network(step, state)
        outputs.append(output)
    return torch.stack(outputs, 1)


@pytest.mark.parametrize(
    "name", ["layer decay", "shortcut spike", "vanilla", "without attention"]
)
def test_spikingjelly_reads_one_decay_a_layer(name, delays, tmp_path):
    cls, settings = EXPORTABLE[name]
    plif = partial(PLIF, reset="hard", per_neuron=False)
    head = make(cls, {**settings, "plif": plif}, torch.float32)
    feats = utterance(torch.float32)
    path = tmp_path / "head.nir"
    nir.write(path, nir_graph(head))
    network = nir_exchange.import_from_nir(path, dt=DT)
    ours, _ = spikes_of(head, feats)
    theirs = run(network, graph_input(head, feats))
    assert theirs.mean() > 0.02
    assert (theirs != ours["classifier.output"]).float().mean() < 1e-3


@pytest.mark.parametrize(
    "name", ["temporal shift only", "no shift", "vanilla", "without attention"]
)
def test_snntorch_reads_a_decay_a_neuron(name, delays, tmp_path):
    reader = pytest.importorskip(
        "snntorch.import_nir", reason="snnTorch is not installed"
    )
    head, feats = (
        make(*EXPORTABLE[name], torch.float32),
        utterance(torch.float32),
    )
    nir.write(tmp_path / "head.nir", nir_graph(head))
    network = reader.import_from_nir(nir.read(tmp_path / "head.nir"))
    ours, _ = spikes_of(head, feats)
    theirs = run(network, graph_input(head, feats))
    assert theirs.mean() > 0.02
    assert (theirs != ours["classifier.output"]).float().mean() < 1e-3


def test_a_delay_of_other_steps_is_named(delays):
    with pytest.raises(ValueError, match="0 or 1 step"):
        DEFAULT_MAP[nir.Delay](nir.Delay(delay=np.array([2 * DT])))


@pytest.mark.parametrize(
    ("cls", "settings", "message"),
    [
        (
            PTSSNN,
            HARD,
            "^attention: .*SpikingSparseLinearAttention.*shift_only",
        ),
        (
            PTSSNN,
            {"attention": False, "n_prompts": 0},
            r"^encoder\.blocks\.0\.plif: subtracts .*reset: hard",
        ),
        (VanillaSNN, {}, r"^classifier\.hidden: subtracts .*reset: hard"),
        (
            PTSSNN,
            {**SHIFT_ONLY, "two_sided_shift": True},
            r"^encoder\.blocks\.0\.shift: looks one step ahead",
        ),
        (LinearProbe, {}, "^LinearProbe is a head that NIR cannot express"),
    ],
)
def test_what_nir_cannot_express_is_named(cls, settings, message):
    with pytest.raises(InputError, match=message) as error:
        nir_graph(cls(8, **settings))
    assert "\n" not in str(error.value)


def test_other_neurons_are_named():
    class Other(torch.nn.Module):
        pass

    head = VanillaSNN(8, **HARD)
    head.classifier.output = Other()
    with pytest.raises(InputError, match=r"^classifier\.output: .*class Other"):
        nir_graph(head)


@pytest.mark.parametrize("dt", [0.0, -1.0, float("nan"), float("inf")])
def test_an_impossible_dt_is_named(dt):
    with pytest.raises(InputError, match=r"dt must be .* above 0"):
        nir_graph(VanillaSNN(8, **HARD), dt)


@pytest.fixture(scope="module")
def bundle(write_bundle):
    return write_bundle(
        "ablations/temporal_shift_only", backbone="fbank", plif="{reset: hard}"
    )


def test_the_command_writes_a_graph_that_describes_itself(bundle, capsys):
    cli.main(["export", str(bundle), "--format=nir", "--dt=0.06"])
    path = bundle.with_name("model.nir")
    assert capsys.readouterr().out == f"{path}\n"
    assert not list(bundle.parent.glob("*.part"))
    graph = nir.read(path)
    assert graph.metadata["dt"] == graph.metadata["seconds_of_audio_per_step"]
    assert graph.metadata["frames_per_step"] == 3
    assert graph.metadata["temperature"] == 0.1
    assert json.loads(graph.metadata["labels"]) == ["calm", "angry", "sad"]
    expects = graph.nodes["input"].metadata["expects"]
    assert "each 3 frames and saturated, tanh(0.3 * x)" in expects
    assert graph.nodes["output"].metadata["logit_scale"] == 1
    lif = graph.nodes["encoder.blocks.0.plif"]
    assert lif.tau.dtype == np.float32
    np.testing.assert_allclose(lif.tau, 0.12)  # dt / (1 - 0.5)


def test_bad_arguments_are_one_sentence(bundle, tmp_path, monkeypatch):
    def error(*words):
        with pytest.raises(SystemExit) as exit:
            cli.main(["export", *map(str, words)])
        assert "\n" not in exit.value.code
        return exit.value.code

    assert "--format" in error(bundle)
    assert "invalid choice: 'lava'" in error(bundle, "--format=lava")
    assert "is not there" in error(tmp_path / "no", "--format=nir")
    missing = f"--output={tmp_path}/no/head.nir"
    assert "there is no such folder" in error(bundle, "--format=nir", missing)
    folder = f"--output={tmp_path}"
    assert str(tmp_path) in error(bundle, "--format=nir", folder)
    assert "dt must be" in error(bundle, "--format=nir", "--dt=0")
    monkeypatch.setitem(sys.modules, "nir", None)
    assert "speechbrain-ptssnn[nir]" in error(bundle, "--format=nir")
    assert "--int8 is not for" in error(bundle, "--format=nir", "--int8")
    assert "--dt is not for" in error(bundle, "--format=onnx", "--dt=1")


def test_the_default_head_is_refused_before_anything_is_written(write_bundle):
    folder = write_bundle("pts_snn")
    before = sorted(folder.iterdir())
    with pytest.raises(SystemExit, match="error: attention: NIR has no node"):
        cli.main(["export", str(folder), "--format=nir"])
    assert sorted(folder.iterdir()) == before


def test_a_file_in_no_folder_is_one_sentence(bundle, tmp_path):
    classifier = EmotionClassifier.from_hparams(bundle)
    path = Path(tmp_path, "no", "head.nir")
    with pytest.raises(InputError, match=str(path)):
        export_nir(classifier, path)
