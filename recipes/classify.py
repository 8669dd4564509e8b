#!/usr/bin/env python3
"""Classifies wav files with a trained bundle, through SpeechBrain's own class:

python recipes/classify.py results/.../fold_1/model speech.wav [more.wav ...]
"""

import sys

from speechbrain.inference import EncoderClassifier

if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    classifier = EncoderClassifier.from_hparams(source=sys.argv[1])
    labels = classifier.hparams.label_encoder.ind2lab
    failed = False
    for path in sys.argv[2:]:
        try:
            log_posteriors, _, _, text = classifier.classify_file(path)
        except (OSError, ValueError, RuntimeError) as error:
            failed = True
            print(f"{path}: {error}", file=sys.stderr)
            continue
        posteriors = ", ".join(
            f"{labels[k]} {p:.3f}"
            for k, p in enumerate(log_posteriors[0].exp().tolist())
        )
        print(f"{path}: {text[0]} ({posteriors})")
    if failed:
        sys.exit(1)
