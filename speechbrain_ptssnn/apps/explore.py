"""One HTML page that shows a corpus before it is trained on."""

import logging
import random
from collections import Counter
from contextlib import contextmanager
from statistics import median

import numpy as np
from matplotlib import rc_context
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from speechbrain.utils.distributed import if_main_process
from tqdm import tqdm

from speechbrain_ptssnn.apps.corpus_facts import (
    guess_from,
    known_keys,
    listen,
    twins,
    warn,
)
from speechbrain_ptssnn.audio.measures import BAND_LIMITED
from speechbrain_ptssnn.corpora.checks import (
    check_same_audio,
    check_tested_once,
)
from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.evaluation.chance_levels import speaker_labels
from speechbrain_ptssnn.evaluation.separability import FOLDS, linear_score
from speechbrain_ptssnn.report import corpus_plots
from speechbrain_ptssnn.report.html import picture, render
from speechbrain_ptssnn.report.plots import STYLE
from speechbrain_ptssnn.training.command import start_command
from speechbrain_ptssnn.utils.files import write_text

SEED = 0
MOST_POINTS = 5000  # in the map and for the linear head
FEWEST_POINTS = 5  # in a map
COMPONENTS = 50  # that t-SNE is given
PERPLEXITY = 30
MOST_SPEAKERS = 60  # in the table
MOST_TWINS = 20


def explore(arguments, corpus, recipe_folder):
    """Looks at a corpus, and writes what it sees as one HTML file.

    The features come from the store, which computes those that are missing:
    an interrupted command goes on from there.

    Arguments
    ---------
    arguments : Arguments
        The command line, as for training.
    corpus : str
        The corpus's name.
    recipe_folder : Path
        Holds its ``protocols/``.

    Returns
    -------
    tuple
        (Path, list of str): the file, and its warnings; (None, []) in all but
        the first of torchrun's processes.

    Raises
    ------
    InputError
        If the corpus is not usable, or no features could be computed.
    """
    command = start_command(arguments, corpus, recipe_folder)
    folder = command.model_folder.parent
    with _warnings() as said:
        utterances, store = command.open_store()
    problem = "no features were computed"
    try:
        command.fill(store)
    except InputError as error:  # of some files; the others are computed
        problem = str(error)
        said.append(problem)
    if not if_main_process():
        return None, []
    show = not command.run_opts.noprogressbar
    heard = listen(utterances, store.audio.channel, show)
    readable = [u for u in utterances if u.id in heard.measures]
    means = _mean_frames(readable, store, show)
    if not means:
        raise InputError(problem)
    said = [text for text in said if text not in heard.unreadable]
    said += _checks(command, readable, heard)
    path = folder / "explore.html"
    folder.mkdir(parents=True, exist_ok=True)
    with rc_context(STYLE):
        page, warnings = _page(command, utterances, heard, means, said)
    write_text(path, page)
    return path, warnings


@contextmanager
def _warnings():
    """Collects what the package warns of in this context."""
    said = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: said.append(record.getMessage())
    logger = logging.getLogger("speechbrain_ptssnn")
    logger.addHandler(handler)
    try:
        yield said
    finally:
        logger.removeHandler(handler)


def _checks(command, readable, heard):
    """What training with the same settings would warn of or refuse."""
    folds, refused = [], []
    with _warnings() as said:
        try:
            folds = command.protocol.split(readable)
        except InputError as error:
            refused.append(
                f"--protocol={command.condition['protocol']}: {error}"
            )
        try:
            check_tested_once(folds)
            check_same_audio(readable, folds, heard.recordings)
        except InputError as error:
            refused.append(str(error))
    return refused + said


def _mean_frames(utterances, store, show):
    """The mean frame of each utterance that has features, by its id."""
    means = {}
    for u in tqdm(utterances, "features read", disable=not show, delay=2):
        try:
            frames = store[u.id]
        except InputError:  # the filling has said why
            continue
        means[u.id] = frames.double().mean(0).numpy()
    return means


def _page(command, utterances, heard, means, said):
    readable = [u for u in utterances if u.id in heard.measures]
    shown = [u for u in readable if u.id in means]
    is_part = len(shown) > MOST_POINTS
    if is_part:
        drawn = set(random.Random(SEED).sample(range(len(shown)), MOST_POINTS))
        shown = [u for k, u in enumerate(shown) if k in drawn]
    features = np.stack([means[u.id] for u in shown])
    keys = known_keys(shown)
    scores = _linear_scores(features, shown, keys)
    guesses = {}
    if "class" in scores:
        guesses = {
            key: guess_from(key, shown, scores["class"], command.labels)
            for key in keys
        }
    warnings = warn(readable, heard, scores, guesses)
    groups = twins(readable, heard.recordings)
    page = render(
        "explore.html",
        "speechbrain_ptssnn.apps",
        corpus=command.corpus.name,
        backbone=command.condition["backbone"],
        protocol=command.condition["protocol"],
        total=_total(utterances),
        warnings=warnings,
        checks=said,
        unreadable=heard.unreadable,
        **_counts(readable, command.labels),
        **_sound(readable, heard.measures, command.labels),
        twin_rows=_twin_rows(groups),
        n_twins=len(groups),
        **_map(features, shown, keys, command.labels),
        n_shown=len(shown),
        is_part=is_part,
        n_features=features.shape[1],
        folds=FOLDS,
        **_told(scores, guesses, len(shown)),
    )
    return page, warnings


