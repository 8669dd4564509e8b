"""Tests other formats for what the feature store must guarantee.

python benchmarks/store_formats.py    (needs h5py and lmdb)

For HDF5, LMDB and one .npy file per utterance: the bytes beyond the payload,
what can be read after a SIGKILL, whether a changed byte is noticed, and
whether two processes can write at once.
"""

import argparse
import os
import random
import signal
import tempfile
import time
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from timing import save

RECORD = np.random.default_rng(0).standard_normal((50, 160)).astype("float32")


class HDF5:
    """One dataset per utterance, as in SpeechBrain's CachedHDF5DynamicItem."""

    def __init__(self, folder):
        import h5py

        folder.mkdir(exist_ok=True)
        self.file = h5py.File(folder / "cache.hdf5", "a")

    def write(self, name):
        self.file.create_dataset(name, data=RECORD)

    def read(self, name):
        return self.file[name][:] if name in self.file else None

    def close(self):
        self.file.close()


class LMDB:
    """One value per utterance and one transaction per write."""

    def __init__(self, folder):
        import lmdb

        self.file = lmdb.open(str(folder), map_size=2**32)

    def write(self, name):
        with self.file.begin(write=True) as transaction:
            transaction.put(name.encode(), RECORD.tobytes())

    def read(self, name):
        with self.file.begin() as transaction:
            data = transaction.get(name.encode())
        return data and np.frombuffer(data, "float32").reshape(RECORD.shape)

    def close(self):
        self.file.close()


class Files:
    """One .npy file per utterance."""

    def __init__(self, folder):
        folder.mkdir(exist_ok=True)
        self.folder = folder

    def write(self, name):
        np.save(self.folder / f"{name}.npy", RECORD)

    def read(self, name):
        path = self.folder / f"{name}.npy"
        return np.load(path) if path.exists() else None

    def close(self):
        pass


def write_all(kind, folder, n):
    """Writes n records and closes."""
    store = kind(folder)
    for k in range(n):
        store.write(str(k))
    store.close()


def over_payload(kind, folder, n):
    """Returns the size on disk beyond the payload, in percent of it."""
    write_all(kind, folder, n)
    used = sum(512 * path.stat().st_blocks for path in folder.iterdir())
    return 100 * (used / (n * RECORD.nbytes) - 1)


def after_kill(kind, folder, n, after):
    """Kills the writer after so many seconds; says what can be read then."""
    pid = os.fork()
    if not pid:
        write_all(kind, folder, n)
        os._exit(0)
    time.sleep(after)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    try:
        store = kind(folder)
        whole = [store.read(str(k)) for k in range(n)]
        store.close()
    except (OSError, ValueError, EOFError) as error:
        return f"{type(error).__name__}: {error}"
    right = sum(x is not None and np.array_equal(x, RECORD) for x in whole)
    there = sum(x is not None for x in whole)
    return "readable" if right == there else f"{there - right} wrong records"


def flipped_byte(kind, folder):
    """Changes one byte of a payload; says whether reading notices it."""
    write_all(kind, folder, 1)
    path = max(folder.iterdir(), key=lambda path: path.stat().st_size)
    data = bytearray(path.read_bytes())
    data[data.find(RECORD.tobytes()[:64]) + 32] ^= 0x10
    path.write_bytes(data)
    store = kind(folder)
    same = np.array_equal(store.read("0"), RECORD)
    return "read correctly" if same else "wrong values, no error"


def write_one(kind, folder):
    """Writes one record, in the second process of two_writers."""
    store = kind(folder)
    store.write("1")
    store.close()


def two_writers(kind, folder):
    """Says whether a second process can write while the first has the store
    open.
    """
    store = kind(folder)
    store.write("0")
    other = get_context("spawn").Process(target=write_one, args=(kind, folder))
    other.start()
    other.join()
    return "refused" if other.exitcode else "possible"


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--records", type=int, default=1000)
    arguments.add_argument("--kills", type=int, default=10)
    arguments.add_argument(
        "--output", default="benchmarks/results/formats.json"
    )
    args = arguments.parse_args()
    rng = random.Random(0)
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        for kind in (HDF5, LMDB, Files):
            base = Path(folder, kind.__name__)
            start = time.perf_counter()
            row = {
                "over_payload_percent": over_payload(
                    kind, Path(f"{base}0"), args.records
                )
            }
            seconds = time.perf_counter() - start
            row["write_ms"] = 1000 * seconds / args.records
            row["kills"] = [
                after_kill(
                    kind,
                    Path(f"{base}k{k}"),
                    args.records,
                    rng.uniform(0.1, 1) * seconds,
                )
                for k in range(args.kills)
            ]
            row["flipped_byte"] = flipped_byte(kind, Path(f"{base}f"))
            row["two_writers"] = two_writers(kind, Path(f"{base}t"))
            results[kind.__name__] = row
            print(kind.__name__, row, flush=True)
    save(args.output, title="other formats", results=results)
