"""The members of a committee: which heads have some, and how their layers and
outputs are named and ordered.
"""

import re

MEMBER = re.compile(r"^members\.(\d+)\.")  # of a layer's name in its committee


def members_of(head):
    """Returns a committee's members, or a list of the head itself.

    Arguments
    ---------
    head : torch.nn.Module
        Any head.

    Returns
    -------
    sequence of torch.nn.Module
    """
    return getattr(head, "members", [head])


def repeated(targets, outputs):
    """Repeats the targets for each member of a committee in training.

    Arguments
    ---------
    targets : torch.Tensor
        [batch].
    outputs : torch.Tensor
        [batch * members, classes], utterance by utterance, as
        :class:`~speechbrain_ptssnn.lobes.committee.Committee` gives them.

    Returns
    -------
    torch.Tensor
        [batch * members].

    Example
    -------
    >>> repeated(torch.tensor([2, 0]), torch.zeros(4, 3))
    tensor([2, 2, 0, 0])
    """
    return targets.repeat_interleave(len(outputs) // len(targets))


def population(name):
    """Returns the name that a layer has in all members of a committee.

    Example
    -------
    >>> population("members.3.classifier.hidden")
    'classifier.hidden'
    """
    return MEMBER.sub("", name)


def in_words(name):
    """Returns a layer's name for people, who count members from 1.

    Example
    -------
    >>> in_words("members.3.classifier.hidden"), in_words("encoder")
    ('classifier.hidden of member 4', 'encoder')
    """
    member = MEMBER.match(name)
    if member is None:
        return name
    return f"{population(name)} of member {int(member[1]) + 1}"
