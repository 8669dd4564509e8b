"""The README's Python, run as it stands there."""

import re
import runpy
import shutil
import sys
from pathlib import Path

README = Path(__file__).resolve().parents[2] / "README.md"


def test_readmes_examples_run(recipe, mini_urdu, monkeypatch, capsys):
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    run = recipe.run()
    model, wav = re.findall(r'"((?:results|data)/[^"]+)"', "".join(blocks))
    monkeypatch.chdir(recipe.path)
    shutil.copytree(run.folder / "fold_1" / "model", model)
    Path(wav).parent.mkdir(parents=True)
    shutil.copy(next(mini_urdu.rglob("*.wav")), wav)
    capsys.readouterr()
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {})
    assert re.search(
        r"^(Angry|Happy|Neutral|Sad) tensor", capsys.readouterr().out, re.M
    )


def test_classify_script_prints_label_and_posteriors(
    recipe, mini_urdu, monkeypatch, capsys
):
    run = recipe.run(head="linear_probe", fold=1)
    wav = str(next(mini_urdu.rglob("*.wav")))
    script = README.parent / "recipes" / "classify.py"
    model = str(run.folder / "fold_1" / "model")
    monkeypatch.setattr(sys, "argv", [str(script), model, wav])
    capsys.readouterr()
    runpy.run_path(str(script), run_name="__main__")
    assert re.search(
        rf"^{re.escape(wav)}: (\w+) \(Angry 0\.\d+, .*Sad 0\.\d+\)$",
        capsys.readouterr().out,
        re.M,
    )
