"""What a stream of a causal head gives and costs, on real recordings.

Cutting invariance: random utterances are cut at random, and every spike is
compared with those of the whole utterance, in float32 and float64. Then the
size of the state, memory and real-time factor over an hour of audio, and the
head's time for a new frame beside calling it on all audio so far.

python benchmarks/streaming.py MODEL FOLDER [--cuttings 100] [--minutes 60]

MODEL is a fold's model/, trained with ablations/causal and fbank_stream; FOLDER
has the recordings.
"""

import copy
import os
import random
import statistics
import time
from io import BytesIO

import torch
from timing import begin, compare, parser, save

from speechbrain_ptssnn.audio import load_audio
from speechbrain_ptssnn.deploy.classify import find_audio, open_bundle
from speechbrain_ptssnn.deploy.streaming import AudioStream
from speechbrain_ptssnn.nnet.monitor import LayerMonitor
from speechbrain_ptssnn.nnet.plif import PLIF

BLOCK = 0.5  # seconds, as ptssnn stream takes them
LONGEST = (3, 30, 100)  # frames of the longest block of a cutting
COUNT = "classifier.mean.frames"  # the state's name of the frames so far
SO_FAR = (2, 10, 60)  # seconds of audio that have come


class Spikes(LayerMonitor):
    """The outputs of each layer of neurons, call by call."""

    def __init__(self, head):
        super().__init__(head, PLIF)
        self.calls = {name: [] for name in self.layers}

    def record(self, name, layer, args, output):
        self.calls[name].append(output)

    def take(self, n_calls=None):
        """Returns each layer's first calls since the last time, all by default,
        and forgets the others.
        """
        taken = {}
        for name, calls in self.calls.items():
            taken[name] = calls[:n_calls]
            calls.clear()
        return taken


@torch.no_grad()
def differences(head, feats, sizes):
    """Compares an utterance in blocks with the whole: spikes that differ and
    neuron-frames for each layer, and the rates' largest difference.
    """
    with Spikes(head) as seen:
        whole_rates = head(feats)
        whole = seen.take()
        stream, parts = head.stream(), []
        seen.take()  # those of starting the stream
        *blocks, last = feats.split(sizes, 1)
        n_frames = 0
        for block in blocks:
            stream(block)
            before, n_frames = n_frames, stream.state[COUNT].item()
            # Without those of the unfinished group, which comes again.
            parts.append(seen.take(int(n_frames > before)))
        rates = stream(last)
        parts.append(seen.take())
    counts = {}
    for name, (spikes,) in whole.items():
        cut = torch.cat([call for part in parts for call in part[name]], 1)
        counts[name] = int((cut != spikes).sum()), spikes.numel()
    return counts, (rates - whole_rates).abs().max().item()


def random_sizes(total, longest, chance):
    """Cuts a length into blocks, each of 1 to ``longest``."""
    sizes = []
    while total:
        sizes.append(min(chance.randint(1, longest), total))
        total -= sizes[-1]
    return sizes


def cutting_invariance(classifier, files, n_cuttings):
    """Sums the differences over cuttings, for float32 and float64."""
    chance = random.Random(0)
    encoder = classifier.mods.embedding_model
    heads = {
        "float32": encoder.head,
        "float64": copy.deepcopy(encoder.head).double(),
    }
    found = {name: {} for name in heads}
    rates, frames = dict.fromkeys(heads, 0.0), 0.0
    for k in range(n_cuttings):
        wav = load_audio(chance.choice(files), classifier.audio_normalizer)
        raw = encoder.backbone(wav)
        stream = encoder.backbone.stream()
        sizes = random_sizes(len(wav), 8000, chance)
        cut = torch.cat([*map(stream, wav.split(sizes)), stream.finish()])
        frames = max(frames, (cut - raw).abs().max().item())
        feats = encoder.normalizer(raw).unsqueeze(0)
        sizes = random_sizes(len(raw), LONGEST[k % len(LONGEST)], chance)
        for name, head in heads.items():
            dtype = head.classifier.linear.weight.dtype
            counts, rate = differences(head, feats.to(dtype), sizes)
            rates[name] = max(rates[name], rate)
            for layer, (differ, total) in counts.items():
                before = found[name].get(layer, (0, 0))
                found[name][layer] = before[0] + differ, before[1] + total
    print(f"\n{n_cuttings} cuttings: spikes that differ, of neuron-frames")
    print(f"{'':28}{'neuron-frames':>15}{'float32':>10}{'float64':>10}")
    for layer, (_, total) in found["float32"].items():
        cells = "".join(f"{found[name][layer][0]:>10,}" for name in heads)
        print(f"{layer:28}{total:>15,}{cells}")
    outcome = {"cuttings": n_cuttings, "fbank_difference": frames}
    for name, layers in found.items():
        differ, total = (
            sum(each) for each in zip(*layers.values(), strict=True)
        )
        outcome[name] = {
            "layers": layers,
            "differ": differ,
            "neuron_frames": total,
            "per_million": 1e6 * differ / total,
            "rates_difference": rates[name],
        }
        print(
            f"{name}: {differ:,} of {total:,} differ, "
            f"{1e6 * differ / total:.3f} in a million; the rates by at most "
            f"{rates[name]:.2g}"
        )
    print(f"fbank's frames differ by at most {frames:.2g} dB")
    return outcome


