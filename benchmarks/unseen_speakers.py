r"""What do unseen speakers cost, whichever classifier is asked?

python benchmarks/unseen_speakers.py --corpus=EMOVO --data_folder=FOLDER \
    --backbone=whisper-base --layer=weighted:2-4 --window=audio

Two classifiers of scikit-learn learn from the mean frames of an utterance. For
each ordered pair of speakers the first is left out, the second is asked, and
the others teach: of six speakers that are thirty answers, all from utterances
that a protocol with unseen speakers may validate on. The rows differ in what is
taken away from the features before.
"""

import itertools
import sys
from argparse import ArgumentParser

import numpy as np
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from timing import save
from tqdm import tqdm

from speechbrain_ptssnn.training.arguments import Arguments
from speechbrain_ptssnn.training.command import start_command
from speechbrain_ptssnn.utils.own_files import HPARAMS, RECIPES
from speechbrain_ptssnn.utils.text_tables import columns

CLASSIFIERS = {
    "logistic regression": LogisticRegression(C=0.01, max_iter=1000),
    "LDA": LinearDiscriminantAnalysis("lsqr", shrinkage="auto"),
}


def centred(x, groups, taught):
    """Takes away each group's mean over its own utterances."""
    return _by_group(x, groups, lambda own: own - own.mean(0))


def standardised(x, groups, taught):
    """Centres each group, and divides by its deviation."""
    return _by_group(
        x, groups, lambda own: (own - own.mean(0)) / (own.std(0) + 1e-6)
    )


def without_means(x, groups, taught):
    """Takes away each group's mean over the teaching utterances, if it is
    known which group an utterance is of.
    """
    means = _means(x, groups, taught)
    middle = x[taught].mean(0)
    return x - np.stack([means.get(each, middle) for each in groups]) + middle


def without_directions(x, groups, taught):
    """Takes away the directions in which the teaching groups' means differ."""
    means = np.stack([*_means(x, groups, taught).values()])
    _, sizes, directions = np.linalg.svd(
        means - means.mean(0), full_matrices=False
    )
    directions = directions[sizes > 1e-6 * sizes[0]]
    return x - (x @ directions.T) @ directions


def _by_group(x, groups, change):
    result = np.empty_like(x)
    for each in np.unique(groups):
        result[groups == each] = change(x[groups == each])
    return result


def _means(x, groups, taught):
    return {
        each: x[taught & (groups == each)].mean(0)
        for each in np.unique(groups[taught])
    }


# Row: (whether deviations stand beside the means, changes of the features).
ROWS = {
    "standardised with the training speakers": (False, []),
    "means and deviations": (True, []),
    "the sentence's mean taken away, if it were known": (
        False,
        [(without_means, "sentence")],
    ),
    "directions taken away in which the training speakers differ": (
        False,
        [(without_directions, "speaker")],
    ),
    "directions taken away in which the sentences differ": (
        False,
        [(without_directions, "sentence")],
    ),
    "only centred by speaker": (False, [(centred, "speaker")]),
    "standardised by speaker": (False, [(standardised, "speaker")]),
    "standardised by speaker, the sentence known": (
        False,
        [(standardised, "speaker"), (without_means, "sentence")],
    ),
    "standardised by speaker, means and deviations": (
        True,
        [(standardised, "speaker")],
    ),
}


def score(x, classifier, changes, groups, labels):
    """Mean accuracy on the second speaker of each pair, in percent."""
    speakers, right = groups["speaker"], []
    for pair in itertools.permutations(np.unique(speakers), 2):
        taught, asked = ~np.isin(speakers, pair), speakers == pair[1]
        changed = x
        for change, key in changes:
            changed = change(changed, groups[key], taught)
        model = make_pipeline(StandardScaler(), classifier)
        model.fit(changed[taught], labels[taught])
        right.append(model.score(changed[asked], labels[asked]))
    return 100 * np.mean(right)


def main():
    """Prints a table for each hidden state, and one for all side by side."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", required=True)
    parser.add_argument(
        "--output", default="benchmarks/results/unseen_speakers.json"
    )
    args, keys = parser.parse_known_args()
    arguments = Arguments.parse([str(HPARAMS / "linear_probe.yaml"), *keys])
    command = start_command(arguments, args.corpus, RECIPES / args.corpus)
    utterances, store = command.open_store()
    command.fill(store)
    groups = {
        key: np.array([getattr(each, key) for each in utterances])
        for key in ("speaker", "sentence")
    }
    if len(np.unique(groups["speaker"])) < 3:
        sys.exit(f"{args.corpus}: has fewer than three speakers")
    labels = np.array([each.label for each in utterances])
    n_layers = store.backbone.n_layers
    layers = store.backbone.layers if n_layers > 1 else ["as read"]
    frames = [store[each.id].double().numpy() for each in utterances]
    values = [
        np.stack([each.mean(0) for each in frames]),
        np.stack([each.std(0) for each in frames]),
    ]
    size = values[0].shape[1] // n_layers
    has_sentences = len(np.unique(groups["sentence"])) > 1
    sets = [[k] for k in range(n_layers)] + [[*range(n_layers)]]
    origin = {key: command.condition[key] for key in ("corpus", "backbone")}
    found = {}
    for chosen in sets if n_layers > 1 else sets[:1]:
        name = "layers " + ", ".join(str(layers[k]) for k in chosen)
        used = np.concatenate([np.arange(size) + size * k for k in chosen])
        found[name] = {}
        for row, (has_deviations, changes) in tqdm(ROWS.items(), name):
            if not has_sentences and "sentence" in dict(changes).values():
                continue
            x = np.hstack(
                [each[:, used] for each in values[: 1 + has_deviations]]
            )
            found[name][row] = {
                what: score(x, classifier, changes, groups, labels)
                for what, classifier in CLASSIFIERS.items()
            }
        rows = [
            [row, *(f"{value:.1f}" for value in each.values())]
            for row, each in found[name].items()
        ]
        print("\n".join(["", *columns([[name, *CLASSIFIERS], *rows])]))
        save(args.output, **origin, WA=found)


if __name__ == "__main__":
    main()
