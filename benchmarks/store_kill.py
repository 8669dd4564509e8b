"""Kills the filling of a feature store at random times, fills it again, and
compares it with a store that was filled without a kill.

python benchmarks/store_kill.py --corpus=URDU --data_folder=/path/to/URDU

With --whisper=FOLDER, layer 3 of that Whisper on the audio alone, in bfloat16,
and fbank beside it; else fbank alone.
"""

import argparse
import mmap
import os
import random
import signal
import struct
import tempfile
import time
from pathlib import Path

import torch
from timing import save

from speechbrain_ptssnn.backbones import Fbank, HuggingFace, SideBySide
from speechbrain_ptssnn.corpora.registry import find_corpus
from speechbrain_ptssnn.features.shards import scan
from speechbrain_ptssnn.features.store import FeatureStore


class Counting(SideBySide):
    """Counts its calls in shared memory, which outlives a killed process."""

    def __init__(self, backbones):
        super().__init__(backbones)
        self.shared = mmap.mmap(-1, 8)

    @property
    def calls(self):
        return struct.unpack("q", self.shared[:])[0]

    def extract(self, wav):
        self.shared[:] = struct.pack("q", self.calls + 1)
        return super().extract(wav)


def payloads(folder):
    """Returns a dict of key to record, header included, and the number of
    records, which is larger if a key is there twice.
    """
    found, n = {}, 0
    for path in sorted(Path(folder).glob("*/*.bin")):
        data = path.read_bytes()
        for offset, record in scan(path):
            found[record.key] = data[offset : offset + record.size]
            n += 1
    return found, n


def fill(folder, backbone, utterances, kill_after=None):
    """Fills a store in another process, which is killed after so many seconds
    if ``kill_after`` is given; returns the seconds it ran.
    """
    start = time.perf_counter()
    pid = os.fork()
    if not pid:
        store = FeatureStore(folder, backbone, utterances, precision="auto")
        store.fill(progressbar=False)
        os._exit(0)
    if kill_after is not None:
        time.sleep(kill_after)
        os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return time.perf_counter() - start


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--corpus", default="SynthEmo")
    arguments.add_argument("--data_folder", default="data/SynthEmo")
    arguments.add_argument("--whisper", help="local folder of a Whisper")
    arguments.add_argument("--kills", type=int, default=20)
    arguments.add_argument("--output", default="benchmarks/results/kill.json")
    args = arguments.parse_args()
    torch.set_num_threads(1)
    utterances = find_corpus(args.corpus).read(args.data_folder)
    rng = random.Random(0)
    rows = []
    backbones = [Fbank()]
    if args.whisper:
        whisper = HuggingFace(args.whisper, layer=3, window="audio")
        backbones.insert(0, whisper)
    with tempfile.TemporaryDirectory() as folder:
        backbone = Counting(backbones)
        seconds = fill(f"{folder}/whole", backbone, utterances)
        expected, n = payloads(f"{folder}/whole")
        print(f"{n} records in {seconds:.1f} s without a kill")
        for k in range(args.kills):
            backbone = Counting(backbones)
            after = rng.uniform(0, seconds)
            fill(f"{folder}/{k}", backbone, utterances, after)
            written = payloads(f"{folder}/{k}")[1]
            fill(f"{folder}/{k}", backbone, utterances)
            found, records = payloads(f"{folder}/{k}")
            rows.append(
                {
                    "killed_after_s": after,
                    "records_then": written,
                    "equal": found == expected,
                    "records": records,
                    "repeated": backbone.calls - n,
                }
            )
            print(rows[-1], flush=True)
    save(
        args.output,
        title=f"{args.kills} kills while {args.corpus} is extracted",
        utterances=n,
        all_equal=all(row["equal"] for row in rows),
        repeated=sum(row["repeated"] for row in rows),
        kills=rows,
    )
    print(
        f"all equal: {all(row['equal'] for row in rows)}; repeated: "
        f"{sum(row['repeated'] for row in rows)} of {n * args.kills} utterances"
    )
