"""Side by side in one run: interleaved calls, medians, ratios, JSON."""

import argparse
import json
import statistics
import time
from pathlib import Path

import torch

from speechbrain_ptssnn.utils.provenance import device_name


def parser(description, output):
    """Arguments that every benchmark has."""
    result = argparse.ArgumentParser(description=description)
    result.add_argument("--output", default=f"benchmarks/results/{output}")
    result.add_argument("--repeats", type=int, default=30)
    result.add_argument("--threads", type=int, default=torch.get_num_threads())
    result.add_argument(
        "--device", default="cuda" if torch.cuda.is_available() else "cpu"
    )
    return result


def compare(candidates, repeats, warmup=3):
    """Median milliseconds of each candidate, called in turn.

    Arguments
    ---------
    candidates : dict
        Name to a callable without arguments.
    repeats : int
        Calls of each that count.
    warmup : int
        Calls of each that do not.

    Returns
    -------
    dict
        Name to {"ms": median, "low": quartile, "high": quartile}.
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
    """Prints the table and writes it as JSON.

    Arguments
    ---------
    title : str
        What was measured.
    results : dict
        Of :func:`compare`.
    baseline : str
        The candidate that the ratios are to.
    path : str
        The JSON file.
    **facts
        What else the JSON says.
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
    """Writes JSON, with the machine it was measured on."""
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
