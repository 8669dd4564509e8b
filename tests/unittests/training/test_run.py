"""Who may train in a run's folder."""

from contextlib import ExitStack
from types import SimpleNamespace

import pytest

from speechbrain_ptssnn.corpora.common import Utterance
from speechbrain_ptssnn.corpora.folds import Fold
from speechbrain_ptssnn.corpora.manifests import read_utterances
from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.training.run import RESULT_OPTIONS, Run


@pytest.fixture
def make(tmp_path):
    def make(**keys):
        """A run with these settings, without anything that computes."""
        plain = {"results_folder": "results", "features_folder": "features"}

        def text(**changes):
            values = {**plain, **keys, **changes}
            return "".join(f"{k}: {v}\n" for k, v in values.items())

        command = SimpleNamespace(
            model_folder=tmp_path,
            plain=plain,
            hparams={"precision": "fp32"},
            settings=SimpleNamespace(text=text),
            run_opts=dict.fromkeys(RESULT_OPTIONS),
            processes=1,
        )
        store = SimpleNamespace(
            fingerprint="fbank",
            precision="fp32",
            audio_fingerprint=lambda name: name,
        )
        utterances = [Utterance(n, f"{n}.wav", "k", "l", 1.0) for n in "abc"]
        folds = [Fold(train=["a"], valid=["b"], test=["c"])]
        return Run(command, 1, utterances, store, folds)

    return make


def compute(run):
    (run.files.fold(1).checkpoints / "CKPT+1").mkdir(parents=True)


def test_a_folder_where_nothing_was_computed_may_be_taken_over(make):
    with make(lr=0.1).opened():
        pass
    with make(lr=0.2).opened():
        # Of folds that were removed since.
        for path in make().files.outcomes:
            path.write_text("{}")
    with make(lr=0.3).opened():
        assert not any(path.exists() for path in make().files.outcomes)
    assert make().files.read_hyperparams()["lr"] == 0.3


def test_a_folder_belongs_to_the_run_that_has_it_open(make):
    """Even before the run has computed anything."""
    with (
        make(lr=0.1).opened(),
        pytest.raises(InputError, match=r"other settings: lr=0\.2 \(there: 0"),
        make(lr=0.2).opened(),
    ):
        pass
    assert make().files.read_hyperparams()["lr"] == 0.1


def test_several_processes_may_share_a_run(make):
    with ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(make(lr=0.1).opened())
        with pytest.raises(InputError, match="other settings"):
            stack.enter_context(make(lr=0.2).opened())


def test_what_was_computed_keeps_its_settings(make):
    run = make(lr=0.1)
    with run.opened():
        compute(run)
    with (
        pytest.raises(InputError, match="other settings: lr"),
        make(lr=0.2).opened(),
    ):
        pass
    with make(lr=0.1).opened():
        pass


def test_debugging_is_compared_with_its_numbers(make):
    def debugged(epochs):
        run = make()
        run.command.run_opts |= {"debug": True, "debug_batches": 2}
        run.command.run_opts["debug_epochs"] = epochs
        return run

    with debugged(1).opened():
        compute(make())
    with (
        pytest.raises(InputError, match=r"debug_epochs=3 \(there: 1\)"),
        debugged(3).opened(),
    ):
        pass


def test_another_order_of_the_classes_is_another_run(make):
    """A checkpoint's outputs are in that order."""
    run = make(label_map="{joy: good, calm: good, anger: bad}")
    with run.opened():
        compute(run)
    with (
        pytest.raises(
            InputError,
            match=r"classes=\[\['bad', 'good'\]\] \(there: \[\['good",
        ),
        make(label_map="{anger: bad, calm: good, joy: good}").opened(),
    ):
        pass
    with run.opened():
        pass


@pytest.mark.parametrize("name", ["settings.json", "hyperparams.yaml"])
def test_results_without_settings_are_refused(name, make):
    run = make(lr=0.1)
    with run.opened():
        pass
    (run.files.path / name).write_bytes(b"")
    with run.opened():  # nothing was computed
        compute(run)
    (run.files.path / name).write_bytes(b"")
    with (
        pytest.raises(InputError, match=f"{name}: is empty; without it nobody"),
        run.opened(),
    ):
        pass
    (run.files.path / name).unlink()
    with (
        pytest.raises(InputError, match=f"{name}: is not there; without it"),
        run.opened(),
    ):
        pass


@pytest.mark.parametrize("name", ["manifest.json", "folds.json"])
def test_what_can_be_written_again_is(name, make):
    run = make()
    with run.opened():
        compute(run)
    path = run.files.path / name
    whole = path.read_text()
    path.write_bytes(b"")
    with run.opened():
        assert path.read_text() == whole


def test_the_manifest_holds_from_anywhere(make, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = make()
    with run.opened():
        pass
    wavs = [u.wav for u in read_utterances(run.files.manifest)]
    assert wavs == [str(tmp_path / f"{name}.wav") for name in "abc"]
    folders = run.files.read_hyperparams()
    assert folders["features_folder"] == str(tmp_path / "features")
