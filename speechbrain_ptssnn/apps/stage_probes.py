"""What each stage of a spike encoder's network tells about the class, and when,
and whether the spikes rebuild the mel values.
"""

import json
from statistics import mean

import numpy as np
import torch
from matplotlib import rc_context
from torch.nn.utils.rnn import pad_sequence
from tqdm import tqdm

from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.evaluation.separability import (
    linear_head,
    share_between,
)
from speechbrain_ptssnn.evaluation.trained_run import TrainedRun
from speechbrain_ptssnn.lobes.spike_encoder_net import SpikeEncoderNet
from speechbrain_ptssnn.lobes.spike_stages import StageMonitor
from speechbrain_ptssnn.nnet.normalization import MaskedBatchNorm
from speechbrain_ptssnn.report import plots
from speechbrain_ptssnn.utils.files import write_text
from speechbrain_ptssnn.utils.text_tables import columns, number

SHARES = tuple(k / 10 for k in range(1, 11))  # of an utterance's frames
STRENGTHS = (0.001, 0.01, 0.1, 1.0)  # C of the linear heads, strongest first
BATCH = 32


def probe_run(folder, features_folder=None, data_folder=None):
    """Trains linear heads on each stage of a run, trained and untrained.

    A linear head gets the mean of a stage over the first 10 %, 20 % ... of an
    utterance's frames. It is trained on the fold's training utterances and
    tested on its test utterances. Its C is chosen once a stage, on the
    validation utterances at their full length; the smallest of the best.

    The untrained network has the run's start values. Its batch norms have got
    their statistics from the training utterances, as otherwise its neurons
    would hardly fire.

    Arguments
    ---------
    folder : str or Path
        results/<corpus>/<protocol>/<backbone>/<model>/<seed>.
    features_folder : str, optional
        Where the feature stores are now; by default where they were in the
        training.
    data_folder : str, optional
        Where the corpus is now, or a folder above it; by default where it was
        in the training.

    Returns
    -------
    tuple
        (dict, Path): the content of ``probes.json``, and the file. Under
        "trained" and "untrained", "stages" has by stage the "accuracy" over
        the test utterances of all finished folds, a list as long as "shares",
        the share of variance "between" the classes at full length, and each
        fold's "C"; "errors" are those of
        :meth:`~speechbrain_ptssnn.lobes.spike_stages.StageMonitor.errors`,
        also on the test utterances. The latter two are means over the folds.

    Raises
    ------
    InputError
        If no fold is finished, or the head is no network behind a spike
        encoder.
    """
    run = TrainedRun(folder, features_folder, data_folder)
    found = {"trained": [], "untrained": []}
    for fold in run.folds:
        head, features = run.load(fold)
        if not isinstance(head, SpikeEncoderNet) or head.encoder is None:
            raise InputError(
                f"{folder}: its head is no SpikeEncoderNet with an encoder, so "
                "it has no stages to probe; train one of "
                "hparams/spike_encoder/, such as spike_encoder/small"
            )
        parts = {
            part: _Utterances(run, fold, part, features)
            for part in ("train", "valid", "test")
        }
        start = run.start_head(fold).to(next(head.parameters()).device)
        _fit_norms(start, parts["train"])
        for kind, each in (("trained", head), ("untrained", start)):
            found[kind].append(_probe(each, parts, f"fold {fold}, {kind}"))
    outcome = {
        **run.files.condition,
        "model": run.summary["model"],
        "seed": run.summary["seed"],
        "folds": run.folds,
        "n_utterances": sum(len(run.test_ids(fold)) for fold in run.folds),
        "shares": list(SHARES),
        **{kind: _joined(folds) for kind, folds in found.items()},
    }
    write_text(run.files.probes, json.dumps(outcome, indent=1))
    with rc_context(plots.STYLE):
        figure, _ = plots.probes_figure(outcome)
        figure.savefig(
            run.files.probes_plot, bbox_inches="tight", metadata={"Date": None}
        )
    return outcome, run.files.probes


