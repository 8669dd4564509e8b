"""Writes the measured tables of docs/results.md and README.md from records::

    python docs/write_results.py results

First it copies every record that ``ptssnn experiments`` wrote below the folder
``results`` to ``docs/results/<corpus>-<protocol>-<backbone>-<set>.json``. Then
it writes all records of that folder as tables into docs/results.md, and the
most important ones between two comments of README.md. ``--check`` writes
nothing, and fails if the two files do not show what the records hold. A record
whose rows had unequal numbers of learning rates is refused. Rows that only the
record in docs/results has are kept if the reference came out the same again.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

from overview import front_ends, overview
from speechbrain_ptssnn.corpora.registry import find_corpus
from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.evaluation.run_folder import record_files
from speechbrain_ptssnn.experiments.record import Record
from speechbrain_ptssnn.experiments.table import NOTES, body, title
from speechbrain_ptssnn.utils.distributed import one_sentence_errors
from speechbrain_ptssnn.utils.files import read_json, write_text

BEGIN = "<!-- results: python docs/write_results.py results -->"
END = "<!-- end of results -->"
INTRODUCTION = """\
# Measured

[How to read the tables](reading_results.md). The files of `hparams/sets/` say
which head each row trains."""
ROOT = Path(__file__).resolve().parents[1]
SYNTHETIC = "SynthEmo"  # synthetic speech is no result
# The paper's corpora, each with its own protocol, and its backbone.
PAPER_CORPORA = ("IEMOCAP", "CASIA", "EMODB", "EMOVO", "URDU")
PAPER_BACKBONE = "emotion2vec_base"


def collect(results_folder):
    """Reads the records below a folder.

    Arguments
    ---------
    results_folder : str or Path
        The ``results_folder`` of the runs.

    Returns
    -------
    list of Record
        Without those of synthetic speech, and without a machine's paths.

    Raises
    ------
    InputError
        If there is none.
    """
    files = record_files(results_folder)
    if not files:
        raise InputError(
            f"{results_folder}: holds no <corpus>/<protocol>/<backbone>/"
            "<set>.json; ptssnn experiments writes them"
        )
    contents = [each for each in map(read_json, files) if "set" in each]
    return [
        _without_paths(Record.from_dict(content))
        for content in contents
        if content["corpus"] != SYNTHETIC
    ]


def read_records(folder):
    """Reads the records of docs/results.

    Arguments
    ---------
    folder : Path
        Holds the JSON files.

    Returns
    -------
    dict
        Name of a file to its Record.
    """
    return {
        path.name: Record.from_dict(read_json(path))
        for path in sorted(folder.glob("*.json"))
    }


def _without_paths(record):
    rows = [
        replace(row, folder="/".join(Path(row.folder).parts[-4:]))
        for row in record.rows
    ]
    return replace(record, rows=rows)


def tables(records):
    """All records as markdown tables.

    Arguments
    ---------
    records : iterable of Record
        Of :func:`collect`.

    Returns
    -------
    str
    """
    records = sorted(records, key=_name)
    parts = [
        "\n".join([f"### {title(each)}", "", *body(each, as_markdown=True)])
        for each in records
    ]
    return "\n\n".join([*parts, "\n".join(NOTES)] if parts else [])


def section(records):
    """README's results: the most important tables, and what is missing.

    Arguments
    ---------
    records : iterable of Record
        Of :func:`collect`.

    Returns
    -------
    str
    """
    records = sorted(records, key=_name)
    missing = "\n\n".join("\n".join(lines) for lines in _missing(records))
    parts = [overview(records), front_ends(records), missing]
    return "\n\n".join(filter(None, parts))


def _missing(records):
    """The commands for what the paper reports and no record holds."""
    done = {
        record.condition
        for record in records
        if record.set == "table4" and all(row.values for row in record.rows)
    }
    missing = {}
    for name in PAPER_CORPORA:
        protocol = find_corpus(name).protocol
        if (name, protocol, PAPER_BACKBONE) not in done:
            missing.setdefault(protocol, []).append(name)
    lines = []
    for protocol, names in missing.items():
        folder = "corpora" if names[1:] else names[0]
        lines += [
            f"ptssnn experiments table4 --corpus={','.join(names)} "
            f"--protocol={protocol} \\",
            f"    --seed=1,2,3 --backbone={PAPER_BACKBONE} "
            f"--data_folder=/path/to/{folder}",
        ]
    if not lines:
        return []
    return [
        ["### Not measured here"],
        ["The paper's protocols, on corpora and weights that we do not have:"],
        ["```bash", *lines, "```"],
    ]


def with_section(text, new):
    r"""Replaces what stands between the two comments of a text.

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
        If the text does not hold each comment once, in order.

    Example
    -------
    >>> with_section(f"# Us\n{BEGIN}\nold\n{END}\nend", "new").splitlines()[2:5]
    ['', 'new', '']
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end) or BEGIN in rest or END in after:
        raise InputError(
            f"must hold the lines {BEGIN!r} and {END!r} once, in order"
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
        prog="python docs/write_results.py", description=__doc__
    )
    parser.add_argument(
        "folders",
        nargs="*",
        metavar="RESULTS_FOLDER",
        help="holds new records; without one, the tables are written from "
        "the records that docs/results has",
    )
    parser.add_argument("--check", action="store_true", help="write nothing")
    parser.add_argument("--readme", type=Path, default=ROOT / "README.md")
    parser.add_argument(
        "--records",
        type=Path,
        default=ROOT / "docs" / "results",
        help="the folder of the JSON files",
    )
    arguments = parser.parse_args(argv)
    with one_sentence_errors():
        _update(arguments)


