"""Writes schedules.json: PyTorch's learning rates (at a peak of 1) and averaged weights, for the tests beside it.

    pip install torch==2.15.0 && python schedules.py > schedules.json
"""

import json
import math

import torch
from torch.optim import lr_scheduler as schedulers
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

TOTAL = 40


def rates(make, total=TOTAL):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1)
    scheduler = make(optimizer)
    values = []
    for _ in range(total):
        values.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return values


def warmed(make, updates, start, total=TOTAL):
    return rates(
        lambda optimizer: schedulers.SequentialLR(
            optimizer,
            [schedulers.LinearLR(optimizer, start_factor=start, total_iters=updates), make(optimizer)],
            milestones=[updates],
        ),
        total,
    )


def one_cycle(total=TOTAL, **options):
    def make(optimizer):
        # The last step() goes one beyond total_steps.
        scheduler = schedulers.OneCycleLR(optimizer, 1, total_steps=total, cycle_momentum=False, **options)
        steps = iter(range(total - 1))
        step = scheduler.step
        scheduler.step = lambda: step() if next(steps, None) is not None else None
        return scheduler

    return rates(make, total)


def average(decay, updates=12):
    model = torch.nn.Linear(3, 2)
    averaged = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay))
    for update in range(updates):
        with torch.no_grad():
            for place, parameter in enumerate(model.parameters()):
                numbers = [math.cos(update * 0.9 + place + index) for index in range(parameter.numel())]
                parameter.copy_(torch.tensor(numbers).reshape(parameter.shape))
        averaged.update_parameters(model)
    return {name: tensor.ravel().tolist() for name, tensor in averaged.module.state_dict().items()}


cases = [
    (dict(kind="step", milestones=[0.25, 0.75], factor=0.1), rates(lambda o: schedulers.MultiStepLR(o, [10, 30], 0.1))),
    (dict(kind="cosine"), rates(lambda o: schedulers.CosineAnnealingLR(o, TOTAL))),
    (dict(kind="cosine", floor=0.05), rates(lambda o: schedulers.CosineAnnealingLR(o, TOTAL, eta_min=0.05))),
    (dict(kind="one-cycle"), one_cycle()),
    (dict(kind="one-cycle", pctStart=0.25, divFactor=10, finalDivFactor=100), one_cycle(pct_start=0.25, div_factor=10, final_div_factor=100)),
    (dict(kind="one-cycle"), one_cycle(total=7)),
    (dict(kind="one-cycle"), one_cycle(total=2)),
    (dict(kind="constant", warmUp=0.1, warmUpFrom=0.2), warmed(lambda o: schedulers.ConstantLR(o, 1, 1), 4, 0.2)),
    (dict(kind="cosine", warmUp=0.2), warmed(lambda o: schedulers.CosineAnnealingLR(o, TOTAL - 8), 8, 0.01)),
]
print(
    json.dumps(
        dict(
            rates=[dict(options=options, factors=factors) for options, factors in cases],
            averages=[dict(decay=decay, values=average(decay)) for decay in (0.9, 0.999)],
        )
    )
)
