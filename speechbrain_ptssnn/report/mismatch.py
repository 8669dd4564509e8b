"""Measures how the currents of the spiking layers match their thresholds,
with and without the calibration's bias voltage.

Eq. 3: a neuron whose current stays far below its threshold never fires, and
one whose current stays far above it fires at every frame. Neither carries
information.
"""

from collections import defaultdict
from dataclasses import dataclass

import torch
from tqdm import tqdm

from speechbrain_ptssnn.nnet.members import population
from speechbrain_ptssnn.nnet.monitor import (
    CALIBRATED,
    FiringRates,
    LayerRecorder,
    mean_rates,
)

UNCALIBRATED = "without bias"
# The histograms cover currents from -RANGE to RANGE, in thresholds.
RANGE, BINS = 3.0, 60


@dataclass
class LayerMismatch:
    """One layer's currents and firing rates on the test utterances.

    Arguments
    ---------
    currents : torch.Tensor
        Histogram of the currents in thresholds, [BINS] counts from -RANGE to
        RANGE; the first and last bins also hold all values beyond.
    uncalibrated : torch.Tensor or None
        The same without the bias voltage; None for layers without one.
    rates : dict
        A group of utterances to its mean rate and its silent and saturated
        shares, as in :meth:`FiringRates.summary`; the mean over folds. The
        groups are "all", each label and, for the layer with a bias voltage,
        UNCALIBRATED: all utterances without it.
    """

    currents: torch.Tensor
    uncalibrated: torch.Tensor | None
    rates: dict


@torch.no_grad()
def measure_mismatch(run):
    """Runs the heads of all finished folds on their test utterances and
    watches the spiking layers.

    Arguments
    ---------
    run : TrainedRun
        The run.

    Returns
    -------
    dict
        Name of a layer to its :class:`LayerMismatch`, in the order of the
        head; empty for a head without spiking layers. A committee's members
        are one population.
    """
    histograms, firing = {}, defaultdict(dict)
    for number in tqdm(run.summary["folds_done"], "mismatch", delay=2):
        for group, rates in _measure_fold(run, number, histograms).items():
            firing[group][number] = rates
    rates = {group: mean_rates(by_fold) for group, by_fold in firing.items()}
    uncalibrated = histograms.pop(UNCALIBRATED, None)
    order = [
        group
        for group in ("all", UNCALIBRATED, *run.summary["labels"])
        if group in rates
    ]
    return {
        name: LayerMismatch(
            currents,
            uncalibrated if name == CALIBRATED else None,
            {each: rates[each][name] for each in order if name in rates[each]},
        )
        for name, currents in histograms.items()
    }


def _measure_fold(run, number, histograms):
    """Adds one fold's currents to the histograms; returns its rates by group
    and layer.
    """
    head, features = run.load(number)
    ids = run.test_ids(number)
    watched = LayerRecorder(head)
    groups = defaultdict(lambda: FiringRates(head))
    uncalibrated = FiringRates(head)
    for id in ids:
        with watched, groups["all"], groups[run.utterances[id].label]:
            head(features(id))
        for name, current in watched.currents.items():
            _add(histograms, population(name), current, watched.layers[name])
        for name, bias in watched.biases.items():
            layer, current = watched.layers[name], watched.currents[name] - bias
            _add(histograms, UNCALIBRATED, current, layer)
            with uncalibrated:
                layer(current.unsqueeze(0))
    rates = {group: counted.summary() for group, counted in groups.items()}
    if watched.biases:
        of_layer = uncalibrated.summary()[CALIBRATED]
        rates[UNCALIBRATED] = {CALIBRATED: of_layer}
    return rates


def _add(histograms, name, current, layer):
    """Adds a current, in thresholds, to the histogram of that name."""
    limited = (current / layer.v_threshold).clamp(-RANGE, RANGE)
    counts = torch.histc(limited, BINS, -RANGE, RANGE)
    histograms[name] = histograms.get(name, 0) + counts
