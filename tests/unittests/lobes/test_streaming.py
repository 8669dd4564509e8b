"""A stream gives what the whole utterance gives, however it is cut."""

import copy
from functools import partial
from io import BytesIO

import pytest
import torch

from speechbrain_ptssnn import PLIF, PTSSNN, LinearProbe
from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.nnet.adaptive_lif import AdaptiveLIF
from speechbrain_ptssnn.nnet.monitor import LayerMonitor

SIZE, FRAMES, BATCH = 24, 101, 3
SMALL = {"hidden_size": 20, "size": 16, "bias_hidden": 8, "causal": True}
HEADS = {
    "default": {},
    "pooled": {"pooling": 3},
    "bias every fourth": {"bias_period": 4, "pooling": 2},
    "no prompts": {"n_prompts": 0},
    "no attention": {"attention": False},
    "shift only": {"attention": False, "n_prompts": 0},
    "no norm": {"attention_norm": False},
    "no shift": {"shift_fraction": 0.0},
    "spiking input": {"spiking_input": True, "pooling": 3},
    "spike shortcut": {"shortcut": "spike"},
    "no shortcut": {"shortcut": "none"},
    "decayed reset": {"plif": partial(PLIF, decay_reset=True)},
    "hard reset": {"plif": partial(PLIF, reset="hard")},
    "one decay a layer": {"plif": partial(PLIF, per_neuron=False)},
    "no LayerNorm": {"layer_norm": False, "saturation": 0.3},
    "two layers": {"n_layers": 2},
}


def make(dtype=torch.float32, seed=0, **settings):
    """A head whose neurons fire and whose bias is not 0."""
    torch.manual_seed(seed)
    head = PTSSNN(SIZE, **{**SMALL, **settings}).to(dtype)
    torch.nn.init.normal_(head.classifier.linear.weight)
    if head.bias_generator is not None:
        torch.nn.init.normal_(head.bias_generator.up.weight)
    with torch.no_grad():
        if not settings.get("attention_norm", True):  # its output is small
            head.attention.value.weight.mul_(50)
        for _ in range(5):
            head(features(8, dtype))
    return head.eval()


def features(batch=BATCH, dtype=torch.float32, frames=FRAMES):
    return 2 * torch.randn(batch, frames, SIZE, dtype=dtype)


def cuts(frames=FRAMES, longest=12, seed=0):
    """Ends of random blocks."""
    generator = torch.Generator().manual_seed(seed)
    ends = [0]
    while ends[-1] < frames:
        step = torch.randint(1, longest, (1,), generator=generator).item()
        ends.append(min(ends[-1] + step, frames))
    return ends[1:]


def run(stream, feats, ends):
    """The rates after each block."""
    starts = [0, *ends]
    return [
        stream(feats[:, start:end])
        for start, end in zip(starts, ends, strict=False)
    ]


@pytest.mark.parametrize("name", HEADS)
@torch.no_grad()
def test_after_every_block_rates_are_exactly_those_of_the_whole(name):
    head = make(torch.float64, **HEADS[name])
    feats = features(dtype=torch.float64)
    for seed in range(3):
        ends = cuts(seed=seed)
        for end, rates in zip(
            ends, run(head.stream(BATCH), feats, ends), strict=True
        ):
            assert torch.equal(rates, head(feats[:, :end]))
    assert rates.std(0).max() > 0.005


@torch.no_grad()
def test_membranes_differ_by_rounding_only():
    head = make(torch.float64, readout="membrane", logit_scale=2.0)
    feats, ends = features(dtype=torch.float64), cuts()
    for end, rates in zip(
        ends, run(head.stream(BATCH), feats, ends), strict=True
    ):
        torch.testing.assert_close(
            rates, head(feats[:, :end]), rtol=0, atol=1e-13
        )


class Spikes(LayerMonitor):
    """Every spike of a head, in order, whatever block it came in."""

    def __init__(self, head):
        super().__init__(head, PLIF)
        self.blocks = {name: [] for name in self.layers}

    def record(self, name, layer, args, output):
        self.blocks[name].append(output)

    def joined(self):
        return [torch.cat(each, 1) for each in self.blocks.values()]


@torch.no_grad()
def test_in_float32_less_than_one_spike_in_a_million_differs():
    head = make(hidden_size=512, size=256, bias_hidden=64)
    feats = features(8, frames=300)
    with Spikes(head) as whole:
        head(feats)
    differing = spikes = 0
    for longest in (2, 5, 40):
        stream = head.stream(8)
        with Spikes(head) as cut:
            run(stream, feats, cuts(300, longest))
        for a, b in zip(whole.joined(), cut.joined(), strict=True):
            differing += int((a != b).sum())
            spikes += a.numel()
    assert spikes > 5e6
    assert differing <= spikes / 1e6


@torch.no_grad()
def test_an_unfinished_group_counts_but_is_not_consumed():
    head = make(torch.float64, pooling=3)
    feats = features(dtype=torch.float64, frames=5)
    stream = head.stream(BATCH)
    for n in range(1, 6):
        assert torch.equal(stream(feats[:, n - 1 : n]), head(feats[:, :n]))
    # The fourth and fifth frames were in the rates; the sixth joins them.
    assert stream.state["classifier.mean.frames"] == 1
    assert stream.state["n_held"] == 2