def state_sizes(classifier):
    """Returns the bytes of both states, in memory and saved."""
    encoder = classifier.mods.embedding_model
    streams = {
        "head": encoder.head.stream(),
        "fbank": encoder.backbone.stream(),
    }
    print("\nstate        bytes     saved")
    result = {}
    for name, stream in streams.items():
        buffer = BytesIO()
        torch.save(stream.state, buffer)
        result[name] = {
            "bytes": sum(
                x.numel() * x.element_size() for x in stream.state.values()
            ),
            "saved": len(buffer.getvalue()),
        }
        print(
            f"{name:9}{result[name]['bytes']:>9,}{result[name]['saved']:>10,}"
        )
    return result


def resident():
    """The process's memory in MB."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def long_audio(classifier, files, minutes):
    """Streams recordings one after the other, as one; returns the real-time
    factor of each minute and the memory after it.
    """
    chance = random.Random(0)
    stream = AudioStream(classifier)
    rate = stream.sample_rate
    held, factors, memory = torch.zeros(0), [], []
    for _ in range(minutes):
        while len(held) < 60 * rate:
            path = chance.choice(files)
            wav = load_audio(path, classifier.audio_normalizer)
            held = torch.cat([held, wav])
        minute, held = held[: 60 * rate], held[60 * rate :].clone()
        start = time.process_time()
        for block in minute.split(round(BLOCK * rate)):
            stream(block)
        factors.append((time.process_time() - start) / 60)
        memory.append(resident())
    low, high = min(memory[1:] or memory), max(memory[1:] or memory)
    factor = statistics.median(factors)
    print(
        f"\n{minutes} minutes in blocks of {BLOCK} s: real-time factor "
        f"{factor:.4f} (median of the minutes, {min(factors):.4f} to "
        f"{max(factors):.4f}); memory {memory[0]:.1f} MB after the first "
        f"minute, then {low:.1f} to {high:.1f} MB, {memory[-1]:.1f} MB at the "
        "end"
    )
    return {
        "minutes": minutes,
        "real_time_factor": factor,
        "factors": factors,
        "memory_mb": memory,
    }


@torch.no_grad()
def frame_times(classifier, files, repeats):
    """Times the head on a new frame, beside the head on all so far."""
    encoder = classifier.mods.embedding_model
    head, chance = encoder.head, random.Random(0)
    n_needed = 50 * max(SO_FAR) + 25
    feats = torch.zeros(0, encoder.backbone.output_size)
    while len(feats) < n_needed:
        path = chance.choice(files)
        wav = load_audio(path, classifier.audio_normalizer)
        feats = torch.cat([feats, encoder.normalizer(encoder.backbone(wav))])
    feats = feats.unsqueeze(0)
    print("\nthe head's time for a new frame of 20 ms, in µs (medians)")
    print(
        f"{'s so far':>9}{'stream, 1':>11}{'stream, 25':>12}"
        f"{'all so far':>12}{'all / 1':>9}"
    )
    results = {}
    for seconds in SO_FAR:
        n = 50 * seconds
        stream = head.stream()
        stream(feats[:, :n])
        one, many, so_far = (
            feats[:, n : n + 1],
            feats[:, n : n + 25],
            feats[:, : n + 1],
        )
        times = compare(
            {
                "stream, 1 frame": lambda s=stream, x=one: s(x),
                "stream, 25 frames": lambda s=stream, x=many: s(x),
                "all so far": lambda x=so_far: head(x),
            },
            repeats,
        )
        single, block, whole = (1e3 * row["ms"] for row in times.values())
        block /= 25
        results[seconds] = {
            "times": times,
            "us_a_frame": {"1": single, "25": block, "all so far": whole},
            "ratio": whole / single,
        }
        print(
            f"{seconds:>9}{single:>11.0f}{block:>12.1f}{whole:>12.0f}"
            f"{whole / single:>9.1f}"
        )
    return results


if __name__ == "__main__":
    arguments = parser(__doc__, "streaming.json")
    arguments.add_argument("model")
    arguments.add_argument("folder")
    arguments.add_argument("--cuttings", type=int, default=100)
    arguments.add_argument("--minutes", type=int, default=60)
    arguments.set_defaults(threads=1)
    args = begin(arguments)
    classifier = open_bundle(args.model)
    recordings = find_audio([args.folder])
    save(
        args.output,
        cutting=cutting_invariance(classifier, recordings, args.cuttings),
        state=state_sizes(classifier),
        frames=frame_times(classifier, recordings, args.repeats),
        long_audio=long_audio(classifier, recordings, args.minutes),
    )
