"""What importing the package sets."""

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize("mine", [None, "70000"])
def test_openmp_learns_that_its_threads_may_sleep(mine):
    names = {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"}
    env = {key: text for key, text in os.environ.items() if key not in names}
    if mine:
        env["GOMP_SPINCOUNT"] = mine
    process = subprocess.run(
        [sys.executable, "-c", "import speechbrain_ptssnn"],
        env={**env, "OMP_DISPLAY_ENV": "VERBOSE"},  # it tells what it has read
        capture_output=True,
        text=True,
        check=True,
    )
    if "GOMP_SPINCOUNT" not in process.stderr:
        pytest.skip("torch was built without GNU OpenMP")
    assert f"GOMP_SPINCOUNT = '{mine or 1000}'" in process.stderr
