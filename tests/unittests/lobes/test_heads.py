"""What must hold for every head."""

import copy
from functools import cache, partial

import pytest
import torch
from hyperpyyaml import load_hyperpyyaml

from speechbrain_ptssnn import (
    PLIF,
    PTSSNN,
    FocalSmoothingLoss,
    LinearProbe,
    VanillaSNN,
)
from speechbrain_ptssnn.lobes.peers.attentive_statistics import (
    AttentiveStatisticsHead,
)
from speechbrain_ptssnn.lobes.peers.bilstm import BiLSTM
from speechbrain_ptssnn.lobes.peers.co_attention import CoAttention
from speechbrain_ptssnn.lobes.peers.dst import DST
from speechbrain_ptssnn.lobes.peers.mstr import MSTR
from speechbrain_ptssnn.lobes.peers.shiftformer import ShiftFormer
from speechbrain_ptssnn.lobes.peers.spiking_lif import (
    LIFLayer,
    SpikingLIFNetwork,
)
from speechbrain_ptssnn.lobes.peers.superb import SUPERBHead
from speechbrain_ptssnn.lobes.peers.transformer import Transformer
from speechbrain_ptssnn.lobes.spike_encoder_net import SpikeEncoderNet
from speechbrain_ptssnn.nnet.adaptive_lif import AdaptiveLIF
from speechbrain_ptssnn.nnet.fixed_spike_encoders import (
    DeltaEncoder,
    LatencyCodes,
    RateEncoder,
)
from speechbrain_ptssnn.nnet.residual_spike_encoder import ResidualSpikeEncoder
from speechbrain_ptssnn.nnet.rlif import RLIF

SIZE, COUNTS = 24, [25, 17, 9, 1]
TARGETS = torch.tensor([0, 1, 2, 3])
SMALL = {"hidden_size": 20, "size": 16, "bias_hidden": 8}
NET = {"size": 16, "dropout": 0.0}
BLOCKS = {"size": 16, "n_heads": 2, "mlp_size": 8, "dropout": 0.0}
HEADS = {
    "membrane": (PTSSNN, {**SMALL, "shortcut": "membrane"}),
    "spike": (PTSSNN, {**SMALL, "shortcut": "spike"}),
    "none": (PTSSNN, {**SMALL, "shortcut": "none"}),
    "two-sided": (PTSSNN, {**SMALL, "two_sided_shift": True}),
    "decay_reset": (PTSSNN, {**SMALL, "plif": partial(PLIF, decay_reset=True)}),
    "hard_reset": (PTSSNN, {**SMALL, "plif": partial(PLIF, reset="hard")}),
    "layer decay": (PTSSNN, {**SMALL, "plif": partial(PLIF, per_neuron=False)}),
    "no prompts": (PTSSNN, {**SMALL, "n_prompts": 0}),
    "no attention": (PTSSNN, {**SMALL, "attention": False}),
    "shift only": (PTSSNN, {**SMALL, "attention": False, "n_prompts": 0}),
    "readout": (PTSSNN, {**SMALL, "readout": "membrane", "logit_scale": 2.0}),
    "spiking input": (PTSSNN, {**SMALL, "spiking_input": True}),
    "causal": (PTSSNN, {**SMALL, "causal": True}),
    "causal, every third": (
        PTSSNN,
        {**SMALL, "causal": True, "bias_period": 3},
    ),
    "causal, no prompts": (PTSSNN, {**SMALL, "causal": True, "n_prompts": 0}),
    "vanilla": (VanillaSNN, {"size": 16}),
    "linear": (LinearProbe, {"size": 16}),
    "linear, pooled": (LinearProbe, {"size": 16, "pooling": 2}),
    "superb": (SUPERBHead, {"size": 16}),
    "attentive": (AttentiveStatisticsHead, {"size": 8}),
    "shiftformer": (ShiftFormer, {"size": 16}),
    "shiftformer, unprojected": (ShiftFormer, {"size": SIZE, "mlp_ratio": 1}),
    "dst": (DST, BLOCKS),
    "mstr": (MSTR, {**BLOCKS, "n_blocks": 2, "fractal_factor": 2, "window": 3}),
    "transformer": (Transformer, BLOCKS),
    "co-attention": (
        CoAttention,
        {"sizes": [16, 8], "size": 16, "n_heads": 2, "dropout": 0.0},
    ),
    "bilstm": (BiLSTM, {"size": 16}),
    "lif": (SpikingLIFNetwork, {"size": 16, "adaptive": False, "dropout": 0.0}),
    "adlif": (SpikingLIFNetwork, {"size": 16, "dropout": 0.0}),
    "spike encoder": (SpikeEncoderNet, NET),
    "spike encoder, dfa": (SpikeEncoderNet, {**NET, "learning_rule": "dfa"}),
    "spike encoder, fixed": (
        SpikeEncoderNet,
        {
            **NET,
            "encoder": partial(
                ResidualSpikeEncoder, steps=[0.5], learnable=False
            ),
        },
    ),
    "delta": (SpikeEncoderNet, {**NET, "encoder": DeltaEncoder}),
    "rate": (SpikeEncoderNet, {**NET, "encoder": RateEncoder}),
    "latency": (SpikeEncoderNet, {**NET, "encoder": LatencyCodes}),
    "no spike encoder": (SpikeEncoderNet, {**NET, "encoder": None}),
    "pts-snn, spike encoder": (
        PTSSNN,
        {**SMALL, "spike_encoder": ResidualSpikeEncoder},
    ),
}
RANDOM = ("rate",)
WITH_BIAS = ["membrane", "spike", "none", "two-sided", "no attention"]


