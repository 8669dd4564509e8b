import pytest
import torch
from spikingjelly.activation_based.op_counter import (
    DispatchCounterMode,
    MACCounter,
    SynOpCounter,
)
from torch import nn
from torchvision.ops import DeformConv2d

from speechbrain_ptssnn import PLIF, PTSSNN, LinearProbe, VanillaSNN
from speechbrain_ptssnn.energy.operations import at_length, count_operations
from speechbrain_ptssnn.energy.pricing import split_operations
from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.lobes.spike_encoder_net import SpikeEncoderNet
from speechbrain_ptssnn.nnet.fixed_spike_encoders import (
    DeltaEncoder,
    LatencyCodes,
    RateEncoder,
)
from speechbrain_ptssnn.nnet.monitor import FiringRates


class Head(nn.Module):
    """Any module, called as heads are."""

    def __init__(self, function, *modules):
        super().__init__()
        self.function = function
        self.parts = nn.ModuleList(modules)

    def forward(self, feats, lengths=None):
        return self.function(feats, *self.parts)


def products(head, feats, lengths=None):
    """(input's kind, operations, events) of each product."""
    rows = count_operations(head, feats, lengths)
    return [(r.kind, r.operations, r.events) for r in rows if r.product]


def fire(head):
    """Sets the weights so that every layer fires, and not always."""
    torch.manual_seed(0)
    for parameter in head.parameters():
        nn.init.normal_(parameter, std=2.0)


@pytest.fixture
def tiny():
    """2 inputs, 3 hidden neurons, 2 classes: the first neuron fires in every
    frame, the second in none, the third where the first input is 1.
    """
    head = VanillaSNN(2, 2, size=3)
    with torch.no_grad():
        head.linear.weight.copy_(
            torch.tensor([[0.0, 0.0], [0.0, 0.0], [9.0, 0.0]])
        )
        head.linear.bias.copy_(torch.tensor([9.0, -9.0, -4.0]))
    return head


def test_a_tiny_head_counted_by_hand(tiny):
    # 4 frames, the third neuron fires in frames 2 and 4.
    feats = torch.tensor([[[0, 0.5], [1, 0.5], [0, 0.5], [1, 0.5]]])
    linear, classifier = [
        row for row in count_operations(tiny, feats) if row.product
    ]
    assert (linear.name, linear.kind) == ("linear", "real")
    assert linear.operations == 24  # 4 frames x 2 inputs x 3 neurons
    assert linear.density == 6 / 8  # two of the first inputs are 0
    assert (classifier.name, classifier.kind) == (
        "classifier.linear",
        "binary",
    )
    assert classifier.operations == 24  # 4 frames x 3 neurons x 2 classes
    assert classifier.events == 12  # (4 + 0 + 2) spikes x 2 classes
    assert classifier.density == 6 / 12  # 6 spikes, 4 frames x 3 neurons
    assert linear.product == "self.linear(self.mix(feats))"
    assert linear.where.startswith("baselines.py:")


def test_padding_is_never_counted(tiny):
    feats = torch.rand(2, 4, 2)
    feats[1, 3:] = 1  # would fire
    together = count_operations(tiny, feats, torch.tensor([1.0, 0.75]))
    first = count_operations(tiny, feats[:1])
    second = count_operations(tiny, feats[1:, :3])
    for sum_, a, b in zip(together, first, second, strict=True):
        assert sum_.operations == a.operations + b.operations
        assert sum_.events == a.events + b.events
        assert sum_.element_wise == a.element_wise + b.element_wise


def test_elements_of_other_operations():
    head = Head(lambda x, norm: torch.tanh(norm(x)).mean(1), nn.LayerNorm(4))
    rows = count_operations(head, torch.rand(1, 5, 4))
    assert [(r.name, r.kind, r.element_wise) for r in rows] == [
        ("parts.0", "element-wise", 20),  # 5 x 4, normalised
        ("Head", "element-wise", 40),  # 5 x 4 in tanh, 5 x 4 averaged
    ]


