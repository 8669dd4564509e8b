"""Tables of a corpus: dialects, cells, rows, paths."""

import csv
import io
import json
import shutil
import unicodedata
from pathlib import Path

from fuzzing.cases import case, check_training
from fuzzing.engine import HEAD, LABELS, Find
from fuzzing.pools import ODD_CELLS, ODD_NAMES


def _rows(w):
    with open(w / "cafe/cafe.csv", newline="") as file:
        return list(csv.DictReader(file))


def _write_csv(w, rows, *, encoding="utf-8", **dialect):
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(rows[0]), **dialect)
    writer.writeheader()
    writer.writerows(rows)
    (w / "cafe/cafe.csv").write_bytes(stream.getvalue().encode(encoding))


@case("csv", 3)
def csv_dialect(rng, w):
    """The same table as another program writes it."""
    rows = _rows(w)
    if rng.random() < 0.3:
        rng.shuffle(rows)
    if rng.random() < 0.3:
        rows = [dict(id=Path(r["path"]).stem, **r) for r in rows]
    if rng.random() < 0.3:
        names = list(rows[0])
        rng.shuffle(names)
        rows = [{name: r[name] for name in names} for r in rows]
    if rng.random() < 0.3:
        rows = [dict(r, note=rng.choice(["", "x, y", "é"])) for r in rows]
    if rng.random() < 0.2:
        rows = [
            dict(r, path=str(w / "cafe" / r["path"]), id=r["path"][0])
            for r in rows
        ]
    if rng.random() < 0.2:
        change = rng.choice([str.upper, str.title])
        rows = [{change(name): v for name, v in r.items()} for r in rows]
    encoding = rng.choice(["utf-8", "utf-8", "utf-8-sig", "utf-16", "latin-1"])
    _write_csv(
        w,
        rows,
        encoding=encoding,
        delimiter=rng.choice(",;\t"),
        lineterminator=rng.choice(["\n", "\r\n", "\r"]),
        quoting=rng.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    )
    file = w / "cafe/cafe.csv"
    data = file.read_bytes()
    if encoding != "utf-16":
        data = (
            rng.choice([b"", b"", b"\n", b"\n\n"]) * (encoding == "utf-8")
            + data
        )
        data += rng.choice([b"", b"\n", b"\n\n", b"\r\n"])
    file.write_bytes(data)
    fine = encoding.startswith("utf-8")
    return check_training(w, "same" if fine else "either")


@case("csv", 2)
def csv_odd_dialect(rng, w):
    """A table of another kind: read right, or refused."""
    file = w / "cafe/cafe.csv"
    text = file.read_text()
    kind = rng.randrange(9)
    if kind == 0:
        text = "sep=,\n" + text
    elif kind == 1:
        text = "# a comment; with; semicolons\n" + text
    elif kind == 2:
        text = text.replace(",", "|")
    elif kind == 3:
        text = text.replace(",", " ")
    elif kind == 4:
        header, *lines = text.splitlines()
        lines = [f"{line},x" for line in lines]
        text = "\n".join([f'{header},"note; or remark; or x"', *lines, ""])
    elif kind == 5:
        text = text.replace(",", ", ")
    elif kind == 6:
        text = text.replace("calm", "'calm'").replace("angry", "'angry'")
    elif kind == 7:
        text = "\n".join(f"{k},{t}" for k, t in enumerate(text.split("\n")))
    else:
        text = "".join(f"{line},\n" for line in text.splitlines())
    file.write_text(text)
    return check_training(w, "same" if kind == 5 else "either")


@case("csv", 4)
def csv_cell(rng, w):
    """One cell has an odd value."""
    rows = _rows(w)
    column = rng.choice(
        ["path", "label", "speaker", "id", "start", "end", "fold", "session"]
    )
    value = rng.choice(ODD_CELLS)
    if column not in rows[0]:
        default = {"id": "{}", "start": "0", "end": "0.2"}.get(column, "x")
        rows = [
            dict(r, **{column: default.format(k)}) for k, r in enumerate(rows)
        ]
    k = rng.randrange(8)
    rows[k][column] = value
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    (w / "cafe/cafe.csv").write_bytes(
        stream.getvalue().encode("utf-8", "surrogatepass")
    )
    shutil.copy(w / f"cafe/{k}.wav", w / "home" / "0.wav")
    must = _after_cell(column, value)
    return check_training(w, must, f"--results_folder={w / 'results'}")


def _after_cell(column, value):
    """What must happen if a column has a value in one row."""
    cleaned = value.strip(" \u00a0\u200b").lower()
    empty = cleaned in ("", "nan", "none", "null", "na", "n/a", "#n/a")
    if column in ("path", "label", "speaker", "session", "fold") and empty:
        return "refused"
    if column == "label":
        return "refused" if value.strip() not in LABELS else "any"
    if column == "start":
        return "any" if empty or value in ("0", "-") else "refused"
    if column == "end":
        return "any" if empty or value in ("-",) else "refused"
    if column == "path" and value != "~/0.wav":
        return "refused" if value != "../0.wav" else "any"
    return "any"


