"""Times the trained heads of a set side by side, on one test utterance.

python benchmarks/latency.py results/EMOVO/random/opensmile_compare/peers.json

The file is the record that ``ptssnn experiments`` writes. The milliseconds go
into latency.json in each run's folder, and into the next table that
``ptssnn experiments`` prints.
"""

import json
from pathlib import Path

import torch
from timing import compare, parser, report

from speechbrain_ptssnn.energy.measure import MEAN_FRAMES
from speechbrain_ptssnn.evaluation.trained_run import TrainedRun
from speechbrain_ptssnn.utils.files import read_json, write_text
from speechbrain_ptssnn.utils.provenance import device_name


def evaluation(run, frames):
    """Returns a function that classifies one test utterance of the run,
    repeated or cut to that many frames.
    """
    head, features = run.load(run.folds[0])
    feats = features(run.test_ids(run.folds[0])[0])
    feats = feats[:, torch.arange(frames) % feats.shape[1]]
    return torch.inference_mode()(lambda: head(feats))


if __name__ == "__main__":
    arguments = parser(__doc__, "latency.json")
    arguments.add_argument("table", type=Path)
    arguments.add_argument("--frames", type=int, default=MEAN_FRAMES)
    arguments.add_argument("--features_folder")
    arguments.set_defaults(threads=1)
    args = arguments.parse_args()
    torch.set_num_threads(args.threads)
    rows = read_json(args.table)["rows"]
    runs = {
        row["name"]: TrainedRun(
            Path(row["folder"], next(iter(row["figures"]["seeds"]))),
            args.features_folder,
        )
        for row in rows
        if row["figures"]
    }
    candidates = {
        name: evaluation(run, args.frames) for name, run in runs.items()
    }
    results = compare(candidates, args.repeats)
    for name, run in runs.items():
        outcome = {
            "frames": args.frames,
            "threads": args.threads,
            "processor": device_name("cpu"),
            **results[name],
        }
        write_text(run.files.latency, json.dumps(outcome, indent=2))
    report(
        f"one utterance, {args.frames} frames, {args.table}",
        results,
        next(iter(results)),
        args.output,
    )
