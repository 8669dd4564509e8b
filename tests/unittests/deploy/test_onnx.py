"""Exported models give what PyTorch gives, spike for spike."""

import ast
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from speechbrain_ptssnn import PLIF, PTSSNN, LinearProbe, VanillaSNN, cli
from speechbrain_ptssnn.deploy import onnx_graph
from speechbrain_ptssnn.deploy.classify import classify, open_bundle
from speechbrain_ptssnn.deploy.onnx_export import export_onnx
from speechbrain_ptssnn.deploy.onnx_graph import Graph
from speechbrain_ptssnn.deploy.onnx_layers import HeadWriter, normalise
from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.lobes.committee import Committee
from speechbrain_ptssnn.lobes.peers.superb import SUPERBHead
from speechbrain_ptssnn.nnet.adaptive_lif import AdaptiveLIF
from speechbrain_ptssnn.nnet.calibration import HomeostaticBiasGenerator
from speechbrain_ptssnn.nnet.monitor import LayerRecorder
from speechbrain_ptssnn.nnet.stream_norm import StreamNorm

REASON = "the extra [onnx] is missing"
onnx = pytest.importorskip("onnx", reason=REASON)
runtime = pytest.importorskip("onnxruntime", reason=REASON)

DOCS = Path(__file__).resolve().parents[3] / "docs"
RATE = 16000
HEADS = {
    "default": partial(PTSSNN, 20),
    "pooled": partial(PTSSNN, 20, pooling=3),
    "no attention": partial(PTSSNN, 20, attention=False),
    "no prompts": partial(PTSSNN, 20, n_prompts=0),
    "neither": partial(PTSSNN, 20, n_prompts=0, attention=False),
    "no norm": partial(PTSSNN, 20, attention_norm=False, kappa=1.0),
    "spike shortcut": partial(PTSSNN, 20, shortcut="spike"),
    "no shortcut": partial(PTSSNN, 20, shortcut="none"),
    "no shift": partial(PTSSNN, 20, shift_fraction=0.0),
    "two-sided shift": partial(PTSSNN, 20, two_sided_shift=True),
    "membrane readout": partial(PTSSNN, 20, readout="membrane"),
    "scaled": partial(PTSSNN, 20, logit_scale=5.0, saturation=1.0),
    "spiking input": partial(PTSSNN, 20, spiking_input=True),
    "no LayerNorm": partial(PTSSNN, 20, layer_norm=False),
    "mixture": partial(PTSSNN, 60, n_layers=3),
    "decayed reset": partial(
        PTSSNN,
        20,
        plif=partial(PLIF, decay_reset=True, v_threshold=0.8, decay=0.7),
    ),
    "hard reset": partial(
        PTSSNN, 20, plif=partial(PLIF, reset="hard", v_threshold=0.8)
    ),
    "hard reset, causal": partial(
        PTSSNN, 20, causal=True, plif=partial(PLIF, reset="hard")
    ),
    "one decay": partial(PTSSNN, 20, plif=partial(PLIF, per_neuron=False)),
    "causal": partial(PTSSNN, 20, causal=True),
    "causal, period 3": partial(PTSSNN, 20, causal=True, bias_period=3),
    "causal, no prompts": partial(PTSSNN, 20, causal=True, n_prompts=0),
    "committee": partial(Committee, 20, 4, partial(PTSSNN, pooling=3), 2),
    "mixed committee": partial(Committee, 60, 4, PTSSNN, 2, n_layers=3),
    "linear committee": partial(Committee, 20, 4, LinearProbe, 3),
    "VanillaSNN": partial(VanillaSNN, 20),
    "LinearProbe": partial(LinearProbe, 20, pooling=2),
}
CAUSAL = {
    "default": {},
    "not pooled": {"pooling": 1},
    "period": {"head": "{bias_period: 3}"},
    "no prompts": {"head": "{n_prompts: 0}"},
    "no attention": {"head": "{attention: False}"},
    "spiking input": {"head": "{spiking_input: True}"},
    "spike shortcut": {"head": "{shortcut: spike, readout: membrane}"},
    "committee": {
        "file": "committee",
        "head": "{n_members: 3, member: {causal: True, logit_scale: 2.0}}",
    },
    "from features": {"backbone": "fbank"},
}


