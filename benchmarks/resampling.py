"""Time and memory of resampling to 16 kHz, at usual and at rare rates.

    python benchmarks/resampling.py [--seconds=5]

Prints a line of JSON a rate; each is measured in a process of its own.
"""

import argparse
import json
import resource
import subprocess
import sys
import time

import torch

from speechbrain_ptssnn.audio import MonoAudio

RATES = (8000, 11025, 22050, 44100, 48000, 192000)
RARE = (4001, 11127, 15999, 22255, 44056, 44099, 191999)


def measure(rate, seconds):
    """Resamples twice; the first time, weights are computed too."""
    audio = torch.randn(rate * seconds) / 10
    MonoAudio()(torch.zeros(8000), 8000)
    before = _megabytes()
    mono = MonoAudio()
    took = []
    for _ in range(2):
        start = time.perf_counter()
        mono(audio, rate)
        took.append(round(time.perf_counter() - start, 4))
    return {
        "rate": rate,
        "seconds_of_audio": seconds,
        "first_s": took[0],
        "next_s": took[1],
        "memory_mb": round(_megabytes() - before),
    }


def _megabytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main():
    """Measures every rate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rate", type=int, help="only this one")
    args = parser.parse_args()
    if args.rate:
        print(json.dumps(measure(args.rate, args.seconds)))
        return
    for rate in RATES + RARE:
        words = [f"--rate={rate}", f"--seconds={args.seconds}"]
        subprocess.run([sys.executable, __file__, *words], check=True)


if __name__ == "__main__":
    main()
