"""What came out of a set of experiments, and its JSON file."""

import re
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import mean

import numpy as np

from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.evaluation.chance_levels import chance_levels
from speechbrain_ptssnn.evaluation.compare import compare_predictions
from speechbrain_ptssnn.evaluation.run_folder import CONDITION, condition_of
from speechbrain_ptssnn.evaluation.seeds import SHARED, read_seeds

# What a table's runs must have in common: in words, and in settings.json.
ORIGIN = {"front-end": "backbone", "corpus": "data", "split": "folds"}
PRECISION = re.compile(r" precision=\S+")


@dataclass(frozen=True)
class Energy:
    """The strict count of ``energy.json``, of the first seed.

    Arguments
    ---------
    folds : list of int
        The folds whose test utterances were counted.
    channels : int
        Of the features.
    frames : int
        Length of the utterance.
    mJ : float
        Energy of the head for one utterance.
    front_end_mJ : float or None
        Energy of the frozen backbone for the same utterance. None in old
        records, and if it was not counted.
    """

    folds: list
    channels: int
    frames: int
    mJ: float
    front_end_mJ: float | None = None

    @property
    def total_mJ(self):
        """Energy of head and front-end, or None."""
        if self.front_end_mJ is None:
            return None
        return self.mJ + self.front_end_mJ

    @classmethod
    def read(cls, run):
        """Reads a run's ``energy.json``; None if there is none."""
        if not run.energy.is_file():
            return None
        energy = run.read_energy()
        scaled = energy["scaled"]
        return cls(
            energy["folds"],
            energy["channels"],
            scaled["frames"],
            scaled["strict"]["mJ"],
            scaled.get("backbone", {}).get("mJ"),
        )


@dataclass(frozen=True)
class Latency:
    """The content of ``latency.json``, of the first seed.

    Arguments
    ---------
    frames : int
        Length of the utterance.
    threads : int
        CPU threads.
    processor : str
        The CPU.
    ms : float
        Median time of one utterance.
    low : float
        Shortest time, in ms.
    high : float
        Longest time, in ms.
    """

    frames: int
    threads: int
    processor: str
    ms: float
    low: float
    high: float

    @classmethod
    def read(cls, run):
        """Reads a run's ``latency.json``; None if there is none."""
        if not run.latency.is_file():
            return None
        return cls(**run.read_json(run.latency))