@pytest.fixture
def make_head():
    """Builds a head whose neurons are alive."""

    def make(build):
        torch.manual_seed(0)
        head = build()
        for module in head.modules():
            if isinstance(module, HomeostaticBiasGenerator):
                torch.nn.init.normal_(module.up.weight)
        with torch.no_grad():
            for parameter in head.mixture.parameters():
                parameter.copy_(torch.arange(len(parameter)) / 2)
            for _ in range(5):
                head(torch.randn(4, 50, head.input_size))
        return head.eval()

    return make


def run(graph, inputs):
    """Runs a graph; returns its outputs by name."""
    session = runtime.InferenceSession(graph.model({}).SerializeToString())
    names = [each.name for each in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))


def written(head, int8=False):
    """Returns the graph of a head alone, from features to rates."""
    graph = Graph(int8)
    write = HeadWriter(graph, head)
    x = graph.input("x", ["batch", "frames", head.input_size])
    graph.output("rates", write(graph, x), ["batch", "classes"])
    for name, value in write.spikes.items():
        graph.output(name, value, ["batch", "frames", "neurons"])
    return graph


@pytest.mark.parametrize("name", HEADS)
@torch.no_grad()
def test_every_option_gives_pytorchs_rates_and_spikes(name, make_head):
    head = make_head(HEADS[name])
    graph = written(head)
    for n_frames in (1, 2, 40):
        feats = torch.randn(2, n_frames, head.input_size)
        found = run(graph, {"x": feats.numpy()})
        with LayerRecorder(head) as seen:
            rates = head(feats[1:])
        np.testing.assert_allclose(found["rates"][1:], rates, atol=1e-5)
        assert seen.spikes.keys() == found.keys() - {"rates"}
        for layer, spikes in seen.spikes.items():
            assert np.array_equal(found[layer][1], spikes), layer


@torch.no_grad()
def test_front_ends_side_by_side_are_normalised_each_by_its_rule():
    norm = StreamNorm([8, 4], ["none", "corpus"], [2.0, 1.5], [True, False])
    feats = 3 * torch.randn(2, 9, 12)
    norm.fit(feats)
    graph = Graph(False)
    x = graph.input("x", ["batch", "frames", 12])
    graph.output("y", normalise(graph, norm, x), ["batch", "frames", 12])
    found = run(graph, {"x": feats.numpy()})
    np.testing.assert_allclose(found["y"], norm(feats), atol=1e-6)


def stream(path):
    """Returns a function from inputs to posteriors so far, and its state."""
    session = runtime.InferenceSession(str(path))
    first, *inputs = session.get_inputs()
    types = {
        "tensor(float)": np.float32,
        "tensor(double)": np.float64,
        "tensor(int64)": np.int64,
    }
    state = {
        each.name: np.zeros(
            [1 if n == "batch" else n for n in each.shape], types[each.type]
        )
        for each in inputs
    }

    def advance(block):
        posteriors, _, *new = session.run(None, {first.name: block, **state})
        state.update(zip(state, new, strict=True))
        return posteriors[0]

    return advance


