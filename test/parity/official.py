"""The official tools that the parity tests compare with, each as a command.

    official.py check                               imports everything
    official.py generate BASE PLAN FOLDER           writes the official training artifacts of a base model
    official.py validate MODEL...                   runs onnx.checker with shape inference over models
    official.py parameters CHECKPOINT               prints {name: {dims, type, sha256, trainable}} as JSON
    official.py train FOLDER TASK                   trains by artifacts that lie in a folder, prints each loss as JSON
    official.py typed-fields MODEL OUT              rewrites float and int64 initializers into the typed fields
"""

import hashlib
import json
import os
import sys
import types

# onnxruntime.training imports torch through these two, which have no part in writing artifacts.
for name in ("onnxruntime.training.optim", "onnxruntime.training.amp"):
    sys.modules[name] = types.ModuleType(name)

import numpy
import onnx
from onnxruntime.training import api, artifacts


def generate(base, plan, folder):
    with open(plan, encoding="utf-8") as file:
        plan = json.load(file)
    artifacts.generate_artifacts(
        onnx.load(base),
        requires_grad=plan["trainable"],
        frozen_params=plan["frozen"],
        loss=artifacts.LossType.CrossEntropyLoss,
        optimizer=artifacts.OptimType.AdamW,
        artifact_directory=folder,
    )


def validate(*models):
    for path in models:
        onnx.checker.check_model(onnx.load(path), full_check=True)


def parameters(checkpoint):
    state = api.CheckpointState.load_checkpoint(checkpoint)
    found = {}
    for name, parameter in state.parameters:
        values = parameter.data
        found[name] = {
            "dims": list(values.shape),
            "type": str(values.dtype),
            "sha256": hashlib.sha256(values.tobytes()).hexdigest(),
            "trainable": parameter.requires_grad,
        }
    print(json.dumps(found))


def train(folder, task):
    with open(task, encoding="utf-8") as file:
        task = json.load(file)

    def arrays(inputs):
        return [numpy.array(one["data"], dtype=one["type"]).reshape(one["dims"]) for one in inputs]

    def loss(inputs):
        outputs = module(*arrays(inputs))
        return float(outputs[0] if isinstance(outputs, tuple) else outputs)

    state = api.CheckpointState.load_checkpoint(f"{folder}/checkpoint")
    module = api.Module(f"{folder}/trainingModel", state, f"{folder}/evalModel")
    optimizer = None
    if os.path.exists(f"{folder}/optimizerModel"):
        optimizer = api.Optimizer(f"{folder}/optimizerModel", module)
        optimizer.set_learning_rate(task["rate"])
    losses = []
    for step in task["steps"]:
        module.train()
        losses.append(loss(step["inputs"]))
        if step["last"]:
            if optimizer is not None:
                optimizer.step()
            module.lazy_reset_grad()
    module.eval()
    losses.append(loss(task["evaluation"]))
    print(json.dumps(losses))


def typed_fields(path, out):
    model = onnx.load(path)
    for tensor in model.graph.initializer:
        values = onnx.numpy_helper.to_array(tensor)
        raw = onnx.helper.make_tensor(tensor.name, tensor.data_type, tensor.dims, values.flatten().tolist())
        tensor.CopyFrom(raw)
    onnx.save(model, out)


COMMANDS = {
    "check": lambda: None,
    "generate": generate,
    "validate": validate,
    "parameters": parameters,
    "train": train,
    "typed-fields": typed_fields,
}

if __name__ == "__main__":
    COMMANDS[sys.argv[1]](*sys.argv[2:])