@dataclass(frozen=True, kw_only=True)
class Values:
    """What the seeds of a model gave together.

    Arguments
    ---------
    corpus, protocol, backbone, model : str
        As the folders are named.
    folds : int
        Number of folds of the protocol.
    labels : list of str
        In index order.
    epochs : int
        Of the training.
    lr : str
        Learning rate, without an exponent.
    is_complete : bool
        Whether the whole corpus was used.
    trainable_params : int
        Of the head.
    n_utterances, n_speakers : int
        Of the test parts of ``folds_done``.
    folds_done : list of int
        Folds that all seeds have finished; the scores are over these.
    left_out : list of int
        Seeds that are not averaged.
    seeds : dict
        Seed, as text, to its "WA" and "UA".
    WA, UA : float
        Means over seeds.
    WA_std, UA_std : float or None
        Standard deviations over seeds (n - 1); None with one seed.
    ECE : float or None
        Expected calibration error, the mean over seeds. None in old records.
    interval_95 : dict or None
        "WA" and "UA" to [low, high]: bootstrap over speakers of the means;
        None with one speaker.
    majority, speaker_oracle : dict
        "WA" and "UA" of
        :func:`~speechbrain_ptssnn.evaluation.chance_levels.chance_levels`.
    energy : Energy or None
        Of the first seed.
    latency : Latency or None
        Of the first seed.
    devices : list of str
        Devices of the training. Old runs do not name theirs.
    git_revisions : list of str
        Of this package, in the training.
    """

    corpus: str
    protocol: str
    backbone: str
    model: str
    folds: int
    labels: list
    epochs: int
    lr: str
    is_complete: bool
    trainable_params: int
    n_utterances: int
    n_speakers: int
    folds_done: list
    left_out: list = field(default_factory=list)
    seeds: dict
    WA: float
    UA: float
    WA_std: float | None
    UA_std: float | None
    ECE: float | None = None
    interval_95: dict | None
    majority: dict
    speaker_oracle: dict
    energy: Energy | None
    latency: Latency | None
    devices: list = field(default_factory=list)
    git_revisions: list

    @classmethod
    def of(cls, seeds):
        """Collects the values of a model.

        Arguments
        ---------
        seeds : Seeds
            Of :func:`~speechbrain_ptssnn.evaluation.seeds.read_seeds`.

        Returns
        -------
        Values

        Raises
        ------
        InputError
            If the seeds have other utterances, labels or folds.
        """
        run, summary = seeds.runs[0], seeds.summaries[0]
        shared = seeds.common[0]
        manifest = run.read_json(run.manifest)
        return cls(
            **{key: summary[key] for key in SHARED},
            labels=summary["labels"],
            epochs=seeds.hyperparams["number_of_epochs"],
            lr=rate_text(seeds.hyperparams["lr"]),
            is_complete=seeds.hyperparams["complete"],
            trainable_params=summary["trainable_params"],
            n_utterances=len(shared.rows),
            n_speakers=len(seeds.confusions),
            folds_done=seeds.folds_done,
            left_out=sorted(each["seed"] for each in seeds.left_out),
            seeds=seeds.scores,
            **seeds.mean,
            **{f"{key}_std": std for key, std in seeds.std.items()},
            ECE=seeds.ECE,
            interval_95=seeds.interval_95,
            **chance_levels(
                manifest, list(shared.folds.values()), summary["labels"]
            ),
            energy=Energy.read(run),
            latency=Latency.read(run),
            devices=_union(each.get("devices", []) for each in seeds.summaries),
            git_revisions=_union(
                [each["git_revision"] or "unknown"] for each in seeds.summaries
            ),
        )

    @classmethod
    def from_dict(cls, content):
        """Makes the values of what a record's file holds."""
        energy, latency = content["energy"], content["latency"]
        return cls(
            **{
                **content,
                "energy": energy and Energy(**energy),
                "latency": latency and Latency(**latency),
            }
        )

    def interval(self, key):
        """The interval of "WA" or "UA", [low, high] or None."""
        return (self.interval_95 or {}).get(key)


@dataclass(frozen=True)
class ScoreDifference:
    """One score of a row minus the reference's.

    Arguments
    ---------
    value : float
        The difference.
    interval_95 : list of float or None
        Low and high; None with one speaker.
    p : float
        Of a paired permutation test over speakers.
    """

    value: float
    interval_95: list | None
    p: float


@dataclass(frozen=True)
class Difference:
    """A row minus the reference.

    Arguments
    ---------
    folds : list of int
        Folds that both have finished; the scores are over these.
    WA, UA : ScoreDifference
        The two scores.
    """

    folds: list
    WA: ScoreDifference
    UA: ScoreDifference

    @classmethod
    def from_dict(cls, content):
        """Makes a difference of what a record's file holds."""
        scores = {key: ScoreDifference(**content[key]) for key in ("WA", "UA")}
        return cls(content["folds"], **scores)


@dataclass(frozen=True)
class TriedRate:
    """A learning rate at which a row was trained.

    Arguments
    ---------
    lr : str
        The rate.
    valid_UA : float
        Mean validation UA of the selected epochs, over the folds and seeds
        that all rates of the row were trained with, if there are some.
    runs : int
        Number of these trainings.
    """

    lr: str
    valid_UA: float
    runs: int