def _update(arguments):
    readme, folder = arguments.readme, arguments.records
    records = read_records(folder)
    new = {}
    for each in arguments.folders:
        for record in collect(each):
            name = f"{_name(record)}.json"
            if name in new:
                raise InputError(
                    f"{each}: the record {_name(record)} is in two of the "
                    "folders; name only one of them"
                )
            new[name] = record
    for name in new.keys() & records.keys():
        new[name] = _with_older_rows(new[name], records[name])
    records |= new
    for record in records.values():
        _check_effort(record)
    readme_text = readme.read_text(encoding="utf-8")
    try:
        texts = {readme: with_section(readme_text, section(records.values()))}
    except InputError as error:
        raise InputError(f"{readme}: {error}") from error
    texts[folder.with_suffix(".md")] = (
        f"{INTRODUCTION}\n\n{BEGIN}\n\n{tables(records.values())}\n"
    )
    if arguments.check:
        for path, text in texts.items():
            if not path.is_file() or path.read_text(encoding="utf-8") != text:
                raise InputError(
                    f"{path}: its results are not those of {folder}; run "
                    "python docs/write_results.py"
                )
        return
    folder.mkdir(parents=True, exist_ok=True)
    for name, record in new.items():
        write_text(folder / name, json.dumps(record.to_dict(), indent=2) + "\n")
    for path, text in texts.items():
        write_text(path, text)
    print(f"{readme}: {len(records)} tables")


def _with_older_rows(new, old):
    """Keeps what only the older record measured, for its models are gone.

    Such a row is compared with the reference's utterances of then, so the
    reference must have come out the same.
    """
    rows = {row.name: row for row in new.rows}
    lost = {
        row.name: row
        for row in old.rows
        if row.values and _is_not_trained(rows.get(row.name), row)
    }
    if not lost:
        return new
    if _outcome(new) != _outcome(old):
        raise InputError(
            f"{_name(new)}: does not have {', '.join(lost)}, which the older "
            f"record compares with another outcome of {old.reference}; train "
            "these rows again, or remove the older record"
        )
    rows = {row.name: row for row in [*old.rows, *new.rows]} | lost
    return replace(new, rows=list(rows.values()))


def _is_not_trained(row, old):
    """Whether a row of today is that of the older record, without a result."""
    return row is None or (
        not (row.values or row.why_not)
        and (row.head, row.overrides) == (old.head, old.overrides)
    )


def _outcome(record):
    """What two trainings of the reference must have in common."""
    values = {row.name: row.values for row in record.rows}[record.reference]
    keys = ("lr", "epochs", "folds_done", "seeds", "ECE", "interval_95")
    return (record.reference, *(getattr(values, key, None) for key in keys))


def _check_effort(record):
    """Refuses rows of which some had more learning rates to choose from."""
    tried = {row.name: len(row.rates) for row in record.rows if row.rates}
    if len(set(tried.values())) > 1:
        raise InputError(
            f"{_name(record)}: its rows were trained with unequal numbers of "
            "learning rates ("
            + ", ".join(f"{name}: {n}" for name, n in tried.items())
            + "); give each as many in the set's file, and train the missing "
            "ones"
        )


def _name(record):
    return "-".join([*record.condition, record.set])


if __name__ == "__main__":
    main()
