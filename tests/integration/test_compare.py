"""Two recipe runs, one of two seeds, compared from their folders."""

from pathlib import Path

from speechbrain_ptssnn.evaluation.compare import compare
from speechbrain_ptssnn.recipe import main

SCRIPT = Path(__file__).resolve().parents[2] / "recipes" / "URDU" / "train.py"


def test_seeds_of_a_run_against_another_run(recipe):
    linear = recipe.run(head="linear_probe")
    vanilla = recipe.run(
        head="vanilla_snn", results_folder=recipe.path / "vanilla"
    )
    main("URDU", SCRIPT, recipe.arguments(head="linear_probe", seed=2))
    seeds = linear.folder.parent
    comparison = compare(seeds, vanilla.folder)
    assert comparison["A"]["folders"] == [str(seeds / k) for k in "12"]
    assert comparison["B"]["WA"] == vanilla.summary["WA"]
    assert comparison["n_speakers"] == vanilla.summary["n_speakers"] == 8
