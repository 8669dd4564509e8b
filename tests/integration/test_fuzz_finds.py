"""What benchmarks/fuzz.py has found, as small as it gets."""

import pytest

from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.utils.distributed import one_sentence_errors
from speechbrain_ptssnn.utils.yaml_files import read_yaml


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("head:\n\tsize: 3\n", "line 2: found character '\\t' that cannot"),
        ("a: 1\nb: {a: 1, a: 2}\n", 'line 2: found duplicate key "a" with'),
        ("a: " + "[" * 3000, "nested too deeply"),
        ("a: \0", "unacceptable character"),
        ("- a\n", "is not a YAML file of keys and values"),
    ],
)
def test_a_damaged_yaml_file_is_told_in_one_line(text, reason, tmp_path):
    file = tmp_path / "a.yaml"
    file.write_text(text)
    with pytest.raises(InputError) as error:
        read_yaml(file)
    assert reason in str(error.value)
    assert "\n" not in str(error.value)


def test_a_name_with_a_line_break_leaves_the_sentence_in_one_line():
    with pytest.raises(SystemExit) as end, one_sentence_errors():
        raise InputError("a\nb.wav: is not there")
    assert end.value.code == "error: a b.wav: is not there"