def test_the_head_in_evaluation_counted_by_hand():
    # 6 inputs, 4 and 8 channels, of which the shift moves 2 and 1; 3 prompts,
    # 2 columns of Q and K, 5 hidden units of the bias; 7 frames.
    head = PTSSNN(6, 2, 4, 8, 0.3, n_prompts=3, key_size=2, bias_hidden=5)
    fire(head)
    nn.init.constant_(head.bias_generator.down.bias, 1e3)  # no ReLU at 0
    feats = torch.randn(1, 7, 6)
    head.eval()
    with FiringRates(head) as firing, torch.no_grad():
        head(feats)
    hidden = firing.spikes["encoder.blocks.0.plif"]
    encoded = firing.spikes["encoder.blocks.1.plif"]
    assert 0 < hidden.sum() < 28
    assert 0 < encoded.sum() < 56
    rows = [row for row in count_operations(head, feats) if row.product]
    moved = rows[3].events / 8  # spikes before the last frame, in one channel
    assert hidden[0] - 1 <= moved <= hidden[0]
    assert [(row.name, row.kind, row.operations) for row in rows] == [
        ("encoder.blocks.0", "real", 168),  # 7 x 6 x 4
        ("encoder.blocks.0", "real", 48),  # 6 frames x 2 channels x 4
        ("encoder.blocks.1", "binary", 224),  # 7 x 4 x 8
        ("encoder.blocks.1", "binary", 48),  # 6 frames x 1 channel x 8
        ("attention", "binary", 672),  # Q, K and V: 7 x 8 x (2 + 2 + 8)
        ("attention", "real", 112),  # K^T V of the frames: 2 x 7 x 8
        ("attention", "real", 48),  # K^T V of the prompts: 2 x 3 x 8
        ("attention", "real", 112),  # Q (K^T V) of the frames: 7 x 2 x 8
        ("attention", "real", 48),  # Q (K^T V) of the prompts: 3 x 2 x 8
        ("bias_generator.down", "real", 40),  # 8 x 5
        ("bias_generator.up", "real", 40),  # 5 x 8
        ("classifier.linear", "binary", 112),  # 7 x 8 x 2
    ]
    assert rows[2].events == hidden.sum() * 8
    assert rows[4].events == encoded.sum() * 12
    assert rows[11].events == firing.spikes["classifier.hidden"].sum() * 2


def spiking_net(**settings):
    """2 mel values, 3 neurons, 2 classes. From rest, a coarse up makes the
    first neuron fire, whose spike makes the second fire in the next frame.
    """
    head = SpikeEncoderNet(2, 2, size=3, n_hidden=1, **settings).eval()
    layer = head.hidden[0]
    with torch.no_grad():
        for weight in (layer.linear.weight, layer.neurons.weight):
            weight.zero_()
        layer.linear.weight[0, 0] = 1.5
        layer.neurons.weight[1, 0] = 1.5
    return head


def test_a_spike_encoder_and_recurrent_neurons_counted_by_hand():
    # 5 frames; the first value rises by two coarse steps, in frames 2 and 3.
    feats = torch.tensor([[[0, 0], [2.0, 0], [2.0, 0], [2.0, 0], [2.0, 0]]])
    head = spiking_net()
    with FiringRates(head) as firing, torch.no_grad():
        head(feats)
    assert firing.spikes["encoder"].tolist()[:2] == [2, 0]
    assert firing.spikes["hidden.0.neurons"].tolist() == [2, 2, 0]
    rows = [row for row in count_operations(head, feats) if row.product]
    fine = int(firing.spikes["encoder"].sum()) - 2
    assert [(r.name, r.kind, r.operations, r.events) for r in rows] == [
        # 5 frames x 2 channels x 2 streams x (2 sums, 2 comparisons)
        ("encoder", "sums", 80, 80),
        # 5 frames x 8 channels x 3 neurons; each spike meets 3 weights
        ("hidden.0.linear", "binary", 120, 3 * (2 + fine)),
        # 4 frames hear the one before: 3 x 3 weights, of which the diagonal
        # is the reset; all 4 spikes are heard.
        ("hidden.0.neurons", "binary", 36, 12),
        ("linear", "binary", 30, 8),  # 5 x 3 x 2; 4 spikes meet 2 weights
    ]
    assert [row.product for row in rows[1:]] == [
        *("self.linear(x)", "spikes[t - 1, :n] @ matrix", "self.linear(x)"),
    ]
    assert rows[1].density == (2 + fine) / 40
    assert rows[3].density == 4 / 15
    # All ACs, by both rules.
    for rule in ("strict", "paper"):
        pairs = split_operations(rows, rule)
        assert pairs == [(0, row.events) for row in rows]
    names = {r.name for r in count_operations(head, feats) if r.element_wise}
    assert "encoder" not in names
    assert "hidden.0.neurons" in names


