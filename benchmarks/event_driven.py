"""Times two products of binary inputs with a matrix: the dense product, and
an event-driven one that adds the rows of the weights for active inputs only.

Both are timed for several shares of active inputs, for one utterance and for
one frame. The share below which the event-driven product is faster is printed.

python benchmarks/event_driven.py [--frames 225]
"""

import numba
import numpy as np
import torch
from timing import begin, compare, parser, save

RATES = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5)
PRODUCTS = {"second block": (512, 256), "queries, keys, values": (256, 384)}


@numba.njit(nogil=True, cache=True, fastmath=True)
def event_driven(spikes, weight, bias, out):
    """Computes out[t] = bias + the sum of weight[n] over all n for which
    spikes[t, n] is not 0; weight is [inputs, outputs].
    """
    n_frames, n_inputs = spikes.shape
    n_outputs = weight.shape[1]
    for t in range(n_frames):
        row = out[t]
        for k in range(n_outputs):
            row[k] = bias[k]
        for n in range(n_inputs):
            if spikes[t, n] != 0:
                column = weight[n]
                for k in range(n_outputs):
                    row[k] += column[k]


def crossover(results):
    """Interpolates the rate at which both products take the same time."""
    rates = list(results)
    ratios = [results[rate]["ratio"] for rate in rates]  # dense / events
    if ratios[0] < 1:
        return 0.0
    for k in range(1, len(rates)):
        if ratios[k] < 1:
            x, y = np.log(rates[k - 1 : k + 1]), np.log(ratios[k - 1 : k + 1])
            return float(np.exp(x[0] - y[0] * (x[1] - x[0]) / (y[1] - y[0])))
    return 1.0


@torch.no_grad()
def measure(linear, n_frames, rate, repeats):
    """Times both products at one rate; "ratio" is dense / events."""
    spikes = (torch.rand(n_frames, linear.in_features) < rate).float()
    out = np.empty((n_frames, linear.out_features), np.float32)
    weight = linear.weight.t().contiguous().numpy()
    events = (spikes.numpy(), weight, linear.bias.numpy(), out)
    event_driven(*events)
    torch.testing.assert_close(torch.from_numpy(out), linear(spikes))
    times = compare(
        {
            "dense": lambda: linear(spikes),
            "events": lambda: event_driven(*events),
        },
        repeats,
    )
    return times | {"ratio": times["dense"]["ms"] / times["events"]["ms"]}


if __name__ == "__main__":
    arguments = parser(__doc__, "event_driven.json")
    arguments.add_argument("--frames", type=int, default=225)
    args = begin(arguments)
    everything = {}
    for product, (n_in, n_out) in PRODUCTS.items():
        linear = torch.nn.Linear(n_in, n_out).requires_grad_(False)
        for n_frames in (args.frames, 1):
            title = f"{product} [{n_frames}, {n_in}] x [{n_in}, {n_out}]"
            print(f"\n{title}\n  active  dense ms  events ms  dense/events")
            everything[title] = results = {}
            for rate in RATES:
                row = measure(linear, n_frames, rate, 10 * args.repeats)
                results[rate] = row
                dense, events = (row[k]["ms"] for k in ("dense", "events"))
                print(
                    f"{rate:8.0%}{dense:10.4f}{events:11.4f}"
                    f"{row['ratio']:14.2f}"
                )
            results["crossover"] = crossover(results)
            print(f"faster below {results['crossover']:.1%} active inputs")
    save(args.output, results=everything)
