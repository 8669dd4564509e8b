import pytest

from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.training.arguments import Arguments


def test_both_manners_give_the_same():
    spaced = ["a.yaml", "--data_folder", "my corpus", "--debug", "--fold", "2"]
    joined = ["a.yaml", "--data_folder=my corpus", "--debug", "--fold=2"]
    assert Arguments.parse(spaced) == Arguments.parse(joined)
    assert Arguments.parse(joined).argv == [
        *("a.yaml", "--data_folder=my corpus", "--fold=2", "--debug"),
    ]


def test_a_value_may_hold_anything():
    argv = ["a.yaml", "--results_folder=a=b #c", "--hub=x y", "--lr="]
    assert Arguments.parse(argv).keys == {
        "results_folder": "a=b #c",
        "hub": "x y",
        "lr": "",
    }


def test_speechbrains_options_are_told_apart_from_keys():
    arguments = Arguments.parse(
        ["a.yaml", "--device=cpu", "--precision=bf16", "--debug", "--lr=1"]
    )
    assert arguments.keys == {"precision": "bf16", "lr": "1"}
    options = arguments.run_options
    assert (options.device, options.debug) == ("cpu", True)
    assert options.precision == "fp32"  # ours decides
    assert options.overridden_args == {"device", "debug"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--seed=1", "--seed", "2"], "--seed is given twice"),
        (["--debug", "--debug"], "--debug is given twice"),
        (["--jit"], "SpeechBrain's --jit cannot be used here; leave it out"),
        (["--test_only"], "--test_only cannot be used here"),
        (["--debug=False"], "--debug takes no value; write --debug, or leave"),
        (["stray"], "unexpected argument 'stray'; write --key=value"),
        (["-seed=3"], r"unexpected argument '-seed=3'.*--seed="),
        (["--seed"], "--seed has no value; write --seed=value"),
        (["--seed", "--fold=1"], "--seed has no value"),
        (["--data_folder", "=", "/x"], "write --data_folder=/x in one word"),
        (["--data_folder=", "/x"], "write --data_folder=/x in one word"),
        (["--data_folder", "=/x"], "write --data_folder=/x in one word"),
    ],
)
def test_a_mistyped_word_is_named(words, message):
    with pytest.raises(InputError, match=message):
        Arguments.parse(["a.yaml", *words])


@pytest.mark.parametrize("argv", [[], ["--seed=1"]])
def test_a_file_comes_first(argv):
    with pytest.raises(InputError, match="name a YAML file first"):
        Arguments.parse(argv)


def test_options_of_the_wrong_kind_are_a_sentence(capsys):
    arguments = Arguments.parse(["a.yaml", "--debug_batches=many"])
    with pytest.raises(InputError, match="options of SpeechBrain"):
        _ = arguments.run_options
    assert "debug_batches: invalid int value" in capsys.readouterr().err
