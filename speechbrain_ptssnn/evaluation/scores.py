"""What all seeds of a model gave together, read back from their folders."""

from dataclasses import dataclass
from statistics import mean, stdev

from speechbrain_ptssnn.evaluation.chance_levels import confounds
from speechbrain_ptssnn.evaluation.predictions import (
    check_alike,
    mean_confusions,
    read_run,
    read_settings,
    seed_folders,
)
from speechbrain_ptssnn.evaluation.seeds import SHARED
from speechbrain_ptssnn.evaluation.uncertainty import bootstrap_intervals
from speechbrain_ptssnn.metrics import confusion_scores
from speechbrain_ptssnn.utils.files import read_json


@dataclass
class Seeds:
    """The runs of a model that have a ``summary.json``.

    Arguments
    ---------
    folders : list of Path
        One a seed.
    summaries : list of dict
        Their summaries.
    done : list of int
        The folds that all of them have finished.
    left_out : list of int
        Seeds that have done too little of it.
    """

    folders: list
    summaries: list
    done: list
    left_out: list

    @property
    def hyperparams(self):
        """The settings that they share, those of the first."""
        return read_settings(self.folders[0])["hyperparams"]

    @property
    def valid_UA(self):
        """The mean of what the validation gave in the selected epochs."""
        return mean(summary["valid_UA"] for summary in self.summaries)

    def answers(self, numbers):
        """Reads their answers.

        Arguments
        ---------
        numbers : list of int
            Some of ``done``.

        Returns
        -------
        list of Answers
        """
        return [read_run(folder, numbers) for folder in self.folders]


def read_seeds(folder):
    """Finds the runs of a model.

    A seed that was broken off would leave the others with what it has done:
    those count that have the most runs of folds in common.

    Arguments
    ---------
    folder : Path
        results/<corpus>/<protocol>/<backbone>/<model>.

    Returns
    -------
    Seeds or None
        None if no fold is finished.

    Raises
    ------
    InputError
        If they were trained with different settings.
    """
    folders = seed_folders(folder, "summary.json")
    runs = [(each, read_json(each / "summary.json")) for each in folders]
    runs.sort(key=lambda run: -len(run[1]["folds_done"]))
    kept, done = [], set()
    for n in range(1, len(runs) + 1):
        common = set.intersection(*(set(s["folds_done"]) for _, s in runs[:n]))
        if n * len(common) > len(kept) * len(done):
            kept, done = runs[:n], common
    if not done:
        return None
    left_out = sorted(s["seed"] for _, s in runs[len(kept) :])
    kept.sort(key=lambda run: folders.index(run[0]))
    return Seeds(*map(list, zip(*kept, strict=True)), sorted(done), left_out)


def scores_of(seeds):
    """Puts the seeds of a model together.

    Arguments
    ---------
    seeds : Seeds
        Of :func:`read_seeds`.

    Returns
    -------
    dict
        What the runs share; of the folds that all have done ("folds_done";
        "left_out" are seeds that have not) "seeds", each one's "WA" and "UA",
        the means over seeds "WA" and "UA" with "interval_95" (bootstrap over
        speakers of these means; None with one speaker), "majority" and
        "speaker_oracle". "WA_std" and "UA_std" are over seeds (n - 1; None
        with one). "energy" holds the strict count of the first seed's
        ``energy.json`` and "latency" what benchmarks/latency.py found for it,
        or None. "devices" are those that trained, as far as it was noted.
    """
    one, folder = seeds.summaries[0], seeds.folders[0]
    answers = seeds.answers(seeds.done)
    check_alike(answers)
    counts = mean_confusions(answers, one["labels"])
    scores = confusion_scores(counts.sum(0))
    bounds = bootstrap_intervals(confusion_scores, counts)
    each = [
        confusion_scores(mean_confusions([run], one["labels"]).sum(0))
        for run in answers
    ]
    hyperparams = seeds.hyperparams
    folds = list(answers[0].folds.values())
    manifest = read_json(folder / "manifest.json")
    return {
        **{key: one[key] for key in SHARED},
        "labels": one["labels"],
        "epochs": int(hyperparams["number_of_epochs"]),
        "lr": hyperparams["lr"],
        "is_complete": hyperparams["complete"] == "true",
        "trainable_params": one["trainable_params"],
        "n_utterances": len(answers[0].rows),
        "n_speakers": len(counts),
        "folds_done": seeds.done,
        "left_out": seeds.left_out,
        "seeds": {
            str(s["seed"]): {key: float(own[key]) for key in ("WA", "UA")}
            for s, own in zip(seeds.summaries, each, strict=True)
        },
        **{key: float(scores[key]) for key in ("WA", "UA")},
        **{f"{key}_std": _std(each, key) for key in ("WA", "UA")},
        "interval_95": bounds and {key: bounds[key] for key in ("WA", "UA")},
        **confounds(manifest, folds, one["labels"]),
        "energy": _energy(folder / "energy.json"),
        "latency": _latency(folder / "latency.json"),
        "devices": sorted(
            {d for s in seeds.summaries for d in s.get("devices", [])}
        ),
        "git_revisions": sorted(
            {s["git_revision"] or "unknown" for s in seeds.summaries}
        ),
    }


def _std(each, key):
    values = [float(scores[key]) for scores in each]
    return stdev(values) if len(values) > 1 else None


def _energy(path):
    if not path.is_file():
        return None
    energy = read_json(path)
    return {
        "folds": energy["folds"],
        "channels": energy["channels"],
        "frames": energy["scaled"]["frames"],
        "mJ": energy["scaled"]["strict"]["mJ"],
    }


def _latency(path):
    return read_json(path) if path.is_file() else None
