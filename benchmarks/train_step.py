"""Times one training step (forward, loss, backward, AdamW) of PTS-SNN
beside the same head made of SpikingJelly's parts, its bare matrix products and
other heads.

python benchmarks/train_step.py [--batch 32 --frames 225]
"""

import torch
from references import MatrixProducts, StockHead, TransformerLayer
from timing import begin_with_features, compare, report

from speechbrain_ptssnn import PTSSNN, FocalSmoothingLoss, LinearProbe
from speechbrain_ptssnn.utils.memory import keep_freed_memory


def step(head, feats, targets, autocast=False):
    """Returns a function that trains the head for one step."""
    loss = FocalSmoothingLoss()
    optimizer = torch.optim.AdamW(head.train().parameters(), lr=2e-4)

    def call():
        with torch.autocast(feats.device.type, torch.bfloat16, autocast):
            outputs = head(feats)
            outputs = outputs.mean(1) if outputs.ndim == 3 else outputs
            value = loss(outputs.float(), targets)
        value.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return call


if __name__ == "__main__":
    args, feats = begin_with_features(__doc__, "train_step.json", batch=32)
    keep_freed_memory()  # as training does; it helps the references too
    targets = torch.randint(4, (args.batch,), device=args.device)
    heads = {
        "SpikingJelly assembly": (StockHead(), False),
        "bare matrix products": (MatrixProducts(), False),
        "bare matrix products, bfloat16": (MatrixProducts(), True),
        "PTSSNN": (PTSSNN(), False),
        "PTSSNN, bfloat16 products": (PTSSNN(), True),
        "LinearProbe": (LinearProbe(), False),
        "transformer layer, equal size": (TransformerLayer(), False),
    }
    candidates = {
        name: step(head.to(args.device), feats, targets, autocast)
        for name, (head, autocast) in heads.items()
    }
    report(
        f"training step, [{args.batch}, {args.frames}, 768]",
        compare(candidates, args.repeats, warmup=8),
        "SpikingJelly assembly",
        args.output,
    )