def _total(utterances):
    seconds = sum(u.duration for u in utterances)
    speakers = {u.speaker for u in utterances} - {""}
    sessions = {u.session for u in utterances} - {""}
    return {
        "utterances": f"{len(utterances):,}",
        "minutes": f"{seconds / 60:,.1f}",
        "speakers": len(speakers),
        "sessions": len(sessions),
    }


def _counts(utterances, classes):
    """The tables and figures of the sections on counts and durations."""
    rows = [
        [
            *("class", "utterances", "share", "speakers", "minutes"),
            *("shortest, s", "median, s", "longest, s"),
        ]
    ]
    for name, group in _by_class(utterances, classes).items():
        seconds = [u.duration for u in group]
        speakers = {u.speaker for u in group} - {""}
        rows.append(
            [
                name,
                f"{len(group):,}",
                f"{len(group) / len(utterances):.1%}",
                str(len(speakers) or "-"),
                f"{sum(seconds) / 60:.1f}",
                *(f"{f(seconds):.2f}" for f in (min, median, max)),
            ]
        )
    names = [u.speaker or "not known" for u in utterances]
    labels = [u.label for u in utterances]
    return {
        "class_rows": rows,
        "counts": picture(corpus_plots.counts_figure(names, labels, classes)),
        "speaker_rows": _speaker_rows(utterances, classes),
        "most_bars": corpus_plots.MOST_BARS,
        "most_rows": MOST_SPEAKERS,
        "durations": _spread(
            utterances, classes, lambda u: u.duration, "Duration", "seconds"
        ),
    }


def _by_class(utterances, classes):
    """Class to its utterances, without empty classes; then all of them."""
    groups = {c: [u for u in utterances if u.label == c] for c in classes}
    groups["all"] = utterances
    return {name: group for name, group in groups.items() if group}


def _speaker_rows(utterances, classes):
    totals = Counter(u.speaker for u in utterances)
    if "" in totals:
        return []
    manifest = {
        u.id: {"speaker": u.speaker, "label": u.label} for u in utterances
    }
    counts = speaker_labels(manifest, classes)
    sexes = {u.speaker: u.sex for u in utterances}
    with_sex = any(sexes.values())
    return [
        ["speaker", *["sex"] * with_sex, "utterances", *classes, "classes"],
        *(
            [
                name,
                *[sexes[name] or "-"] * with_sex,
                str(total),
                *(str(count or "·") for count in counts[name]),
                str(sum(count > 0 for count in counts[name])),
            ]
            for name, total in totals.most_common(MOST_SPEAKERS)
        ),
    ]


def _spread(utterances, classes, value, title, unit, line=None):
    groups = _by_class(utterances, classes)
    groups.pop("all")
    values = {name: [value(u) for u in each] for name, each in groups.items()}
    return picture(corpus_plots.spread_figure(values, title, unit, line))


def _sound(utterances, measures, classes):
    """The tables and figures of the section on sound."""
    rows = [
        [
            *("class", "level, dB", "peak", "clipped", "offset ≥ 1 %"),
            *("starts silent", "quiet time", "nothing above 5 kHz"),
        ]
    ]
    for name, group in _by_class(utterances, classes).items():
        each = [measures[u.id] for u in group]
        rows.append(
            [
                name,
                f"{median(m.level for m in each):.1f}",
                f"{median(m.peak for m in each):.2f}",
                *(
                    _part(getattr(m, flag) for m in each)
                    for flag in ("is_clipped", "has_offset", "starts_silent")
                ),
                f"{np.mean([m.quiet for m in each]):.0%}",
                _part(m.is_band_limited for m in each),
            ]
        )
    formats = Counter(
        (measures[u.id].sample_rate, measures[u.id].channels)
        for u in utterances
    )
    return {
        "sound_rows": rows,
        "format_rows": [
            ["sample rate", "channels", "recordings"],
            *(
                [f"{rate:,} Hz", str(channels), f"{count:,}"]
                for (rate, channels), count in formats.most_common()
            ),
        ],
        "channel_rows": _channel_rows([measures[u.id] for u in utterances]),
        "levels": _spread(
            utterances,
            classes,
            lambda u: measures[u.id].level,
            "Level",
            "dB of full scale",
        ),
        "band": _spread(
            utterances,
            classes,
            lambda u: measures[u.id].above_band,
            "Energy above 5 kHz",
            "dB of all energy",
            (BAND_LIMITED, "below: nothing"),
        ),
    }


