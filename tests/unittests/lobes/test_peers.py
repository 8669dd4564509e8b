"""The peers, recomputed by NumPy or in the form of their published code."""

import math

import numpy as np
import pytest
import torch
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.svm import LinearSVC

from speechbrain_ptssnn import PTSSNN
from speechbrain_ptssnn.lobes.peers.attentive_statistics import (
    AttentiveStatisticsHead,
)
from speechbrain_ptssnn.lobes.peers.bilstm import BiLSTM
from speechbrain_ptssnn.lobes.peers.co_attention import CoAttention
from speechbrain_ptssnn.lobes.peers.dst import DST
from speechbrain_ptssnn.lobes.peers.extra_trees import ExtraTrees
from speechbrain_ptssnn.lobes.peers.linear_svm import LinearSVM
from speechbrain_ptssnn.lobes.peers.mstr import MSTR
from speechbrain_ptssnn.lobes.peers.shiftformer import ShiftFormer
from speechbrain_ptssnn.lobes.peers.spiking_lif import (
    LeakyReadout,
    SpikingLIFNetwork,
)
from speechbrain_ptssnn.lobes.peers.superb import SUPERBHead
from speechbrain_ptssnn.lobes.peers.transformer import Transformer
from speechbrain_ptssnn.nnet.deformable_attention import (
    DeformableAttention,
    window_weights,
)
from speechbrain_ptssnn.training.temperature import fit_temperature


def linear(x, w, name):
    return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]


def layer_norm(x, w, name):
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(
        x.var(-1, keepdims=True) + 1e-5
    )
    return x * w[f"{name}.weight"] + w[f"{name}.bias"]


def softmax(x, axis):
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def attend(query, key, value, n_heads):
    """Softmax attention of several heads, [time, size] each."""
    heads = zip(
        *(np.split(part, n_heads, -1) for part in (query, key, value)),
        strict=True,
    )
    return np.concatenate(
        [softmax(q @ k.T / k.shape[-1] ** 0.5, -1) @ v for q, k, v in heads], -1
    )


def multi_head(x, other, w, name, n_heads):
    """PyTorch's MultiheadAttention from x to other."""
    rows = zip(
        (x, other, other),
        np.split(w[f"{name}.in_proj_weight"], 3),
        np.split(w[f"{name}.in_proj_bias"], 3),
        strict=True,
    )
    parts = [each @ weight.T + bias for each, weight, bias in rows]
    return linear(attend(*parts, n_heads), w, f"{name}.out_proj")


def mlp(x, w, *names):
    """Linear layers with ReLU between them."""
    *hidden, last = names
    for name in hidden:
        x = np.maximum(linear(x, w, name), 0)
    return linear(x, w, last)


