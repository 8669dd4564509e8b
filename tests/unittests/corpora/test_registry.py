"""Every corpus is in the registry, and the registry has nothing else."""

import pkgutil
from importlib import import_module

import pytest

from speechbrain_ptssnn import corpora
from speechbrain_ptssnn.corpora.registry import all_corpora, find_corpus
from speechbrain_ptssnn.errors import InputError


def test_every_module_that_defines_a_corpus_is_listed():
    modules = [
        import_module(f"{corpora.__name__}.{module.name}")
        for module in pkgutil.iter_modules(corpora.__path__)
    ]
    defined = [m.CORPUS for m in modules if hasattr(m, "CORPUS")]
    assert all_corpora() == sorted(defined, key=lambda c: c.name)


def test_each_has_one_line_that_describes_it():
    for corpus in all_corpora():
        assert 20 < len(corpus.description) < 66, corpus.name
        assert "\n" not in corpus.description


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nonsense", r"unknown corpus 'nonsense'; .* CASIA, .*, URDU$"),
        ("emvo", r"'emvo' \(did you mean 'EMOVO'\?\); .* CASIA, "),
        ("common", r"unknown corpus 'common'"),
    ],
)
def test_a_name_that_is_unknown_is_refused_with_the_nearest(name, message):
    with pytest.raises(InputError, match=message):
        find_corpus(name)