def _part(flags):
    flags = list(flags)
    count = sum(flags)
    return f"{count:,} ({count / len(flags):.0%})" if count else "·"


def _channel_rows(measures):
    found = [m for m in measures if m.correlation is not None]
    if not found:
        return []
    taken = Counter(m.channel for m in found)
    values = {
        "correlation": [m.correlation for m in found],
        "level of channel 0 minus 1, dB": [m.level_difference for m in found],
    }
    return [
        ["", "5th percentile", "median", "95th percentile"],
        *(
            [
                name,
                *(f"{v:.2f}" for v in np.percentile(each, [5, 50, 95])),
            ]
            for name, each in values.items()
        ),
        *(
            [f"recordings read from channel {k}", "", f"{taken[k]:,}", ""]
            for k in sorted(taken)
        ),
    ]


def _twin_rows(groups):
    groups = sorted(groups, key=lambda g: len({u.label for u in g}) == 1)
    if not groups:
        return []
    return [
        ["recording", "utterances", "classes"],
        *(
            [
                str(number),
                ", ".join(u.id for u in group),
                ", ".join(dict.fromkeys(u.label for u in group)),
            ]
            for number, group in enumerate(groups[:MOST_TWINS], 1)
        ),
    ]


def _map(features, utterances, keys, classes):
    """The maps, one a key, all of the same points."""
    if len(utterances) < FEWEST_POINTS:
        return {"maps": []}
    points = two_dimensions(features)
    labels = [u.label for u in utterances]
    drawn = [corpus_plots.map_figure(points, labels, "class", classes)]
    for key in keys:
        values = [getattr(u, key) for u in utterances]
        drawn.append(corpus_plots.map_figure(points, values, key))
    return {"maps": [picture(each) for each in drawn]}


def two_dimensions(features):
    """Lays utterances out in a plane, near ones beside each other.

    t-SNE (van der Maaten & Hinton, JMLR 2008) of the first 50 principal
    components of the standardised features, with perplexity 30 (a third of
    the utterances, if these are fewer), a start from the principal components
    and a fixed seed.

    Arguments
    ---------
    features : numpy.ndarray
        [utterances, size], at least 5 utterances.

    Returns
    -------
    numpy.ndarray
        [utterances, 2].
    """
    size = min(COMPONENTS, *features.shape)
    whitened = make_pipeline(
        StandardScaler(), PCA(size, random_state=SEED)
    ).fit_transform(features)
    return TSNE(
        perplexity=min(PERPLEXITY, (len(features) - 1) / 3),
        init="pca" if size > 1 else "random",
        random_state=SEED,
    ).fit_transform(whitened)


def _linear_scores(features, utterances, keys):
    """What a linear head tells, without what it cannot be asked."""
    speakers = [u.speaker for u in utterances]
    labels = [u.label for u in utterances]
    scores = {"class": linear_score(features, labels)}
    if "speaker" in keys:
        scores["class, unseen speakers"] = linear_score(
            features, labels, speakers
        )
    for key in keys:
        values = [getattr(u, key) for u in utterances]
        scores[key] = linear_score(features, values)
    return {name: score for name, score in scores.items() if score}


def _told(scores, guesses, total):
    """The tables and the figure of the sections on what is told."""
    if not scores:
        return {"linear": None, "linear_rows": [], "guess_rows": []}
    drawn = picture(corpus_plots.linear_figure(scores))
    rows = [["told", "values", "utterances", "folds", "WA", "UA", "commonest"]]
    rows += [
        [
            name,
            str(score.values),
            f"{len(score.used):,} of {total:,}",
            str(len(score.folds)),
            *(f"{v:.1%}" for v in (score.WA, score.UA, score.majority)),
        ]
        for name, score in scores.items()
    ]
    header = ["guessed from", "values", "with one class", "their utterances"]
    guess_rows = [[*header, "WA", "UA", "commonest class"]]
    guess_rows += [
        [
            f"the {key}",
            str(guess.values),
            str(guess.single),
            f"{guess.single_utterances:.1%}",
            *(f"{v:.1%}" for v in (guess.WA, guess.UA, guess.majority)),
        ]
        for key, guess in guesses.items()
    ]
    return {
        "linear": drawn,
        "linear_rows": rows,
        "guess_rows": guess_rows if guesses else [],
    }
