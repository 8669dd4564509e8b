"""Writes a trained run as one HTML file, for people.

The file needs no network and no other file. It shows the first run in full;
the other runs stand beside it in a table and in the figure of accuracy against
energy.
"""

from pathlib import Path

import matplotlib

from speechbrain_ptssnn.evaluation.predictions import (
    posteriors_of,
    read_predictions,
)
from speechbrain_ptssnn.evaluation.run_folder import RULES
from speechbrain_ptssnn.evaluation.summary import uncalibrated_posteriors
from speechbrain_ptssnn.evaluation.summary_table import (
    collapse_warnings,
    firing_rows,
    interval_note,
    score_rows,
)
from speechbrain_ptssnn.evaluation.trained_run import TrainedRun
from speechbrain_ptssnn.metrics import (
    area_under_risk_coverage,
    reliability,
    risk_coverage,
)
from speechbrain_ptssnn.report import plots
from speechbrain_ptssnn.report.curves import read_curves
from speechbrain_ptssnn.report.examples import SECONDS, examples
from speechbrain_ptssnn.report.html import picture, render
from speechbrain_ptssnn.report.mismatch import measure_mismatch
from speechbrain_ptssnn.utils.files import write_text
from speechbrain_ptssnn.utils.text_tables import interval, number, percent

RUN_HEADER = [
    *("", "corpus and folds", "backbone", "model, seed"),
    *("WA", "95 % interval", "UA", "parameters"),
    *("head's mJ, strict", "head's mJ, paper's rule", "front-end's mJ"),
    *("total mJ, strict", "total mJ, paper's rule"),
]
COVERAGE_HEADER = ["posterior at least", "answers", "share", "correct"]
THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
FOLD_HEADER = [
    *("fold", "utterances", "speakers", "WA", "UA"),
    *("majority WA", "speaker oracle WA", "epoch"),
]


def write_report(runs, output=None, features_folder=None, data_folder=None):
    """Writes the HTML file.

    Arguments
    ---------
    runs : list of str or Path
        Folders of runs, results/<corpus>/.../<model>/<seed>. The first is
        shown in full, the others are compared with it.
    output : str or Path, optional
        The file; by default ``report.html`` in the first run's folder.
    features_folder : str, optional
        Where the feature stores are now; by default where they were in the
        training.
    data_folder : str, optional
        Where the corpus is now, or a folder above it; by default where it was
        in the training.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    InputError
        If a folder holds no finished fold, or a file of the run is missing.
    """
    opened = [
        TrainedRun(folder, features_folder, data_folder) for folder in runs
    ]
    path = Path(output or opened[0].files.report)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, report(opened))
    return path


def report(runs):
    """Puts the page together.

    Arguments
    ---------
    runs : list of TrainedRun
        The first is shown in full, the others are compared with it.

    Returns
    -------
    str
        HTML.
    """
    run = runs[0]
    named = {f"run {k}": each for k, each in enumerate(runs, 1)}
    files = run.files
    with matplotlib.rc_context(plots.STYLE):
        return render(
            "page.html",
            summary=run.summary,
            **_warnings(named),
            **_results(run, files),
            **_energy(named),
            **_training_and_firing(run, files),
            **_examples(run),
            configuration=files.hyperparams.read_text(encoding="utf-8"),
        )


def _warnings(named):
    """The collapsed layers of each run."""
    sentences = {
        name: collapse_warnings(run.summary) for name, run in named.items()
    }
    return {
        "warnings": {name: each for name, each in sentences.items() if each}
    }


def _results(run, files):
    """The tables and figures of the section "Results"."""
    calibrated, uncalibrated, hits = _posteriors(run)
    curves = {
        "with temperature": reliability(calibrated, hits),
        "without": reliability(uncalibrated, hits),
    }
    return {
        "score_rows": score_rows(run.summary),
        "interval_note": interval_note(run.summary),
        "reliability": picture(plots.reliability_figure(curves)),
        **_coverage(calibrated, hits),
        "fold_rows": [
            FOLD_HEADER,
            *(
                _fold_cells(
                    fold, files.read_json(files.fold(fold["fold"]).result)
                )
                for fold in run.summary["per_fold"]
            ),
        ],
    }


def _posteriors(run):
    """The posteriors of all test utterances, with and without temperature, and
    whether each is classified correctly.
    """
    labels, files = run.summary["labels"], run.files
    hits, calibrated, uncalibrated = [], [], []
    for k in run.summary["folds_done"]:
        rows = read_predictions(files.fold(k).predictions)
        temperature = files.temperature(k)
        hits += [row["label"] == row["prediction"] for row in rows]
        calibrated += posteriors_of(rows, labels)
        uncalibrated += uncalibrated_posteriors(rows, labels, temperature)
    return calibrated, uncalibrated, hits


