"""Protocols with given folds: EmoBox's lists, the column of a manifest."""

import json
import os
from collections import defaultdict
from pathlib import Path

from speechbrain.utils.logger import get_logger

from speechbrain_ptssnn.corpora.folds import BaseProtocol
from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.utils.long_lists import named

logger = get_logger(__name__)

PARTS = ("train", "valid", "test")
NOT_PARTS = ("training", "dev", "development", "val", "validation")
NOT_PARTS += ("eval", "evaluation", "testing")


class EmoBoxFolds(BaseProtocol):
    """The folds published by EmoBox (Ma et al., 2024, arXiv:2406.07162).

    ``fold_1/urdu_train_fold_1.jsonl`` lists the training set, ``_test_`` the
    test set and ``_valid_`` the validation set. Without a ``_valid_`` list,
    validation is cut out of the training list. An utterance is found by the
    end of its path: ``downloads/urdu/Sad/SM9_F1_S99.wav`` is the file that
    ends in ``Sad/SM9_F1_S99.wav``, in upper or lower case.

    A warning counts the listed files that are not in the corpus. A file of
    the corpus that is in no list of a fold is an error, and so is a folder or
    a list that is not EmoBox's.

    Arguments
    ---------
    folder : str
        EmoBox's folder of the corpus, e.g. ``EmoBox/data/urdu``.
    unit : str
        What the folds keep whole, as in :class:`BaseProtocol`, like the
        arguments that follow.
    seed : int
        Seed of the validation set.
    valid_parts : int
        The validation set is about 1 / valid_parts of the training list.
    valid_unit : str, optional
        By what validation is cut out; by default ``unit``.
    """

    def __init__(self, folder, unit, seed, valid_parts=9, valid_unit=None):
        super().__init__(unit, seed, valid_parts, valid_unit)
        self.folder = folder

    def partition(self, utterances):
        """Yields (train, test, valid) as the lists say, ``fold_1`` first."""
        source = Path(os.path.expanduser(self.folder))
        folders = sorted(
            source.glob("fold_*"), key=lambda f: (len(f.name), f.name)
        )
        if not self.folder or not folders:
            raise InputError(
                f"emobox_folder={str(self.folder)!r} has no fold_1/; set it "
                "to EmoBox's folder of this corpus, such as EmoBox/data/urdu "
                "from https://github.com/emo-box/EmoBox"
            )
        strangers = set()
        for folder in folders:
            parts = [_read_list(folder, name) for name in PARTS]
            listed = {path for part in parts for path in part}
            depth = max(path.count("/") + 1 for path in listed)
            by_path = {_tail(Path(u.wav).parts, depth): u for u in utterances}
            unlisted = by_path.keys() - listed
            if unlisted:
                wavs = [by_path[path].wav for path in sorted(unlisted)]
                raise InputError(
                    f"{folder}: no list names {len(wavs)} of the corpus's "
                    f"{len(by_path)} files; take the folder of the same "
                    f"release: {named(wavs, 'files that no list names')}"
                )
            strangers |= listed - by_path.keys()
            train, valid, test = (
                [by_path[path] for path in part if path in by_path]
                for part in parts
            )
            yield train, test, valid
        if strangers:
            logger.warning(
                "%s lists %d files that are not in the corpus: %s",
                source,
                len(strangers),
                named(sorted(strangers), "files outside the corpus"),
            )


class FoldColumn(BaseProtocol):
    """The corpus's own folds, in the attribute ``fold`` of its utterances.

    Each value of the column is tested once, in the order of numbers or names.
    If the values are "train", "test" and perhaps "valid", there is one fold.
    Mixing these with other values is an error. The arguments are those of
    :class:`BaseProtocol`.

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

    def partition(self, utterances):
        """Yields (train, test) or (train, test, valid) as the column says."""
        folds = defaultdict(list)
        without = [u.id for u in utterances if not u.fold]
        if without:
            raise InputError(
                f"{len(without)} of {len(utterances)} utterances have no fold; "
                f"every row needs one: {named(without, 'rows without a fold')}"
            )
        odd = [
            f"{u.id} ({u.fold!r})"
            for u in utterances
            if u.fold.strip().casefold() in NOT_PARTS
        ]
        if odd:
            raise InputError(
                f"{len(odd)} utterances have another fold than train, valid "
                f"and test; write these: {named(odd, 'odd folds')}"
            )
        for u in utterances:
            part = u.fold.strip().casefold()
            folds[part if part in PARTS else u.fold].append(u)
        others = sorted(folds.keys() - set(PARTS), key=lambda f: (len(f), f))
        if len(others) < len(folds):
            if others or not {"train", "test"} <= folds.keys():
                raise InputError(
                    f"the folds are {sorted(folds)}; write train, test and "
                    "perhaps valid, or numbers or names without these three"
                )
            yield folds["train"], folds["test"], folds["valid"]
            return
        if len(others) < 2:
            raise InputError(f"the only fold is {others}; two are needed")
        for name in others:
            yield [u for u in utterances if u.fold != name], folds[name]


def _read_list(folder, part):
    """Reads a list's paths, relative to the corpus's folder, in lower case."""
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
            # The first two folders are EmoBox's own: downloads/<corpus>/
            paths.append(_tail(json.loads(line)["wav"].split("/")[2:]))
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(
                f"{files[0]}:{number}: not a JSON object with a 'wav'"
            ) from error
    return paths


def _tail(parts, depth=0):
    return "/".join(parts[-depth:]).casefold()
