"""How a result was made: versions, revision, device."""

import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import torch

PACKAGES = (
    "speechbrain-ptssnn",
    "speechbrain",
    "torch",
    "torchaudio",
    "spikingjelly",
    "transformers",
)


def provenance():
    """Returns the versions of the packages and the revision of this one.

    Returns
    -------
    dict
        "versions", from name to version, and "git_revision", which is None if
        the package was installed without its repository.

    Example
    -------
    >>> sorted(provenance())
    ['git_revision', 'versions']
    """
    return {
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in PACKAGES},
        },
        "git_revision": _git_revision(),
    }


def device_name(device):
    """Returns the model name of a device.

    Arguments
    ---------
    device : str
        In torch's notation, like "cpu" or "cuda:0".

    Returns
    -------
    str
        Of the GPU, or of this machine's processor.
    """
    if "cuda" in device:
        return torch.cuda.get_device_name(device)
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":")[1].strip()
    return platform.processor()


def _git_revision():
    file = Path(__file__)

    def git(*arguments):
        return subprocess.run(
            ["git", *arguments],
            cwd=file.parent,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", file.name)
        return git("describe", "--always", "--dirty", "--abbrev=40")
    except (OSError, subprocess.CalledProcessError):
        return None  # installed without its repository