@pytest.mark.parametrize(
    ("encoder", "sums"),
    [(DeltaEncoder, 3), (RateEncoder, 1), (LatencyCodes, 1), (None, None)],
)
def test_the_sums_of_fixed_encoders(encoder, sums):
    head = spiking_net(encoder=encoder)
    rows = count_operations(head, torch.randn(1, 7, 2))
    first, second, *_ = [row for row in rows if row.product]
    if encoder is None:
        assert (first.kind, first.operations) == ("real", 7 * 2 * 3)
        return
    assert (first.kind, first.operations) == ("sums", 7 * 2 * sums)
    assert second.kind == "binary"


@pytest.mark.parametrize("chunk", [1, 3])
def test_a_causal_attention_counted_by_hand(chunk):
    # 2 columns of Q and K, 8 channels, 7 frames; the bias follows every third.
    # In chunks of one frame it is the running sum of a stream. In chunks of
    # three, each frame also meets those in its chunk: 9 + 9 + 1 pairs.
    head = PTSSNN(
        *(6, 2, 4, 8, 0.3),
        n_prompts=3,
        key_size=2,
        bias_hidden=5,
        causal=True,
        bias_period=3,
    )
    fire(head)
    nn.init.constant_(head.bias_generator.down.bias, 1e3)  # no ReLU at 0
    head.attention.chunk = chunk
    rows = count_operations(head.eval(), torch.randn(1, 7, 6))
    sums = {}
    for row in rows:
        if row.product and not row.name.startswith(("encoder", "classifier")):
            key = row.name, row.kind
            sums[key] = sums.get(key, 0) + row.operations
    reads = 7 + 3  # by frames, by prompts
    pairs = reads if chunk == 1 else 9 + 9 + 1 + 3 + 3 + 1
    assert sums == {
        ("attention", "binary"): 672,  # Q, K and V: 7 x 8 x (2 + 2 + 8)
        # K^T V of each frame, Q (K^T V) of each read, and each pair's share of
        # 2 columns, times a value.
        ("attention", "real"): 7 * 2 * 8 + reads * 2 * 8 + pairs * (2 + 8),
        ("bias_generator.down", "real"): 3 * 40,
        ("bias_generator.up", "real"): 3 * 40,
    }


def test_twice_the_frames_double_what_they_should():
    head = PTSSNN(6, 2, 4, 8, shift_fraction=0, bias_hidden=5)
    short, long = (
        {row.key: row.operations for row in count_operations(head, feats)}
        for feats in (torch.randn(1, n, 6) for n in (10, 20))
    )
    for key, operations in short.items():
        name, _, product, _ = key
        is_constant = name.startswith("bias_generator") or "prompt" in product
        assert long[key] == (1 if is_constant else 2) * operations


def test_self_attention_grows_with_the_square():
    class Attention(nn.Module):
        def forward(self, x, lengths):
            return (x @ x.transpose(1, 2)).softmax(2) @ x

    for n in (10, 20):
        assert products(Attention(), torch.randn(1, n, 3)) == [
            ("real", n * n * 3, 0),
            ("real", n * n * 3, 0),
        ]