def fresh(name):
    torch.manual_seed(0)
    head, arguments = HEADS[name]
    head = head(SIZE, **arguments)
    for module in head.modules():
        if isinstance(module, LIFLayer):  # white noise is too weak for them
            torch.nn.init.constant_(module.norm.weight, 5.0)
    return head


def utterances(counts=COUNTS, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(n, SIZE, generator=generator) * 2 for n in counts]


def batch(rows, padding=0.0, n_frames=None):
    """(feats, lengths) of rows of unequal length."""
    n_frames = n_frames or max(map(len, rows))
    feats = torch.full((len(rows), n_frames, SIZE), padding)
    for padded, row in zip(feats, rows, strict=True):
        padded[: len(row)] = row
    return feats, torch.tensor([len(row) / n_frames for row in rows])


@cache
def _live(name):
    """A head past its start: its neurons fire and its bias is not 0."""
    head = fresh(name)
    if isinstance(head, PTSSNN | VanillaSNN):
        torch.nn.init.normal_(head.classifier.linear.weight)
    if isinstance(head, PTSSNN) and head.bias_generator is not None:
        torch.nn.init.normal_(head.bias_generator.up.weight)
    with torch.no_grad():  # the first batch sets the running statistics
        head(*batch(utterances([40] * 8, seed=2)))
    return head


@pytest.fixture(params=HEADS)
def head(request):
    return copy.deepcopy(_live(request.param))


@pytest.fixture
def repeatable(request):
    """Skips a head whose training draws its spikes anew in every call."""
    if request.node.callspec.params["head"] in RANDOM:
        pytest.skip("draws its spikes anew in every call in training")


def learn(head, feats, lengths):
    """A training step's rates, gradients and statistics."""
    head.zero_grad()
    rates = head.train()(feats, lengths)
    targets = TARGETS[: len(rates)].to(rates.device)
    FocalSmoothingLoss()(rates, targets).backward()
    gradients = {k: p.grad.clone() for k, p in head.named_parameters()}
    return rates, gradients, {k: b.clone() for k, b in head.named_buffers()}