def positions(n_frames, size):
    return np.array(
        [
            [
                (math.cos if c % 2 else math.sin)(
                    t / 10000 ** (2 * (c // 2) / size)
                )
                for c in range(size)
            ]
            for t in range(n_frames)
        ]
    )


def test_superb_is_linear_in_the_mean_frame(batch, run):
    x = batch.feats
    logits, w = run(SUPERBHead(8, 3, size=16))
    for row, n in enumerate(batch.counts):
        mean = linear(x[row, :n].mean(0), w, "projector")
        np.testing.assert_allclose(logits[row], linear(mean, w, "output"))


def test_attentive_statistics_weighs_frames_channel_by_channel(batch, run):
    x = batch.feats
    logits, w = run(AttentiveStatisticsHead(8, 3, size=5))
    for row, n in enumerate(batch.counts):
        frames = x[row, :n]
        std = np.sqrt(frames.var(0).clip(1e-12))
        context = np.broadcast_to(
            np.concatenate([frames.mean(0), std]), (n, 16)
        )
        w = {k: v.squeeze(-1) if v.ndim == 3 else v for k, v in w.items()}
        hidden = linear(
            np.concatenate([frames, context], 1), w, "pooling.tdnn.conv.conv"
        )
        hidden = np.tanh(np.maximum(hidden, 0))
        weights = softmax(linear(hidden, w, "pooling.conv.conv"), 0)
        mean = (weights * frames).sum(0)
        std = np.sqrt((weights * (frames - mean) ** 2).sum(0).clip(1e-12))
        pooled = np.concatenate([mean, std])
        np.testing.assert_allclose(logits[row], linear(pooled, w, "output"))


def test_shiftformer_shifts_a_quarter_each_way_and_keeps_position(batch, run):
    x = batch.feats
    logits, w = run(ShiftFormer(8, 3, size=8, mlp_ratio=2))
    gelu = np.vectorize(lambda z: z * (1 + math.erf(z / 2**0.5)) / 2)
    for row, n in enumerate(batch.counts):
        h = x[row, :n]
        for block in ("blocks.0", "blocks.1"):
            shifted = h.copy()
            shifted[1:, :2], shifted[0, :2] = h[:-1, :2], 0
            shifted[:-1, 2:4], shifted[-1, 2:4] = h[1:, 2:4], 0
            mlp = linear(
                gelu(linear(shifted, w, f"{block}.mlp.0")), w, f"{block}.mlp.2"
            )
            h = layer_norm(shifted + mlp, w, f"{block}.norm")
        np.testing.assert_allclose(logits[row], linear(h.mean(0), w, "output"))


def published_weights(center, half_width, n_frames):
    """The weights in the form of DST's published code, frame by frame."""
    start, end = center - half_width, center + half_width
    weights = np.full(n_frames, -np.inf)  # outside
    for j in range(n_frames):
        if math.floor(start) <= j <= math.ceil(end):
            weights[j] = 1.0
            if j == math.floor(start):
                weights[j] += math.floor(start) - start
            if j == math.ceil(end):
                weights[j] += end - math.ceil(end)
            if j == math.floor(center):
                weights[j] += 1 - (center - math.floor(center))
            if j == math.floor(center) + 1:
                weights[j] += center - math.floor(center)
    return weights


def test_window_weights_are_the_published_ones():
    rng = np.random.default_rng(0)
    centers = np.append(rng.uniform(-3, 23, 200), [5.0, 4.5])
    half_widths = np.append(rng.uniform(0.1, 9, 200), [1.25, 0.25])
    weights, inside = window_weights(
        torch.from_numpy(centers), torch.from_numpy(half_widths), 20
    )
    for row, arguments in enumerate(zip(centers, half_widths, strict=True)):
        expected = published_weights(*arguments, 20)
        assert inside[row].tolist() == np.isfinite(expected).tolist()
        np.testing.assert_allclose(
            weights[row, inside[row]], expected[np.isfinite(expected)]
        )


def test_windows_start_on_their_frame_from_50_ms_to_1_s():
    bias = DST(16, size=16, n_heads=8).blocks[0].attention.window.bias
    assert bias[:8].eq(0).all()
    widths = 2 * 326 * bias[8:].sigmoid() * 20
    expected = torch.linspace(50, 1000, 8)
    torch.testing.assert_close(widths, expected, rtol=1e-4, atol=0)


@torch.no_grad()
def test_a_frame_beyond_the_window_is_not_seen():
    torch.manual_seed(0)
    attention = DeformableAttention(8, 2).eval()
    attention.window.bias[2:] = torch.logit(torch.tensor(1.5 / 326))
    x = torch.randn(1, 12, 8)
    before = attention(x)
    x[:, 7] += 1
    changed = (attention(x) != before).any(-1)[0]
    assert changed.nonzero().flatten().tolist() == [5, 6, 7, 8, 9]


@torch.no_grad()
def test_a_window_beyond_the_utterance_gives_the_mean_of_its_frames():
    attention = DeformableAttention(8, 2).eval()
    attention.window.bias[:2] = 3.0  # 325 frames later
    x, mask = torch.randn(1, 12, 8), torch.ones(1, 12, 1, dtype=torch.bool)
    mask[:, 9:] = False
    value = attention.qkv(x)[..., 16:]
    expected = attention.output(value[:, :9].mean(1))
    for frame in attention(x, mask)[0]:
        torch.testing.assert_close(frame, expected[0])


def test_offset_and_width_learn():
    torch.manual_seed(0)
    attention = DeformableAttention(8, 2)
    attention(torch.randn(2, 60, 8)).square().sum().backward()
    assert attention.window.bias.grad.ne(0).all()
    assert attention.window.weight.grad.ne(0).all()


def test_heads_that_do_not_divide_the_channels_are_named():
    with pytest.raises(
        ValueError, match="n_heads must divide size, got n_heads=8, size=20"
    ):
        DST(20, size=20)


def test_the_transformer_attends_to_valid_frames(batch, run):
    x = batch.feats
    head = Transformer(8, 3, size=6, n_blocks=2, n_heads=3, mlp_size=5)
    logits, w = run(head)
    for row, n in enumerate(batch.counts):
        h = linear(x[row, :n], w, "projector") + positions(n, 6)
        for block in ("encoder.layers.0", "encoder.layers.1"):
            normed = layer_norm(h, w, f"{block}.norm1")
            h = h + multi_head(normed, normed, w, f"{block}.self_attn", 3)
            normed = layer_norm(h, w, f"{block}.norm2")
            h = h + mlp(normed, w, f"{block}.linear1", f"{block}.linear2")
        mean = layer_norm(h, w, "encoder.norm").mean(0)
        expected = linear(mean, w, "output")
        np.testing.assert_allclose(logits[row], expected, atol=1e-6)


def test_the_transformers_blocks_start_apart_and_it_has_pts_snns_size():
    head = Transformer()
    first, second = (each.linear1.weight for each in head.encoder.layers)
    assert not torch.equal(first, second)
    n, goal = (
        sum(p.numel() for p in each.parameters()) for each in (head, PTSSNN())
    )
    assert n == pytest.approx(goal, rel=0.01)


def test_co_attention_lets_each_stream_hear_the_other(batch, run):
    logits, w = run(CoAttention(8, 3, sizes=[5, 3], size=6, n_heads=2))
    for row, n in enumerate(batch.counts):
        x = batch.feats[row, :n]
        a = linear(x[:, :5], w, "projectors.0")
        b = linear(x[:, 5:], w, "projectors.1")
        means = []
        for k, (one, other) in enumerate(((a, b), (b, a))):
            name = f"attentions.{k}"
            heard = multi_head(one, other, w, f"{name}.attention", 2)
            h = layer_norm(one + heard, w, f"{name}.norm")
            means.append(h.mean(0))
        expected = linear(np.concatenate(means), w, "output")
        np.testing.assert_allclose(logits[row], expected, atol=1e-6)


def test_co_attention_refuses_sizes_that_do_not_add_up():
    with pytest.raises(ValueError, match=r"add up .*, got \[5, 4\] and 8"):
        CoAttention(8, sizes=[5, 4])


def test_mstr_attends_in_windows_of_averaged_frames(batch, run):
    x = batch.feats
    settings = {"n_scales": 3, "fractal_factor": 2, "window": 3}
    head = MSTR(8, 3, size=8, n_blocks=2, n_heads=2, mlp_size=5, **settings)
    logits, w = run(head)
    for row, n in enumerate(batch.counts):
        h = x[row, :n] + positions(n, 8)
        for block in ("blocks.0", "blocks.1"):
            groups, scales = h @ w[f"{block}.qkv.weight"].T, []
            for k in range(3):
                if k:  # of two, the last of one if their number is odd
                    groups = np.array(
                        [
                            groups[t : t + 2].mean(0)
                            for t in range(0, len(groups), 2)
                        ]
                    )
                windows = [
                    attend(*np.split(groups[t : t + 3], 3, -1), 2)
                    for t in range(0, len(groups), 3)
                ]
                scale = np.concatenate(windows)
                scales.append(scale[np.arange(n) // 2**k])
            weights = [w[f"{block}.mixers.{k}.weight"] for k in range(3)]
            mixed = np.concatenate(scales, 1) @ np.concatenate(weights, 1).T
            mixed = mixed + w[f"{block}.mixers.0.bias"]
            h = layer_norm(h + mixed, w, f"{block}.attention_norm")
            hidden = mlp(h, w, f"{block}.mlp.0", f"{block}.mlp.3")
            h = layer_norm(h + hidden, w, f"{block}.mlp_norm")
        names = [f"classifier.{k}" for k in (0, 3, 6)]
        expected = mlp(h.mean(0), w, *names)
        np.testing.assert_allclose(logits[row], expected, atol=1e-6)


def test_mstr_of_the_papers_width_has_its_size():
    head = MSTR(1024, size=1024)
    n = sum(p.numel() for p in head.parameters())
    assert n == pytest.approx(30.03e6, rel=1e-3)


def test_the_bilstm_reads_each_utterance_both_ways(batch, run):
    x = batch.feats
    logits, w = run(BiLSTM(8, 3, size=6))
    sigmoid = np.vectorize(lambda z: 1 / (1 + math.exp(-z)))
    for row, n in enumerate(batch.counts):
        frames, mean = linear(x[row, :n], w, "projector"), []
        for ending, order in (("", 1), ("_reverse", -1)):
            h, c, total = np.zeros(3), np.zeros(3), np.zeros(3)
            for frame in frames[::order]:
                gates = sum(
                    w[f"lstm.weight_{k}_l0{ending}"] @ each
                    + w[f"lstm.bias_{k}_l0{ending}"]
                    for k, each in (("ih", frame), ("hh", h))
                )
                i, f, g, o = np.split(gates, 4)
                c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
                h = sigmoid(o) * np.tanh(c)
                total = total + h
            mean.append(total / n)
        normed = layer_norm(np.concatenate(mean), w, "norm")
        np.testing.assert_allclose(logits[row], linear(normed, w, "output"))


def test_a_bilstm_of_odd_size_is_refused():
    with pytest.raises(ValueError, match=r"size must be even.*, got 7"):
        BiLSTM(8, size=7)


def test_leaky_readout_sums_softmaxes_of_membranes(batch, run):
    x = batch.feats
    logits, w = run(LeakyReadout(8, 3))
    alpha = np.clip(w["alpha"], math.exp(-1 / 5), math.exp(-1 / 25))
    scale = w["norm.weight"] / np.sqrt(1 + 1e-5)
    for row, n in enumerate(batch.counts):
        u, expected = np.zeros(3), np.zeros(3)
        for frame in x[row, :n]:
            current = frame @ w["linear.weight"].T * scale + w["norm.bias"]
            u = alpha * u + (1 - alpha) * current
            expected += softmax(u, 0)
        np.testing.assert_allclose(logits[row], expected)


@pytest.mark.parametrize("adaptive", [False, True])
def test_spiking_layers_pass_spikes_only(adaptive):
    head = SpikingLIFNetwork(8, 3, size=6, n_hidden=3, adaptive=adaptive).eval()
    seen = []
    for layer in [*head.hidden[1:], head.readout]:
        layer.linear.register_forward_hook(lambda _, x, __: seen.append(x[0]))
        torch.nn.init.constant_(layer.norm.weight, 9.0)
    torch.nn.init.constant_(head.hidden[0].norm.weight, 9.0)
    head(torch.randn(2, 30, 8) * 3)
    assert len(seen) == 3
    assert all(set(x.unique().tolist()) <= {0.0, 1.0} for x in seen)
    assert seen[0].any()


def separable(n_classes):
    """90 utterances of a frame: features, classes; 50 train, 40 validate."""
    generator = torch.Generator().manual_seed(0)
    targets = torch.arange(90) % n_classes
    feats = torch.randn(90, 1, 6, generator=generator)
    feats[torch.arange(90), 0, targets] += 1.5
    parts = [
        (list(feats[rows]), targets[rows].tolist())
        for rows in (slice(0, 50), slice(50, 90))
    ]
    return feats, targets, parts


@pytest.mark.parametrize("n_classes", [2, 4])
def test_the_linear_svm_predicts_what_scikit_learns_does(n_classes):
    feats, targets, parts = separable(n_classes)
    head = LinearSVM(6, n_classes, penalties=[1e-3, 1e-2, 1.0])
    head.solve(*parts)

    scores = {}
    x, y = feats[:50, 0].numpy(), targets[:50].numpy()
    for penalty in (1e-3, 1e-2, 1.0):
        machine = LinearSVC(C=penalty, random_state=0).fit(x, y)
        predictions = machine.predict(feats[50:, 0].numpy())
        right = predictions == targets[50:].numpy()
        recalls = [right[targets[50:] == k].mean() for k in range(n_classes)]
        scores[penalty] = np.mean(recalls), predictions
    best = max(scores.values(), key=lambda each: each[0])[1]
    assert head(feats[50:]).argmax(-1).tolist() == best.tolist()


def test_the_linear_svm_never_chooses_a_class_it_has_not_heard():
    feats = [torch.randn(3, 2) + 4 * k for k in range(8)]
    part = feats, [0, 0, 0, 0, 2, 2, 2, 2]
    head = LinearSVM(2, n_classes=4)
    head.solve(part, part)
    chosen = head(torch.stack(feats) * 100).argmax(-1)
    assert set(chosen.tolist()) <= {0, 2}
    outputs, targets = head(torch.stack(feats)), torch.tensor(part[1])
    temperature = fit_temperature(outputs, targets)
    both = fit_temperature(outputs[:, [0, 2]], targets // 2)
    assert temperature < 2 * both
    with pytest.raises(ValueError, match="learns no mixture of layers"):
        LinearSVM(4, n_layers=2)


@pytest.mark.parametrize("n_classes", [2, 4])
def test_the_trees_predict_what_scikit_learns_do(n_classes):
    feats, targets, parts = separable(n_classes)
    settings = {"n_trees": 20, "max_leaves": 9}
    head = ExtraTrees(6, n_classes, leaf_sizes=[1, 4, 9], **settings)
    assert head(feats).allclose(torch.tensor(1 / n_classes).log())
    head.solve(*parts)

    forests = [
        ExtraTreesClassifier(
            20, min_samples_leaf=size, max_leaf_nodes=9, random_state=0
        ).fit(feats[:50, 0].numpy(), targets[:50].numpy())
        for size in (1, 4, 9)
    ]
    x, y = feats[50:, 0].numpy(), targets[50:].numpy()
    scores = [
        np.mean([(f.predict(x) == y)[y == k].mean() for k in range(n_classes)])
        for f in forests
    ]
    best = max(range(3), key=lambda k: (scores[k], k))
    expected = forests[best].predict_proba(x)
    np.testing.assert_allclose(
        head(feats[50:]).exp().detach(), expected, atol=1e-6
    )
    # A bundle brings them back.
    other = ExtraTrees(6, n_classes, leaf_sizes=[1, 4, 9], **settings)
    other.load_state_dict(head.state_dict())
    assert torch.equal(other(feats), head(feats))


def test_the_trees_never_choose_a_class_they_have_not_heard():
    feats = [torch.randn(3, 2) + 4 * k for k in range(8)]
    part = feats, [0, 0, 0, 0, 2, 2, 2, 2]
    head = ExtraTrees(2, n_classes=4, n_trees=5)
    head.solve(part, part)
    shares = head(torch.stack(feats)).exp()
    assert shares[:, [1, 3]].max() < 1e-5
    assert set(shares.argmax(-1).tolist()) == {0, 2}
    padded = torch.cat([feats[0], torch.full((2, 2), 99.0)])[None]
    short = head(padded, torch.tensor([0.6]))
    assert torch.equal(short[0], head(feats[0][None])[0])
    with pytest.raises(ValueError, match="learn no mixture of layers"):
        ExtraTrees(4, n_layers=2)
    for wrong in ({"n_trees": 1000}, {"max_leaves": 1}, {"leaf_sizes": []}):
        with pytest.raises(ValueError, match="n_trees must be from 1 to 999"):
            ExtraTrees(4, **wrong)