class _Utterances:
    """The utterances of a fold's part: padded batches, labels in their order.

    A batch takes each n-th utterance, so that it has all classes, which the
    manifest's order may not mix.
    """

    def __init__(self, run, fold, part, features):
        ids = run.part_ids(fold, part)
        n_batches = -(-len(ids) // BATCH)
        self.batches = [ids[k::n_batches] for k in range(n_batches)]
        self.features = features
        self.labels = np.array(
            [run.utterances[id].label for ids in self.batches for id in ids]
        )

    def __iter__(self):
        for ids in self.batches:
            feats = [self.features(id)[0] for id in ids]
            counts = torch.tensor([len(each) for each in feats])
            padded = pad_sequence(feats, batch_first=True)
            yield padded, (counts / counts.max()).to(padded.device)


@torch.no_grad()
def _fit_norms(head, utterances):
    for module in head.modules():
        if isinstance(module, MaskedBatchNorm):
            module.train()
    for feats, lengths in utterances:
        head(feats, lengths)
    head.eval()


@torch.no_grad()
def _watch(head, utterances):
    with StageMonitor(head, SHARES) as stages:
        for feats, lengths in utterances:
            head(feats, lengths)
    return stages


def _probe(head, parts, title):
    """One fold's values: "stages" and "errors"."""
    seen = {part: _watch(head, each) for part, each in parts.items()}
    labels = {part: each.labels for part, each in parts.items()}
    stages = {}
    for stage in tqdm(seen["test"].names, title, delay=2):
        x = {part: each.means(stage).numpy() for part, each in seen.items()}

        def told(part, k, C, x=x):
            linear = linear_head(C).fit(x["train"][:, k], labels["train"])
            return linear.predict(x[part][:, k]) == labels[part]

        last = len(SHARES) - 1
        C = max(STRENGTHS, key=lambda C: told("valid", last, C).sum())
        stages[stage] = {
            "hits": [int(told("test", k, C).sum()) for k in range(last + 1)],
            "between": share_between(x["test"][:, last], labels["test"]),
            "C": C,
        }
    return {
        "stages": stages,
        "errors": seen["test"].errors(),
        "n_utterances": len(labels["test"]),
    }


def _joined(folds):
    """The values of all folds together."""
    n_utterances = sum(fold["n_utterances"] for fold in folds)
    stages = {}
    for stage in folds[0]["stages"]:
        each = [fold["stages"][stage] for fold in folds]
        hits = np.sum([fold["hits"] for fold in each], 0)
        stages[stage] = {
            "accuracy": (hits / n_utterances).tolist(),
            "between": mean(fold["between"] for fold in each),
            "C": [fold["C"] for fold in each],
        }
    errors = {
        stage: mean(fold["errors"][stage] for fold in folds)
        for stage in folds[0]["errors"]
    }
    return {"stages": stages, "errors": errors}


def table(outcome):
    """Lays out probes as text.

    Arguments
    ---------
    outcome : dict
        From :func:`probe_run`.

    Returns
    -------
    str
        A line a stage: test accuracy by the share of the utterance that was
        heard, share of variance between the classes, reconstruction error;
        first of the trained network, then of the untrained one.

    Example
    -------
    >>> stage = {"accuracy": [0.25, 0.5], "between": 0.125, "C": [0.1]}
    >>> found = {"stages": {"encoder": stage}, "errors": {"encoder": 0.375}}
    >>> names = {"corpus": "FSDD", "protocol": "authors", "backbone": "tiny"}
    >>> outcome = names | {"model": "small", "seed": 1, "n_utterances": 300}
    >>> outcome |= {"folds": [1], "shares": [0.5, 1.0], "untrained": found}
    >>> print(table(outcome | {"trained": found}))
    FSDD, authors, tiny, small, seed 1; 300 test utterances, fold 1
    <BLANKLINE>
    heard       50%   100%  between  error
    trained
      encoder  25.0%  50.0%   0.125  0.375
    untrained
      encoder  25.0%  50.0%   0.125  0.375
    <BLANKLINE>
    heard: correct, in %, by linear heads on the first part of the frames...
    """
    names = ("corpus", "protocol", "backbone", "model")
    folds = ", ".join(map(str, outcome["folds"]))
    title = (
        f"{', '.join(map(outcome.get, names))}, seed {outcome['seed']}; "
        f"{outcome['n_utterances']} test utterances, "
        f"fold{'s'[: len(outcome['folds']) > 1]} {folds}"
    )
    header = ["heard", *(f"{share:.0%}" for share in outcome["shares"])]
    lines = [[*header, "between", "error"]]
    for kind in ("trained", "untrained"):
        lines.append([kind])
        errors = outcome[kind]["errors"]
        for stage, values in outcome[kind]["stages"].items():
            lines.append(
                [
                    f"  {stage}",
                    *(f"{share:.1%}" for share in values["accuracy"]),
                    f"{values['between']:.3f}",
                    number(errors.get(stage), ".3f"),
                ]
            )
    return "\n".join(
        [
            title,
            "",
            *columns(lines),
            "",
            "heard: correct, in %, by linear heads on the first part of the "
            "frames",
            "between: share of the variance that lies between the classes, "
            "mean of the channels",
            "error: of the mel values rebuilt from the spikes, in standard "
            "deviations",
        ]
    )
