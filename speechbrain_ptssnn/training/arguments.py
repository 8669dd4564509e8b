"""The command line of a training, parsed once."""

from dataclasses import dataclass, fields, replace

from speechbrain.utils.run_opts import HELP_TEXTS, RunOptions

from speechbrain_ptssnn.errors import InputError

# SpeechBrain's own options that a training here understands, and those of them
# that take no value.
OPTIONS = {
    name: HELP_TEXTS[name]
    for name in (
        *("device", "distributed_backend", "find_unused_parameters"),
        *("debug", "debug_batches", "debug_epochs", "debug_persistently"),
        *("eval_precision", "grad_accumulation_factor"),
        *("skip_nonfinite_grads", "nonfinite_patience"),
        *("remove_vector_weight_decay", "noprogressbar", "tqdm_colored_bar"),
    )
}
# Keys of our YAML for which SpeechBrain has an option too: ours counts.
OURS_TOO = ("precision", "max_grad_norm")
FLAGS = {
    field.name
    for field in fields(RunOptions)
    if field.name in OPTIONS and field.default is False
}


@dataclass(frozen=True)
class Arguments:
    """A YAML file, and what is set otherwise than there.

    Arguments
    ---------
    file : str
        The head's YAML file.
    keys : dict
        Key of that file to its value, as text.
    options : dict
        SpeechBrain's own options: name to text, "" for a flag.

    Example
    -------
    >>> Arguments.parse(["file.yaml", "--seed", "1", "--fold=2", "--debug"])
    Arguments(file='file.yaml', keys={'seed': '1', 'fold': '2'}, \
options={'debug': ''})
    """

    file: str
    keys: dict
    options: dict

    @classmethod
    def parse(cls, argv):
        """Parses a command line.

        Arguments
        ---------
        argv : list of str
            A YAML file, then ``--key=value`` or ``--key value``.

        Returns
        -------
        Arguments

        Raises
        ------
        InputError
            If there is no file, a key is given twice or has no value, or
            anything else stands there.
        """
        if not argv or argv[0].startswith("-"):
            raise InputError(
                "name a YAML file first, e.g. hparams/pts_snn.yaml"
            )
        keys, options = {}, {}
        words = list(argv[1:])
        while words:
            name, value = _next_pair(words)
            if name in keys or name in options:
                raise InputError(f"--{name} is given twice")
            (options if name in OPTIONS else keys)[name] = value
        return cls(argv[0], keys, options)

    @property
    def seeds(self):
        """The seeds of ``--seed=1,2,3``; empty unless there is a comma.

        Raises
        ------
        InputError
            If one is no whole number or is named twice.

        Example
        -------
        >>> Arguments("file.yaml", {"seed": "1,2,3"}, {}).seeds
        (1, 2, 3)
        """
        text = self.keys.get("seed", "")
        if "," not in text:
            return ()
        try:
            seeds = tuple(int(part) for part in text.split(","))
        except ValueError:
            raise InputError(
                "seed must be a whole number, or several like 1,2,3, got "
                f"{text!r}"
            ) from None
        if len(set(seeds)) < len(seeds):
            raise InputError(f"seed={text} names one twice")
        return seeds

    @property
    def run_options(self):
        """SpeechBrain's options, the given ones and the defaults."""
        try:
            return RunOptions.from_command_line_args(
                [self.file, *_words(self.options)]
            )[1]
        except SystemExit:  # argparse has said what is wrong
            raise InputError(
                "the options of SpeechBrain that are named above cannot be used"
            ) from None

    @property
    def argv(self):
        """The command line again, one word an argument."""
        return [self.file, *_words(self.keys), *_words(self.options)]

    def with_keys(self, **values):
        """The same with keys set to other values.

        Example
        -------
        >>> Arguments("file.yaml", {"seed": "1,2"}, {}).with_keys(seed=2).keys
        {'seed': '2'}
        """
        texts = {key: str(value) for key, value in values.items()}
        return replace(self, keys={**self.keys, **texts})


def _next_pair(words):
    """Takes a key and its value from the front of the words."""
    word = words.pop(0)
    if not word.startswith("--"):
        hint = word.lstrip("-").partition("=")[0]
        raise InputError(
            f"unexpected argument {word!r}; write --key=value"
            + (f", e.g. --{hint}=..." if word.startswith("-") else "")
        )
    name, is_pair, value = word[2:].partition("=")
    following = words[0] if words else None
    spaced = following and not following.startswith("--")
    if is_pair and not value and spaced:
        raise _blanks(name, following)
    if name in HELP_TEXTS and name not in (*OPTIONS, *OURS_TOO):
        raise InputError(
            f"SpeechBrain's --{name} cannot be used here; leave it out"
        )
    if is_pair and name in FLAGS:
        raise InputError(
            f"--{name} takes no value; write --{name}, or leave it out"
        )
    if is_pair or name in FLAGS:
        return name, value
    if not spaced:
        raise InputError(f"--{name} has no value; write --{name}=value")
    value = words.pop(0)
    if value.startswith("="):
        if value == "=":
            value += words[0] if words else "value"
        raise _blanks(name, value[1:])
    return name, value


def _blanks(name, value):
    return InputError(
        f"there are blanks around the '=' of --{name}; write "
        f"--{name}={value} in one word"
    )


def _words(values):
    return [
        f"--{name}" if name in FLAGS else f"--{name}={value}"
        for name, value in values.items()
    ]