def _coverage(posteriors, hits):
    """The table and the figure of the answers that a threshold leaves."""
    curve = risk_coverage(posteriors, hits)
    thresholds, coverage, risk = curve
    rows = [["all", str(len(hits)), percent(1), percent(1 - risk[-1])]]
    marked = {}
    for threshold in THRESHOLDS:
        n_points = int((thresholds >= threshold).sum())
        cells = ["0", percent(0), percent(None)]
        if n_points:
            share, correct = coverage[n_points - 1], 1 - risk[n_points - 1]
            marked[threshold] = share, correct
            n_answers = round(share * len(hits))
            cells = [str(n_answers), percent(share), percent(correct)]
        rows.append([f"{threshold:g}", *cells])
    area = area_under_risk_coverage(posteriors, hits)
    return {
        "coverage": picture(plots.risk_coverage_figure(curve, area, marked)),
        "coverage_rows": [COVERAGE_HEADER, *rows],
    }


def _fold_cells(fold, result):
    return [
        *(str(fold[key]) for key in ("fold", "n_utterances", "n_speakers")),
        *(percent(fold[key]) for key in ("WA", "UA")),
        *(percent(fold[key]["WA"]) for key in ("majority", "speaker_oracle")),
        str(result["epoch"]),
    ]


def _energy(named):
    """The table and the figures of the section "Accuracy against energy"."""
    energies = {}
    for name, run in named.items():
        files = run.files
        if files.energy.exists():
            energies[name] = files.read_energy()
    drawn = plots.energy_figure(
        {name: (named[name].summary, each) for name, each in energies.items()}
    )
    chains = {
        name: each["scaled"]
        for name, each in energies.items()
        if "total" in each["scaled"]
    }
    return {
        "run_rows": [
            RUN_HEADER,
            *(
                _run_cells(name, run.summary, energies.get(name))
                for name, run in named.items()
            ),
        ],
        "without_energy": [
            run.folder for name, run in named.items() if name not in energies
        ],
        "without_front_end": [
            named[name].folder for name in energies if name not in chains
        ],
        "frames": sorted({e["scaled"]["frames"] for e in energies.values()}),
        "energy": picture(drawn),
        "chain": chains and picture(plots.chain_figure(chains)),
    }


def _run_cells(name, summary, energy):
    mJ = [None] * 5
    if energy:
        scaled = energy["scaled"]
        mJ = [scaled[rule]["mJ"] for rule in RULES]
        mJ.append(scaled.get("backbone", {}).get("mJ"))
        total = scaled.get("total", {})
        mJ += [total.get(rule, {}).get("mJ") for rule in RULES]
    return [
        name,
        f"{summary['corpus']}, {summary['protocol']} "
        f"({len(summary['folds_done'])} of {summary['folds']})",
        summary["backbone"],
        f"{summary['model']}, {summary['seed']}",
        percent(summary["WA"]),
        interval((summary["interval_95"] or {}).get("WA")),
        percent(summary["UA"]),
        f"{summary['trainable_params']:,}",
        *(number(each, ",.3f") for each in mJ),
    ]


def _training_and_firing(run, files):
    """The figures of "Training" and "Stages", and the table and figures of
    "Firing".
    """
    curves = [
        read_curves(files.fold(number).tensorboard)
        for number in run.summary["folds_done"]
    ]
    mismatch = measure_mismatch(run)
    stages, probes = plots.stages_figure(curves), None
    if files.probes.exists():
        probes = plots.probes_figure(files.read_json(files.probes))
    return {
        "learning": picture(plots.learning_figure(curves)),
        "stages": stages and picture(stages),
        "probes": probes and picture(probes),
        "firing": mismatch and picture(plots.firing_figure(curves, mismatch)),
        "firing_rows": firing_rows(run.summary),
        "mismatch": [
            picture(drawn)
            for name, found in mismatch.items()
            for drawn in (
                plots.current_figure(name, found),
                plots.neurons_figure(name, found, curves),
            )
        ],
    }


def _examples(run):
    """The test utterances to see and hear."""
    labels = run.summary["labels"]
    return {
        "examples": [
            (each, picture(plots.example_figure(each, labels)))
            for each in examples(run)
        ],
        "seconds": SECONDS,
    }
