"""What a corpus is made of: utterances, labels and a reader."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

from speechbrain.utils.logger import get_logger

from speechbrain_ptssnn.utils.label_map import check_label_map

logger = get_logger(__name__)

EMOTION = "Speech emotion recognition"


@dataclass(frozen=True)
class Utterance:
    """One labelled recording.

    Arguments
    ---------
    id : str
        Unique within the corpus; names the row in ``predictions.csv``.
    wav : str
        Path of the audio file.
    speaker : str
        Who speaks; the speaker-independent protocols split by this.
    label : str
        One of the corpus's labels.
    duration : float
        Seconds.
    session : str
        Recording session; "" if the corpus has none.
    sex : str
        "f" or "m"; "" if the corpus does not say.
    sentence : str
        Which sentence is spoken, if several speakers speak the same ones.
    text : str
        What is said.
    fold : str
        The corpus's own assignment: the name of a fold, or "train", "valid"
        or "test".
    start : float
        Where the utterance begins in the file, in seconds.
    end : float or None
        Where it ends, in seconds; None is the end of the file.
    """

    id: str
    wav: str
    speaker: str
    label: str
    duration: float
    session: str = ""
    sex: str = ""
    sentence: str = ""
    text: str = ""
    fold: str = ""
    start: float = 0.0
    end: float | None = None


@dataclass(frozen=True)
class Corpus:
    """What the training needs to know about a corpus.

    Arguments
    ---------
    name : str
        As it is written in tables and in the paths of results.
    labels : tuple of str
        In index order: ``labels[k]`` belongs to output neuron k.
    read : callable
        ``read(data_folder, complete=True)`` returns a list of
        :class:`Utterance`, sorted by id. With ``complete`` it raises an
        InputError unless the published number of utterances is there.
    protocol : str
        The default protocol, which is the paper's: the name of a YAML file in
        the recipe's ``protocols/``.
    configure : callable or None
        ``configure(settings)`` returns the Corpus of one run, if its name or
        labels are set in the run's YAML.
    description : str
        One line about the corpus, for lists.
    task : str
        What the labels are, for a model's card.
    """

    name: str
    labels: tuple
    read: Callable
    protocol: str = "random"
    configure: Callable | None = None
    description: str = ""
    task: str = EMOTION


def classes_of(corpus, label_map):
    """Returns the classes to train, in index order.

    Arguments
    ---------
    corpus : Corpus
        Its labels are the keys of the map.
    label_map : dict
        From label to class, or to None to leave out the label's utterances.
        An empty one keeps the corpus's own labels.

    Returns
    -------
    tuple of str

    Raises
    ------
    InputError
        If a label is not in the map or not in the corpus, or if fewer than
        two classes are left.

    Example
    -------
    >>> corpus = Corpus("URDU", ("Angry", "Happy", "Neutral", "Sad"), read=None)
    >>> high_low = dict(Angry="high", Happy="high", Neutral=None, Sad="low")
    >>> classes_of(corpus, high_low)
    ('high', 'low')
    """
    if not label_map:
        return corpus.labels
    return check_label_map(label_map, corpus.labels, corpus.name)


def map_labels(utterances, label_map):
    """Replaces labels by their classes and leaves out those without one.

    The log tells how many utterances of which labels are left out.

    Arguments
    ---------
    utterances : list of Utterance
        Their labels are keys of the map.
    label_map : dict
        As in :func:`classes_of`.

    Returns
    -------
    list of Utterance
    """
    if not label_map:
        return utterances
    left_out = Counter(
        u.label for u in utterances if label_map[u.label] is None
    )
    if left_out:
        logger.info(
            "label_map leaves out %d of %d utterances: %s",
            left_out.total(),
            len(utterances),
            dict(left_out),
        )
    return [
        replace(u, label=label_map[u.label])
        for u in utterances
        if label_map[u.label] is not None
    ]
