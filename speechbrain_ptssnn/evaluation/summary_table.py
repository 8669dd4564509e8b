"""summary.json as text: the table at the end of a training."""

from speechbrain_ptssnn.utils.text_tables import (
    columns,
    interval,
    number,
    percent,
)

SPEAKERS_SHOWN = 12  # at most, in the table of speakers


def table(summary):
    """The summary as text: what a training ends with.

    Arguments
    ---------
    summary : dict
        The content of ``summary.json``.

    Returns
    -------
    str
    """
    s = summary
    title = (
        f"{s['corpus']}, {s['protocol']} folds, {s['backbone']}, {s['model']},"
        f" seed {s['seed']}: {len(s['folds_done'])} of {s['folds']} folds, "
        f"{s['n_utterances']} test utterances"
    )
    parts = [
        [title],
        _score_lines(s),
        _confusion_lines(s),
        _speaker_lines(s),
        _firing_lines(s),
        [f"trainable parameters: {s['trainable_params']:,}"],
    ]
    return "\n\n".join("\n".join(lines) for lines in parts if lines)


def score_rows(summary):
    """The scores beside the chance levels, as cells of a table.

    Arguments
    ---------
    summary : dict
        The content of ``summary.json``.

    Returns
    -------
    list of list of str
        The header, then one row a score.
    """
    s = summary
    header = ["", "all", "95 % interval", "majority", "speaker oracle"]
    rows = [[*header, "fold mean", "std"]]
    bounds = s["interval_95"] or {}
    for key in ("WA", "UA", "macro_F1", "weighted_F1"):
        row = [
            key.replace("_", " "),
            percent(s[key]),
            interval(bounds.get(key)),
        ]
        if key in s["majority"]:
            row += [
                percent(s["majority"][key]),
                percent(s["speaker_oracle"][key]),
                percent(s[f"{key}_fold_mean"]),
                percent(s[f"{key}_fold_std"]),
            ]
        rows.append(row)
    rows.append(["ECE", number(s["ECE"], ".3f")])
    if "ECE_uncalibrated" in s:  # old summaries have it as ECE
        rows.append(["ECE at T = 1", number(s["ECE_uncalibrated"], ".3f")])
    return rows


def interval_note(summary):
    """Says how the intervals were computed, or why there are none."""
    if summary["interval_95"] is None:
        return "no interval: the test utterances name one speaker or none"
    return f"intervals: bootstrap over {summary['n_speakers']} speakers"


def firing_rows(summary):
    """Firing rate, silent and saturated share of each spiking layer, as cells
    like those of :func:`score_rows`.
    """
    rows = [["spiking layer", "rate", "silent", "saturated"]]
    for layer, rates in summary["firing_rates"].items():
        shares = [f"{rates[key]:.1%}" for key in ("silent", "saturated")]
        rows.append([layer, number(rates["mean"], ".3f"), *shares])
    return rows


def collapse_warnings(summary):
    """One sentence for each spiking layer that has collapsed, a list."""
    sentences = []
    for collapsed in summary["collapsed_layers"]:
        layer = collapsed["layer"]
        folds = ", ".join(map(str, collapsed["folds"]))
        is_of_members = "worst" in summary["firing_rates"][layer]
        whose = "one member's" if is_of_members else "its"
        sentences.append(
            f"{layer} has collapsed in fold {folds}: over half of {whose} "
            "neurons are silent or saturated."
        )
    return sentences


def _score_lines(s):
    return [*columns(score_rows(s)), interval_note(s)]


def _confusion_lines(s):
    rows = [["true / predicted", *s["labels"], "recall"]]
    for label, counts in zip(s["labels"], s["confusion"], strict=True):
        recall = percent(s["recall"][label])
        rows.append([label, *map(str, counts), recall])
    return columns(rows)


def _speaker_lines(s):
    speakers = s["speaker_labels"]
    if not any(speakers):  # the corpus names no speakers: all are ""
        return []
    if len(speakers) > SPEAKERS_SHOWN:
        single = sum(sum(map(bool, row)) == 1 for row in speakers.values())
        return [
            f"{single} of the corpus's {len(speakers)} speakers show a single "
            "label (speaker_labels in summary.json)"
        ]
    rows = [[name, *map(str, counts)] for name, counts in speakers.items()]
    return columns([["speaker / label", *s["labels"]], *rows])


def _firing_lines(s):
    rows = firing_rows(s)
    lines = columns(rows) if len(rows) > 1 else []
    return lines + collapse_warnings(s)
