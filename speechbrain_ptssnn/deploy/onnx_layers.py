"""The layers of heads and mel filters as ONNX operators.

Each function adds the nodes of a layer to a graph, in the order of its
``forward`` in evaluation, with the same fused weights. A stream's state is a
dict of values, which the functions read and replace as the layers do.
"""

import math

import numpy as np
import torch

from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.lobes.baselines import LinearProbe, VanillaSNN
from speechbrain_ptssnn.lobes.committee import Committee
from speechbrain_ptssnn.lobes.pts_snn import PTSSNN
from speechbrain_ptssnn.nnet.attention import PromptsAlone
from speechbrain_ptssnn.nnet.plif import PLIF, SingleStepPLIF
from speechbrain_ptssnn.nnet.stream_norm import StreamNorm
from speechbrain_ptssnn.nnet.stream_state import flat, nested, part

FLOAT, DOUBLE = 1, 11  # onnx.TensorProto's numbers


def power_spectrum(g, stft, wav):
    """Returns the power of a waveform's windows, [batch, frames, bins].

    A convolution with the sines and cosines: onnxruntime's own STFT differs
    from torch's by 0.1 dB, where this one differs by 0.0006 dB, and takes 20
    times as long. The sines are computed when the model is loaded.

    Arguments
    ---------
    g : Graph
        Gets the nodes.
    stft : speechbrain.processing.features.STFT
        Its settings.
    wav : str
        [batch, samples], with the silence around it.

    Returns
    -------
    str
    """
    n, n_bins = stft.n_fft, stft.n_fft // 2 + 1
    left = (n - stft.win_length) // 2
    window = np.zeros(n, np.float32)
    window[left : left + stft.win_length] = stft.window.numpy()
    angles = 2 * np.pi / n * np.arange(n)
    # Of one period; bin k steps through it by k.
    waves = np.stack([np.cos(angles), np.sin(angles)]).astype(np.float32)
    steps = g("Mod", g("Mul", np.arange(n_bins)[:, None], np.arange(n)), n)
    kernel = g("Mul", g("Gather", waves, steps, axis=1), window)
    kernel = g("Reshape", kernel, [2 * n_bins, 1, n])
    parts = g(
        "Conv", g("Unsqueeze", wav, [1]), kernel, strides=[stft.hop_length]
    )
    real, imaginary = g(
        "Split", g("Mul", parts, parts), axis=1, num_outputs=2, n_outputs=2
    )
    return g("Transpose", g("Add", real, imaginary), perm=[0, 2, 1])


def mel_frames(g, backbone, power):
    """Returns the frames of :class:`~speechbrain_ptssnn.backbones.Fbank`,
    [batch, frames, channels].

    Arguments
    ---------
    g : Graph
        Gets the nodes.
    backbone : Fbank
        Its settings.
    power : str
        [batch, frames, bins].

    Returns
    -------
    str
    """
    mel = backbone.fbank.compute_fbanks
    # Triangles, as SpeechBrain computes them.
    distances = g("Sub", mel.all_freqs_mat[0].unsqueeze(1), mel.f_central)
    slope = g("Div", distances, mel.band)
    sides = g("Min", g("Add", slope, 1.0), g("Sub", 1.0, slope))
    x = g("MatMul", power, g("Max", sides, 0.0))
    x = g("Log", g("Max", x, mel.amin))
    x = g("Mul", x, mel.multiplier / math.log(10))
    if backbone.top_db is not None:
        top = g("ReduceMax", x, [1, 2])
        x = g("Max", x, g("Sub", top, backbone.top_db))
    n_frames = g("Div", g.size(x, 1), backbone.n_joined)
    x = g("Slice", x, [0], g("Mul", n_frames, backbone.n_joined), [1])
    shape = g("Concat", [0], n_frames, [backbone.output_size], axis=0)
    return g("Reshape", x, shape)


def silence(g, stft, wav):
    """Puts half a window of silence before and behind a waveform."""
    half = stft.n_fft // 2
    return g("Pad", wav, [0, half, 0, half])


