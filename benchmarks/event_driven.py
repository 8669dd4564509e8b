"""Binary inputs: the dense product against an event-driven one, which adds
the weights' rows of active inputs only, by share of active inputs; and the
share below which it is faster, for one utterance and for one frame.

python benchmarks/event_driven.py [--frames 225]
"""

import numba
import numpy as np
import torch
from timing import compare, parser, save

RATES = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5)
PRODUCTS = {"second block": (512, 256), "queries, keys, values": (256, 384)}


@numba.njit(nogil=True, cache=True, fastmath=True)
def event_driven(spikes, weight, bias, out):
    """out[t] = bias + the sum of weight[n], [inputs, outputs], where
    spikes[t, n].
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
    """The rate, between measured ones, at which both take as long."""
    rates = list(results)
    ratios = [results[rate]["ratio"] for rate in rates]  # dense / events
    if ratios[0] < 1:
        return 0.0
    for k in range(1, len(rates)):
        if ratios[k] < 1:
            x, y = np.log(rates[k - 1 : k + 1]), np.log(ratios[k - 1 : k + 1])
            return float(np.exp(x[0] - y[0] * (x[1] - x[0]) / (y[1] - y[0])))
    return 1.0


if __name__ == "__main__":
    arguments = parser(__doc__, "event_driven.json")
    arguments.add_argument("--frames", type=int, default=225)
    args = arguments.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    everything = {}
    for product, (n_in, n_out) in PRODUCTS.items():
        linear = torch.nn.Linear(n_in, n_out)
        weight = linear.weight.detach().t().contiguous().numpy()
        bias = linear.bias.detach().numpy()
        for n_frames in (args.frames, 1):
            title = f"{product} [{n_frames}, {n_in}] x [{n_in}, {n_out}]"
            print(f"\n{title}\n  active  dense ms  events ms  dense/events")
            everything[title] = results = {}
            for rate in RATES:
                spikes = (torch.rand(n_frames, n_in) < rate).float()
                out = np.empty((n_frames, n_out), np.float32)
                events = (spikes.numpy(), weight, bias, out)
                event_driven(*events)
                with torch.no_grad():
                    torch.testing.assert_close(
                        torch.from_numpy(out), linear(spikes)
                    )
                    times = compare(
                        {
                            "dense": lambda: linear(spikes),
                            "events": lambda: event_driven(*events),
                        },
                        10 * args.repeats,
                    )
                dense, sparse = (times[k]["ms"] for k in ("dense", "events"))
                ratio = dense / sparse
                results[rate] = times | {"ratio": ratio}
                print(f"{rate:8.0%}{dense:10.4f}{sparse:11.4f}{ratio:14.2f}")
            results["crossover"] = crossover(results)
            print(f"faster below {results['crossover']:.1%} active inputs")
    save(args.output, results=everything)
