"""Which utterances the report shows."""

from speechbrain_ptssnn.report.examples import pick

KINDS = [
    "most confident correct prediction",
    "most confident wrong prediction",
    "least confident prediction",
]


def row(id, label, first, second=0.1, third=0.0):
    """A prediction of "x"; the classes are x, y and z."""
    posteriors = {"p_x": str(first), "p_y": str(second), "p_z": str(third)}
    return {"id": id, "label": label, "prediction": "x", **posteriors}


def test_confidence_is_the_lead_over_the_second_class():
    rows = [
        row("a", "x", 0.5, 0.45),
        row("b", "x", 0.6, 0.1),
        row("c", "y", 0.7, 0.3),
        row("d", "y", 0.5, 0.2),
    ]
    picked = dict(zip(["b", "c", "a"], KINDS, strict=True))
    assert pick(rows, ["x", "y", "z"]) == picked


def test_of_equals_the_first_id_is_the_most_confident():
    rows = [row("b", "x", 0.5), row("a", "x", 0.5)]
    picked = pick(rows, ["x", "y", "z"])
    assert picked == {"a": KINDS[0], "b": KINDS[2]}


def test_no_utterance_is_picked_twice():
    assert pick([row("a", "y", 0.5)], ["x", "y", "z"]) == {"a": KINDS[1]}