@dataclass(frozen=True)
class RowRecord:
    """What came out of one row of a set.

    Arguments
    ---------
    name : str
        The row's.
    folder : str
        Of the model that is shown.
    head : str
        Name of the head's YAML file.
    overrides : dict
        Keys of that file that the row sets.
    paper : dict
        Name of a corpus to what the paper prints for it: "WA" and "UA" in
        percent, "parameters" in millions, "mJ".
    rates : list of TriedRate
        All learning rates with a finished fold; none if the head is not
        trained by gradients.
    values : Values or None
        Of the model that is shown; None before a fold is finished.
    difference : Difference or None
        To the reference; None for the reference itself, and if there is no
        common fold.
    why_not : str or None
        The sentence about what cannot be read or compared.
    """

    name: str
    folder: str
    head: str
    overrides: dict
    paper: dict
    rates: list
    values: Values | None
    difference: Difference | None
    why_not: str | None

    @classmethod
    def from_dict(cls, content):
        """Makes a row of what a record's file holds."""
        content = dict(content)
        if "WA" in content["paper"]:  # older records quote IEMOCAP alone
            content["paper"] = {"IEMOCAP": content["paper"]}
        values, difference = content.pop("figures"), content["difference"]
        return cls(
            **{
                **content,
                "rates": [TriedRate(**each) for each in content["rates"]],
                "values": values and Values.from_dict(values),
                "difference": difference and Difference.from_dict(difference),
            }
        )


@dataclass(frozen=True)
class Record:
    """What came out of a set in one condition.

    Arguments
    ---------
    set : str
        The set's name.
    title : str
        The set's title.
    reference : str
        Name of the row that the others are compared with.
    corpus, protocol, backbone : str
        The condition, as the folders are named.
    rows : list of RowRecord
        In the set's order.
    """

    set: str
    title: str
    reference: str
    corpus: str
    protocol: str
    backbone: str
    rows: list

    @property
    def condition(self):
        """(corpus, protocol, backbone)."""
        return tuple(getattr(self, key) for key in CONDITION)

    @property
    def values(self):
        """The values of the rows that have some, a list."""
        return [row.values for row in self.rows if row.values]

    def to_dict(self):
        """The content of the record's JSON file."""
        content = asdict(self)
        for row in content["rows"]:
            # The file's name for them, and its order of keys.
            row["figures"] = row.pop("values")
            for key in ("difference", "why_not"):
                row[key] = row.pop(key)
        return content

    @classmethod
    def from_dict(cls, content):
        """Makes a record of what its file holds."""
        rows = [RowRecord.from_dict(row) for row in content["rows"]]
        return cls(**{**content, "rows": rows})


def rate_text(lr):
    """A learning rate as text, without an exponent.

    Example
    -------
    >>> [rate_text(lr) for lr in (0.03, 0.0005, 0.000001, 1)]
    ['0.03', '0.0005', '0.000001', '1']
    """
    return np.format_float_positional(lr, trim="-")


def collect(experiments, folders, check):
    """Reads what the models of a set gave.

    Arguments
    ---------
    experiments : ExperimentSet
        The set.
    folders : dict
        Name of a row to its models' folders, one a learning rate. Of several,
        the one with the most finished folds (of all seeds that are averaged)
        is shown, then the one with the best validation. Test scores never
        enter the choice. In cross-validation one fold's validation utterances
        are another fold's test utterances; that holds for every row alike.
    check : callable
        Called with each RunFolder that is read. Where it raises an InputError,
        the model is left out, and the row says why.

    Returns
    -------
    Record
    """
    tried = {
        row.name: _read_models(folders[row.name], check)
        for row in experiments.rows
    }
    tried = _of_one_origin(tried, experiments.reference)
    rows = [
        _row_record(row, folders[row.name], *tried[row.name])
        for row in experiments.rows
    ]
    reference = _shown(tried[experiments.reference][0])
    return Record(
        experiments.name,
        experiments.title,
        experiments.reference,
        **condition_of(folders[experiments.reference][0]),
        rows=[
            row
            if row.name == experiments.reference
            else _compared(row, _shown(tried[row.name][0]), reference)
            for row in rows
        ],
    )