@pytest.mark.parametrize("name", CAUSAL)
def test_a_stream_in_blocks_gives_what_the_whole_gives(
    name, write_bundle, wav, tmp_path
):
    classifier = open_bundle(write_bundle(**CAUSAL[name]))
    whole, beside = export_onnx(classifier, tmp_path / "m.onnx")
    audio = classifier.load_audio(wav)
    (kind, block), silence = ("waveform", audio), np.zeros((1, 200), "f")
    session = runtime.InferenceSession(str(whole.path))
    expected = session.run(["posteriors"], {"waveform": audio[None].numpy()})
    encoder = classifier.mods.embedding_model
    if name == "from features":
        kind, block, silence = "features", encoder.backbone(audio), None
    for size in (97, 1600, 7) if kind == "waveform" else (1, 4, 25):
        advance = stream(beside.path)
        parts = block.split(size)
        if size == 7:
            first = advance(parts[0][None].numpy())
            assert np.isnan(first).all()  # not a frame yet
            parts = (block[7:],)
        for part in parts:
            posteriors = advance(part[None].numpy())
        if silence is not None:
            posteriors = advance(silence)
        np.testing.assert_allclose(posteriors, expected[0][0], atol=1e-5)
    assert classify(classifier, wav).posteriors == pytest.approx(
        dict(zip(["calm", "angry", "sad"], expected[0][0], strict=True)),
        abs=1e-5,
    )


