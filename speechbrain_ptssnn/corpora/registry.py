"""Which corpora there are, and how to get one by its name.

A corpus is one module of this package that defines ``CORPUS``, a
:class:`~speechbrain_ptssnn.corpora.common.Corpus`. To add one, write the
module, put its name into ``NAMES`` and make a folder in ``recipes/``.
"""

from importlib import import_module

from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.utils.suggestions import suggestion

# The module of a corpus has its name in lower case.
NAMES = (
    "CASIA",
    "CrossCorpus",
    "Custom",
    "EMODB",
    "EMOVO",
    "FSDD",
    "IEMOCAP",
    "SpeechCommands",
    "SynthEmo",
    "URDU",
)


def find_corpus(name):
    """Returns the :class:`Corpus` of a name.

    Arguments
    ---------
    name : str
        One of ``NAMES``, in upper or lower case.

    Returns
    -------
    Corpus

    Raises
    ------
    InputError
        If there is no such corpus; the message lists all of them.

    Example
    -------
    >>> find_corpus("urdu").labels
    ('Angry', 'Happy', 'Neutral', 'Sad')
    >>> find_corpus("URDO")
    Traceback (most recent call last):
    speechbrain_ptssnn.errors.InputError: unknown corpus 'URDO' (did you mean \
'URDU'?); the corpora are CASIA, CrossCorpus, Custom, EMODB, ...
    """
    if not is_known(name):
        raise InputError(
            f"unknown corpus {name!r}{suggestion(name, NAMES)}; the corpora "
            f"are {', '.join(NAMES)}"
        )
    return import_module(f"{__package__}.{name.lower()}").CORPUS


def is_known(name):
    """Tells whether there is a corpus of this name, in any case."""
    return name.lower() in map(str.lower, NAMES)


def all_corpora():
    """Returns every :class:`Corpus`, sorted by name.

    Returns
    -------
    list of Corpus

    Example
    -------
    >>> for corpus in all_corpora()[3:5]:
    ...     print(f"{corpus.name}: {corpus.description}")
    EMODB: German, 10 actors, 7 emotions, 535 utterances
    EMOVO: Italian, 6 actors, 7 emotions, 588 utterances
    """
    return [find_corpus(name) for name in NAMES]
