"""README's results, made of runs and of nothing else::

    python -m speechbrain_ptssnn.results results

keeps the figures of every model below the folder ``results`` in
``docs/results/<corpus>-<protocol>-<backbone>-<model>.json`` and writes the
section between two comments of README.md from these files. ``--check`` writes
nothing and fails where README says something else.
"""

import argparse
import json
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from speechbrain_ptssnn.command import one_sentence_errors
from speechbrain_ptssnn.corpora.common import find_corpus
from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.files import read_json, write_text
from speechbrain_ptssnn.hyperparams import OURS
from speechbrain_ptssnn.scores import read_seeds, scores_of
from speechbrain_ptssnn.seeds import SHARED
from speechbrain_ptssnn.tables import interval, markdown, percent

BEGIN = "<!-- results: python -m speechbrain_ptssnn.results results -->"
END = "<!-- end of results -->"
HEADS = [
    *("head", "backbone", "parameters", "seeds", "epochs", "lr", "folds"),
    *("WA", "UA", "majority", "speaker oracle"),
]
SYNTHETIC = "SynthEmo"  # never a result
# What the paper reports on, with this backbone and in its own protocols.
PAPER_CORPORA = ("IEMOCAP", "CASIA", "EMODB", "EMOVO", "URDU")
PAPER_BACKBONE = "emotion2vec_base"


def collect(results_folder):
    """Reads the figures of every model below a folder.

    Arguments
    ---------
    results_folder : str or Path
        Holds ``summary.json`` files of runs, at any depth.

    Returns
    -------
    list of dict
        Of :func:`~speechbrain_ptssnn.scores.scores_of`.

    Raises
    ------
    InputError
        If there is no finished fold.
    """
    folders = Path(results_folder).rglob("summary.json")
    models = [
        seeds
        for folder in sorted({path.parents[1] for path in folders})
        if (seeds := read_seeds(folder))
    ]
    if not models:
        raise InputError(f"{results_folder}: there is no summary.json below")
    return [
        scores_of(seeds)
        for seeds in models
        if seeds.summaries[0]["corpus"] != SYNTHETIC
    ]


def section(records):
    """The results as markdown.

    Arguments
    ---------
    records : iterable of dict
        Of :func:`collect`.

    Returns
    -------
    str
    """
    place = itemgetter("corpus", "protocol", "labels", "is_complete")
    records = sorted(
        records, key=lambda r: (*place(r), r["backbone"], -r["WA"])
    )
    parts = []
    for (corpus, protocol, labels, whole), group in groupby(records, place):
        group = list(group)
        parts += [
            [
                f"### {corpus}, {protocol} folds, {len(labels)} classes"
                + ", a part of the corpus" * (not whole)
            ],
            markdown([HEADS, *map(_cells, group)]),
        ]
    if parts:
        parts.append(
            [
                "Means over the seeds (± their standard deviation, n - 1), of "
                "all test utterances",
                "together; in brackets 95 % intervals, bootstrap over "
                "speakers. Majority and",
                "speaker oracle: WA of guesses that hear no emotion.",
            ]
        )
    return "\n\n".join(
        "\n".join(lines) for lines in [*parts, *_missing(records)]
    )


def _cells(record):
    bounds = record["interval_95"] or {}
    scores = []
    for key in ("WA", "UA"):
        std = record[f"{key}_std"]
        spread = "" if std is None else f" ± {100 * std:.2f}"
        scores.append(
            f"{percent(record[key])}{spread} ({interval(bounds.get(key))})"
        )
    return [
        record["model"],
        record["backbone"],
        f"{record['trainable_params']:,}",
        ", ".join(record["seeds"]),
        str(record["epochs"]),
        record["lr"],
        f"{len(record['folds_done'])} of {record['folds']}",
        *scores,
        percent(record["majority"]["WA"]),
        percent(record["speaker_oracle"]["WA"]),
    ]


def _missing(records):
    """What the paper reports and no record does, with its command."""
    done = {(r["corpus"], r["protocol"], r["backbone"]) for r in records}
    lines = []
    for name in PAPER_CORPORA:
        protocol = find_corpus(name).protocol
        if (name, protocol, PAPER_BACKBONE) not in done:
            lines += [
                "python -m speechbrain_ptssnn.experiments "
                "hparams/sets/table4.yaml \\",
                f"    --corpus={name} --protocol={protocol} "
                f"--data_folder=/path/to/{name} \\",
                f"    --backbone={PAPER_BACKBONE} --seed=1,2,3",
            ]
    if not lines:
        return []
    return [
        ["### Not measured here"],
        [
            "What needs a corpus or weights that are not here. These commands "
            "measure it, in the",
            "paper's protocols:",
        ],
        ["```bash", *lines, "```"],
    ]


def with_section(text, new):
    r"""Puts a section between the two comments of a text.

    Arguments
    ---------
    text : str
        README's.
    new : str
        Of :func:`section`.

    Returns
    -------
    str

    Raises
    ------
    InputError
        If the comments are not there once each, in order.

    Example
    -------
    >>> with_section(f"# Us\n{BEGIN}\nold\n{END}\nend", "new").splitlines()[2:5]
    ['', 'new', '']
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end) or BEGIN in rest or END in after:
        raise InputError(
            f"needs the lines {BEGIN!r} and {END!r} once, in order"
        )
    return f"{before}{BEGIN}\n\n{new}\n\n{END}{after}"


def main(argv=None):
    """The command.

    Arguments
    ---------
    argv : list of str, optional
        Command line; ``sys.argv[1:]`` by default.
    """
    parser = argparse.ArgumentParser(
        prog="python -m speechbrain_ptssnn.results", description=__doc__
    )
    parser.add_argument(
        "folders",
        nargs="*",
        metavar="RESULTS_FOLDER",
        help="without one, README is written from the records alone",
    )
    parser.add_argument("--check", action="store_true", help="write nothing")
    parser.add_argument(
        "--readme", type=Path, default=OURS.parent / "README.md"
    )
    parser.add_argument(
        "--records",
        type=Path,
        default=OURS.parent / "docs" / "results",
        help="the folder of the JSON files",
    )
    arguments = parser.parse_args(argv)
    with one_sentence_errors():
        _update(arguments)


def _update(arguments):
    readme, folder = arguments.readme, arguments.records
    records = {path.name: read_json(path) for path in folder.glob("*.json")}
    new = {}
    for each in arguments.folders:
        for record in collect(each):
            name = f"{_name(record)}.json"
            if name in new:
                raise InputError(
                    f"{each}: the runs {_name(record)} are there twice; give "
                    "one of their folders"
                )
            new[name] = record
    old = readme.read_text(encoding="utf-8")
    try:
        text = with_section(old, section({**records, **new}.values()))
    except InputError as error:
        raise InputError(f"{readme}: {error}") from error
    if arguments.check:
        if text != old:
            raise InputError(
                f"{readme}: its results are not those of the runs; write them "
                "with python -m speechbrain_ptssnn.results"
            )
        return
    folder.mkdir(parents=True, exist_ok=True)
    for name, record in new.items():
        write_text(folder / name, json.dumps(record, indent=2) + "\n")
    write_text(readme, text)
    print(f"{readme}: figures of {len(records | new)} models")


def _name(record):
    return "-".join(record[key] for key in SHARED[:4])


if __name__ == "__main__":
    main()
