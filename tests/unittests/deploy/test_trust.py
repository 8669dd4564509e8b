"""Bundles of strangers run nothing, and those of training all load."""

import os
import pickle
import re
import shutil
import zipfile
from pathlib import Path

import pytest
import torch

from speechbrain_ptssnn.deploy.classify import open_bundle
from speechbrain_ptssnn.deploy.trust import check_trusted
from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.utils.own_files import HPARAMS, list_yaml

OLD = Path(__file__).parents[2] / (
    "specimens/run/Cafe/two_folds/tiny_fbank/pts_snn/1/fold_1/model"
)
TWO_FRONT_ENDS = "co_attention"  # needs them to be built


class Attack:
    """A pickle that makes a folder when it is read."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.fixture
def stranger(bundle, tmp_path):
    """A copy of a bundle, whose YAML is changed; gives its folder."""

    def change(old="", new="", append=""):
        folder = tmp_path / "model"
        shutil.copytree(bundle, folder)
        path = folder / "hyperparams.yaml"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1) + append)
        return folder

    return change


def refused(folder, words):
    """The bundle is refused, and nothing of it has run."""
    before = set(folder.parent.iterdir())
    with pytest.raises(InputError, match=words) as error:
        open_bundle(folder)
    assert "\n" not in str(error.value)
    assert set(folder.parent.iterdir()) == before


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("x: !apply:os.system ['mkdir {}']", "wants '!apply:os.system'"),
        ("x: !new:os._Environ {{}}", "wants '!new:os._Environ'"),
        ("x: !name:subprocess.run {{}}", "wants '!name:subprocess.run'"),
        ("x: !apply:builtins.eval ['1']", "wants '!apply:builtins.eval'"),
        ("x: !include:/etc/passwd", "wants '!include:/etc/passwd'"),
        ("x: !new:sklearn.svm.SVC {{}}", "wants '!new:sklearn.svm.SVC'"),
        # Attributes of our modules that are not ours, or no layers.
        (
            "x: !new:speechbrain_ptssnn.nnet.plif.torch.nn.Linear {{}}",
            "wants '!new:speechbrain_ptssnn.nnet.plif.torch.nn.Linear'",
        ),
        (
            "x: !new:speechbrain_ptssnn.nnet.fusing.torch {{}}",
            "wants '!new:speechbrain_ptssnn.nnet.fusing.torch'",
        ),
        (
            "x: !new:speechbrain_ptssnn.features.store.FeatureStore {{}}",
            "wants '!new:speechbrain_ptssnn.features.store.FeatureStore'",
        ),
        (
            "x: !new:speechbrain_ptssnn.nnet.attention.add_prompts {{}}",
            "wants '!new:speechbrain_ptssnn.nnet.attention.add_prompts'",
        ),
        ("x: !ref <sample_rate> ** 9", "computes '<sample_rate> ** 9'"),
        ("x: &a [1, 1]\ny: [*a, *a]", "has the anchor 'a'"),
        ("x: ../../secret", "names the path '../../secret'"),
        ("x: /etc/passwd", "names the path '/etc/passwd'"),
        ("x: 1000000", "sets x to 1000000"),
        ("allow_pickle: true", "sets allow_pickle to true"),
        ("? [1]\n: 2", "a key that is no word"),
    ],
)
def test_what_training_does_not_write_is_refused_by_its_line(
    line, words, stranger, tmp_path
):
    folder = stranger(append=f"\n{line.format(tmp_path / 'ran')}\n")
    text = (folder / "hyperparams.yaml").read_text()
    number = text.count("\n", 0, text.rindex(line[:2])) + 1
    refused(folder, f"hyperparams.yaml, line {number}: .*{re.escape(words)}")


def test_no_pickle_is_run(stranger, tmp_path):
    folder = stranger()
    with open(folder / "head.ckpt", "wb") as file:
        pickle.dump(Attack(tmp_path / "ran"), file)
    refused(folder, "head.ckpt: cannot be loaded")
    torch.save({"a": Attack(tmp_path / "ran")}, folder / "head.ckpt")
    refused(folder, "head.ckpt: cannot be loaded")


def test_a_path_outside_the_folder_is_refused(stranger, bundle):
    folder = stranger(
        "pretrainer: !new:speechbrain_ptssnn.inference.BundlePretrainer",
        "pretrainer: !new:speechbrain_ptssnn.inference.BundlePretrainer\n"
        "    collect_in: elsewhere",
    )
    refused(folder, "gives the pretrainer 'collect_in'")
    shutil.rmtree(folder)
    folder = stranger()
    (folder / "head.ckpt").unlink()
    (folder / "head.ckpt").symlink_to(bundle / "head.ckpt")
    refused(folder, "head.ckpt: is a link out of the folder")


def test_a_huge_tensor_is_refused(stranger):
    folder = stranger("hidden_size: 512", "hidden_size: 99999")
    refused(folder, "head.ckpt: holds .* numbers for a head that is built")
    shutil.rmtree(folder)
    folder = stranger()
    path = folder / "head.ckpt"
    weights = torch.load(path)
    torch.save({**weights, "more": torch.zeros(10**7)}, path)
    with zipfile.ZipFile(path) as plain:
        packed = zipfile.ZipFile(
            folder / "packed", "w", compression=zipfile.ZIP_DEFLATED
        )
        with packed:
            for name in plain.namelist():
                packed.writestr(name, plain.read(name))
    (folder / "packed").rename(path)
    refused(folder, "head.ckpt: unpacks to 40 MiB")


def test_trust_loads_whatever_it_is(stranger, tmp_path):
    folder = stranger(append=f"\nx: !apply:os.mkdir ['{tmp_path / 'ran'}']\n")
    refused(folder, "wants '!apply:os.mkdir'")
    open_bundle(folder, trust=True)
    assert (tmp_path / "ran").is_dir()


def test_a_front_end_that_names_code_is_refused(windowed, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(windowed, folder)
    check_trusted(folder)
    path = folder / "backbone.ckpt"
    saved = torch.load(path)
    config = saved["settings"]["config"]
    for changes, words in (
        ({"attn_implementation": "evil/kernel"}, "sets attn_implementation to"),
        ({"auto_map": {"AutoModel": "evil/x--y.Z"}}, "sets auto_map to"),
        ({"hidden_size": 60000}, "numbers for a front-end that is built with"),
    ):
        changed = {**saved["settings"], "config": {**config, **changes}}
        torch.save({**saved, "settings": changed}, path)
        refused(folder, f"backbone.ckpt: .*{words}")
    extractor = {"feature_extractor_type": "GenerationConfig"}
    changed = {**saved["settings"], "extractor": extractor}
    torch.save({**saved, "settings": changed}, path)
    refused(folder, "sets feature_extractor_type to GenerationConfig")


HEADS = [
    f"{folder}/{name}".removeprefix("./")
    for folder in (".", "ablations", "peers")
    for name, _ in list_yaml(HPARAMS / folder)
    if name != TWO_FRONT_ENDS
]


@pytest.mark.parametrize("head", HEADS)
def test_what_training_writes_is_trusted(head, write_bundle):
    check_trusted(write_bundle(head, fires=False))


def test_an_old_bundle_is_trusted():
    check_trusted(OLD)


def test_links_within_the_hubs_cache_are_followed(bundle, tmp_path):
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots" / "a1b2"
    blobs.mkdir()
    snapshot.mkdir(parents=True)
    for path in bundle.iterdir():
        shutil.copy(path, blobs / f"blob_of_{path.name}")
        (snapshot / path.name).symlink_to(
            Path("../../blobs") / f"blob_of_{path.name}"
        )
    check_trusted(snapshot)
