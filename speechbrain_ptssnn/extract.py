"""Computes a corpus's features ahead of training, which then finds them::

    python -m speechbrain_ptssnn.extract hparams/pts_snn.yaml --corpus=URDU \
        --data_folder=/path/to/URDU --backbone=fbank

It takes what ``recipes/<CORPUS>/train.py`` takes, and ``--corpus``. Started
several times, by torchrun or on several machines with one
``--features_folder``, every process computes its share.
"""

import sys

from speechbrain.utils.distributed import if_main_process

from speechbrain_ptssnn.training.command import open_job
from speechbrain_ptssnn.utils.distributed import one_sentence_errors


def main(argv=None):
    """Fills the store that the training will read.

    Arguments
    ---------
    argv : list of str, optional
        Command line; ``sys.argv[1:]`` by default.
    """
    with one_sentence_errors():
        job = open_job(sys.argv[1:] if argv is None else argv)
        utterances, store = job.open_store()
        computed = job.fill(store)
        if if_main_process():
            print(
                f"{store.folder}: features of {len(utterances)} utterances, "
                f"{computed} computed now"
            )


if __name__ == "__main__":
    main()