def _read_models(folders, check):
    """The seeds of each folder that has some; why others cannot be read."""
    seeds_by_folder, why_not = {}, None
    for folder in folders:
        try:
            seeds = read_seeds(folder)
            for run in seeds.runs if seeds else ():
                check(run)
        except InputError as error:
            why_not = str(error)
            continue
        if seeds:
            seeds_by_folder[folder] = seeds
    return seeds_by_folder, why_not


def _of_one_origin(tried, reference):
    """Leaves out models of another corpus or front-end than the reference's,
    and says why.
    """
    shown = _shown(tried[reference][0])
    if not shown:
        return tried
    wanted, result = _origin(shown), {}
    for name, (seeds_by_folder, why_not) in tried.items():
        kept = {}
        for folder, seeds in seeds_by_folder.items():
            found = _origin(seeds)
            what = next((k for k in ORIGIN if found[k] != wanted[k]), None)
            if what:
                why_not = (
                    f"{folder}: was trained with another {what} "
                    f"({found[what]}) than {reference!r} ({wanted[what]}); "
                    "remove the older of the two folders and give the command "
                    "again"
                )
            else:
                kept[folder] = seeds
        result[name] = kept, why_not
    return result


def _origin(seeds):
    """What a table's runs must have in common."""
    run = seeds.runs[0]
    settings = run.read_json(run.settings)
    origin = {what: settings.get(key) for what, key in ORIGIN.items()}
    # In which precision a machine computed the features is no difference.
    origin["front-end"] = PRECISION.sub("", str(origin["front-end"]))
    return origin


def _shown(seeds_by_folder):
    """The model that a row shows, its Seeds or None."""
    return max(
        seeds_by_folder.values(),
        key=lambda seeds: (_n_runs(seeds), seeds.valid_UA),
        default=None,
    )


def _n_runs(seeds):
    return len(seeds.runs) * len(seeds.folds_done)


def _row_record(row, folders, seeds_by_folder, why_not):
    """The record of a row, not yet compared with the reference."""
    shown, values = _shown(seeds_by_folder), None
    if shown:
        try:
            values = Values.of(shown)
        except InputError as error:
            why_not = str(error)
    return RowRecord(
        name=row.name,
        folder=str(shown.folder if shown else Path(folders[0])),
        head=row.head.name,
        overrides=row.overrides,
        paper=row.paper,
        rates=_tried_rates(row, [*seeds_by_folder.values()]),
        values=values,
        difference=None,
        why_not=why_not,
    )


def _tried_rates(row, tried):
    """The validation of a row's rates on the trainings that all of them had;
    if they had none in common, on those that each had.
    """
    if row.rates is None or not tried:
        return []
    folds = set.intersection(*({*each.folds_done} for each in tried))
    names = set.intersection(
        *({run.path.name for run in each.runs} for each in tried)
    )
    rates = []
    for each in tried:
        scores = [
            run.read_json(run.fold(fold).result)["valid_UA"]
            for run in each.runs
            for fold in sorted(folds or each.folds_done)
            if not names or run.path.name in names
        ]
        lr = rate_text(each.hyperparams["lr"])
        rates.append(TriedRate(lr, mean(scores), len(scores)))
    return rates


def _compared(row, shown, reference):
    """The same row with its difference to the reference."""
    if not (shown and reference):
        return row
    common = sorted({*shown.folds_done} & {*reference.folds_done})
    if not common:
        return row
    try:
        compared = compare_predictions(
            shown.predictions(common), reference.predictions(common)
        )
    except InputError as error:
        return replace(row, why_not=str(error))
    content = {"folds": common, **compared["difference"]}
    return replace(row, difference=Difference.from_dict(content))


def _union(lists):
    return sorted({each for one in lists for each in one})
