"""README and docs: each command, option, file, link and name in them exists."""

import configparser
import re
import shlex
from contextlib import redirect_stdout, suppress
from functools import cache
from io import StringIO
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from draw_head import PICTURE, picture
from speechbrain_ptssnn import cli
from speechbrain_ptssnn.training.command import read_command
from speechbrain_ptssnn.utils.yaml_files import read_yaml

ROOT = Path(__file__).resolve().parents[2]
HPARAMS = ROOT / "hparams"
README = ROOT / "README.md"
PAGES = sorted(
    [README, *ROOT.glob("docs/**/*.md"), *ROOT.glob("recipes/*/README.md")]
)
CORPORA = sorted(path.parent.name for path in ROOT.glob("recipes/*/train.py"))
BACKBONES = sorted(path.stem for path in HPARAMS.glob("backbones/*.yaml"))
SPAN = re.compile(r"`([^`]+)`")


def text_of(page):
    return page.read_text(encoding="utf-8")


def prose_of(page):
    """The page without its blocks of code."""
    return re.sub(r"^```.*?^```$", "", text_of(page), flags=re.S | re.M)


def commands_of(page):
    """Every shell command of a page, as a list of words."""
    blocks = re.findall(r"^```bash\n(.*?)^```$", text_of(page), re.S | re.M)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    spans = (" ".join(span.split()) for span in SPAN.findall(prose_of(page)))
    program = "(ptssnn|python|torchrun|make|pip) "
    for command in [*lines, *(s for s in spans if re.match(program, s))]:
        optional = r" \[[^\]]*\]"  # "[HEAD.yaml]" in a general form
        words = shlex.split(re.sub(optional, "", command), comments=True)
        yield [word for word in words if word != "..."]


def keys_of(path):
    """A YAML file's keys, with those of the file that it is based on."""
    document = read_yaml(path)
    base = document.get("base")
    if base is None:
        return set(document)
    near = path.with_name(base)
    return set(document) | keys_of(near if near.exists() else HPARAMS / base)


class Reached(Exception):
    """The command is understood; its work would begin."""


def reach(*_):
    raise Reached


@pytest.fixture
def check(tmp_path, monkeypatch):
    """Has a command read by the program that it is for, which does nothing."""

    def read(arguments, corpus, recipe_folder):
        read_command(arguments, corpus, recipe_folder)
        raise Reached

    monkeypatch.chdir(tmp_path)
    (tmp_path / "cafe").mkdir()
    (example,) = re.findall(r"```yaml\n(.*?)```", text_of(README), re.S)
    (tmp_path / "cafe" / "cafe.yaml").write_text(example, encoding="utf-8")
    monkeypatch.setattr(cli, "train", lambda c, folder, a: read(a, c, folder))
    monkeypatch.setattr(cli, "start_command", read)
    monkeypatch.setattr(cli.layer_profile, "start_command", read)
    monkeypatch.setattr(cli.explore, "start_command", read)
    monkeypatch.setattr(cli.classification, "check_arguments", reach)
    monkeypatch.setattr(cli, "bundle_folder", Path)
    monkeypatch.setattr(cli.hub, "push", reach)
    monkeypatch.setattr(cli.hub, "write_model", reach)
    monkeypatch.setattr(cli.demo, "gradio_package", lambda: None)
    monkeypatch.setattr(cli.demo, "serve", lambda *_, **__: reach())
    monkeypatch.setattr(cli.demo, "write_space", reach)
    monkeypatch.setattr(cli.comparison, "compare", reach)
    monkeypatch.setattr(cli.energy, "write_energy", reach)
    monkeypatch.setattr(cli.stage_probes, "probe_run", reach)
    monkeypatch.setattr(cli, "write_report", reach)

    def ptssnn(*words):
        if words[0] == "experiments":
            words = [*words, "--table_only"]
        with suppress(Reached):
            cli.main(words)

    def python(script, *words):
        path = ROOT / script
        assert path.is_file()
        if path.name == "train.py":
            corpus = () if path.parent.name == "Custom" else [path.parent.name]
            ptssnn("train", *corpus, *words)

    def make(target):
        assert re.search(rf"^{target}:", text_of(ROOT / "Makefile"), re.M)

    def pip(action, *words):
        assert action in ("install", "wheel")
        setup = configparser.ConfigParser()
        setup.read(ROOT / "setup.cfg", encoding="utf-8")
        for extra in re.findall(r"\.\[(\w+)\]", " ".join(words)):
            assert extra in setup["options.extras_require"]

    def source(path):
        (folder,) = re.findall(
            "^BIN := (.*)$", text_of(ROOT / "Makefile"), re.M
        )
        assert path == f"{folder}/activate"

    def torchrun(*words):
        run(words[words.index("--no-python") + 1 :])

    known = (ptssnn, python, make, pip, source, torchrun)
    programs = {f.__name__: f for f in known}

    def run(words):
        programs[words[0]](*words[1:])

    return run


def is_general(words):
    """Whether a command stands for others: ``ptssnn train CORPUS``."""
    is_named_only = words[1] in cli.COMMANDS and len(words) == 2
    return is_named_only or words[2:3] in (["CORPUS"], ["my_set.yaml"])


