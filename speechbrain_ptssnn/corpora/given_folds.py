"""Folds that others have assigned: EmoBox's lists, a corpus's own column."""

import json
from collections import defaultdict
from pathlib import Path

from speechbrain.utils.logger import get_logger

from speechbrain_ptssnn.corpora.folds import Folds
from speechbrain_ptssnn.errors import InputError

logger = get_logger(__name__)

PARTS = ("train", "valid", "test")
NOT_PARTS = ("training", "dev", "development", "val", "validation")
NOT_PARTS += ("eval", "evaluation", "testing")


class EmoBoxFolds(Folds):
    """The folds published by EmoBox (Ma et al., 2024, arXiv:2406.07162).

    ``fold_1/urdu_train_fold_1.jsonl`` lists what is trained on, ``_test_``
    what is tested and ``_valid_``, where there is one, what validates;
    otherwise validation is cut out of the training list. An utterance is
    known by its path in the corpus: ``downloads/urdu/Sad/SM9_F1_S99.wav`` is
    the file that ends in ``Sad/SM9_F1_S99.wav``, in any case of letters.

    Arguments
    ---------
    folder : str
        EmoBox's folder of the corpus, e.g. ``EmoBox/data/urdu``.
    unit : str
        What its folds keep whole, as in :class:`Folds`, like the arguments
        that follow.
    seed : int
        Of the validation set.
    valid_parts : int
        The validation set is about 1 / valid_parts of the training list.
    valid_unit : str, optional
        By what validation is cut out; ``unit`` by default.
    """

    def __init__(self, folder, unit, seed, valid_parts=9, valid_unit=None):
        super().__init__(unit, seed, valid_parts, valid_unit)
        self.folder = folder

    def split(self, utterances):
        """Assigns every utterance as the lists say.

        Arguments
        ---------
        utterances : list of Utterance
            The corpus; a warning tells what of the lists is not in it.

        Returns
        -------
        list of Fold
            ``fold_1`` first.

        Raises
        ------
        InputError
            If the folder or a list is not EmoBox's, an utterance is in no
            list of a fold, or something stands on two sides.
        """
        source = Path(self.folder)
        folders = sorted(
            source.glob("fold_*"), key=lambda f: (len(f.name), f.name)
        )
        if not self.folder or not folders:
            raise InputError(
                f"emobox_folder={str(self.folder)!r} has no fold_1/; name "
                "EmoBox's folder of this corpus, such as EmoBox/data/urdu of "
                "https://github.com/emo-box/EmoBox"
            )
        folds, strangers = [], set()
        for number, folder in enumerate(folders, 1):
            parts = [_read_list(folder, name) for name in PARTS]
            listed = {path for part in parts for path in part}
            depth = max(path.count("/") + 1 for path in listed)
            by_path = {_tail(Path(u.wav).parts, depth): u for u in utterances}
            for path in sorted(by_path.keys() - listed):
                raise InputError(
                    f"{folder}: no list names {by_path[path].wav}, which is "
                    "in the corpus; take the folder of the same release"
                )
            strangers |= listed - by_path.keys()
            train, valid, test = (
                [by_path[path] for path in part if path in by_path]
                for part in parts
            )
            folds.append(self.make_fold(number, train, test, valid))
        if strangers:
            logger.warning(
                "%s lists %d files that are not in the corpus, such as %s",
                source,
                len(strangers),
                min(strangers),
            )
        return folds


class FoldColumn(Folds):
    """The corpus's own assignment, :class:`Utterance`'s ``fold``.

    Each of its values is tested once, in the order of numbers or of names:
    the first one is fold 1. If its values are "train", "test" and perhaps
    "valid", that is the only fold. Arguments are those of :class:`Folds`.

    Example
    -------
    >>> from speechbrain_ptssnn.corpora.common import Utterance
    >>> corpus = [
    ...     Utterance(f"{n}", "", "s", "calm", 1.0, fold="ab"[n % 2])
    ...     for n in range(4)
    ... ]
    >>> column = FoldColumn("utterance", seed=1, valid_parts=2)
    >>> [fold.test for fold in column.split(corpus)]
    [['0', '2'], ['1', '3']]
    """

    def split(self, utterances):
        """Assigns every utterance as its ``fold`` says.

        Arguments
        ---------
        utterances : list of Utterance
            The corpus.

        Returns
        -------
        list of Fold

        Raises
        ------
        InputError
            If an utterance has no fold, there is one fold only, "train" and
            numbers are mixed, or a unit stands on two sides.
        """
        folds = defaultdict(list)
        for u in utterances:
            if not u.fold:
                raise InputError(f"{u.id}: has no fold; every row needs one")
            part = u.fold.strip().casefold()
            if part in NOT_PARTS:
                raise InputError(
                    f"{u.id}: the fold is {u.fold!r}; write train, valid, test"
                )
            folds[part if part in PARTS else u.fold].append(u)
        others = sorted(folds.keys() - set(PARTS), key=lambda f: (len(f), f))
        if len(others) < len(folds):
            if others or not {"train", "test"} <= folds.keys():
                raise InputError(
                    f"the folds are {sorted(folds)}; write train, test and "
                    "perhaps valid, or numbers or names without these three"
                )
            parts = (folds[name] for name in ("train", "test", "valid"))
            return [self.make_fold(1, *parts)]
        if len(others) < 2:
            raise InputError(f"the only fold is {others}; two are needed")
        return [
            self.make_fold(
                number,
                [u for u in utterances if u.fold != name],
                folds[name],
            )
            for number, name in enumerate(others, 1)
        ]


def _read_list(folder, part):
    """Paths in the corpus's folder, without regard to case."""
    files = sorted(folder.glob(f"*_{part}_*.jsonl"))
    if not files and part == "valid":
        return []
    if len(files) != 1:
        raise InputError(
            f"{folder}: holds {len(files)} files *_{part}_*.jsonl, not one; "
            "take EmoBox's folder as it is published"
        )
    lines = files[0].read_text(encoding="utf-8").splitlines()
    paths = []
    for number, line in enumerate(lines, 1):
        try:
            # The first two are EmoBox's own: downloads/<corpus>/
            paths.append(_tail(json.loads(line)["wav"].split("/")[2:]))
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(
                f"{files[0]}:{number}: not a JSON object with a 'wav'"
            ) from error
    return paths


def _tail(parts, depth=0):
    return "/".join(parts[-depth:]).casefold()