@torch.no_grad()
def test_streams_of_a_batch_do_not_touch_each_other():
    head, feats = make(torch.float64), features(dtype=torch.float64)
    together = run(head.stream(BATCH), feats, cuts())[-1]
    for row, rates in zip(feats, together, strict=True):
        alone = run(head.stream(), row[None], [50, FRAMES])[-1]
        assert torch.equal(alone[0], rates)


def size_of(state):
    buffer = BytesIO()
    torch.save(state, buffer)
    return len(buffer.getvalue())


@pytest.mark.parametrize("name", HEADS)
def test_the_state_never_grows(name):
    head = make(**HEADS[name])
    stream, feats = head.stream(BATCH), features()
    shapes = {k: (v.shape, v.dtype) for k, v in stream.state.items()}
    size = size_of(stream.state)
    for block in feats.split([1, 80, 20], 1):
        stream(block)
        now = {k: (v.shape, v.dtype) for k, v in stream.state.items()}
        assert now == shapes
        assert size_of(stream.state) == size


@torch.no_grad()
def test_a_saved_state_goes_on_and_a_reset_starts_again(tmp_path):
    head = make(pooling=3, bias_period=2)
    feats, stream = features(), head.stream(BATCH)
    stream(feats[:, :50])
    torch.save(stream.state, tmp_path / "state")
    expected = stream(feats[:, 50:])
    other = copy.deepcopy(head).stream(BATCH)
    other(features())
    other.load_state(torch.load(tmp_path / "state"))
    assert torch.equal(other(feats[:, 50:]), expected)
    start = head.stream(BATCH).state
    stream.reset()
    for name, each in stream.state.items():
        assert torch.equal(each, start[name]), name
    stream(feats[:, :50])
    assert torch.equal(stream(feats[:, 50:]), expected)


@torch.no_grad()
def test_a_state_that_was_taken_stays_as_it_was():
    stream, feats = make(pooling=3).stream(BATCH), features()
    stream(feats[:, :50])
    taken = stream.state
    before = {name: each.clone() for name, each in taken.items()}
    stream.load_state(taken)
    stream(feats[:, 50:])
    for name, each in taken.items():
        assert torch.equal(each, before[name]), name


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (lambda: make(seed=1).stream(BATCH).state, "not a state of this head"),
        (lambda: make(pooling=2).stream(BATCH).state, "not a state of this"),
        (lambda: make(size=8).stream(BATCH).state, "not a state of this head"),
        (lambda: {"head": torch.zeros(3)}, "not a state of this head"),
        (lambda: None, "not a state of this head"),
        (
            lambda: make().stream(1).state,
            r"shape \[1, .*batch size 3, has \[3,",
        ),
    ],
)
def test_a_state_of_another_head_or_batch_is_refused(other, message):
    stream = make().stream(BATCH)
    stream(features())
    before = stream.state
    with pytest.raises(InputError, match=message) as error:
        stream.load_state(other())
    assert "\n" not in str(error.value)
    for name, each in stream.state.items():
        assert torch.equal(each, before[name])


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (torch.full((BATCH, 4, SIZE), torch.nan), "NaN or infinite.*go on"),
        (torch.full((BATCH, 4, SIZE), torch.inf), "NaN or infinite"),
        (torch.zeros(BATCH, 4, SIZE + 1), rf"{SIZE}.* got .*{SIZE + 1}"),
        (torch.zeros(BATCH, 0, SIZE), "at least one frame"),
        (torch.zeros(BATCH + 1, 4, SIZE), "batch size 3, got features of 4"),
    ],
)
@torch.no_grad()
def test_after_a_bad_block_the_stream_goes_on(bad, message):
    head, feats = make(torch.float64, pooling=3), features(dtype=torch.float64)
    stream = head.stream(BATCH)
    stream(feats[:, :40])
    with pytest.raises(InputError, match=message) as error:
        stream(bad.double())
    assert "\n" not in str(error.value)
    assert torch.equal(stream(feats[:, 40:]), head(feats))


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (lambda: PTSSNN(SIZE).eval(), "PTSSNN is not causal.*causal: True"),
        (lambda: LinearProbe(SIZE).eval(), "LinearProbe is not causal"),
        (lambda: PTSSNN(SIZE, causal=True), "evaluation mode"),
        (
            lambda: PTSSNN(SIZE, causal=True, plif=AdaptiveLIF).eval(),
            "AdaptiveLIF cannot go on",
        ),
    ],
)
def test_heads_that_cannot_stream_say_so(head, message):
    with pytest.raises(InputError, match=message) as error:
        head().stream()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "settings",
    [
        {"pooling": 2},
        {"bias_period": 4},
        {"plif": partial(PLIF, v_threshold=0.9)},
    ],
)
def test_the_same_weights_with_other_settings_are_another_head(settings):
    head = make()
    other = PTSSNN(SIZE, **SMALL, **settings).eval()
    other.load_state_dict(head.state_dict())
    with pytest.raises(InputError, match="not a state of this head"):
        head.stream(BATCH).load_state(other.stream(BATCH).state)


def test_features_of_another_type_are_refused():
    with pytest.raises(InputError, match=r"in torch\.float64, got .*float32"):
        make(torch.float64).stream(BATCH)(features())


def test_a_head_that_learns_again_is_refused():
    head = make()
    stream = head.stream(BATCH)
    head.train()
    with pytest.raises(InputError, match="evaluation mode"):
        stream(features())


def test_a_stream_keeps_no_graph():
    stream = make().stream(BATCH)
    assert not stream(features().requires_grad_()).requires_grad
    assert not any(each.requires_grad for each in stream.state.values())
