"""Writes update-trajectories.json: what PyTorch's optimizers make of a small linear classifier, for update.test.ts.

    pip install torch==2.15.0 && python update-trajectories.py > update-trajectories.json
"""

import json
import math

import torch

BATCH, FEATURES, CLASSES, STEPS = 10, 4, 3, 20
CASES = {
    "Adam": dict(kind="adam"),
    "AdamW": dict(kind="adam", decay=0.1),
    "Adam, clipped": dict(kind="adam", clip=0.05),
    "SGD": dict(kind="sgd"),
    "SGD with weight decay": dict(kind="sgd", decay=0.1),
    "SGD with momentum": dict(kind="sgd", momentum=0.9),
    "SGD with momentum, clipped": dict(kind="sgd", momentum=0.9, clip=0.05),
    "SGD with Nesterov's momentum and weight decay": dict(kind="sgd", momentum=0.9, nesterov=True, decay=0.1),
    "SGD on smoothed labels": dict(kind="sgd", smoothing=0.1),
    "SGD on weighted classes": dict(kind="sgd", weights=[1, 0.25, 3]),
    "SGD on weighted classes and smoothed labels": dict(kind="sgd", weights=[1, 0.25, 3], smoothing=0.2),
    "SGD on soft labels": dict(kind="sgd", soft=True),
    "SGD on soft labels, smoothed, on weighted classes": dict(kind="sgd", soft=True, weights=[1, 0.25, 3], smoothing=0.2),
}


def run(case, rate, factor):
    """The bias learns `factor` times as fast as the weights, and does not decay."""
    weight = torch.nn.Parameter(
        torch.tensor([[math.cos(row * 1.7 + column) for column in range(CLASSES)] for row in range(FEATURES)])
    )
    bias = torch.nn.Parameter(torch.zeros(CLASSES))
    decay = case.get("decay", 0)
    groups = [
        dict(params=[weight], lr=rate, weight_decay=decay),
        dict(params=[bias], lr=rate * factor, weight_decay=0),
    ]
    if case["kind"] == "adam":
        optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.999), eps=1e-8)
    else:
        optimizer = torch.optim.SGD(
            groups, lr=rate, momentum=case.get("momentum", 0), nesterov=case.get("nesterov", False)
        )
    losses = []
    for step in range(STEPS):
        features = torch.tensor(
            [[math.sin(1 + step * 0.7 + row * 1.3 + column * 2.1) for column in range(FEATURES)] for row in range(BATCH)]
        )
        labels = torch.tensor([(row + step) % CLASSES for row in range(BATCH)])
        if case.get("soft"):
            labels = 0.7 * torch.nn.functional.one_hot(labels, CLASSES) + 0.3 * torch.nn.functional.one_hot(
                (labels + 1) % CLASSES, CLASSES
            )
        loss = torch.nn.functional.cross_entropy(
            features @ weight + bias,
            labels,
            weight=torch.tensor(case["weights"], dtype=torch.float32) if "weights" in case else None,
            label_smoothing=case.get("smoothing", 0),
        )
        optimizer.zero_grad()
        loss.backward()
        if "clip" in case:
            torch.nn.utils.clip_grad_norm_([weight, bias], case["clip"])
        optimizer.step()
        losses.append(loss.item())
    return dict(losses=losses, weight=weight.flatten().tolist(), bias=bias.tolist())


results = []
for name, case in CASES.items():
    rate = 0.05 if case["kind"] == "adam" else 0.5
    for factor in (1, 0.1):
        results.append(dict(name=name, **case, rate=rate, factor=factor, expected=run(case, rate, factor)))
print(json.dumps(dict(torch=torch.__version__, cases=results), indent=1))
