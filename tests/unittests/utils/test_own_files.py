"""YAML files are found by name from every folder, and describe themselves."""

from collections import Counter
from pathlib import Path

import pytest

from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.utils.own_files import (
    FOLDERS,
    HPARAMS,
    RECIPES,
    find_yaml,
    list_yaml,
)

ROOT = Path(__file__).resolve().parents[3]
PROTOCOLS = sorted(RECIPES.glob("*/protocols"))


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_folders_are_those_of_the_repository():
    assert (HPARAMS, RECIPES) == (ROOT / "hparams", ROOT / "recipes")


@pytest.mark.parametrize(
    ("kind", "name", "file"),
    [
        ("head", "pts_snn", "pts_snn.yaml"),
        ("head", "hparams/pts_snn.yaml", "pts_snn.yaml"),
        ("head", "./hparams/pts_snn.yaml", "pts_snn.yaml"),
        ("head", "peers/lif.yaml", "peers/lif.yaml"),
        ("head", "hparams/peers/lif", "peers/lif.yaml"),
        ("head", "lif", "peers/lif.yaml"),
        ("backbone", "w2v-bert-2.0", "backbones/w2v-bert-2.0.yaml"),
        ("set", "table5.yaml", "sets/table5.yaml"),
        ("set", Path("hparams/sets/table5.yaml"), "sets/table5.yaml"),
    ],
)
def test_names_of_the_package_work_in_an_empty_folder(kind, name, file):
    assert find_yaml(kind, name) == HPARAMS / file


@pytest.mark.parametrize(
    "name", ["speaker", "speaker.yaml", "recipes/URDU/protocols/speaker.yaml"]
)
def test_protocols_are_those_of_their_corpus(name):
    folder = RECIPES / "URDU" / "protocols"
    assert find_yaml("protocol", name, [folder]) == folder / "speaker.yaml"


def test_the_users_file_comes_first_unless_the_name_is_bare(empty_folder):
    (empty_folder / "fbank.yaml").touch()
    (empty_folder / "mine.yml").touch()
    ours = HPARAMS / "backbones" / "fbank.yaml"
    assert find_yaml("backbone", "fbank.yaml") == Path("fbank.yaml")
    assert find_yaml("backbone", "fbank") == ours
    assert find_yaml("backbone", "fbank", [empty_folder]) != ours
    assert find_yaml("backbone", "fbank.yaml", []) == ours
    path = empty_folder / "mine.yml"
    assert find_yaml("backbone", path) == path


def test_a_file_that_names_another_does_not_mean_the_current_folder(
    empty_folder,
):
    (empty_folder / "pts_snn.yaml").touch()
    head = find_yaml("head", "pts_snn.yaml", [HPARAMS / "sets"])
    assert head == HPARAMS / "pts_snn.yaml"


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("head", "pts_sn.yaml", r"'pts_sn.yaml' \(did you mean 'pts_snn'\?\)"),
        ("head", "peers/lfi", r"unknown head 'peers/lfi' \(.*'lif'\?\)"),
        ("set", "", r"unknown set ''; there are \['adapted', .* will do"),
        ("protocol", "spaeker", r"'speaker'\?\); there are \['emobox', "),
    ],
)
def test_an_unknown_name_gets_the_nearest_one(kind, name, message):
    folders = [Path(), RECIPES / "URDU" / "protocols"]
    with pytest.raises(InputError, match=message):
        find_yaml(kind, name, folders[: 1 + (kind == "protocol")])


def test_heads_have_names_of_their_own():
    heads = [
        name for folder in FOLDERS["head"] for name, _ in list_yaml(folder)
    ]
    assert set(Counter(heads).values()) == {1}


@pytest.mark.parametrize(
    "folder",
    [*(f for folders in FOLDERS.values() for f in folders), *PROTOCOLS],
    ids=lambda folder: "/".join(folder.parts[-2:]),
)
def test_every_file_says_in_one_line_what_it_is(folder):
    listed = list_yaml(folder)
    assert listed
    for name, description in listed:
        text = (folder / f"{name}.yaml").read_text()
        assert text.startswith(f"# {description[:10]}")
        assert 10 < len(description) <= 80
