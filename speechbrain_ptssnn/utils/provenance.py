"""What a result was made with: versions, revision, device."""

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
    """Versions of what computes, and the revision of this package.

    Returns
    -------
    dict
        "versions", by name, and "git_revision", None where the package was
        installed without its repository.

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
    """The make of a device.

    Arguments
    ---------
    device : str
        As torch has it, like "cpu" or "cuda:0".

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
