"""Time and memory of the head against the number of frames, in evaluation and
in training: the slope on a double logarithmic scale is 1 where both are linear.

python benchmarks/scaling.py
"""

import gc
import math
import multiprocessing
import resource

import torch
from timing import compare, parser, save

from speechbrain_ptssnn import PTSSNN

FRAMES = (100, 300, 1000, 1706, 3000, 10000)  # IEMOCAP's longest: 1,706


def call(frames, train, device):
    """A function that runs one utterance through the head."""
    torch.manual_seed(0)
    head = PTSSNN().to(device).train(train)
    feats = torch.randn(1, frames, 768, device=device)

    def step():
        with torch.set_grad_enabled(train):
            rates = head(feats)
        if train:
            rates.sum().backward()

    return step


def peak_megabytes(frames, train):
    """What a process of its own takes for one call beyond what it had."""

    def measure(sender):
        torch.set_num_threads(1)
        call(16, train, "cpu")()
        gc.collect()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        call(frames, train, "cpu")()
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        sender.send((after - before) / 1024)

    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe()
    process = context.Process(target=measure, args=(sender,))
    process.start()
    result = receiver.recv()
    process.join()
    return result


def slope(values):
    """Least-squares slope of log value against log frames, from 1,000 on."""
    points = [
        (math.log(f), math.log(v))
        for f, v in zip(FRAMES, values, strict=True)
        if f >= 1000
    ]
    x, y = (sum(p[k] for p in points) / len(points) for k in (0, 1))
    return sum((a - x) * (b - y) for a, b in points) / sum(
        (a - x) ** 2 for a, _ in points
    )


if __name__ == "__main__":
    args = parser(__doc__, "scaling.json").parse_args()
    results = {}
    # First, while this process is small: its children start from its size.
    memory = {
        train: [peak_megabytes(f, train) for f in FRAMES]
        for train in (False, True)
    }
    torch.set_num_threads(args.threads)
    for train, megabytes in memory.items():
        name = "training" if train else "evaluation"
        times = compare(
            {f: call(f, train, args.device) for f in FRAMES}, args.repeats
        )
        ms = [times[f]["ms"] for f in FRAMES]
        print(f"\n{name}, one utterance\n{'frames':>8}{'ms':>10}{'MB':>10}")
        for row in zip(FRAMES, ms, megabytes, strict=True):
            print("{:>8}{:>10.2f}{:>10.1f}".format(*row))
        print(f"slope: time {slope(ms):.2f}, memory {slope(megabytes):.2f}")
        results[name] = {
            "frames": FRAMES,
            "ms": ms,
            "megabytes": megabytes,
            "slope_time": slope(ms),
            "slope_memory": slope(megabytes),
        }
    save(args.output, results=results)
