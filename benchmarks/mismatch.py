"""Do features and thresholds match, with and without calibration?

python benchmarks/mismatch.py RUN [RUN ...]

Figure 1 and eq. 3 of the paper, measured on the test utterances of trained
runs. First the features drive neurons by themselves (eq. 1 and 2, a decay of
0.5), as in a direct conversion: raw, normalised, and after eq. 5. Then come the
spiking layers of the heads, with the bias voltage and without it, and their
silent and saturated neurons over the training. A neuron with the mean rate r
carries at most H(r) = -r log2 r - (1 - r) log2(1 - r) bits a frame, eq. 3.
"""

import argparse
import re
from pathlib import Path

import torch
from timing import save
from tqdm import tqdm

from speechbrain_ptssnn.evaluation.trained_run import TrainedRun
from speechbrain_ptssnn.nnet.monitor import SATURATED, SILENT, LayerRecorder
from speechbrain_ptssnn.nnet.plif import PLIF
from speechbrain_ptssnn.report.mismatch import CALIBRATED
from speechbrain_ptssnn.utils.text_tables import columns

HEADER = ["what", "mean rate", "silent", "saturated", "bits"]


class Spikes:
    """Adds up each neuron's spikes."""

    def __init__(self):
        self.sum, self.frames = 0, 0

    def add(self, spikes):
        """Adds spikes, [time, neurons]."""
        self.sum = self.sum + spikes.sum(0, dtype=torch.float64)
        self.frames += len(spikes)

    def facts(self):
        """Returns what HEADER names, of all neurons."""
        rates = self.sum / self.frames
        bits = torch.special.entr(rates) + torch.special.entr(1 - rates)
        return {
            "mean rate": rates.mean().item(),
            "silent": (rates < SILENT).double().mean().item(),
            "saturated": (rates > SATURATED).double().mean().item(),
            "bits": bits.mean().item() / torch.tensor(2.0).log().item(),
        }


@torch.no_grad()
def measure(run):
    """Runs each fold's head on its test utterances.

    Arguments
    ---------
    run : TrainedRun
        Of PTS-SNN or an ablation.

    Returns
    -------
    dict
        "features" and "layers": what to its facts; "values": the features'
        quantiles.
    """
    features, layers, values = {}, {}, {}
    for number in tqdm(run.folds, run.folder.parent.name):
        head, load = run.load(number)
        alone = PLIF(head.feature_size).eval()
        for id in run.test_ids(number):
            normalised = load(id)
            stages = {
                "raw": run.store[id].unsqueeze(0),
                "normalised": normalised,
                "after eq. 5": head.saturation(normalised.clone()),
            }
            for name, x in stages.items():
                values.setdefault(name, []).append(x[0, ::10, ::7].flatten())
                _add(features, name, alone(x)[0])
            watched = LayerRecorder(head)
            with watched:
                head(normalised)
            for name, spikes in watched.spikes.items():
                _add(layers, name, spikes)
            if watched.bias is not None:
                layer = watched.layers[CALIBRATED]
                current = watched.currents[CALIBRATED] - watched.bias
                name = f"{CALIBRATED}, its bias taken away"
                _add(layers, name, layer(current.unsqueeze(0))[0])
    return {
        "values": {k: _quantiles(torch.cat(v)) for k, v in values.items()},
        "features": {k: v.facts() for k, v in features.items()},
        "layers": {k: v.facts() for k, v in layers.items()},
        "training": {str(n): read_log(run, n) for n in run.folds},
    }


def _add(facts, name, spikes):
    facts.setdefault(name, Spikes()).add(spikes)


def _quantiles(values):
    marks = (0.0, 0.01, 0.5, 0.99, 1.0)
    values = values.sort().values
    found = {
        f"{mark:.0%}": values[round(mark * (len(values) - 1))].item()
        for mark in marks
    }
    inside = ((values > 0) & (values <= 1)).double().mean().item()
    return found | {"in (0, 1]": inside}


def read_log(run, number):
    """Silent and saturated shares of the calibrated layer in each epoch."""
    text = run.files.fold(number).train_log.read_text(encoding="utf-8")
    number = r"([\d.e+-]+)"
    return {
        key: [
            float(value)
            for value in re.findall(f"{CALIBRATED}/{key}: {number}", text)
        ]
        for key in ("silent", "saturated")
    }


def main():
    """Measures runs in turn and prints their tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--output", default="benchmarks/results/mismatch.json")
    args = parser.parse_args()
    found = {}
    for folder in args.runs:
        name = "/".join(folder.resolve().parts[-5:])
        facts = found[name] = measure(TrainedRun(folder))
        print(f"\n{name}\nfeatures, in thresholds:")
        marks = list(facts["values"]["raw"])
        rows = [
            [stage, *(f"{value:.3g}" for value in quantiles.values())]
            for stage, quantiles in facts["values"].items()
        ]
        print("\n".join(columns([["what", *marks], *rows])))
        for kind in ("features", "layers"):
            rows = [
                [name, *(f"{each[key]:.3f}" for key in HEADER[1:])]
                for name, each in facts[kind].items()
            ]
            print("\n".join(["", *columns([HEADER, *rows])]))
        for number, log in facts["training"].items():
            shares = ", ".join(
                f"epoch {k + 1}: {log['silent'][k]:.2f} silent and "
                f"{log['saturated'][k]:.2f} saturated"
                for k in (0, len(log["silent"]) - 1)
            )
            print(f"{CALIBRATED}, fold {number}, {shares}")
    save(args.output, **found)


if __name__ == "__main__":
    main()