@case("csv", 2)
def csv_structure(rng, w):
    """Rows and columns that are missing, twice or too many."""
    file = w / "cafe/cafe.csv"
    lines = file.read_text().splitlines()
    k = rng.randrange(1, 9)
    kind = rng.choice(
        [
            "row twice",
            "header twice",
            "no header",
            "no column",
            "column twice",
            "a cell less",
            "a cell more",
            "open quote",
            "empty",
            "header only",
            "path twice",
            "id twice",
            "case",
            "leading zero",
            "one label",
        ]
    )
    must = "refused"
    if kind == "row twice":
        lines.insert(k, lines[k])
    elif kind == "header twice":
        lines.insert(k, lines[0])
    elif kind == "no header":
        del lines[0]
    elif kind == "no column":
        column = rng.randrange(2)
        lines = [_without(line, column) for line in lines]
    elif kind == "column twice":
        lines = [
            f"{line},{line.split(',')[rng.randrange(3)]}" for line in lines
        ]
        lines[0] = f"path,label,speaker,{rng.choice(['path', 'Label'])}"
    elif kind == "a cell less":
        lines[k] = _without(lines[k], rng.randrange(3))
    elif kind == "a cell more":
        lines[k] += f",{rng.choice(['x', '1'])}"
    elif kind == "open quote":
        lines[k] = '"' + lines[k]
    elif kind == "empty":
        lines = rng.choice([[], [""], ["", " "]])
    elif kind == "header only":
        del lines[1:]
    elif kind == "path twice":
        lines[k] = lines[1 + k % 8].replace("wav,", "wav,", 1)
    elif kind == "id twice":
        ids = ["id", *"01234567"]
        ids[k] = ids[1 + k % 8]
        lines = [f"{i},{line}" for i, line in zip(ids, lines, strict=True)]
    elif kind in ("case", "leading zero"):
        a, b = ("Anna", "anna") if kind == "case" else ("01", "1")
        text = "\n".join(lines)
        text = text.replace(",a", f",{a}").replace(f",{a}ngry", ",angry")
        lines = text.replace(",b", f",{b}").splitlines()
        must = "warned"
    else:
        lines = [line.replace("calm", "angry") for line in lines]
    file.write_text("\n".join(lines) + "\n")
    if must == "refused":
        return check_training(w, "refused")
    end = check_training(w, "any")
    said = w.outcomes[-1].err + w.outcomes[-1].out
    words = (a, b, "differ only by")
    if end == "accepted" and not all(word in said for word in words):
        raise Find(f"speakers {a} and {b} without a warning")
    return end


def _without(line, k):
    cells = line.split(",")
    del cells[k]
    return ",".join(cells)


@case("csv", 2)
def json_manifest(rng, w):
    """A manifest in JSON, whole or with an odd value."""
    rows = [dict(r, id=r["path"][0]) for r in _rows(w)]
    must = "same"
    change = rng.randrange(10)
    k = rng.randrange(8)
    column = rng.choice(["path", "label", "speaker"])
    if change == 0:
        rows[k][column] = rng.choice([None, float("nan"), "NaN", "", " "])
        must = "refused"
    elif change == 1:
        rows[k][column] = rng.choice([1, 1.5, True, [], {}, ["a"], {"a": 1}])
        must = "any" if column == "speaker" else "refused"
        if column == "path" and str(rows[k][column]) == str(k):
            must = "same"  # a name may lack its ending
    elif change == 2:
        del rows[k][column]
        must = "refused"
    elif change == 3:
        rows[k] = rng.choice([None, 1, "a", []])
        must = "refused"
    elif change == 4:
        rows[k]["id"] = rows[k - 1]["id"]
        must = "refused"
    elif change == 5:
        rows[k]["extra"] = rng.choice([None, 1, "x"])
    as_dict = change not in (3, 4) and rng.random() < 0.5
    data = (
        {r["id"]: {n: v for n, v in r.items() if n != "id"} for r in rows}
        if as_dict
        else rows
    )
    text = json.dumps(data, ensure_ascii=rng.random() < 0.5)
    if change == 6:
        text = text[: rng.randrange(len(text))]
        must = "refused"
    elif change == 7:
        text = rng.choice(
            [
                "",
                "[]",
                "{}",
                "null",
                "1",
                '"a"',
                "[[1]]",
                "[" * 100000,
                '{"a": 1}',
                "NaN",
                "[NaN]",
                text * 2,
            ]
        )
        must = "refused"
    elif change == 8:
        text = "\n".join(json.dumps(row) for row in rows)
        must = "either"
    encoding = rng.choice(["utf-8", "utf-8-sig"])
    (w / "cafe/cafe.json").write_text(text, encoding=encoding)
    return check_training(w, must, "--data_folder=cafe/cafe.json")


@case("csv")
def odd_paths(rng, w):
    """The corpus lies where people's files lie."""
    name = rng.choice(ODD_NAMES)
    folder = w / name
    shutil.copytree(w / "cafe", folder)
    rows = _rows(w)
    form = rng.choice(["NFC", "NFD"])
    start = "./~" if name == "~" else name  # ~ alone is the home folder
    for r in rows:
        stem = r["path"][0]
        r["id"] = stem
        if rng.random() < 0.3:
            r["path"] = f"{start}/{stem}.wav"
            (folder / name).mkdir(exist_ok=True)
            shutil.copy(folder / f"{stem}.wav", folder / name)
        r["path"] = unicodedata.normalize(form, r["path"])
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    (folder / "cafe.csv").write_text(stream.getvalue(), "utf-8", newline="")
    w.encoding = rng.choice(["utf-8", "ascii", "latin-1"])
    return check_training(w, "same", target=f"{w / name}/tiny.yaml")


@case("csv")
def home_paths(rng, w):
    """~ is the home folder, in a cell and in YAML."""
    shutil.copytree(w / "cafe", w / "home/cafe")
    rows = [
        dict(r, path=f"~/cafe/{r['path']}", id=r["path"][0]) for r in _rows(w)
    ]
    words, target = (), "cafe/tiny.yaml"
    if rng.random() < 0.5:
        _write_csv(w, rows)
    elif rng.random() < 0.5:
        words = ("--data_folder=~/cafe/cafe.csv",)
    else:
        text = HEAD.replace("cafe.csv", "~/cafe/cafe.csv")
        (w / "cafe/tiny.yaml").write_text(text)
    return check_training(w, "same", *words, target=target)
