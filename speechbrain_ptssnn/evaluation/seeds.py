"""The seeds of a model put together: which count, their mean and spread.

One rule for seeds that are not all finished, :func:`choose_seeds`, holds for
``seeds.json`` and for the tables of experiments. Standard deviations are those
of a sample (n - 1), as everywhere in this package.
"""

import json
from dataclasses import dataclass
from functools import cached_property
from statistics import mean

from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.evaluation.predictions import (
    calibration_error,
    check_comparable,
    mean_confusions,
    posteriors_of,
    predictions_of,
)
from speechbrain_ptssnn.evaluation.run_folder import (
    runs_of,
    seeds_file,
)
from speechbrain_ptssnn.evaluation.uncertainty import (
    bootstrap_intervals,
    sample_std,
)
from speechbrain_ptssnn.metrics import confusion_scores
from speechbrain_ptssnn.utils.files import write_text
from speechbrain_ptssnn.utils.text_tables import columns, part_of, percent

SHARED = ("corpus", "protocol", "backbone", "model", "folds")
KEYS = ("WA", "UA")


@dataclass(frozen=True)
class Seeds:
    """The seeds of a model that are averaged.

    Arguments
    ---------
    runs : list of RunFolder
        One a seed.
    summaries : list of dict
        Their ``summary.json``.
    folds_done : list of int
        The folds that all of them have finished.
    left_out : list of dict
        ``summary.json`` of the seeds that are not averaged.
    """

    runs: list
    summaries: list
    folds_done: list
    left_out: list

    @property
    def folder(self):
        """The model's folder, above the runs."""
        return self.runs[0].path.parent

    @cached_property
    def hyperparams(self):
        """The settings that all seeds share: those of the first."""
        return self.runs[0].read_hyperparams()

    @property
    def valid_UA(self):
        """Mean of the selected epochs' validation UA, over seeds and
        ``folds_done``.
        """
        return mean(
            run.read_json(run.fold(fold).result)["valid_UA"]
            for run in self.runs
            for fold in self.folds_done
        )

    def predictions(self, numbers):
        """Reads the predictions on some folds.

        Arguments
        ---------
        numbers : list of int
            Some of ``folds_done``.

        Returns
        -------
        list of Predictions
            One a seed.
        """
        return [predictions_of(run, numbers) for run in self.runs]

    @cached_property
    def common(self):
        """The predictions on ``folds_done``, a list of Predictions.

        Raises
        ------
        InputError
            If the seeds have other utterances, labels or folds.
        """
        predictions = self.predictions(self.folds_done)
        check_comparable(predictions)
        return predictions

    @cached_property
    def confusions(self):
        """Each speaker's confusion matrix, the mean over seeds."""
        return mean_confusions(self.common, self.summaries[0]["labels"])

    @cached_property
    def scores(self):
        """Each seed's WA and UA on ``folds_done``, by the seed as text."""
        labels = self.summaries[0]["labels"]
        return {
            str(summary["seed"]): _scores(mean_confusions([run], labels))
            for summary, run in zip(self.summaries, self.common, strict=True)
        }

    @property
    def mean(self):
        """Mean over seeds of WA and UA."""
        return _scores(self.confusions)

    @property
    def std(self):
        """Standard deviation over seeds of WA and UA; None with one seed."""
        return {
            key: sample_std([scores[key] for scores in self.scores.values()])
            for key in KEYS
        }

    @property
    def ECE(self):
        """Mean over seeds of the expected calibration error; None if a fold
        is older than the temperature, which its posteriors then lack.
        """
        if not all(
            run.is_calibrated(number)
            for run in self.runs
            for number in self.folds_done
        ):
            return None
        labels = self.summaries[0]["labels"]
        tested = [[*run.rows.values()] for run in self.common]
        return mean(
            calibration_error(rows, posteriors_of(rows, labels))
            for rows in tested
        )

    @property
    def interval_95(self):
        """Bootstrap over speakers of the means; None with one speaker."""
        bounds = bootstrap_intervals(confusion_scores, self.confusions)
        return bounds and {key: bounds[key] for key in KEYS}


def choose_seeds(folds_done):
    """Chooses the seeds that are averaged, and the folds.

    Averages need folds that every seed has finished. Keeps the group of seeds
    for which (seeds x common folds) is largest; of equal groups the one with
    more common folds. The rest is left out.

    Arguments
    ---------
    folds_done : list of list of int
        The folds that each seed has finished.

    Returns
    -------
    tuple
        Indices of the kept seeds and their common folds, both sorted; empty
        if no fold is finished.

    Example
    -------
    >>> choose_seeds([[1, 2, 3], [3], [1, 2, 3, 4]])
    ([0, 2], [1, 2, 3])
    """
    done = [frozenset(folds) for folds in folds_done]
    candidates = set()  # every intersection of some seeds' folds
    for folds in done:
        candidates |= {folds} | {folds & other for other in candidates}

    def merit(common):
        n_seeds = sum(common <= folds for folds in done)
        # Of equal folds the first: the choice does not depend on set order.
        first = [-fold for fold in sorted(common)]
        return n_seeds * len(common), len(common), first

    common = max(candidates, key=merit, default=frozenset())
    if not common:
        return [], []
    kept = [k for k, folds in enumerate(done) if common <= folds]
    return kept, sorted(common)


def seed_runs(folder):
    """The runs of a model that were begun, one a seed, in the seeds' order.

    Arguments
    ---------
    folder : Path
        results/<corpus>/<protocol>/<backbone>/<model>.

    Returns
    -------
    list of RunFolder

    Raises
    ------
    InputError
        If they were trained with different settings.
    """
    runs = runs_of(folder)
    _check_settings(runs)
    return runs


