"""What a run gave: ``predictions.csv``, ``summary.json`` and a table."""

import csv
import json
import platform
import subprocess
from collections import defaultdict
from importlib.metadata import version
from io import StringIO
from pathlib import Path
from statistics import mean, pstdev

from sklearn.metrics import confusion_matrix, f1_score

import speechbrain_ptssnn
from speechbrain_ptssnn.files import write_text
from speechbrain_ptssnn.metrics import unweighted_accuracy, weighted_accuracy

PACKAGES = (
    "speechbrain",
    "torch",
    "torchaudio",
    "spikingjelly",
    "transformers",
)


def write_predictions(path, rows, labels):
    """Writes one row an utterance, sorted by id.

    Arguments
    ---------
    path : Path
        The CSV file.
    rows : list of dict
        With ``id``, ``speaker``, ``label``, ``prediction`` and one
        ``p_<label>`` per label.
    labels : sequence of str
        In index order.
    """
    stream = StringIO()
    fields = ["id", "speaker", "label", "prediction"]
    fields += [f"p_{label}" for label in labels]
    writer = csv.DictWriter(stream, fields, lineterminator="\n")
    writer.writeheader()
    writer.writerows(sorted(rows, key=lambda row: row["id"]))
    write_text(path, stream.getvalue())


def read_predictions(path):
    """Reads what :func:`write_predictions` wrote, as a list of dict."""
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def summarize(folder, labels, **facts):
    """Puts the finished folds together.

    Arguments
    ---------
    folder : Path
        The run's; holds ``fold_<k>/result.json`` and ``predictions.csv``.
    labels : sequence of str
        In index order.
    **facts
        What else the summary says: corpus, protocol, backbone, model, ...

    Returns
    -------
    dict
        The content of ``summary.json``, which is written beside
        ``predictions.csv``.
    """
    results, rows = [], []
    for path in sorted(folder.glob("fold_*/result.json")):
        results.append(json.loads(path.read_text()))
        rows += read_predictions(path.parent / "predictions.csv")
    results.sort(key=lambda result: result["fold"])
    targets = [row["label"] for row in rows]
    predictions = [row["prediction"] for row in rows]
    summary = {
        **facts,
        "folds_done": [result["fold"] for result in results],
        "n_utterances": len(rows),
        "WA": weighted_accuracy(targets, predictions),
        "UA": unweighted_accuracy(targets, predictions),
        "macro_F1": float(
            f1_score(targets, predictions, average="macro", zero_division=0)
        ),
        **_spread("WA", results),
        **_spread("UA", results),
        "labels": list(labels),
        "confusion": confusion_matrix(
            targets, predictions, labels=labels
        ).tolist(),
        "firing_rates": _mean_rates(results),
        "versions": {
            "python": platform.python_version(),
            "speechbrain-ptssnn": speechbrain_ptssnn.__version__,
            **{name: version(name) for name in PACKAGES},
        },
        "git_revision": _git_revision(),
    }
    write_predictions(folder / "predictions.csv", rows, labels)
    write_text(folder / "summary.json", json.dumps(summary, indent=2))
    return summary


def table(summary):
    """The summary as text, for people.

    Arguments
    ---------
    summary : dict
        Of :func:`summarize`.

    Returns
    -------
    str
    """
    s = summary
    done = f"{len(s['folds_done'])} of {s['folds']} folds"
    lines = [
        f"{s['corpus']}, {s['protocol']} folds, {s['backbone']}, {s['model']},"
        f" seed {s['seed']}: {done}, {s['n_utterances']} test utterances",
        "",
        f"{'':12}{'all':>8}{'fold mean':>12}{'fold std':>11}",
    ]
    for key in ("WA", "UA"):
        lines.append(
            f"{key:12}{s[key]:>8.2%}{s[f'{key}_fold_mean']:>12.2%}"
            f"{s[f'{key}_fold_std']:>11.2%}"
        )
    lines += [f"{'macro F1':12}{s['macro_F1']:>8.2%}", ""]
    width = max(map(len, s["labels"])) + 2
    lines.append(
        f"{'true / said':12}" + "".join(f"{k:>{width}}" for k in s["labels"])
    )
    for label, counts in zip(s["labels"], s["confusion"], strict=True):
        lines.append(f"{label:12}" + "".join(f"{n:>{width}}" for n in counts))
    if s["firing_rates"]:
        lines += [
            "",
            f"{'spiking layer':24}{'rate':>8}{'silent':>9}{'saturated':>11}",
        ]
        for layer, rates in s["firing_rates"].items():
            lines.append(
                f"{layer:24}{rates['mean']:>8.3f}{rates['silent']:>9.1%}"
                f"{rates['saturated']:>11.1%}"
            )
    lines += ["", f"trainable parameters: {s['trainable_params']:,}"]
    return "\n".join(lines)


def _spread(key, results):
    values = [result[key] for result in results]
    return {f"{key}_fold_mean": mean(values), f"{key}_fold_std": pstdev(values)}


def _mean_rates(results):
    values = defaultdict(lambda: defaultdict(list))
    for result in results:
        for layer, rates in result["firing_rates"].items():
            for key, value in rates.items():
                values[layer][key].append(value)
    return {
        layer: {key: mean(each) for key, each in rates.items()}
        for layer, rates in values.items()
    }


def _git_revision():
    file = Path(__file__)

    def git(*arguments):
        return subprocess.run(
            ["git", *arguments],
            cwd=file.parent,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", file.name)
        return git("describe", "--always", "--dirty", "--abbrev=40")
    except (OSError, subprocess.CalledProcessError):
        return None  # installed without its repository
