"""Kills ``ptssnn classify --csv`` again and again while it classifies many
files. The same command must then end with the CSV of a command that nothing
disturbed, byte for byte, and must have classified no file twice.

python benchmarks/classify_kill.py MODEL FOLDER --files=2000 --jobs=1,2

The files are parts of FOLDER's recordings. After every second kill the last
row is cut at a random byte too, as a power cut may leave it.
"""

import argparse
import csv as csv_module
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import soundfile
from fuzzing.engine import scratch_folder
from timing import save
from tqdm import tqdm

from speechbrain_ptssnn.deploy.classify import find_audio

SECONDS = (0.4, 2.0)  # of a file
POLL = 0.005  # seconds


def make_files(source, folder, n, rng):
    """Cuts ``n`` files at random; one in a hundred is damaged."""
    recordings = find_audio([source])
    for k in range(n):
        path = rng.choice(recordings)
        info = soundfile.info(path)
        length = min(
            info.frames, round(rng.uniform(*SECONDS) * info.samplerate)
        )
        start = rng.randrange(info.frames - length + 1)
        samples, rate = soundfile.read(path, length, start, always_2d=True)
        file = folder / f"{k % 20}" / f'{rng.randrange(16**4):04x}, "{k}".wav'
        file.parent.mkdir(exist_ok=True)
        soundfile.write(file, samples, rate)
        if not k % 100:
            file.write_bytes(file.read_bytes()[:-100])


def start(model, folder, csv, jobs):
    """Starts the command in a session of its own."""
    words = ["classify", model, folder, f"--csv={csv}", f"--jobs={jobs}"]
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "speechbrain_ptssnn.cli"),
            *(*map(str, words), "--noprogressbar"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def finish(*arguments):
    """Runs the command to its end; returns what it said, and seconds."""
    begin = time.perf_counter()
    said, _ = start(*arguments).communicate()
    return said.decode(), time.perf_counter() - begin


def part_of(csv):
    """The file that grows."""
    return csv.with_name(f"{csv.name}.part")


def rows_of(csv):
    """The rows that are there."""
    part = part_of(csv)
    return part.read_bytes().splitlines()[1:] if part.exists() else []


def kill(arguments, rng, n_more):
    """Starts the command and kills it and its jobs after ``n_more`` rows;
    returns False if it ended before.
    """
    csv = arguments[2]
    process, wanted = start(*arguments), len(rows_of(csv)) + n_more
    while len(rows_of(csv)) < wanted:
        if process.poll() is not None:
            return False
        time.sleep(POLL)
    time.sleep(rng.uniform(0, 0.1))
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    return part_of(csv).exists()


def disturb(arguments, rng, n_files, n_kills):
    """Kills the command at random rows until it is let end.

    Returns
    -------
    dict
        What was seen.
    """
    csv, cut, rows_at_kills = arguments[2], 0, []
    for k in range(n_kills):
        n_more = rng.randrange(1, 2 * n_files // (n_kills + 2))
        if not kill(arguments, rng, n_more):
            break
        rows = rows_of(csv)
        rows_at_kills.append(len(rows))
        # Each command tries again what could not be classified: no label.
        cells = csv_module.reader(row.decode() for row in rows)
        good = [path for path, label, *_ in cells if label]
        if len(good) > len({*good}):
            raise RuntimeError("a file was classified twice")
        if k % 2:
            data = part_of(csv).read_bytes()
            size = len(data) - rng.randrange(1, len(rows[-1]) + 1)
            os.truncate(part_of(csv), size)
            cut += 1
    said, seconds = finish(*arguments)
    return {
        "rows_at_kills": rows_at_kills,
        "rows_cut": cut,
        "last_seconds": seconds,
        "said": said.splitlines()[0],
        "leftovers": part_of(csv).exists(),
    }


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    arguments.add_argument("model", type=Path)
    arguments.add_argument("folder")
    arguments.add_argument("--files", type=int, default=2000)
    arguments.add_argument("--jobs", default="1,2")
    arguments.add_argument("--kills", type=int, default=6)
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument(
        "--output", default="benchmarks/results/classify_kill.json"
    )
    args = arguments.parse_args()
    rng, results = random.Random(args.seed), {}
    with scratch_folder() as scratch:
        audio = scratch / "audio"
        audio.mkdir()
        make_files(args.folder, audio, args.files, rng)
        for jobs in tqdm([int(each) for each in args.jobs.split(",")]):
            csv = scratch / f"undisturbed_{jobs}.csv"
            said, seconds = finish(args.model, audio, csv, jobs)
            tqdm.write(said)
            killed = scratch / f"killed_{jobs}.csv"
            command = (args.model, audio, killed, jobs)
            seen = disturb(command, rng, args.files, args.kills)
            results[jobs] = {
                "seconds": seconds,
                "equal": killed.read_bytes() == csv.read_bytes(),
                **seen,
            }
            tqdm.write(f"--jobs={jobs}: {results[jobs]}")
        texts = {
            (scratch / f"undisturbed_{jobs}.csv").read_bytes()
            for jobs in results
        }
    is_good = len(texts) == 1 and all(
        row["equal"] and not row["leftovers"] for row in results.values()
    )
    save(
        args.output,
        title="classify --csv, killed",
        files=args.files,
        equal_for_all_jobs=len(texts) == 1,
        all_good=is_good,
        results=results,
    )
    sys.exit(not is_good)