@pytest.mark.parametrize(
    ("page", "command"),
    [
        pytest.param(
            page, words, id=f"{page.relative_to(ROOT)}: {shlex.join(words)}"
        )
        for page in PAGES
        for words in commands_of(page)
        if not is_general(words)
    ],
)
def test_every_command_is_understood(page, command, check):
    check(command)


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_the_examples_of_the_help_are_understood(name, check):
    lines = cli.ENDS[name].replace("\\\n", " ").splitlines()
    examples = [line for line in lines if line.startswith("  ptssnn")]
    assert examples
    for example in examples:
        check(shlex.split(example))


def test_the_pages_use_every_subcommand():
    used = {
        words[1]
        for page in PAGES
        for words in commands_of(page)
        if words[0] == "ptssnn"
    }
    assert used >= cli.COMMANDS.keys()


@cache
def options_and_keys():
    """Every option that a help names, and every key of a YAML file."""
    helps = StringIO()
    with redirect_stdout(helps):
        for name in cli.COMMANDS:
            with suppress(SystemExit):
                cli.main([name, "--help"])
    files = [*HPARAMS.rglob("*.yaml"), *ROOT.glob("recipes/*/protocols/*.yaml")]
    return {"key", *re.findall(r"--(\w+)", helps.getvalue())}.union(
        *map(read_yaml, files)
    )


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_option_in_a_sentence_exists(page):
    assert {*re.findall(r"`--(\w+)", prose_of(page))} <= options_and_keys()


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_file_in_a_sentence_exists(page):
    roots = (ROOT, ROOT / "speechbrain_ptssnn", HPARAMS, ROOT / "benchmarks")
    for span in SPAN.findall(prose_of(page)):
        path = span.split()[-1] if span.startswith("python ") else span
        is_ours = re.fullmatch(r"[\w/-]+/[\w-]*\.(py|yaml|md)", path)
        if is_ours and not path.startswith("cafe/"):
            assert any((root / path).exists() for root in roots), span


def test_every_set_is_explained():
    text = (ROOT / "docs" / "experiments.md").read_text()
    for path in sorted(HPARAMS.glob("sets/*.yaml")):
        assert f"`{path.stem}`" in text


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_yaml_sets_keys_of_its_base(page):
    for text in re.findall(r"^```yaml\n(.*?)^```$", text_of(page), re.S | re.M):
        example = YAML().load(text)
        (base,) = HPARAMS.rglob(example["base"])
        assert {*example} <= {"base", *keys_of(base)}


def anchors_of(page):
    """What GitHub calls a page's headings."""
    headings = re.findall(r"^#+ (.*)$", prose_of(page), re.M)
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in headings
    }


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_link_leads_somewhere(page):
    links = re.findall(r"\]\(([^)\s]+)\)", text_of(page))
    for link in links:
        if link.startswith("https://"):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors_of(target), link


@pytest.mark.parametrize("page", sorted(ROOT.glob("docs/**/*.md")), ids=str)
def test_the_index_names_every_page(page):
    index = ROOT / "docs" / "README.md"
    name = page.relative_to(index.parent)
    assert page == index or f"({name})" in text_of(index)
    assert page == index or f"(docs/{name})" in text_of(README)


@pytest.mark.parametrize("name", [*CORPORA, *BACKBONES])
def test_readme_or_docs_name_every_corpus_and_backbone(name):
    word = re.compile(rf"(?<![\w-]){re.escape(name)}(?![\w-])")
    assert any(word.search(text_of(page)) for page in PAGES)


@pytest.mark.parametrize("corpus", CORPORA)
def test_every_recipe_says_where_and_how(corpus):
    text = text_of(ROOT / "recipes" / corpus / "README.md")
    for needed in ("ptssnn train", "train.py", "data_folder", ".wav"):
        assert needed in text


def test_readme_is_read_in_five_minutes():
    assert len(text_of(README).splitlines()) <= 250


def test_the_picture_is_what_its_script_draws():
    assert text_of(PICTURE) == picture()


@pytest.mark.parametrize(
    "command",
    [
        "ptssnn trian URDU",
        "ptssnn train URDO",
        "ptssnn train URDU linear_prob",
        "ptssnn train URDU --learning_rate=1",
        "ptssnn train URDU --backbone=fbanks",
        "ptssnn extract URDU --protocol=session",
        "ptssnn experiments table6 --corpus=URDU",
        "ptssnn experiments table5 --corpus=URDU --sed=1",
        "ptssnn compare RUN_A",
        "ptssnn energy RUN --frame=3",
        "ptssnn list corpus",
        "torchrun --nproc_per_node=2 --no-python ptssnn train URDO",
        "python recipes/URDU/test.py",
        "python recipes/URDU/train.py hparams/pts_snn.yaml --epochs=2",
        "pip install -e '.[opensmiles]'",
        "make demos",
    ],
)
def test_a_mistake_in_a_command_is_found(command, check):
    with pytest.raises((AssertionError, SystemExit)):
        check(shlex.split(command))
