"""The measured tables, made of runs and of nothing else::

    python docs/write_results.py results

keeps every table that ``ptssnn experiments`` has left below the folder
 ``results`` in ``docs/results/<corpus>-<protocol>-<backbone>-<set>.json``
and writes from these files all of them into docs/results.md, and what matters
most between two comments of README.md. ``--check`` writes nothing and fails
where the two say something else.
"""

import argparse
import json
from pathlib import Path

from overview import COSTS, costs, overview
from speechbrain_ptssnn.corpora.registry import find_corpus
from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.experiments.table import NOTES, PLACE, body, title
from speechbrain_ptssnn.utils.distributed import one_sentence_errors
from speechbrain_ptssnn.utils.files import read_json, write_text

BEGIN = "<!-- results: python docs/write_results.py results -->"
END = "<!-- end of results -->"
ROOT = Path(__file__).resolve().parents[1]
KEYS = (*PLACE, "set")  # what names a table
SYNTHETIC = "SynthEmo"  # never a result
# What the paper reports on, with this backbone and in its own protocols.
PAPER_CORPORA = ("IEMOCAP", "CASIA", "EMODB", "EMOVO", "URDU")
PAPER_BACKBONE = "emotion2vec_base"


def collect(results_folder):
    """Reads the tables below a folder.

    Arguments
    ---------
    results_folder : str or Path
        The ``results_folder`` of the runs.

    Returns
    -------
    list of dict
        Of :func:`speechbrain_ptssnn.experiments.table.collect`.

    Raises
    ------
    InputError
        If there is none.
    """
    files = sorted(Path(results_folder).glob("*/*/*/*.json"))
    if not files:
        raise InputError(
            f"{results_folder}: holds no <corpus>/<protocol>/<backbone>/"
            "<set>.json; ptssnn experiments writes them"
        )
    records = [
        each
        for each in map(read_json, files)
        if "set" in each and each["corpus"] != SYNTHETIC
    ]
    for record in records:
        for row in record["rows"]:  # no machine's paths
            row["folder"] = "/".join(Path(row["folder"]).parts[-4:])
    return records


def tables(records):
    """Tables as markdown.

    Arguments
    ---------
    records : iterable of dict
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
    """README's results: what matters most, and what is missing.

    Arguments
    ---------
    records : iterable of dict
        Of :func:`collect`.

    Returns
    -------
    str
    """
    records = sorted(records, key=_name)
    shown = [costs(each) for each in records if each["set"] == COSTS]
    missing = "\n\n".join("\n".join(lines) for lines in _missing(records))
    return "\n\n".join(filter(None, [overview(records), *shown, missing]))


def _missing(records):
    """What the paper reports and no record does, with its command."""
    done = {
        tuple(record[key] for key in PLACE)
        for record in records
        if record["set"] == "table4"
        and all(row["figures"] for row in record["rows"])
    }
    lines = []
    for name in PAPER_CORPORA:
        protocol = find_corpus(name).protocol
        if (name, protocol, PAPER_BACKBONE) not in done:
            lines += [
                "python -m speechbrain_ptssnn.experiments.trials "
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
        prog="python docs/write_results.py", description=__doc__
    )
    parser.add_argument(
        "folders",
        nargs="*",
        metavar="RESULTS_FOLDER",
        help="without one, README is written from the records alone",
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
    records = {path.name: read_json(path) for path in folder.glob("*.json")}
    new = {}
    for each in arguments.folders:
        for record in collect(each):
            name = f"{_name(record)}.json"
            if name in new:
                raise InputError(
                    f"{each}: the table {_name(record)} is there twice; give "
                    "one of their folders"
                )
            new[name] = record
    records |= new
    readme_text = readme.read_text(encoding="utf-8")
    try:
        texts = {readme: with_section(readme_text, section(records.values()))}
    except InputError as error:
        raise InputError(f"{readme}: {error}") from error
    texts[folder.with_suffix(".md")] = (
        f"# Measured\n\n{BEGIN}\n\n{tables(records.values())}\n"
    )
    if arguments.check:
        for path, text in texts.items():
            if not path.is_file() or path.read_text(encoding="utf-8") != text:
                raise InputError(
                    f"{path}: its results are not those of {folder}; write "
                    "them with python docs/write_results.py"
                )
        return
    folder.mkdir(parents=True, exist_ok=True)
    for name, record in new.items():
        write_text(folder / name, json.dumps(record, indent=2) + "\n")
    for path, text in texts.items():
        write_text(path, text)
    print(f"{readme}: {len(records)} tables")


def _name(record):
    return "-".join(record[key] for key in KEYS)


if __name__ == "__main__":
    main()
