"""The wheel works by itself: it holds every YAML file, once, and no tests."""

import shutil
import subprocess
import sys
import tarfile
from collections import Counter
from configparser import ConfigParser
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "speechbrain_ptssnn"


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A copy of the files in git, since a build leaves files in its folder."""
    pytest.importorskip(
        "setuptools", "77", reason="the extra [test] is missing: setuptools"
    )
    folder = tmp_path_factory.mktemp("source")
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True
    )
    if listed.returncode:
        pytest.skip("not a git repository")
    for name in listed.stdout.split("\0"):
        if (ROOT / name).exists() and name:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name, follow_symlinks=False)
    return folder


def build(kind, source, folder):
    """Builds as pip does, but with the setuptools that is installed."""
    code = (
        "import sys; from setuptools import build_meta; "
        f"build_meta.build_{kind}(sys.argv[1])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        cwd=source,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    (result,) = folder.iterdir()
    return result


@pytest.fixture(scope="module")
def wheel(source, tmp_path_factory):
    return ZipFile(build("wheel", source, tmp_path_factory.mktemp("wheel")))


def test_the_wheel_holds_every_file_of_the_package_once(source, wheel):
    expected = {
        path.relative_to(source).as_posix(): path
        for pattern in ("**/*.py", "*/*.html", "*/*.css", "*/*.js")
        for path in (source / PACKAGE).glob(pattern)
    }
    for pattern in ("hparams/**/*.yaml", "recipes/*/protocols/*.yaml"):
        for path in source.glob(pattern):
            name = path.relative_to(source).as_posix()
            expected[f"{PACKAGE}/{name}"] = path
    assert len([name for name in expected if name.endswith(".yaml")]) > 70
    names = Counter(
        name for name in wheel.namelist() if "dist-info" not in name
    )
    assert names == Counter(expected.keys())
    for name, path in expected.items():
        assert wheel.read(name) == path.read_bytes(), name


def test_the_wheel_declares_the_command(wheel):
    (name,) = [n for n in wheel.namelist() if n.endswith("/entry_points.txt")]
    entries = ConfigParser()
    entries.read_string(wheel.read(name).decode())
    scripts = dict(entries["console_scripts"])
    assert scripts == {"ptssnn": f"{PACKAGE}.cli:main"}


def test_an_sdist_gives_the_same_wheel(source, wheel, tmp_path):
    for name in ("sdist", "unpacked", "wheel"):
        (tmp_path / name).mkdir()
    sdist = build("sdist", source, tmp_path / "sdist")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    with ZipFile(build("wheel", unpacked, tmp_path / "wheel")) as other:
        assert sorted(other.namelist()) == sorted(wheel.namelist())
