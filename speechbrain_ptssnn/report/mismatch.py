"""The mismatch of current and threshold, and what calibration does about it.

Eq. 3: where the current stays far below the threshold a neuron never fires,
where it stays far above it fires at every frame; neither says anything.
"""

from collections import defaultdict
from dataclasses import dataclass

import torch
from tqdm import tqdm

from speechbrain_ptssnn.nnet.monitor import (
    FiringRates,
    LayerRecorder,
    mean_rates,
)

CALIBRATED = "classifier.hidden"  # gets the bias voltage (eq. 13)
UNCALIBRATED = "without bias"
RANGE, BINS = 3.0, 60  # of the histograms; in thresholds, both sides of 0


@dataclass
class LayerMismatch:
    """What :func:`measure_mismatch` finds out about one layer.

    Arguments
    ---------
    currents : torch.Tensor
        Histogram, [BINS]: how often the current, in thresholds, was where
        between -RANGE and RANGE; the outer bins hold all beyond.
    uncalibrated : torch.Tensor or None
        The same without the bias voltage, for the layer that gets one.
    rates : dict
        "all", each label and, for the layer that gets a bias voltage,
        UNCALIBRATED, to mean rate and silent and saturated share, as
        :meth:`FiringRates.summary` gives them; the mean over folds.
    """

    currents: torch.Tensor
    uncalibrated: torch.Tensor | None
    rates: dict


@torch.no_grad()
def measure_mismatch(run):
    """Looks at the spiking layers while the heads hear their test utterances.

    Arguments
    ---------
    run : TrainedRun
        All its finished folds are looked at.

    Returns
    -------
    dict
        Name of a layer to its :class:`LayerMismatch`, in the order of the
        head; empty where nothing spikes.
    """
    histograms, firing = {}, defaultdict(dict)
    for number in tqdm(run.summary["folds_done"], "mismatch", delay=2):
        for group, rates in _listen(run, number, histograms).items():
            firing[group][number] = rates
    rates = {group: mean_rates(by_fold) for group, by_fold in firing.items()}
    before = histograms.pop(UNCALIBRATED, None)
    order = [
        group
        for group in ("all", UNCALIBRATED, *run.summary["labels"])
        if group in rates
    ]
    return {
        name: LayerMismatch(
            currents,
            before if name == CALIBRATED else None,
            {each: rates[each][name] for each in order if name in rates[each]},
        )
        for name, currents in histograms.items()
    }


def _listen(run, number, histograms):
    """One fold: adds to the histograms; returns rates by group and layer."""
    head, features = run.load(number)
    ids = run.test_ids(number)
    # Prompts spike once a head, not with every utterance: not counted.
    head(features(ids[0]))
    watched = LayerRecorder(head)
    groups = defaultdict(lambda: FiringRates(head))
    uncalibrated = FiringRates(watched.layers.get(CALIBRATED, head))
    for id in ids:
        with watched, groups["all"], groups[run.utterances[id].label]:
            head(features(id))
        for name, current in watched.currents.items():
            _add(histograms, name, current, watched.layers[name])
        if watched.bias is not None:
            layer = watched.layers[CALIBRATED]
            current = watched.currents[CALIBRATED] - watched.bias
            _add(histograms, UNCALIBRATED, current, layer)
            with uncalibrated:
                layer(current.unsqueeze(0))
    rates = {group: counted.summary() for group, counted in groups.items()}
    if watched.bias is not None:
        (of_layer,) = uncalibrated.summary().values()
        rates[UNCALIBRATED] = {CALIBRATED: of_layer}
    return rates


def _add(histograms, name, current, layer):
    limited = (current / layer.v_threshold).clamp(-RANGE, RANGE)
    counts = torch.histc(limited, BINS, -RANGE, RANGE)
    histograms[name] = histograms.get(name, 0) + counts
