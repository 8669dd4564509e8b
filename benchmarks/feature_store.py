"""Times the feature store: random reads, beside other formats, and stores of
growing size.

python benchmarks/feature_store.py reads [--records 1000 --frames 226]
python benchmarks/feature_store.py growth [--sizes 1000 10000 100000]

``reads`` needs h5py and lmdb, which the package does not install.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
import torch
from timing import compare, report, save

from speechbrain_ptssnn.backbones.base import Backbone
from speechbrain_ptssnn.corpora.common import Utterance
from speechbrain_ptssnn.features.audio_hashes import RACY_NS
from speechbrain_ptssnn.features.store import FeatureStore
from speechbrain_ptssnn.utils.memory import keep_freed_memory


class Noise(Backbone):
    """Noise of a given shape that depends on the audio and costs no time."""

    def __init__(self, frames, size):
        super().__init__(16000, 50.0, 100)
        self.shape = (frames, size)

    def extract(self, wav):
        generator = torch.Generator().manual_seed(int(wav[:64].norm() * 2**40))
        return torch.randn(self.shape, generator=generator)

    def fingerprint(self):
        return f"noise {self.shape}"


def make_utterances(folder, n):
    """Returns n utterances; makes their tiny audio files if they do not
    exist.
    """
    folder.mkdir(exist_ok=True)
    rows, is_new = [], False
    for k in range(n):
        wav = folder / f"{k // 1000}" / f"{k:07d}.wav"
        if not wav.exists():
            wav.parent.mkdir(exist_ok=True)
            noise = np.random.default_rng(k).standard_normal(128)
            soundfile.write(wav, 0.1 * noise, 16000)
            is_new = True
        rows.append(Utterance(wav.stem, str(wav), "s", "calm", 1.0))
    if is_new:
        time.sleep(RACY_NS / 1e9)  # hashes of newer files are not remembered
    return rows


def readers(folder, utterances, backbone):
    """Fills each format with the same features; returns name to a function
    that reads an utterance by its id.
    """
    import lmdb
    from speechbrain.integrations.hdf5.cached_item import CachedHDF5DynamicItem

    store = FeatureStore(folder / "store", backbone, utterances)
    store.fill(progressbar=False)
    (folder / "npy").mkdir()
    item = CachedHDF5DynamicItem(
        str(folder / "hdf5"),
        takes=["id"],
        func=lambda name: store[name].numpy(),
        provides=["feats"],
    )
    database = lmdb.open(str(folder / "lmdb"), map_size=2**40)
    for u in utterances:
        feats = store[u.id].numpy()
        np.save(folder / "npy" / f"{u.id}.npy", feats)
        item(u.id)
        with database.begin(write=True) as transaction:
            transaction.put(u.id.encode(), feats.tobytes())
    item.change_file_mode("r")

    fresh = FeatureStore(folder / "store", backbone, utterances)

    def read_first(name):
        fresh._locations["verified"] = False
        return fresh[name]

    def read_lmdb(name):
        with database.begin(buffers=True) as transaction:
            data = transaction.get(name.encode())
            return torch.from_numpy(np.frombuffer(data, np.float32).copy())

    return {
        "CachedHDF5DynamicItem": lambda name: torch.from_numpy(item(name)),
        "one .npy file per utterance": lambda name: torch.from_numpy(
            np.load(folder / "npy" / f"{name}.npy")
        ),
        "LMDB": read_lmdb,
        "FeatureStore": lambda name: store[name],
        "FeatureStore, first read": read_first,
    }


def read_batches(read, names):
    """Reads as training does: holds a batch, then frees it."""
    for start in range(0, len(names), 32):
        [read(name) for name in names[start : start + 32]]


def measure_reads(args):
    """Times random reads of records that the system has in memory."""
    keep_freed_memory()  # as training does; it helps the others too
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        folder = Path(folder)
        utterances = make_utterances(folder / "audio", args.records)
        backbone = Noise(args.frames, args.size)
        found = readers(folder, utterances, backbone)
        names = random.Random(0).choices(
            [u.id for u in utterances], k=args.reads
        )
        expected = found["FeatureStore"](names[0])
        for read in found.values():
            assert torch.equal(read(names[0]).view_as(expected), expected)
        results = compare(
            {
                name: lambda read=read: read_batches(read, names)
                for name, read in found.items()
            },
            args.repeats,
        )
        shape = [args.frames, args.size]
        for row in results.values():
            row["reads_per_second"] = 1000 * args.reads / row["ms"]
        title = f"{args.reads} random reads of {args.records} records {shape}"
        for baseline in list(found)[:2]:
            report(title, results, baseline, args.output)


def memory():
    """Returns this process's resident megabytes, without and with mapped
    files.
    """
    fields = dict(
        line.split(":")
        for line in Path("/proc/self/status").read_text().splitlines()
    )
    return [int(fields[key].split()[0]) / 1024 for key in ("RssAnon", "VmRSS")]


def measure_size(folder, n, frames, size):
    """Fills or opens a store and reads it; measure_growth runs this in a
    process of its own.
    """
    utterances = make_utterances(folder / "audio", n)
    names = [u.id for u in utterances]
    before, _ = memory()
    start = time.perf_counter()
    store = FeatureStore(folder / f"store{n}", Noise(frames, size), utterances)
    computed = store.fill(progressbar=False)
    row = {"computed": computed, "seconds": time.perf_counter() - start}
    row["store_mb"] = memory()[0] - before
    order = random.Random(0).choices(names, k=20_000)
    for key in ("first_reads_per_second", "reads_per_second"):
        start = time.perf_counter()
        for name in order:
            store[name]
        row[key] = len(order) / (time.perf_counter() - start)
    row["store_mb_after_reads"] = memory()[0] - before
    row["resident_mb_with_maps"] = memory()[1]
    payload = n * frames * size * 4
    used = sum(path.stat().st_size for path in store.folder.iterdir())
    row["payload_mb"] = payload / 2**20
    row["over_payload_percent"] = 100 * (used / payload - 1)
    print(json.dumps(row))


def measure_growth(args):
    """Measures stores of several sizes as they are filled and opened again."""
    results = {}
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        for n in args.sizes:
            results[n] = {}
            make_utterances(Path(folder, "audio"), n)
            for what in ("fill", "open"):
                command = [__file__, "one", folder, str(n)]
                shape = [str(args.frames), str(args.size)]
                output = subprocess.check_output(
                    [sys.executable, *command, *shape], text=True
                )
                results[n][what] = json.loads(output)
                print(n, what, results[n][what], flush=True)
    save(args.output, title="growth", results=results)


if __name__ == "__main__":
    if sys.argv[1:2] == ["one"]:
        n, frames, size = map(int, sys.argv[3:])
        torch.set_num_threads(1)
        measure_size(Path(sys.argv[2]), n, frames, size)
        sys.exit()
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    arguments.add_argument("what", choices=["reads", "growth"])
    arguments.add_argument("--output")
    arguments.add_argument("--folder", help="of the stores; default: /tmp")
    arguments.add_argument("--records", type=int, default=1000)
    arguments.add_argument("--reads", type=int, default=200)
    arguments.add_argument("--repeats", type=int, default=30)
    arguments.add_argument("--sizes", type=int, nargs="+")
    arguments.add_argument("--frames", type=int)
    arguments.add_argument("--size", type=int)
    args = arguments.parse_args()
    args.output = args.output or f"benchmarks/results/store_{args.what}.json"
    args.sizes = args.sizes or [1000, 10_000, 100_000]
    # Reads: the mean utterance of IEMOCAP. Growth: a second of fbank, since a
    # small payload shows the cost per record.
    shape = (226, 768) if args.what == "reads" else (50, 160)
    args.frames, args.size = args.frames or shape[0], args.size or shape[1]
    torch.set_num_threads(1)
    (measure_reads if args.what == "reads" else measure_growth)(args)