def test_another_length_keeps_the_measured_density(tiny):
    # 4 frames: 6 of 12 neurons spike, see above.
    feats = torch.tensor([[[0, 0.5], [1, 0.5], [0, 0.5], [1, 0.5]]])
    rows = at_length(
        count_operations(tiny, feats),
        count_operations(tiny, torch.zeros(1, 10, 2)),
    )
    linear, classifier = [row for row in rows if row.product]
    assert linear.operations == 60  # 10 x 2 x 3, zeros are real here
    assert linear.kind == "real"
    assert (classifier.operations, classifier.events) == (60, 30)


def test_weights_of_zero_are_no_spikes():
    linear = nn.Linear(3, 2)
    nn.init.zeros_(linear.weight)
    head = Head(lambda x, linear: linear(x), linear)
    assert products(head, torch.randn(1, 4, 3)) == [("real", 24, 0)]


def test_a_relu_silent_in_some_utterances_is_no_neuron():
    head = Head(lambda x, linear: linear(x.relu()), nn.Linear(3, 2))
    feats = torch.tensor([-1.0, 0.3, -1.0])[:, None, None].expand(3, 4, 3)
    assert products(head, feats) == [("real", 72, 0)]


def test_the_shortcut_after_the_neurons_makes_the_next_product_real():
    for shortcut, kind in (("membrane", "binary"), ("spike", "real")):
        head = PTSSNN(6, 2, 4, 8, shortcut=shortcut)
        fire(head)
        rows = count_operations(head, torch.randn(1, 7, 6))
        second = [r for r in rows if r.name.startswith("encoder.blocks.1")]
        assert {r.kind for r in second if r.product} == {kind}


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        # 5 frames x 4 gates x 3 units x (3 inputs, then 3 states)
        (
            Head(lambda x, m: m(x)[0], nn.LSTM(3, 3, batch_first=True)),
            180 + 180,
        ),
        (
            Head(lambda x, m: m(x)[0], nn.GRU(3, 2, batch_first=True)),
            5 * 3 * 2 * (3 + 2),
        ),
        # 9 inputs to Q, K, V and out: 4 x 5 x 3 x 3; 2 x 5 x 5 x 3
        (
            Head(
                lambda x, m: m(x, x, x)[0],
                nn.MultiheadAttention(3, 1, batch_first=True),
            ),
            180 + 150,
        ),
        # 3 frames x 2 outputs x 3 inputs x 3 taps; in groups of 1 input: / 3
        (
            Head(lambda x, m: m(x.transpose(1, 2)), nn.Conv1d(3, 2, 3)),
            54,
        ),
        (
            Head(
                lambda x, m: m(x.transpose(1, 2)), nn.Conv1d(3, 3, 3, groups=3)
            ),
            27,
        ),
        # 3 x 1 places x 2 outputs x 1 input x 3 x 3 taps
        (
            Head(
                lambda x, m: m(x[:, None], torch.zeros(1, 18, 3, 1)),
                DeformConv2d(1, 2, 3),
            ),
            54,
        ),
        (Head(lambda x: torch.einsum("btc,bsc->bts", x, x)), 75),
        (Head(lambda x: x @ torch.ones(3)), 15),
        (Head(lambda x: x[0, 0] @ x[0, 1]), 3),
        (
            Head(lambda x: nn.functional.scaled_dot_product_attention(x, x, x)),
            150,
        ),
    ],
)
def test_products_of_other_peoples_layers(head, expected):
    rows = products(head, torch.randn(1, 5, 3))
    assert sum(operations for _, operations, _ in rows) == expected
    assert {kind for kind, _, _ in rows} == {"real"}


def test_a_transformer_layer_is_not_one_fused_operator():
    # Two heads, since the fused one takes even numbers only. Q, K, V, out;
    # scores and context; 4 -> 7 -> 4.
    layer = nn.TransformerEncoderLayer(4, 2, 7, batch_first=True)
    rows = products(Head(lambda x, m: m(x), layer), torch.randn(1, 5, 4))
    assert [operations for _, operations, _ in rows] == [
        *(5 * 4 * 12, 5 * 5 * 4 * 2, 5 * 4 * 4),
        *(5 * 4 * 7, 5 * 7 * 4),
    ]


