"""What a timeline of a long recording costs, and how right it is.

Two recordings, of 10 and 60 minutes, are made of the utterances that a fold
was tested on, in random order, again and again. Between two stand 0.6 to 3 s:
in turn digital silence, white noise 40 dB and noise 30 dB below the utterances'
mean level. Each recording gets a timeline in a process of its own, whose
memory is measured.

Speech: an utterance's true edges are its first and last 10 ms that are at most
30 dB below its loudest 10 ms. An edge is found if a stretch of speech begins,
or ends, within 0.2 s.

Windows and steps: right if the label is the one of the utterance in which its
middle lies. An utterance: right if its label is the one of most of the time of
the segments inside. Beside them stands the fold's own test accuracy.

python benchmarks/timeline.py RUN [--fold 1] [--data_folder ...]

RUN is results/<corpus>/<protocol>/<backbone>/<head>/<seed>.
"""

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
from timing import begin, parser, save

from speechbrain_ptssnn.apps.timeline import timeline
from speechbrain_ptssnn.apps.timeline_files import (
    FORMATS,
    plan_files,
    write_files,
)
from speechbrain_ptssnn.audio import MonoAudio, load_audio
from speechbrain_ptssnn.deploy.classify import open_bundle
from speechbrain_ptssnn.evaluation.predictions import read_predictions
from speechbrain_ptssnn.evaluation.trained_run import TrainedRun

RATE = 16000
FRAME = RATE // 100
DISTANCE = 30  # dB below the loudest frame
PAUSE = (0.6, 3.0)  # seconds
NOISES = (None, -40, -30)  # dB; None is digital silence
TOLERANCE = 0.2  # seconds


