"""The Python of README and docs, run as it stands there."""

import re
import shutil
from pathlib import Path

import pytest
import soundfile

ROOT = Path(__file__).resolve().parents[2]
ELSEWHERE = ("export.md",)  # test_onnx.py runs its example
EXAMPLES = {
    page: re.findall(
        r"^```python\n(.*?)^```$", page.read_text("utf-8"), re.S | re.M
    )
    for page in sorted([ROOT / "README.md", *ROOT.glob("docs/**/*.md")])
    if page.name not in ELSEWHERE
}
PAGES = [page for page, blocks in EXAMPLES.items() if blocks]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_examples_run(page, recipe, mini_urdu, monkeypatch, capsys):
    text = "".join(EXAMPLES[page])
    monkeypatch.chdir(recipe.path)
    models = re.findall(r'"(results/[^"]+/model)"', text)
    if models:
        run = recipe.run()
    for model in models:
        shutil.copytree(run.folder / "fold_1" / "model", model)
    samples, rate = soundfile.read(next(mini_urdu.rglob("*.wav")))
    for audio in re.findall(r'"([^"]+\.(?:wav|flac))"', text):
        Path(audio).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(audio, samples, rate)
    capsys.readouterr()
    for block in EXAMPLES[page]:
        exec(compile(block, page.name, "exec"), {})
    said = capsys.readouterr().out
    label = r"^(Angry|Happy|Neutral|Sad|negative|positive|unsure) tensor"
    assert len(re.findall(label, said, re.M)) == len(models)


def test_the_pages_have_examples():
    assert {page.name for page in PAGES} == {
        *("README.md", "classify.md", "energy.md", "nir.md", "python.md"),
        "streaming.md",
    }
