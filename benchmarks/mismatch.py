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
import math
import re
from pathlib import Path

import torch
from timing import save
from tqdm import tqdm

from speechbrain_ptssnn.evaluation.trained_run import TrainedRun
from speechbrain_ptssnn.nnet.monitor import (
    CALIBRATED,
    FiringRates,
    LayerRecorder,
    mean_rates,
)
from speechbrain_ptssnn.nnet.plif import PLIF
from speechbrain_ptssnn.utils.text_tables import columns

STAGES = ("raw", "normalised", "after equation 5")
KEYS = ("mean", "silent", "saturated", "bits")


def facts(firing):
    """The rates of each layer, and the bits that its spikes carry at most.

    Arguments
    ---------
    firing : FiringRates
        Of one fold's utterances.

    Returns
    -------
    dict
        Layer name to KEYS.
    """
    result = firing.summary()
    for name, each in result.items():
        rates = firing.spikes[name] / firing.frames[name]
        nats = torch.special.entr(rates) + torch.special.entr(1 - rates)
        each["bits"] = nats.mean().item() / math.log(2)
    return result


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
        "features" and "layers": what to its rates, the mean over folds;
        "values": the features' quantiles.
    """
    features, layers, values = {}, {}, {}
    for number in tqdm(run.folds, run.folder.parent.name):
        head, load = run.load(number)
        neurons = torch.nn.ModuleDict(
            {name: PLIF(head.feature_size) for name in STAGES}
        )
        alone, watched = FiringRates(neurons.eval()), LayerRecorder(head)
        if CALIBRATED not in watched.layers:
            raise SystemExit(
                f"{run.folder}: has no layer {CALIBRATED}; give runs of "
                "PTS-SNN or an ablation"
            )
        bare = FiringRates(watched.layers[CALIBRATED])
        ids = run.test_ids(number)
        rates = FiringRates(head)
        for id in ids:
            x = load(id)
            raw = run.store[id].unsqueeze(0)
            stages = zip(
                STAGES, (raw, x, head.saturation(x.clone())), strict=True
            )
            with alone:
                for name, stage in stages:
                    values.setdefault(name, []).append(stage[0, ::10, ::7])
                    neurons[name](stage)
            with watched, rates:
                head(x)
            if CALIBRATED in watched.biases:
                bias = watched.biases[CALIBRATED]
                current = watched.currents[CALIBRATED] - bias
                with bare:
                    watched.layers[CALIBRATED](current.unsqueeze(0))
        features[number], layers[number] = facts(alone), facts(rates)
        if CALIBRATED in watched.biases:
            (of_layer,) = facts(bare).values()
            layers[number][f"{CALIBRATED}, its bias taken away"] = of_layer
    return {
        "values": {
            name: _quantiles(torch.cat([x.flatten() for x in each]))
            for name, each in values.items()
        },
        "features": mean_rates(features),
        "layers": mean_rates(layers),
        "training": {str(n): read_log(run, n) for n in run.folds},
    }


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
        measured = found[name] = measure(TrainedRun(folder))
        print(f"\n{name}\nfeatures, in thresholds:")
        marks = list(measured["values"]["raw"])
        rows = [
            [stage, *(f"{value:.3g}" for value in quantiles.values())]
            for stage, quantiles in measured["values"].items()
        ]
        print("\n".join(columns([["what", *marks], *rows])))
        for kind in ("features", "layers"):
            rows = [
                [name, *(f"{each[key]:.3f}" for key in KEYS)]
                for name, each in measured[kind].items()
            ]
            print("\n".join(["", *columns([["what", *KEYS], *rows])]))
        for number, log in measured["training"].items():
            shares = ", ".join(
                f"epoch {k + 1}: {log['silent'][k]:.2f} silent and "
                f"{log['saturated'][k]:.2f} saturated"
                for k in (0, len(log["silent"]) - 1)
            )
            print(f"{CALIBRATED}, fold {number}, {shares}")
    save(args.output, **found)


if __name__ == "__main__":
    main()