def stream_mel_frames(g, backbone, wav, state):
    """Returns the frames that a stream's next samples complete, as
    :class:`~speechbrain_ptssnn.backbones.fbank.FbankStream` does; there may be
    none.

    Arguments
    ---------
    g : Graph
        Gets the nodes.
    backbone : Fbank
        Without ``top_db``.
    wav : str
        [batch, samples].
    state : dict
        Holds ``fbank.samples`` and ``fbank.n_held``, which are replaced. That
        0 are held starts an utterance, with silence.

    Returns
    -------
    str
        [batch, frames, channels].
    """
    stft = backbone.fbank.compute_STFT
    step = backbone.n_joined * stft.hop_length
    window = stft.n_fft - stft.hop_length + step
    n_held = g("Unsqueeze", state["fbank.n_held"], [0])
    is_start = g("Equal", n_held, 0)
    n_held = g("Where", is_start, stft.n_fft // 2, n_held)
    held = g("Slice", state["fbank.samples"], [0], n_held, [1])
    wav = g("Concat", held, wav, axis=1)
    beyond = g("Add", g.size(wav, 1), step - window)
    n_frames = g("Div", g("Max", beyond, 0), step)

    def some(g):
        n = g("Add", g("Mul", n_frames, step), window - step)
        used = g("Slice", wav, [0], n, [1])
        return [mel_frames(g, backbone, power_spectrum(g, stft, used))]

    def none(g):
        shape = g("Concat", g.size(wav, 0), [0, backbone.output_size], axis=0)
        return [g("ConstantOfShape", shape)]

    (frames,) = g.choose(_is_any(g, n_frames), some, none, [np.float32])
    rest = g("Slice", wav, g("Mul", n_frames, step), [2**31], [1])
    state["fbank.n_held"] = g("Squeeze", g.size(rest, 1), [0])
    state["fbank.samples"] = _fill(g, rest, window - 1)
    return frames


def normalise(g, normalizer, x):
    """Standardises features as
    :class:`~speechbrain_ptssnn.nnet.normalization.FeatureNorm` does, or
    several front-ends' as
    :class:`~speechbrain_ptssnn.nnet.stream_norm.StreamNorm`.
    """
    if isinstance(normalizer, StreamNorm):
        return _normalise_streams(g, normalizer, x)
    x = g("Div", g("Sub", x, normalizer.mean), normalizer.std)
    if normalizer.clip == math.inf:
        return x
    return g("Clip", x, -float(normalizer.clip), float(normalizer.clip))


def _normalise_streams(g, normalizer, x):
    parts, first = [], 0
    for norm, size, is_normalised in zip(
        normalizer.norms, normalizer.sizes, normalizer.layer_norm, strict=True
    ):
        part = g("Slice", x, [first], [first + size], [2])
        part = normalise(g, norm, part)
        if is_normalised:
            weight, bias = torch.ones(size), torch.zeros(size)
            part = g("LayerNormalization", part, weight, bias, epsilon=1e-5)
        parts.append(part)
        first += size
    return g("Concat", *parts, axis=2)


def mix(g, head, x):
    """Mixes hidden states as
    :class:`~speechbrain_ptssnn.nnet.layer_mixture.LayerMixture` does.
    """
    n = head.mixture.n_layers
    if n == 1:
        return x
    states = g("Reshape", x, [0, 0, n, head.feature_size])
    weights = head.mixture.logits.softmax(0).unsqueeze(-1)
    return g("ReduceSum", g("Mul", states, weights), [2], keepdims=0)


def pool(g, pooling, x):
    """Averages groups of frames as
    :class:`~speechbrain_ptssnn.nnet.frame_pooling.FramePooling` does.
    """
    k = pooling.n_frames
    if k == 1:
        return x
    n = g.size(x, 1)
    missing = g("Mod", g("Neg", n), k)
    pads = g("Concat", [0, 0, 0, 0], missing, [0], axis=0)
    groups = g("Div", g("Add", n, missing), k)
    channels = g.size(x, 2)
    shape = g("Concat", [0], groups, [k], channels, axis=0)
    x = g("Reshape", g("Pad", x, pads), shape)
    # The last group has fewer frames.
    starts = g("Mul", g("Range", 0, g("Squeeze", groups), 1), k)
    counts = g("Min", g("Sub", n, starts), k)
    counts = g("Unsqueeze", g("Cast", counts, to=FLOAT), [0, 2])
    return g("Div", g("ReduceSum", x, [2], keepdims=0), counts)


def saturate(g, saturation, x):
    """Bounds features as
    :class:`~speechbrain_ptssnn.nnet.normalization.SoftSaturation` does.
    """
    if saturation.norm is None:
        return g("Tanh", g("Mul", x, float(saturation.scale)))
    weight, bias = (
        saturation.scale * saturation.norm.weight,
        saturation.scale * saturation.norm.bias,
    )
    x = g("LayerNormalization", x, weight, bias, epsilon=saturation.norm.eps)
    return g("Tanh", x)


def stream_rates(g, head, x, state, dtypes):
    """Returns the rates of a stream's frames so far, as
    :class:`~speechbrain_ptssnn.lobes.streaming.HeadStream` does.

    Arguments
    ---------
    g : Graph
        Gets the nodes.
    head : PTSSNN or Committee
        A causal head.
    x : str
        The next frames, standardised, [batch, time, channels]; there may be
        none. As long as none came, the rates are NaN.
    state : dict
        The values of ``HeadStream.state``, which are replaced, and others.
    dtypes : dict
        Name to the type of the value.

    Returns
    -------
    str
        [batch, classes].
    """
    write, size = HeadWriter(g, head), head.pooling.n_frames
    voters = {"": head}
    if isinstance(head, Committee):
        voters = {f"members{k}.": each for k, each in enumerate(head.members)}
    x = mix(g, head, x)
    if size > 1:
        n_held = g("Unsqueeze", state["n_held"], [0])
        held = g("Slice", state["held"], [0], n_held, [1])
        x = g("Concat", held, x, axis=1)
    n_rest = g("Mod", g.size(x, 1), size)
    n_whole = g("Sub", g.size(x, 1), n_rest)
    whole = g("Slice", x, [0], n_whole, [1])
    others = ("held", "n_held", "fbank.samples", "fbank.n_held")
    names = [name for name in state if name not in others]

    def advance(g, x):
        layers = nested({name: state[name] for name in names})
        frames = state[f"{min(voters)}classifier.mean.frames"]
        is_start = g("Equal", frames, 0)
        x = pool(g, head.pooling, x)
        rates = write.classify_pooled(g, x, layers, is_start)
        return [rates, *(flat(layers)[name] for name in names)]

    def stay(g):
        rates = [
            g(
                "Mul",
                _kept_mean(
                    g,
                    state[f"{prefix}classifier.mean.sum"],
                    state[f"{prefix}classifier.mean.frames"],
                ),
                float(voter.classifier.logit_scale),
            )
            for prefix, voter in voters.items()
        ]
        return [_average(g, rates), *(state[name] for name in names)]

    types = [np.float32, *(dtypes[name] for name in names)]
    rates, *values = g.choose(
        _is_any(g, n_whole), lambda g: advance(g, whole), stay, types
    )
    state.update(zip(names, values, strict=True))
    if size == 1:
        return rates
    rest = g("Slice", x, n_whole, [2**31], [1])
    state["n_held"] = g("Squeeze", n_rest, [0])
    missing = g("Sub", size - 1, n_rest)
    pads = g("Concat", [0, 0, 0, 0], missing, [0], axis=0)
    state["held"] = g("Pad", rest, pads)
    # An unfinished group counts, but is not consumed.
    (rates,) = g.choose(
        _is_any(g, n_rest),
        lambda g: advance(g, rest)[:1],
        lambda g: [rates],
        [np.float32],
    )
    return rates


def _average(g, values):
    return values[0] if len(values) == 1 else g("Mean", *values)


class HeadWriter:
    r"""Adds the nodes of a head to a graph, and notes the spikes.

    Arguments
    ---------
    g : Graph
        Gets the nodes.
    head : Head
        In evaluation mode.
    prefix : str
        In front of the names of its layers.

    Raises
    ------
    InputError
        If the head, or a layer of neurons, has a class that cannot be written.
    """

    def __init__(self, g, head, prefix=""):
        self.head = head
        self.names = {
            each: f"{prefix}{name}" for name, each in head.named_modules()
        }
        self.spikes = {}
        self.members = [
            HeadWriter(g, each, f"members.{k}.")
            for k, each in enumerate(
                head.members if isinstance(head, Committee) else []
            )
        ]
        writers = {
            Committee: self._committee,
            PTSSNN: self._pts_snn,
            VanillaSNN: self._vanilla_snn,
            LinearProbe: self._linear_probe,
        }
        if type(head) not in writers:
            known = ", ".join(each.__name__ for each in writers)
            raise InputError(
                f"a head of the class {type(head).__name__} cannot be "
                f"exported to ONNX; only {known} can"
            )
        if getattr(head, "spike_encoder", None) is not None:
            raise InputError(
                "spike_encoder: a layer of the class "
                f"{type(head.spike_encoder).__name__} cannot be exported to "
                "ONNX; train PTSSNN with spike_encoder: null"
            )
        self._write = writers[type(head)]

    def __call__(self, g, x):
        """Returns what the head returns for features, [batch, classes]."""
        return self._write(g, mix(g, self.head, x))

    def _committee(self, g, x):
        return self._vote(g, [each._write(g, x) for each in self.members])

    def _vote(self, g, outputs):
        for each in self.members:
            self.spikes |= each.spikes
        return _average(g, outputs)

    def _linear_probe(self, g, x):
        x = pool(g, self.head.pooling, x)
        x = g("Relu", _linear(g, self.head.linear, x))
        return _linear(g, self.head.output, _mean(g, x))

    def _vanilla_snn(self, g, x):
        x = _linear(g, self.head.linear, x)
        return self._classify(g, self.head.classifier, x)

    def _pts_snn(self, g, x):
        return self.classify_pooled(g, pool(g, self.head.pooling, x))

    def classify_pooled(self, g, x, state=None, is_start=None):
        """As :meth:`~speechbrain_ptssnn.lobes.pts_snn.PTSSNN.classify_pooled`,
        or a committee's.

        Arguments
        ---------
        g : Graph
            Gets the nodes.
        x : str
            [batch, time, channels].
        state : dict, optional
            A stream's.
        is_start : str, optional
            A stream's: whether no frame came before.

        Returns
        -------
        str
            [batch, classes].
        """
        if self.members:
            outputs = [
                each.classify_pooled(
                    g, x, **part(state, f"members{k}"), is_start=is_start
                )
                for k, each in enumerate(self.members)
            ]
            return self._vote(g, outputs)
        head = self.head
        x = saturate(g, head.saturation, x)
        if head.spiking_input is not None:
            scale, offset = head.spiking_input.norm.affine()
            x = g("Concat", x, g("Neg", x), axis=-1)
            x = g("Add", g("Mul", x, scale), offset)
            kept = part(part(state, "spiking_input").get("state"), "plif")
            x = self._plif(g, head.spiking_input.plif, x, **kept)
        kept = part(state, "encoder").get("state")
        for k, block in enumerate(head.encoder.blocks):
            x = self._block(g, block, x, **part(kept, f"block{k}"))
        features, bias = x, None
        attention = head.attention
        if isinstance(attention, PromptsAlone):
            if head.bias_generator is not None:
                prompts = attention.prompts.unsqueeze(0)
                context = g("ReduceMean", prompts, [1])
                bias = self._bias(g, context)
        elif attention.causal:
            kept = part(state, "attention").get("state")
            features, context = self._attend_so_far(g, x, kept, is_start)
            if head.bias_generator is not None:
                kept = part(state, "bias_over_time")
                bias = self._bias_over_time(g, context, **kept)
        else:
            features, prompts = self._attend(g, x)
            if head.bias_generator is not None:
                bias = self._bias(g, g("ReduceMean", prompts, [1]))
        if bias is not None:
            features = g("Add", features, bias)
        kept = part(state, "classifier")
        return self._classify(g, head.classifier, features, **kept)

    def _plif(self, g, layer, current, state=None):
        if type(layer) is not PLIF:
            raise InputError(
                f"neurons of the class {type(layer).__name__} cannot be "
                "exported to ONNX; only PLIF neurons can"
            )
        leak, threshold = layer.leak, float(layer.v_threshold)

        def step(g, states, steps):
            (u,), (current,) = states, steps
            if layer.reset == "hard":
                u = g("Where", g("GreaterOrEqual", u, threshold), 0.0, u)
                u = g("Sub", u, g("Mul", u, leak))
                u = g("Add", u, current)
                return [u], [u]
            reset = g(
                "Where", g("GreaterOrEqual", u, threshold), threshold, 0.0
            )
            # The order of the kernels, so that every bit is theirs.
            if layer.decay_reset:
                u = g("Sub", u, reset)
            u = g("Sub", u, g("Mul", u, leak))
            u = g("Add", u, current)
            if not layer.decay_reset:
                u = g("Sub", u, reset)
            return [u], [u]

        start = _start(g, current, layer.n_neurons, state)
        (last,), (membranes,) = g.scan(step, [start], [current])
        if state is not None:
            state["membrane"] = last
        return self._spikes(g, layer, membranes)

    def _spikes(self, g, layer, membranes):
        fired = g("GreaterOrEqual", membranes, float(layer.v_threshold))
        spikes = g("Cast", fired, to=FLOAT)
        self.spikes[self.names[layer]] = spikes
        return spikes

    def _block(self, g, block, h, state=None):
        unshifted, shifted, bias = block.fuse()
        current = g.product(h, unshifted, bias)
        n = block.shift.n_shifted(unshifted.shape[1])
        if block.shift.two_sided:
            n //= 2
        if n:
            earlier = g("Slice", h, [0], [n], [2])
            kept = part(state, "shift").get("state")
            if kept is None:
                earlier = g(
                    "Pad",
                    g("Slice", earlier, [0], [-1], [1]),
                    [0, 1, 0] + [0] * 3,
                )
            else:
                both = g("Concat", kept["before"], earlier, axis=1)
                kept["before"] = g("Slice", both, [-1], [2**31], [1])
                earlier = g("Slice", both, [0], [-1], [1])
            current = g("Add", current, g.product(earlier, shifted[:, :n]))
        if block.shift.two_sided and n:
            later = g("Slice", h, [1, n], [2**31, 2 * n], [1, 2])
            later = g("Pad", later, [0, 0, 0, 0, 1, 0])
            current = g("Add", current, g.product(later, shifted[:, n : 2 * n]))
        spikes = self._plif(g, block.plif, current, **part(state, "plif"))
        if block.shortcut == "spike":
            return g("Add", spikes, g.product(h, block.projection.weight))
        return spikes

    def _tokens(self, g, x):
        """Queries, keys and values of frames."""
        attention = self.head.attention
        if type(attention.plif) is not SingleStepPLIF:
            raise InputError(
                f"the attention's neurons of the class "
                f"{type(attention.plif).__name__} cannot be exported to ONNX; "
                "only SingleStepPLIF neurons can"
            )
        weight, prompts, affine = attention.fuse()
        tokens = g.product(self._spikes(g, attention.plif, x), weight)
        n = attention.query.out_features
        sizes = [n, n, weight.shape[0] - 2 * n]
        return g("Split", tokens, sizes, axis=2, n_outputs=3), prompts, affine

    def _attend(self, g, x):
        (query, key, value), prompts, affine = self._tokens(g, x)
        prompt_query, prompt_key, prompt_value = prompts
        top = g("ReduceMax", key, [1])
        if len(prompt_key):
            top = g("Max", top, prompt_key.amax(0))
        key = g("Exp", g("Sub", key, top))
        context = g("MatMul", g("Transpose", key, perm=[0, 2, 1]), value)
        total = g("ReduceSum", key, [1], keepdims=0)
        if len(prompt_key):
            weights = g("Exp", g("Sub", prompt_key, top))
            transposed = g("Transpose", weights, perm=[0, 2, 1])
            context = g("Add", context, g("MatMul", transposed, prompt_value))
            total = g("Add", total, g("ReduceSum", weights, [1], keepdims=0))
        context = g("Div", context, g("Unsqueeze", total, [2]))
        prompts = None
        if len(prompt_query):
            prompts = g("MatMul", prompt_query, context)
        if affine is None:
            return g("MatMul", query, context), prompts
        scale, offset = affine
        features = g("MatMul", query, g("Mul", context, scale))
        return g("Add", features, offset), prompts

    def _attend_so_far(self, g, x, state, is_start):
        """Frames' outputs, and the prompts' mean output after each frame, None
        without prompts; see
        :mod:`~speechbrain_ptssnn.nnet.running_context`.
        """
        (query, key, value), (mean_query, start), affine = self._tokens(g, x)
        chunk, n_frames = self.head.attention.chunk, g.size(x, 1)
        groups = [query, key, value]
        if state is None:
            batch = g.size(x, 0)
            context = {
                name: g(
                    "Expand",
                    each,
                    g("Concat", batch, [1] * (each.ndim - 1), axis=0),
                )
                for name, each in start.items()
            }
        else:
            context = {
                name: g("Where", is_start, each, state[name])
                for name, each in start.items()
            }
        # The last chunk is filled with frames that no sum sees.
        missing = g("Mod", g("Neg", n_frames), chunk)
        pads = g("Concat", [0, 0, 0, 0], missing, [0], axis=0)
        groups = [
            g("Pad", each, pads, fill)
            for each, fill in zip(groups, (0.0, -math.inf, 0.0), strict=True)
        ]
        sizes = (start["top"].shape[1],) * 2 + (start["sums"].shape[2],)
        groups = [
            g("Reshape", each, [0, -1, chunk, n])
            for each, n in zip(groups, sizes, strict=True)
        ]
        is_later = np.triu(np.ones((chunk, chunk), bool), 1)[:, :, None]

        def step(g, states, steps):
            (top, total, sums), (query, key, value) = states, steps
            pairs = g("Where", is_later, -math.inf, g("Unsqueeze", key, [1]))
            top = g("Unsqueeze", top, [1])
            tops = g("Max", g("ReduceMax", pairs, [2], keepdims=0), top)
            weights = g("Exp", g("Sub", pairs, g("Unsqueeze", tops, [2])))
            decay = g("Exp", g("Sub", top, tops))
            totals = g("Mul", decay, g("Unsqueeze", total, [1]))
            totals = g("Add", g("ReduceSum", weights, [2], keepdims=0), totals)

            def read(query):
                query = g("Div", query, totals)
                shares = g("MatMul", weights, g("Unsqueeze", query, [3]))
                seen = g("MatMul", g("Squeeze", shares, [3]), value)
                before = g("MatMul", g("Mul", query, decay), sums)
                return g("Add", seen, before)

            outputs = [read(query)]
            if mean_query is not None:
                outputs.append(read(mean_query))
            last = chunk - 1
            own = g("Gather", weights, last, axis=1)
            own = g("MatMul", g("Transpose", own, perm=[0, 2, 1]), value)
            old = g("Unsqueeze", g("Gather", decay, last, axis=1), [2])
            return [
                g("Gather", tops, last, axis=1),
                g("Gather", totals, last, axis=1),
                g("Add", g("Mul", old, sums), own),
            ], outputs

        names = list(start)
        ends, outputs = g.scan(step, [context[name] for name in names], groups)
        if state is not None:
            state.update(zip(names, ends, strict=True))
        outputs = [
            g(
                "Slice",
                g("Reshape", each, [0, -1, sizes[2]]),
                [0],
                n_frames,
                [1],
            )
            for each in outputs
        ]
        features = outputs[0]
        if affine is not None:
            scale, offset = affine
            features = g("Add", g("Mul", features, scale), offset)
        return features, outputs[1] if mean_query is not None else None

    def _bias(self, g, context):
        generator = self.head.bias_generator
        hidden = g("Relu", _linear(g, generator.down, context))
        bias = g("Tanh", _linear(g, generator.up, hidden))
        return g("Mul", bias, float(generator.kappa))

    def _bias_over_time(self, g, context, state=None):
        period, n = self.head.bias_over_time.period, g.size(context, 1)
        first = [0]
        if state is not None:
            first = g("Unsqueeze", state["first"], [0])
        rows = g("Slice", context, first, [2**31], [1], [period])
        bias = self._bias(g, rows)
        frames = g("Range", 0, g("Squeeze", n), 1)
        if state is None:
            return g("Gather", bias, g("Div", frames, period), axis=1)
        before = g("Unsqueeze", state["bias"], [1])
        bias = g("Concat", before, bias, axis=1)
        # Row 0, the bias before, holds until frame ``first``.
        rows = g("Div", g("Sub", g("Add", frames, period), first), period)
        bias = g("Gather", bias, rows, axis=1)
        state["bias"] = g("Gather", bias, -1, axis=1)
        after = g("Mod", g("Sub", first, n), period)
        state["first"] = g("Squeeze", after, [0])
        return bias

    def _classify(self, g, layer, x, state=None):
        hidden = self._plif(g, layer.hidden, x, **part(state, "hidden"))
        current, kept = _linear(g, layer.linear, hidden), part(state, "output")
        if layer.readout == "spike":
            output = self._plif(g, layer.output, current, **kept)
        else:
            output = _leaky_integrate(g, layer.output, current, **kept)
        if state is None:
            mean = _mean(g, output)
        else:
            mean = _mean_so_far(g, output, part(state, "mean")["state"])
        return g("Mul", mean, float(layer.logit_scale))


def _linear(g, layer, x):
    return g.product(x, layer.weight, layer.bias)


def _mean(g, x):
    n_frames = g("Cast", g.size(x, 1), to=FLOAT)
    return g("Div", g("ReduceSum", x, [1], keepdims=0), n_frames)


def _mean_so_far(g, x, state):
    total = g("ReduceSum", g("Cast", x, to=DOUBLE), [1], keepdims=0)
    state["sum"] = g("Add", state["sum"], total)
    n_frames = g("Squeeze", g.size(x, 1), [0])
    state["frames"] = g("Add", state["frames"], n_frames)
    return _kept_mean(g, state["sum"], state["frames"])


def _kept_mean(g, total, frames):
    frames = g("Cast", frames, to=DOUBLE)
    return g("Cast", g("Div", total, frames), to=FLOAT)


def _is_any(g, n):
    """Whether a number, [1], is above 0."""
    return g("Squeeze", g("Greater", n, 0), [0])


def _fill(g, x, size):
    """Fills axis 1 with zeros at its end."""
    missing = g("Sub", size, g.size(x, 1))
    return g("Pad", x, g("Concat", [0, 0, 0], missing, axis=0))


def _start(g, current, n_neurons, state):
    if state is not None:
        return state["membrane"]
    shape = g("Concat", g.size(current, 0), [n_neurons], axis=0)
    return g("ConstantOfShape", shape)


def _leaky_integrate(g, layer, current, state=None):
    decay = layer.w.sigmoid()

    def step(g, states, steps):
        u = g("Add", g("Mul", decay, states[0]), steps[0])
        return [u], [u]

    start = _start(g, current, len(decay), state)
    (last,), (membranes,) = g.scan(step, [start], [current])
    if state is not None:
        state["membrane"] = last
    return membranes