def read_seeds(folder):
    """Reads the seeds of a model that are averaged.

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
    runs = [run for run in runs_of(folder) if run.summary.is_file()]
    _check_settings(runs)
    return group_seeds(runs)


def group_seeds(runs):
    """Applies :func:`choose_seeds`.

    Arguments
    ---------
    runs : list of RunFolder
        The seeds of one model, each with a ``summary.json``.

    Returns
    -------
    Seeds or None
        None if no fold is finished.
    """
    summaries = [run.read_json(run.summary) for run in runs]
    kept, common = choose_seeds([s["folds_done"] for s in summaries])
    if not kept:
        return None
    return Seeds(
        [runs[k] for k in kept],
        [summaries[k] for k in kept],
        common,
        [s for k, s in enumerate(summaries) if k not in kept],
    )


def summarize_seeds(runs):
    """Writes ``seeds.json`` beside the runs of several seeds.

    Arguments
    ---------
    runs : list of RunFolder
        The seeds of one model, each with a ``summary.json``; at least one has
        finished a fold.

    Returns
    -------
    dict
        The content of the file: what the runs share; ``folds_done``, the
        folds that are averaged; of each of the ``seeds`` the folds that it
        has finished and WA and UA; ``WA_mean``, ``WA_std`` (None with one
        seed), ``UA_mean``, ``UA_std``. A seed in ``left_out`` is not
        averaged; its WA and UA are over all its folds, those of the others
        over the averaged folds.
    """
    group = group_seeds(runs)
    scores = dict(group.scores)
    for summary in group.left_out:
        scores[str(summary["seed"])] = {key: summary[key] for key in KEYS}
    finished = {
        str(summary["seed"]): summary["folds_done"]
        for summary in group.summaries + group.left_out
    }
    outcome = {
        **{key: group.summaries[0][key] for key in SHARED},
        "folds_done": group.folds_done,
        "left_out": sorted(summary["seed"] for summary in group.left_out),
        "seeds": {
            seed: {"folds_done": finished[seed], **scores[seed]}
            for seed in sorted(finished, key=int)
        },
    }
    for key in KEYS:
        outcome[f"{key}_mean"] = group.mean[key]
        outcome[f"{key}_std"] = group.std[key]
    write_text(seeds_file(group.folder), json.dumps(outcome, indent=2))
    return outcome


def table_of_seeds(outcome):
    """The seeds as text, for people.

    Arguments
    ---------
    outcome : dict
        Of :func:`summarize_seeds`.

    Returns
    -------
    str

    Example
    -------
    >>> scores = {"folds_done": [1, 2], "WA": 0.5, "UA": 0.5}
    >>> outcome = {
    ...     **dict.fromkeys(SHARED, "x"),
    ...     **{"folds": 3, "folds_done": [1, 2], "left_out": [3]},
    ...     "seeds": {
    ...         "1": scores,
    ...         "2": {**scores, "WA": 0.7},
    ...         "3": {**scores, "folds_done": [3]},
    ...     },
    ...     **{"WA_mean": 0.6, "WA_std": 0.1414, "UA_mean": 0.5, "UA_std": 0},
    ... }
    >>> print(table_of_seeds(outcome))
    x, x folds, x, x: 3 seeds
    <BLANKLINE>
    seed           folds      WA      UA
    1             2 of 3  50.00%  50.00%
    2             2 of 3  70.00%  50.00%
    mean                  60.00%  50.00%
    std                   14.14%   0.00%
    3 (left out)  1 of 3  50.00%  50.00%
    """
    o = outcome
    kept, left_out = [], []
    for seed, scores in o["seeds"].items():
        is_kept = int(seed) not in o["left_out"]
        folds = o["folds_done"] if is_kept else scores["folds_done"]
        (kept if is_kept else left_out).append(
            [
                seed if is_kept else f"{seed} (left out)",
                part_of(folds, o["folds"]),
                *(percent(scores[key]) for key in KEYS),
            ]
        )
    both = [
        [name, "", *(percent(o[f"{key}_{name}"]) for key in KEYS)]
        for name in ("mean", "std")
    ]
    header = ["seed", "folds", *KEYS]
    return "\n".join(
        [
            f"{o['corpus']}, {o['protocol']} folds, {o['backbone']}, "
            f"{o['model']}: {len(o['seeds'])} seeds",
            "",
            *columns([header, *kept, *both, *left_out]),
        ]
    )


def _scores(confusions):
    scores = confusion_scores(confusions.sum(0))
    return {key: float(scores[key]) for key in KEYS}


def _check_settings(runs):
    if len(runs) < 2:
        return
    settings = [_settings(run) for run in runs]
    for run, other in zip(runs[1:], settings[1:], strict=True):
        for key in sorted(settings[0].keys() | other.keys()):
            first, second = settings[0].get(key), other.get(key)
            if first != second:
                raise InputError(
                    f"{runs[0].path} and {run.path} are seeds of different "
                    f"runs: {key}={first} and {second}; remove one"
                )


def _settings(run):
    """What the seeds of a model share, as one dict."""
    settings = run.read_settings()
    hyperparams = settings.pop("hyperparams")
    hyperparams.pop("__set_seed", None)
    # A protocol's own seed may be the same number by chance.
    protocol = hyperparams.pop("protocol", None)
    hyperparams = _without_seed(hyperparams, hyperparams["seed"])
    hyperparams["protocol"] = protocol
    return hyperparams | {
        f"{key} (settings.json)": value for key, value in settings.items()
    }


def _without_seed(node, seed):
    """Leaves out the seed, of the run and of objects that are built with it."""
    if isinstance(node, list):
        return [_without_seed(each, seed) for each in node]
    if not isinstance(node, dict):
        return node
    return {
        key: _without_seed(each, seed)
        for key, each in node.items()
        if (key, each) != ("seed", seed)
    }
