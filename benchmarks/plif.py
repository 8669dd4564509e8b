"""Times the PLIF scan beside SpikingJelly's neuron, the plain loop, and a copy
of as much memory: the forward pass, and forward and backward together. Before
that, it checks that all give the same results.

python benchmarks/plif.py [--shape 32 250 512] [--dtype bfloat16]
"""

import torch
from spikingjelly.activation_based import neuron, surrogate
from timing import begin, compare, parser, save

from speechbrain_ptssnn.nnet.plif_scan import plif_scan, plif_scan_reference

THEIRS, LOOP, OURS, COPY = "SpikingJelly", "plain loop", "plif_scan", "copy"


def build(shape, dtype, device):
    """Returns the implementations: name to a function of decay_reset, which
    returns (the tensors that get a gradient, spikes).
    """
    batch, time, neurons = shape
    current = torch.randn(shape, device=device) * 0.8 + 0.4
    current = current.to(dtype).requires_grad_()
    # In SpikingJelly's layout, [time, batch, neurons], it need not transpose.
    theirs = current.detach().transpose(0, 1).contiguous().requires_grad_()
    node = neuron.ParametricLIFNode(
        decay_input=False,
        v_reset=None,
        surrogate_function=surrogate.Sigmoid(alpha=5.0),
        detach_reset=True,
        step_mode="m",
    ).to(device)
    leak = torch.full((neurons,), 0.5, device=device, requires_grad=True)
    v_init = torch.zeros(batch, neurons, device=device)
    counts = torch.full((batch,), time, device=device)

    def spikingjelly(decay_reset=True):
        node.reset()
        return (theirs, node.w), node(theirs)

    def loop(decay_reset=False):
        spikes, _ = plif_scan_reference(
            current, leak, v_init, counts, 1.0, 5.0, True, decay_reset, False
        )
        return (current, leak), spikes

    def ours(decay_reset=False):
        spikes, _ = plif_scan(current, leak, decay_reset=decay_reset)
        return (current, leak), spikes

    return {THEIRS: spikingjelly, LOOP: loop, OURS: ours}


def check(functions, weights):
    """Raises AssertionError if plif_scan differs from the others."""
    results = {}
    for name, function in functions.items():
        leaves, spikes = function(decay_reset=True)
        if name == THEIRS:
            upstream = weights.transpose(0, 1)
            d_current, d_w = torch.autograd.grad(spikes, leaves, upstream)
            spikes, d_current = (
                spikes.transpose(0, 1),
                d_current.transpose(0, 1),
            )
            d_leak = d_w * 4  # the slope of sigmoid(0) is 1 / 4
        else:
            d_current, d_leak = torch.autograd.grad(spikes, leaves, weights)
        results[name] = spikes, d_current, d_leak.sum()
    ours = results.pop(OURS)
    for name, theirs in results.items():
        differing = int((ours[0] != theirs[0]).sum())
        errors = [
            float((a - b).abs().max() / b.abs().max())
            for a, b in zip(ours[1:], theirs[1:], strict=True)
        ]
        print(
            f"plif_scan and {name}: {differing} spikes differ; gradients, "
            "relative to the largest: {:.1e}, {:.1e}".format(*errors)
        )
        # In bfloat16 the results differ: SpikingJelly may integrate in it.
        if weights.dtype == torch.float32:
            assert differing == 0 and max(errors) < 1e-5, name


def copies(weights):
    """Returns two copies that move as many bytes as the passes must."""
    a, b = torch.empty_like(weights), torch.empty_like(weights)

    def forward():
        a.copy_(weights)  # the current in, the spikes out

    def both():
        forward()
        torch.add(a, weights, out=b)  # two tensors in, their sum out

    return forward, both


def calls(function, weights):
    """Returns two functions: the forward pass, and forward and backward."""

    @torch.no_grad()
    def forward():
        function()

    def both():
        leaves, spikes = function()
        torch.autograd.grad(spikes, leaves, weights.view(spikes.shape))

    return forward, both


def show(title, rows, gigabytes):
    """Prints a table; adds the speed-up and the bandwidth to the rows."""
    print(f"\n{title}")
    print(
        f"{'':16}{'median ms':>11}{'quartiles':>16}{'speed-up':>10}{'GB/s':>8}"
    )
    for name, row in rows.items():
        row["speedup"] = rows[THEIRS]["ms"] / row["ms"]
        row["gigabytes_per_second"] = gigabytes / row["ms"] * 1e3
        quartiles = f"{row['low']:.2f}-{row['high']:.2f}"
        print(
            f"{name:16}{row['ms']:>11.2f}{quartiles:>16}"
            f"{row['speedup']:>10.2f}{row['gigabytes_per_second']:>8.1f}"
        )


if __name__ == "__main__":
    arguments = parser(__doc__, "plif.json")
    arguments.add_argument("--shape", type=int, nargs=3, default=[32, 250, 512])
    arguments.add_argument("--dtype", default="float32")
    args = begin(arguments)
    dtype = getattr(torch, args.dtype)
    functions = build(args.shape, dtype, args.device)
    weights = torch.rand(args.shape, device=args.device).to(dtype)
    check(functions, weights)
    passes = {name: calls(f, weights) for name, f in functions.items()}
    passes[COPY] = copies(weights)
    gigabytes = weights.numel() * weights.element_size() / 1e9
    results = {}
    # The forward pass moves at least two tensors, both passes five.
    for k, (title, tensors) in enumerate((("forward", 2), ("both passes", 5))):
        candidates = {name: both[k] for name, both in passes.items()}
        results[title] = compare(candidates, args.repeats)
        show(
            f"{title}, {args.shape}, {args.dtype}, {args.device}",
            results[title],
            tensors * gigabytes,
        )
    save(args.output, shape=args.shape, dtype=args.dtype, results=results)
