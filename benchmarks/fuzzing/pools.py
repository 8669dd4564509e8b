"""Odd values, names, words and files that the cases draw from."""

import random

RUN = "results/Cafe/two_folds/tiny_fbank/pts_snn/1"
NOISE = random.Random(0).randbytes(20000)
# fmt: off
# Cells of a CSV file, values in YAML, names of folders, words of commands.
ODD_CELLS = [
    "", "NaN", "nan", "None", "null", "NA", "N/A", "#N/A", "-", "?", " ",
    "\u00a0", "\u200b", "0", "-1", "1e9", "inf", "x", "\0", "a\nb", '"', "'",
    ",", ";", "a" * 200000, "=1+1", "../0.wav", "~/0.wav", "/dev/null", ".",
    "/", "é", "e\u0301", "\U0001f600", "\ud800", "calm ", "Calm", "CALM",
    "True", "2026-11-27",
]

ODD_VALUES = [
    "", "0", "-1", "1", "2", "3", "1.5", "-0.0", "1e3", "1e400", "1e-400",
    ".inf", "-.inf", ".nan", "010", "0x10", "0b1", "1_000", "true", "True",
    "no", "null", "~", "Null", "None", "nan", "abc", "'1'", '"0.1"', "[]",
    "[1]", "{}", "{a: 1}", "2026-11-27", "2026-11-27 10:00:00", "12:30:00",
    "!ref <seed>", "!ref <nokey>", "!ref <lr>", "!new:nosuch.Thing {}",
    "!name:nosuch.thing", "!apply:nosuch.thing []", "!tuple (1, 2)",
    "!copy <seed>", "*a", "&a 1", "&a [*a]", "- 1", "a: b", "%", "@", "`", "'",
    '"', "[", "{", "|", ">", "a\tb", "é", "\U0001f600", "1" * 400, "9" * 30,
    "a" * 300, "!!python/name:os.system", "!!binary aGk=", "!!set {a}",
    "<seed>", "!ref <seed", "${HOME}",
]

ODD_FOLDERS = [
    "run #2", "010", "2026_11", "2026-11-27", "", "null", "~", "~/x", "é",
    "e\u0301", "a b", "-x", "a" * 300, "x/../y", "..", "a\nb", "{a: 1}", "[x]",
    "!ref <seed>", "1e3", "yes", "0x1F", ".5", "a:b", "a: b", "*a", "&a", "%",
    "@x", "`", "'", '"', "\\", "$HOME", "<x>", "<seed>", "true", "1.0", "a\tb",
    " a", "a ", "#", "|", ">", "- a", "?", "!x", "%TAG", "\U0001f600",
    "results/", "./results", "a//b", "1_000", "12:30", "=", "a=b", "None",
    "null/x", "a\0b", ".inf", "...", "---",
]

WORDS = [
    "", "-", "--", "-h", "--help", "cafe", "cafe/0.wav", "cafe/cafe.csv",
    "cafe/tiny.yaml", "cafe/missing.wav", "missing", "missing/model",
    RUN, f"{RUN}/fold_1", f"{RUN}/fold_1/model", f"{RUN}/fold_1/save",
    "results", "results/Cafe", RUN.rpartition("/")[0],
    "empty", ".", "/", "URDU", "urdu", "URDO", "Custom", "EMODB", "fbank",
    "pts_snn", "table4", "hparams/pts_snn.yaml", "tiny.yaml",
    "--corpus=URDU", "--corpus=Custom", "--corpus", "--format=csv",
    "--format=xml", "--output=out.txt", "--output=missing/out.txt",
    "--output=cafe", "--output", "--json=a.json", "--json=.", "--json=",
    "--frames=0", "--frames=-1", "--frames=abc", "--frames=225",
    "--backbone=no", "--backbone=fbank", "--backbone=",
    "--backbone=missing", "--features_folder=missing",
    "--features_folder=features", "--seed=1", "--seed=1,2", "--seed=1,1",
    "--seed=a,b", "--seed=,", "--seed=1.5", "--fold=1", "--fold=3",
    "--fold=a", "--fold=0", "--fold=-1", "--table_only", "--markdown",
    "--energy", "--n_folds=2", "-seed=1", "--Seed=1", "–seed=1", "—seed=1",
    "--seed =1", "--seed= 1", "seed=1", "--data_folder=cafe",
    "--data_folder=cafe/cafe.csv", "--data_folder=",
    "--data_folder=missing", "--label_map={calm: calm, angry: angry}",
    "--label_map={calm: a}", "--label_map=", "--label_map={}",
    "--protocol=speaker", "--protocol=cafe/two_folds.yaml",
    "--protocol=missing", "--protocol=session", "--protocol=column",
    "--number_of_epochs=1", "--device=gpu", "--device=cuda", "--device=x",
    "--device=", "--debug", "--debug=1", "--max_grad_norm=-1",
    "--max_grad_norm=abc", "--precision=fp8", "--launcher=slurm",
    "--complete=False", "--complete=maybe", "kinds", "corpora", "sets",
    "\0", "é", "\U0001f600", "a" * 5000, "--=1", "--=", "=", "--é=1",
]

NOT_AUDIO = [
    b"", b"\0", bytes(20000), b"RIFF", b"RIFF\0\0\0\0WAVE", b"fLaC", b"OggS",
    b"ID3", b"<!DOCTYPE html><html><body>404</body></html>",
    b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n",
    b"PK\3\4" + NOISE[:500], b"\x1f\x8b\x08" + NOISE[:500],
    b"\0\5\x16\7" + bytes(200), b"#!AMR\n" + NOISE[:500],
    b"\0\0\0\x20ftypM4A " + NOISE[:500], b"\x1aE\xdf\xa3" + NOISE[:500], NOISE,
    b"\xef\xbb\xbfpath,label\n",
]

ODD_NAMES = [
    "my corpora", "é", "e\u0301", "李", "a'b", 'a"b', "a,b", "a;b",
    "a#b", "a: b", "-a", "--a=b", "[a]", "{a}", "a%b", "$HOME", "a\\b",
    "a\tb", "a\nb", "\U0001f600", "a" * 200, "2026-11-27", "010",
    "a=b", "~", "null", "!ref <seed>", "*", "?", "a b.wav",
]

RATES = [
    4001, 6000, 8000, 11025, 11127, 12000, 15999, 16001, 22050, 22255, 24000,
    32000, 37800, 44056, 44099, 44100, 47250, 48000, 50000, 88200, 95987,
    96000, 176400, 191999, 192000,
]
# fmt: on
