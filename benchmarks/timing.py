"""Times several functions in one run: interleaved calls, medians, JSON."""

import argparse
import json
import statistics
import time
from pathlib import Path

import torch

from speechbrain_ptssnn.utils.provenance import device_name


def parser(description, output):
    """Makes a parser of the arguments that most benchmarks share."""
    result = argparse.ArgumentParser(description=description)
    result.add_argument("--output", default=f"benchmarks/results/{output}")
    result.add_argument("--repeats", type=int, default=30)
    result.add_argument("--threads", type=int, default=torch.get_num_threads())
    result.add_argument(
        "--device", default="cuda" if torch.cuda.is_available() else "cpu"
    )
    return result


def begin(arguments):
    """Parses the command line, sets the threads and seeds PyTorch with 0."""
    args = arguments.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    return args


def begin_with_features(description, output, batch):
    """Does the same for a head's benchmark: returns the arguments, which have
    ``--frames`` and ``--batch`` too, and random features.
    """
    arguments = parser(description, output)
    arguments.add_argument("--frames", type=int, default=225)
    arguments.add_argument("--batch", type=int, default=batch)
    args = begin(arguments)
    shape = (args.batch, args.frames, 768)
    return args, torch.randn(shape, device=args.device)


def compare(candidates, repeats, warmup=3):
    """Calls the candidates in turn and returns their median times.

    Arguments
    ---------
    candidates : dict
        Name to a callable without arguments.
    repeats : int
        Timed calls of each candidate.
    warmup : int
        Calls of each candidate that come first and are not timed.

    Returns
    -------
    dict
        Name to {"ms": median, "low": quartile, "high": quartile}, in
        milliseconds.
    """
    times = {name: [] for name in candidates}
    for k in range(warmup + repeats):
        for name, call in candidates.items():
            _wait()
            start = time.perf_counter()
            call()
            _wait()
            if k >= warmup:
                times[name].append(1e3 * (time.perf_counter() - start))
    result = {}
    for name, values in times.items():
        low, middle, high = statistics.quantiles(values, n=4)
        result[name] = {"ms": middle, "low": low, "high": high}
    return result


def report(title, results, baseline, path, **facts):
    """Prints a table of the times and writes it as JSON.

    Arguments
    ---------
    title : str
        What was measured.
    results : dict
        The result of :func:`compare`.
    baseline : str
        The candidate whose time is divided by the others' in the speed-up.
    path : str
        The JSON file.
    **facts
        More keys of the JSON file.
    """
    print(f"\n{title}")
    print(f"{'':34}{'median ms':>11}{'quartiles':>20}{'speed-up':>10}")
    for name, row in results.items():
        row["speedup"] = results[baseline]["ms"] / row["ms"]
        quartiles = f"{row['low']:.2f}-{row['high']:.2f}"
        print(
            f"{name:34}{row['ms']:>11.2f}{quartiles:>20}{row['speedup']:>10.2f}"
        )
    save(path, title=title, results=results, **facts)


def save(path, **content):
    """Writes a JSON file that also describes the machine."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    content["machine"] = {
        "processor": device_name("cpu"),
        "threads": torch.get_num_threads(),
        "gpu": gpu,
        "torch": torch.__version__,
    }
    path.write_text(json.dumps(content, indent=2))
    print(f"written to {path}")


def _wait():
    if torch.cuda.is_available():
        torch.cuda.synchronize()