def true_edges(wav):
    """First and last sample of an utterance, by its energy."""
    frames = wav[: len(wav) // FRAME * FRAME].reshape(-1, FRAME)
    level = 10 * np.log10(np.square(frames, dtype=np.float64).mean(1) + 1e-12)
    loud = np.flatnonzero(level >= level.max() - DISTANCE)
    return loud[0] * FRAME, (loud[-1] + 1) * FRAME


def make_recording(path, utterances, minutes, seed=0):
    """Writes a recording; returns start, end and label of each utterance."""
    chance, rng = random.Random(seed), np.random.default_rng(seed)
    wavs = [wav for wav, _ in utterances]
    level = np.sqrt(np.square(np.concatenate(wavs)).mean())
    truth, at, n_pauses, order = [], 0, 0, []
    with soundfile.SoundFile(path, "w", RATE, 1, subtype="PCM_16") as file:
        while at < minutes * 60 * RATE:
            noise = NOISES[n_pauses % len(NOISES)]
            pause = np.zeros(round(chance.uniform(*PAUSE) * RATE))
            if noise is not None:
                scale = level * 10 ** (noise / 20)
                pause = rng.normal(0, scale, len(pause))
            if not order:
                order = chance.sample(utterances, len(utterances))
            wav, label = order.pop()
            first, last = true_edges(wav)
            file.write(pause)
            file.write(wav)
            at += len(pause)
            truth.append(((at + first) / RATE, (at + last) / RATE, label))
            at += len(wav)
            n_pauses += 1
    return truth


def edges_found(truth, speech):
    """Of the true starts and ends: the share within 0.2 s of a found one, and
    the median of found minus true, in seconds; and the shares of the time.
    """
    found, true = (
        np.array([row[:2] for row in rows]) for rows in (speech, truth)
    )
    result, near = {}, []
    for k, name in enumerate(("starts", "ends")):
        distances = found[:, k] - true[:, k, None]
        closest = np.abs(distances).argmin(1)
        distances = distances[np.arange(len(true)), closest]
        near.append(np.abs(distances) <= TOLERANCE)
        result[name] = float(near[-1].mean())
        result[f"{name}_late_by"] = float(np.median(distances))
    inside = sum(
        max(0.0, min(end, b) - max(start, a))
        for start, end in true
        for a, b in found
    )
    return {
        **result,
        "edges": float(np.mean(near)),
        "recall_of_time": float(inside / np.diff(true).sum()),
        "precision_of_time": float(inside / np.diff(found).sum()),
    }


def right(truth, spans):
    """Share of spans whose label is that of the utterance at their middle, and
    how many have their middle in an utterance.
    """
    starts = np.array([row[0] for row in truth])
    hits = []
    for each in spans:
        middle = (each.start + each.end) / 2
        start, end, label = truth[max(0, np.searchsorted(starts, middle) - 1)]
        if start <= middle <= end:
            hits.append(label == each.label)
    return {"right": float(np.mean(hits)), "of": len(hits)}


def right_utterances(truth, segments):
    """Share of utterances whose label has most of the time of the segments
    inside.
    """
    hits = []
    for start, end, label in truth:
        seconds = {}
        for each in segments:
            both = min(end, each.end) - max(start, each.start)
            if both > 0:
                seconds[each.label] = seconds.get(each.label, 0.0) + both
        if seconds:
            hits.append(max(seconds, key=seconds.get) == label)
        else:
            hits.append(False)
    return {"right": float(np.mean(hits)), "of": len(hits)}


def peak_mb():
    """The most memory that this process had at once. Unlike ru_maxrss it does
    not begin with the parent's.
    """
    text = Path("/proc/self/status").read_text()
    return int(text.split("VmHWM:")[1].split()[0]) / 1024


def work(model, path, folder, truth):
    """Makes and judges one timeline; prints JSON."""
    classifier = open_bundle(model)
    before = peak_mb()
    begun, processor = time.perf_counter(), time.process_time()
    made = timeline(classifier, path)
    seconds = time.perf_counter() - begun
    processor = time.process_time() - processor
    after = peak_mb()
    files = plan_files([path], FORMATS, folder)[path]
    begun = time.perf_counter()
    written = write_files(made, files)
    (track,) = made.tracks
    print(
        json.dumps(
            {
                "seconds_of_audio": made.seconds,
                "utterances": len(truth),
                "wall_seconds": seconds,
                "processor_seconds": processor,
                "real_time_factor": seconds / made.seconds,
                "peak_mb_with_model_only": before,
                "peak_mb": after,
                "writing_seconds": time.perf_counter() - begun,
                "peak_mb_with_files": peak_mb(),
                "mb_of_files": {
                    file.suffix: file.stat().st_size / 1e6 for file in written
                },
                "speech": edges_found(truth, track.speech),
                "windows": right(truth, track.windows),
                "steps": right(truth, track.steps),
                "utterances_right": right_utterances(truth, track.segments),
            }
        )
    )


def main():
    """Measures both lengths."""
    arguments = parser(__doc__, "timeline.json")
    arguments.add_argument("run")
    arguments.add_argument("--fold", type=int, default=1)
    arguments.add_argument("--data_folder")
    arguments.add_argument("--minutes", type=float, nargs="+", default=[10, 60])
    args = begin(arguments)
    run = TrainedRun(args.run, data_folder=args.data_folder)
    rows = read_predictions(run.files.fold(args.fold).predictions)
    mono = MonoAudio(RATE)
    utterances = [
        (load_audio(run.utterances[row["id"]].wav, mono).numpy(), row["label"])
        for row in rows
    ]
    own = np.mean([row["label"] == row["prediction"] for row in rows])
    model = str(run.files.fold(args.fold).bundle)
    outcome = {}
    with tempfile.TemporaryDirectory() as folder:
        for minutes in args.minutes:
            path = str(Path(folder, f"{minutes:g}_minutes.wav"))
            truth = make_recording(path, utterances, minutes)
            Path(folder, "truth.json").write_text(json.dumps(truth))
            done = subprocess.run(
                [sys.executable, __file__, "--work", model, path, folder],
                capture_output=True,
                text=True,
                env={**os.environ, "OMP_NUM_THREADS": str(args.threads)},
            )
            if done.returncode:
                sys.exit(done.stderr)
            row = json.loads(done.stdout.splitlines()[-1])
            outcome[f"{minutes:g} minutes"] = row
            print(f"{minutes:g} minutes: {json.dumps(row, indent=1)}")
    print(f"the fold's own test accuracy: {own:.3f}, of {len(rows)} utterances")
    save(
        args.output,
        condition="/".join(Path(args.run).parts[-5:]),
        fold=args.fold,
        test_accuracy={"right": float(own), "of": len(rows)},
        results=outcome,
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        model, path, folder = sys.argv[2:]
        work(
            model,
            path,
            folder,
            json.loads(Path(folder, "truth.json").read_text()),
        )
    else:
        main()
