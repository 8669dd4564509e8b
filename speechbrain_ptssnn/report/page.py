"""A trained run as one HTML file, for people::

    python -m speechbrain_ptssnn.report.page results/URDU/random/fbank/pts_snn/1

The file needs no network and no other file. Runs that are named after the
first stand beside it in the first table and in accuracy against energy.
"""

import argparse
from io import BytesIO
from pathlib import Path

import matplotlib
from jinja2 import Environment, PackageLoader, StrictUndefined

from speechbrain_ptssnn.evaluation.summary import (
    collapse_warnings,
    firing_rows,
    interval_note,
    score_rows,
)
from speechbrain_ptssnn.evaluation.trained_run import TrainedRun
from speechbrain_ptssnn.report import plots
from speechbrain_ptssnn.report.curves import read_curves
from speechbrain_ptssnn.report.examples import SECONDS, data_uri, examples
from speechbrain_ptssnn.report.mismatch import measure_mismatch
from speechbrain_ptssnn.utils.distributed import one_sentence_errors
from speechbrain_ptssnn.utils.files import write_text
from speechbrain_ptssnn.utils.text_tables import interval, percent


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
    energies = {
        name: each.read_json("energy.json")
        for name, each in named.items()
        if (each.folder / "energy.json").exists()
    }
    curves = [
        read_curves(run.folder / f"fold_{k}") for k in run.summary["folds_done"]
    ]
    mismatch = measure_mismatch(run)
    labels = run.summary["labels"]
    environment = Environment(
        loader=PackageLoader("speechbrain_ptssnn.report", ""),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters["percent"] = percent
    with matplotlib.rc_context(plots.STYLE):
        return environment.get_template("page.html").render(
            summary=run.summary,
            warnings={
                name: sentences
                for name, each in named.items()
                if (sentences := collapse_warnings(each.summary))
            },
            run_rows=_run_rows(named, energies),
            score_rows=score_rows(run.summary),
            interval_note=interval_note(run.summary),
            firing_rows=firing_rows(run.summary),
            fold_rows=_fold_rows(run),
            without_energy=[
                each.folder
                for name, each in named.items()
                if name not in energies
            ],
            frames=sorted({e["scaled"]["frames"] for e in energies.values()}),
            energy=_picture(
                plots.energy_figure(
                    {
                        name: (named[name].summary, energy)
                        for name, energy in energies.items()
                    }
                )
            ),
            learning=_picture(plots.learning_figure(curves)),
            firing=mismatch and _picture(plots.firing_figure(curves, mismatch)),
            mismatch=[
                _picture(drawn)
                for name, found in mismatch.items()
                for drawn in (
                    plots.current_figure(name, found),
                    plots.neurons_figure(name, found, curves),
                )
            ],
            examples=[
                (each, _picture(plots.example_figure(each, labels)))
                for each in examples(run)
            ],
            seconds=SECONDS,
            configuration=run.read("hyperparams.yaml"),
        )


def _picture(drawn):
    """A figure as what the template's ``picture`` takes."""
    figure, alt = drawn
    file = BytesIO()
    # Without its date and its links to vocabularies.
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(file, format="svg", dpi=200, metadata=nothing)
    return {"src": data_uri("image/svg+xml", file.getvalue()), "alt": alt}


def _run_rows(named, energies):
    heads = [
        *("", "corpus and folds", "backbone", "model, seed"),
        *("WA", "95 % interval", "UA", "parameters"),
        *("mJ, strict", "mJ, paper's rule", "backbone's mJ"),
    ]
    rows = [heads]
    for name, run in named.items():
        s = run.summary
        rows.append(
            [
                name,
                f"{s['corpus']}, {s['protocol']} "
                f"({len(s['folds_done'])} of {s['folds']})",
                s["backbone"],
                f"{s['model']}, {s['seed']}",
                percent(s["WA"]),
                interval((s["interval_95"] or {}).get("WA")),
                percent(s["UA"]),
                f"{s['trainable_params']:,}",
                *_energy_cells(energies.get(name)),
            ]
        )
    return rows


def _energy_cells(energy):
    if energy is None:
        return ["-"] * 3
    backbone = energy.get("backbone", {}).get("mJ")
    return [
        *(
            f"{energy['scaled'][rule]['mJ']:.3f}"
            for rule in ("strict", "paper")
        ),
        "-" if backbone is None else f"{backbone:,.0f}",
    ]


def _fold_rows(run):
    heads = ["fold", "utterances", "speakers", "WA", "UA"]
    rows = [[*heads, "majority WA", "speaker oracle WA", "epoch"]]
    for fold in run.summary["per_fold"]:
        result = run.read_json(f"fold_{fold['fold']}/result.json")
        rows.append(
            [
                *(str(fold[k]) for k in ("fold", "n_utterances", "n_speakers")),
                *(percent(fold[key]) for key in ("WA", "UA")),
                percent(fold["majority"]["WA"]),
                percent(fold["speaker_oracle"]["WA"]),
                str(result["epoch"]),
            ]
        )
    return rows


def main(argv=None):
    """Writes the report and says where.

    Arguments
    ---------
    argv : list of str, optional
        Command line; ``sys.argv[1:]`` by default.
    """
    parser = argparse.ArgumentParser(
        prog="python -m speechbrain_ptssnn.report.page",
        description="A trained run as one HTML file.",
    )
    parser.add_argument(
        "runs",
        nargs="+",
        metavar="RUN",
        help="results/<corpus>/.../<model>/<seed>; the first is shown in "
        "full, the others are compared with it",
    )
    parser.add_argument(
        "--output", help="the file; by default report.html in the first RUN"
    )
    parser.add_argument(
        "--features_folder", help="if it is not where it was in the training"
    )
    arguments = parser.parse_args(argv)
    with one_sentence_errors():
        runs = [
            TrainedRun(folder, arguments.features_folder)
            for folder in arguments.runs
        ]
        path = Path(arguments.output or runs[0].folder / "report.html")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, report(runs))
        print(f"{path} ({path.stat().st_size / 1e6:.1f} MB)")


if __name__ == "__main__":
    main()