# Each import of these fails; then the script runs.
ALONE = """
import runpy, sys
for name in ("torch", "speechbrain", "speechbrain_ptssnn", "onnx"):
    sys.modules[name] = None
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.parametrize("int8", [False, True])
def test_the_script_runs_it_without_torch(
    int8, write_bundle, wav, tmp_path, capsys
):
    folder = write_bundle("pts_snn", backbone="fbank")
    output = tmp_path / "mine.onnx"
    words = ["export", str(folder), "--format=onnx", f"--output={output}"]
    cli.main([*words, "--int8"] if int8 else words)
    said = capsys.readouterr().out
    assert re.fullmatch(
        r".*mine\.onnx \(\d\.\d\d MB\): waveform \[batch, samples\] at 16000 "
        r"Hz -> posteriors\n",
        said,
    )
    script = DOCS / "run_onnx.py"
    assert len(script.read_text().splitlines()) <= 20
    words = [sys.executable, "-c", ALONE, script, output]
    found = subprocess.run(
        [*words, wav], capture_output=True, text=True, check=True
    )
    expected = classify(open_bundle(folder), wav)
    posteriors = ast.literal_eval(found.stdout)
    assert max(posteriors, key=posteriors.get) == expected.label
    if not int8:
        assert posteriors == pytest.approx(expected.posteriors, abs=1e-5)
    soundfile.write(tmp_path / "slow.wav", np.zeros(8000), 8000)
    refused = subprocess.run(
        [*words, tmp_path / "slow.wav"], capture_output=True, text=True
    )
    assert refused.stderr == "8000 Hz, not waveform, 16000 Hz\n"


def test_the_stream_on_the_page_runs(bundle, wav, tmp_path, monkeypatch):
    classifier = open_bundle(bundle)
    monkeypatch.chdir(tmp_path)
    export_onnx(classifier, "model.onnx")
    (tmp_path / "new.wav").write_bytes(Path(wav).read_bytes())
    page = (DOCS / "export.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.S)
    names = {}
    exec(code, names)
    expected = list(classify(classifier, wav).posteriors.values())
    assert names["posteriors"][0] == pytest.approx(expected, abs=1e-5)


def test_the_metadata_say_what_the_graph_holds(bundle, tmp_path):
    classifier = open_bundle(bundle)
    for file in export_onnx(classifier, tmp_path / "m.onnx", int8=True):
        model = onnx.load(file.path)
        found = {each.key: each.value for each in model.metadata_props}
        assert found.pop("package").startswith("speechbrain-ptssnn ")
        assert found == {
            "labels": '["calm", "angry", "sad"]',
            "input": "waveform",
            "sample_rate": "16000",
            "channel": "louder",
            "normalize": "corpus",
            "clip_features": "inf",
            "temperature": "0.1",
            "front_end": "fbank n_mels=80 sample_rate=16000 top_db=None",
            "head": "PTSSNN",
            "weights": "int8",
        }


def test_other_front_ends_leave_the_head(windowed, capsys):
    cli.main(["export", str(windowed), "--format=onnx", "--spikes"])
    said = capsys.readouterr().out
    assert "model.onnx (" in said
    assert "features [batch, frames, 16] -> posteriors" in said
    assert "is not inside. Its own export: optimum-cli export onnx" in said
    session = runtime.InferenceSession(f"{windowed}.onnx")
    encoder = open_bundle(windowed).mods.embedding_model
    feats = torch.randn(3, 30, 16)
    outputs = session.run(
        ["rates", "encoder.blocks.1.plif"], {"features": feats.numpy()}
    )
    with torch.no_grad(), LayerRecorder(encoder.head) as seen:
        rates = encoder.head(encoder.normalizer(feats))
    np.testing.assert_allclose(outputs[0], rates, atol=1e-5)
    assert np.array_equal(outputs[1][0], seen.spikes["encoder.blocks.1.plif"])


def test_int8_keeps_a_quarter_of_the_bytes_and_nearly_the_rates(make_head):
    head = make_head(partial(PTSSNN, 160))
    feats = np.random.default_rng(0).normal(size=(4, 60, 160)).astype("f")
    sizes, rates = [], []
    for int8 in (False, True):
        graph = written(head, int8)
        sizes.append(len(graph.model({}).SerializeToString()))
        rates.append(run(graph, {"x": feats})["rates"])
    assert sizes[1] < 0.3 * sizes[0]
    assert 0 < np.abs(rates[0] - rates[1]).max() < 0.1


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            partial(SUPERBHead, 20),
            "a head of the class SUPERBHead cannot be exported",
        ),
        (
            partial(PTSSNN, 20, plif=AdaptiveLIF),
            "neurons of the class AdaptiveLIF cannot be exported",
        ),
        (
            partial(PTSSNN, 20, token_plif=partial(PLIF, 256)),
            "attention's neurons of the class PLIF cannot be exported",
        ),
    ],
)
def test_what_cannot_be_written_is_named(build, message):
    head = build().eval()
    with pytest.raises(InputError, match=message):
        written(head)


def test_bad_arguments_are_one_sentence(
    bundle, write_bundle, wav, tmp_path, monkeypatch
):
    adapted = write_bundle(normalize="speaker")
    file = tmp_path / "model.onnx"
    file.touch()
    for words, message in (
        (["export", adapted, "--format=onnx"], "trained speaker-adapted"),
        (["export", bundle], "arguments are required: --format"),
        (["export", bundle, "--format=tflite"], "invalid choice: 'tflite'"),
        (
            ["export", bundle, "--format=onnx", "--output=no/m.onnx"],
            "--output=no/m.onnx: there is no such folder",
        ),
        (
            ["classify", file, wav],
            rf"is an exported model.*docs/run_onnx\.py {file}.*is the folder",
        ),
        (["export", file, "--format=onnx"], "is an exported model"),
    ):
        with pytest.raises(SystemExit, match=message) as error:
            cli.main([*map(str, words)])
        assert "\n" not in str(error.value)
    with pytest.raises(InputError, match="there is no folder no"):
        export_onnx(open_bundle(bundle), "no/model.onnx")
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(SystemExit, match=r"pip install .*\[onnx\]") as error:
        cli.main(["export", str(bundle), "--format=onnx"])
    assert "\n" not in str(error.value)
    with pytest.raises(InputError, match=r"needs the package onnx"):
        onnx_graph.onnx_package()


def test_a_batch_gives_what_each_gives_alone(write_bundle, wav, tmp_path):
    classifier = open_bundle(write_bundle("pts_snn", backbone="fbank"))
    (file,) = export_onnx(classifier, tmp_path / "m.onnx")
    session = runtime.InferenceSession(str(file.path))
    audio = classifier.load_audio(wav).numpy()
    both = np.stack([audio, audio[::-1] / 50])
    together = session.run(["posteriors"], {"waveform": both})[0]
    for k, each in enumerate(both):
        alone = session.run(["posteriors"], {"waveform": each[None]})[0]
        np.testing.assert_allclose(together[k], alone[0], atol=1e-5)
