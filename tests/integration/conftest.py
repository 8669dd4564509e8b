"""Runs a recipe on a miniature corpus, in this process or in another."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from speechbrain_ptssnn.recipe import main

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "recipes" / "URDU" / "train.py"
PROTOCOL = """\
protocol: !new:speechbrain_ptssnn.corpora.folds.Protocol
    n_folds: 2
    unit: {unit}
    seed: !ref <split_seed>
    valid_parts: 3
"""


@pytest.fixture
def recipe(tmp_path, mini_urdu):
    """Runs recipes/URDU/train.py with two folds of two epochs."""
    for unit in ("utterance", "speaker"):
        (tmp_path / f"{unit}.yaml").write_text(PROTOCOL.format(unit=unit))

    def arguments(head="pts_snn", unit="utterance", **options):
        options = {
            "data_folder": mini_urdu,
            "complete": False,
            "backbone": "fbank",
            "protocol": tmp_path / f"{unit}.yaml",
            "number_of_epochs": 2,
            "batch_size": 8,
            "results_folder": tmp_path / "results",
            "features_folder": tmp_path / "features",
            **options,
        }
        return [
            str(ROOT / "hparams" / f"{head}.yaml"),
            *(f"--{key}={value}" for key, value in options.items()),
            "--device=cpu",
            "--noprogressbar",
        ]

    def outcome(results="results"):
        (summary,) = (tmp_path / results).rglob("summary.json")
        return SimpleNamespace(
            folder=summary.parent,
            summary=json.loads(summary.read_text()),
            predictions=(summary.parent / "predictions.csv").read_text(),
        )

    def call(**options):
        main("URDU", SCRIPT, arguments(**options))

    def run(**options):
        call(**options)
        return outcome(Path(options.get("results_folder", "results")).name)

    def start(*launcher, script=SCRIPT, **options):
        """Starts the same in another process, which can be killed."""
        return subprocess.Popen(
            [sys.executable, *launcher, str(script), *arguments(**options)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )

    return SimpleNamespace(
        arguments=arguments,
        call=call,
        run=run,
        start=start,
        outcome=outcome,
        path=tmp_path,
    )
