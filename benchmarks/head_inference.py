"""Times PTS-SNN on one utterance, in evaluation, beside the same head made of
SpikingJelly's parts, its bare matrix products and other heads.

python benchmarks/head_inference.py [--frames 225]
"""

import torch
from references import MatrixProducts, StockHead, TransformerLayer
from timing import begin_with_features, compare, report

from speechbrain_ptssnn import PTSSNN, LinearProbe


def evaluation(head, feats, autocast=False):
    """Returns a function that evaluates the head."""

    @torch.no_grad()
    def call():
        with torch.autocast(feats.device.type, torch.bfloat16, autocast):
            head(feats)

    return call


if __name__ == "__main__":
    args, feats = begin_with_features(__doc__, "head_inference.json", batch=1)
    heads = {
        "SpikingJelly assembly": StockHead(),
        "bare matrix products": MatrixProducts(),
        "PTSSNN": PTSSNN(),
        "LinearProbe": LinearProbe(),
        "transformer layer, equal size": TransformerLayer(),
    }
    candidates = {}
    for name, head in heads.items():
        head.to(args.device)
        if name != "bare matrix products":
            for _ in range(20):  # adapts the running statistics to the input
                head.train()(feats)
        head.eval()
        candidates[name] = evaluation(head, feats)
        if name in ("bare matrix products", "PTSSNN"):
            candidates[f"{name}, bfloat16"] = evaluation(head, feats, True)
    report(
        f"head, [{args.batch}, {args.frames}, 768], evaluation",
        compare(candidates, args.repeats),
        "SpikingJelly assembly",
        args.output,
    )