def assert_same(result, expected):
    torch.testing.assert_close(result, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_gpu_learns_what_the_cpu_learns(head, allow_tf32):
    allow_tf32(False, False)  # SpeechBrain does
    rows = batch(utterances())
    expected = learn(copy.deepcopy(head), *rows)
    results = learn(head.cuda(), *(x.cuda() for x in rows))
    results = [results[0].cpu()] + [
        {name: x.cpu() for name, x in each.items()} for each in results[1:]
    ]
    assert_same(results[0], expected[0])
    for result, reference in zip(results[1:], expected[1:], strict=True):
        assert_same(result, reference)


def test_these_heads_are_alive(head):
    spikes = {}
    for name, module in head.named_modules():
        if isinstance(module, PLIF | AdaptiveLIF | RLIF):
            module.register_forward_hook(
                lambda _, __, s, name=name: spikes.update({name: s})
            )
    rates = head.eval()(*batch(utterances([40] * 4)))
    assert (rates.std(0) > 0.01).any()
    for name, s in spikes.items():
        assert 0.02 < s.mean() < 0.9, name


@pytest.mark.parametrize("padding", [0.0, 1e3])
@torch.no_grad()
def test_an_utterance_alone_equals_it_in_a_padded_batch(head, padding):
    head.eval()
    rows = utterances()
    together = head(*batch(rows, padding, n_frames=31))
    for row, rates in zip(rows, together, strict=True):
        assert_same(rates, head(row[None])[0])
        assert_same(rates, head(row[None], torch.ones(1))[0])


@pytest.mark.usefixtures("repeatable")
@pytest.mark.parametrize("padding", [0.0, 1e3])
def test_padding_changes_nothing_in_training(head, padding):
    # Equal lengths need no mask, so this compares two ways of computing.
    rows, other = utterances([20] * 4), copy.deepcopy(head)
    expected = learn(head, *batch(rows))
    assert_same(learn(other, *batch(rows, padding, 33)), expected)


@pytest.mark.usefixtures("repeatable")
def test_training_never_looks_into_padded_frames(head):
    other = copy.deepcopy(head)
    feats, lengths = batch(utterances(), padding=1e3)
    feats.requires_grad_()
    result = learn(head, feats, lengths)
    is_latency = isinstance(getattr(head, "encoder", None), LatencyCodes)
    assert (feats.grad is None) == is_latency  # its spikes have no gradient
    if feats.grad is not None:
        for padded, n in zip(feats.grad, COUNTS, strict=True):
            assert padded[n:].eq(0).all()
            assert padded[:n].ne(0).any()
    assert_same(result, learn(other, *batch(utterances(), 0.0, n_frames=40)))


@pytest.mark.usefixtures("repeatable")
@pytest.mark.parametrize("training", [False, True])
@torch.no_grad()
def test_batch_order_changes_nothing(head, training):
    head.train(training)
    order = [2, 0, 3, 1]
    feats, lengths = batch(utterances())
    expected = head(feats, lengths)[order]
    assert_same(head(feats[order], lengths[order]), expected)


@torch.no_grad()
def test_one_utterance_never_influences_another_in_evaluation(head):
    head.eval()
    feats, lengths = batch(utterances())
    before = head(feats, lengths)
    feats[1:], lengths[1:] = torch.randn(feats[1:].shape) * 9, 1
    after = head(feats, lengths)
    assert_same(after[0], before[0])
    assert not torch.equal(after, before)


@torch.no_grad()
def test_evaluation_keeps_no_state(head):
    head.eval()
    state = copy.deepcopy(head.state_dict())
    feats, lengths = batch(utterances())
    first = head(feats, lengths)
    head(feats.flip(2), lengths)
    assert torch.equal(head(feats, lengths), first)
    torch.testing.assert_close(head.state_dict(), state, rtol=0, atol=0)


@pytest.mark.parametrize("name", HEADS)
def test_the_same_seed_gives_the_same_training_bit_for_bit(name):
    results = []
    for _ in range(2):
        head = fresh(name)
        optimizer = torch.optim.AdamW(head.parameters(), lr=0.01)
        for seed in range(3):
            learn(head, *batch(utterances(seed=seed)))
            optimizer.step()
        results.append(head.state_dict())
    torch.testing.assert_close(*results, rtol=0, atol=0)
    start = fresh(name).state_dict()
    for key in start:
        is_same = torch.equal(results[0][key], start[key])
        assert is_same == key.startswith("feedback."), key


@torch.no_grad()
def test_copies_and_loaded_checkpoints_are_the_same_head(head, tmp_path):
    head.eval()
    feats, lengths = batch(utterances())
    torch.save(head.state_dict(), tmp_path / "head.ckpt")
    loaded = copy.deepcopy(head)
    for p in loaded.parameters():
        p.fill_(0.1)
    loaded.load_state_dict(torch.load(tmp_path / "head.ckpt"))
    assert torch.equal(loaded(feats, lengths), head(feats, lengths))


def test_rates_are_float32_and_in_range(head):
    rates = head.eval()(*batch(utterances()))
    assert rates.dtype == torch.float32
    assert rates.shape == (4, 4)
    classifier = getattr(head, "classifier", None)
    if isinstance(getattr(classifier, "output", None), PLIF):
        assert rates.min() >= 0
        assert rates.max() <= 1
        # The last utterance has one frame: it fires or it does not.
        assert set(rates[3].tolist()) <= {0.0, 1.0}


@pytest.mark.parametrize("name", HEADS)
def test_every_parameter_gets_a_gradient_from_the_first_step(name):
    _, gradients, _ = learn(fresh(name), *batch(utterances()))
    # learn() clones every gradient, so none is None, as DDP needs.
    assert all(g.isfinite().all() for g in gradients.values())


def test_every_parameter_of_a_live_head_learns(head):
    _, gradients, _ = learn(head, *batch(utterances()))
    assert [k for k, g in gradients.items() if not g.any()] == []


@pytest.mark.parametrize("name", WITH_BIAS)
def test_a_fresh_head_starts_with_zero_bias(name):
    head, biases = fresh(name), []
    head.bias_generator.register_forward_hook(
        lambda _, __, bias: biases.append(bias)
    )
    head(*batch(utterances()))
    assert biases[0].shape == (4, 16)
    assert biases[0].eq(0).all()


def test_digital_silence_gives_finite_output_and_gradients(head):
    rates, gradients, _ = learn(head, torch.zeros(4, 10, SIZE), None)
    assert rates.isfinite().all()
    assert all(g.isfinite().all() for g in gradients.values())


@pytest.mark.parametrize("shape", [(2, 5, SIZE + 1), (5, SIZE)])
def test_features_of_another_size_are_named(head, shape):
    with pytest.raises(ValueError, match=rf"{SIZE}.*{shape[-1]}"):
        head(torch.zeros(shape))


@pytest.mark.parametrize(
    ("head", "settings"),
    [
        (PTSSNN, {**SMALL, "shortcut": "spike", "n_prompts": 2}),
        (VanillaSNN, {"size": 16}),
        (LinearProbe, {"size": 16}),
    ],
)
def test_a_head_is_built_from_yaml(head, settings):
    settings = {"input_size": SIZE, "n_classes": 6, **settings}
    lines = "".join(f"    {k}: {v}\n" for k, v in settings.items())
    built = load_hyperpyyaml(
        f"head: !new:speechbrain_ptssnn.{head.__name__}\n{lines}"
    )["head"]
    assert built(*batch(utterances())).shape == (4, 6)


@pytest.mark.parametrize(("head", "layers"), [("PTSSNN", 4), ("VanillaSNN", 2)])
def test_every_neuron_takes_its_numbers_from_yaml(head, layers):
    numbers = {
        "decay": 0.25,
        "v_threshold": 0.5,
        "alpha": 3.0,
        "detach_reset": False,
        "decay_reset": True,
    }
    lines = "".join(f"    {k}: {v}\n" for k, v in numbers.items())
    built = load_hyperpyyaml(
        f"plif: !name:speechbrain_ptssnn.PLIF\n{lines}"
        f"head: !new:speechbrain_ptssnn.{head}\n"
        f"    input_size: {SIZE}\n    plif: !ref <plif>\n"
    )["head"]
    plifs = [m for m in built.modules() if isinstance(m, PLIF)]
    assert len(plifs) == layers
    numbers.pop("decay")
    for plif in plifs:
        assert {k: getattr(plif, k) for k in numbers} == numbers
        torch.testing.assert_close(
            plif.w.sigmoid(), torch.full_like(plif.w, 0.25)
        )
