"""Measures how the head's time and memory grow with frames, batch and
channels, in evaluation and in training. On a double logarithmic scale, linear
growth has the slope 1.

python benchmarks/scaling.py
"""

import gc
import math
import multiprocessing
import resource

import torch
from timing import compare, parser, save

from speechbrain_ptssnn import PTSSNN

# [batch, frames, channels]; 1,706 frames is IEMOCAP's longest utterance.
SWEEPS = {
    "frames": [(1, t, 768) for t in (100, 300, 1000, 1706, 3000, 10000)],
    "batch": [(b, 225, 768) for b in (1, 2, 4, 8, 16, 32)],
    "channels": [(8, 225, d) for d in (160, 512, 768, 1024, 1280)],
    "frames of a batch": [(32, t, 768) for t in (225, 450, 900, 1706)],
}


def call(shape, train, device):
    """Returns a function that runs a batch through the head."""
    torch.manual_seed(0)
    head = PTSSNN(shape[-1]).to(device).train(train)
    feats = torch.randn(shape, device=device)

    def step():
        with torch.set_grad_enabled(train):
            rates = head(feats)
        if train:
            rates.sum().backward()

    return step


def peak_megabytes(shape, train):
    """Returns the additional memory of one call, in a process of its own."""

    def measure(sender):
        torch.set_num_threads(1)
        call((1, 16, shape[-1]), train, "cpu")()
        gc.collect()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        call(shape, train, "cpu")()
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        sender.send((after - before) / 1024)

    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe()
    process = context.Process(target=measure, args=(sender,))
    process.start()
    result = receiver.recv()
    process.join()
    return result


def slope(shapes, values):
    """Returns the least-squares slope of log value against log elements.

    Only the larger half of the shapes is used, because constant costs matter
    least there.
    """
    half = len(shapes) // 2
    points = [
        (math.log(math.prod(shape)), math.log(value))
        for shape, value in zip(shapes[half:], values[half:], strict=True)
    ]
    x, y = (sum(p[k] for p in points) / len(points) for k in (0, 1))
    return sum((a - x) * (b - y) for a, b in points) / sum(
        (a - x) ** 2 for a, _ in points
    )


if __name__ == "__main__":
    args = parser(__doc__, "scaling.json").parse_args()
    # Memory comes first: a child process begins with its parent's memory, so
    # this one should still be small.
    memory = {
        (sweep, train): [peak_megabytes(shape, train) for shape in shapes]
        for sweep, shapes in SWEEPS.items()
        for train in (False, True)
    }
    torch.set_num_threads(args.threads)
    results = {}
    for (sweep, train), megabytes in memory.items():
        shapes = SWEEPS[sweep]
        times = compare(
            {s: call(s, train, args.device) for s in shapes}, args.repeats
        )
        ms = [times[shape]["ms"] for shape in shapes]
        slopes = {
            "time": slope(shapes, ms),
            "memory": slope(shapes, megabytes),
        }
        name = f"{sweep}, {'training' if train else 'evaluation'}"
        print(
            f"\n{name}\n{'batch x frames x channels':>26}{'ms':>10}{'MB':>10}"
        )
        for shape, *row in zip(shapes, ms, megabytes, strict=True):
            shape = " x ".join(map(str, shape))
            print(f"{shape:>26}{row[0]:>10.2f}{row[1]:>10.1f}")
        print("slope: time {time:.2f}, memory {memory:.2f}".format(**slopes))
        results[name] = {
            "shapes": shapes,
            "ms": ms,
            "megabytes": megabytes,
            "slopes": slopes,
        }
    save(args.output, results=results)