def test_spikes_between_two_activations_count_where_both_meet():
    # Rows 1 1 0 and 1 0 0: K^T V meets in (1, 1) twice, in (1, 2) and (2, 1)
    # and (2, 2) once.
    spikes = torch.tensor([[[1.0, 1.0, 0.0], [1.0, 0.0, 0.0]]])
    head = Head(lambda x: x.transpose(1, 2) @ x)
    assert products(head, spikes) == [("binary", 18, 5)]


def test_scaled_spikes_are_multiplied():
    head = Head(lambda x: torch.baddbmm(x, x, x, alpha=0.5))
    assert products(head, torch.ones(1, 3, 3)) == [("real", 27, 0)]


def test_a_parameter_may_be_the_input_of_a_layer():
    linear = nn.Linear(3, 2)
    head = Head(lambda x, m: m(m.weight) + m(x).mean(), linear)
    rows = products(head, torch.randn(1, 5, 3))
    # 2 rows of weights x 3 x 2, computed for every utterance; 5 x 3 x 2
    assert [operations for _, operations, _ in rows] == [12, 30]


def test_an_operator_that_may_hide_products_is_refused():
    head = Head(lambda x: torch.fft.rfft(x).abs())
    with pytest.raises(InputError, match=r"Head: aten\._fft_r2c.* products"):
        count_operations(head, torch.randn(1, 5, 3))


def test_the_head_stays_as_it_was(tiny):
    tiny.linear.bias.requires_grad_(False)
    for mode in (True, False):
        tiny.train(mode)
        count_operations(tiny, torch.rand(1, 4, 2))
        assert tiny.training is mode
        frozen = [n for n, p in tiny.named_parameters() if not p.requires_grad]
        assert frozen == ["linear.bias"]
        assert torch.backends.mha.get_fastpath_enabled()
        assert torch.backends.mkldnn.enabled


@pytest.mark.parametrize("head", [PTSSNN(16), LinearProbe(16), VanillaSNN(16)])
def test_spikingjellys_own_sums_agree(head):
    fire(head)
    head.eval()
    feats = torch.randn(1, 12, 16)
    rows = count_operations(head, feats)
    macs, synops = MACCounter(), SynOpCounter()
    with torch.no_grad(), DispatchCounterMode([macs, synops]):
        head(feats)
    in_place = sum(  # baddbmm_, which it has no rule for
        row.events if row.kind == "binary" else row.operations
        for row in rows
        if "baddbmm_" in row.product and row.kind == "real"
    )
    assert macs.get_total() + in_place == sum(
        row.operations for row in rows if row.kind == "real"
    )
    in_place = sum(
        row.events
        for row in rows
        if "baddbmm_" in row.product and row.kind == "binary"
    )
    assert synops.get_total() + in_place == sum(
        row.events for row in rows if row.kind == "binary"
    )


def test_neurobench_agrees():
    pytest.importorskip("neurobench", reason="neurobench is not installed")
    from neurobench.metrics.workload import (
        ActivationSparsityByLayer,
        SynapticOperations,
    )
    from neurobench.models import TorchModel

    head = VanillaSNN(5, 3, size=8)
    fire(head)
    feats = torch.randn(1, 12, 5)
    model = TorchModel(head)
    model.add_activation_module(PLIF)
    model.register_hooks()
    predictions = model(feats)
    data = (feats, torch.zeros(1))
    theirs = SynapticOperations()(model, predictions, data)
    sparsity = ActivationSparsityByLayer()(model, predictions, data)
    linear, classifier = [
        row for row in count_operations(head, feats) if row.product
    ]
    assert theirs["Effective_MACs"] == linear.operations
    assert theirs["Effective_ACs"] == classifier.events > 0
    assert theirs["Dense"] == linear.operations + classifier.operations
    assert 1 - sparsity["hidden"] == pytest.approx(classifier.density)
