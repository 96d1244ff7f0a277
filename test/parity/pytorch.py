"""PyTorch and torchvision, which the parity tests compare with, each as a command.

    pytorch.py check                     imports everything
    pytorch.py forward REQUEST           writes weights of random networks to files, prints their logits as JSON
    pytorch.py train REQUEST             trains a random network, writes weights before and after, prints losses as JSON

A request is a file of JSON; the tests' types are in pytorch.ts.
"""

import json
import sys

import numpy
import safetensors.torch
import torch
import torchvision
from torchvision.models import resnet
from torchvision.transforms.functional import normalize

# Two runs give the same bits, and no cores are waited for.
torch.set_num_threads(1)

LAYERS = {18: (resnet.BasicBlock, [2, 2, 2, 2]), 50: (resnet.Bottleneck, [3, 4, 6, 3])}


class Scaled(resnet.ResNet):
    """A ResNet with a factor on the inner and outer channels of its stages; torchvision's own factor is on the inner alone."""

    def __init__(self, depth, width, classes):
        self.base = round(64 * width)
        super().__init__(*LAYERS[depth], num_classes=classes)
        self.fc = torch.nn.Linear(self.inplanes, classes)

    def _make_layer(self, block, planes, *args, **kwargs):
        return super()._make_layer(block, planes // 64 * self.base, *args, **kwargs)


def network(depth, width=1, strideIn="3x3", classes=1000, **_):
    if width == 1:
        model = getattr(torchvision.models, f"resnet{depth}")(num_classes=classes)
    else:
        model = Scaled(depth, width, classes)
    if strideIn == "1x1":
        for layer in (model.layer2, model.layer3, model.layer4):
            first = layer[0]
            first.conv1.stride, first.conv2.stride = first.conv2.stride, first.conv1.stride
        model.maxpool = torch.nn.MaxPool2d(3, stride=2, padding=0, ceil_mode=True)
    return model


def batch_norms(model):
    return [module for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d)]


def randomise(model, pixels):
    """Gives BatchNorm values like those of a trained network: none neutral, the running statistics near what comes, and
    no block outweighing what passes by it, so that rounding does not grow with depth."""
    for module in batch_norms(model):
        torch.nn.init.uniform_(module.weight, 0.5, 1.5)
        torch.nn.init.normal_(module.bias, std=0.2)
        module.momentum = 1
    with torch.no_grad():
        for block in model.modules():
            if isinstance(block, (resnet.BasicBlock, resnet.Bottleneck)):
                getattr(block, "bn3", block.bn2).weight *= 0.3
        model.train()(pixels)
        for module in batch_norms(model):
            module.momentum = 0.1
            module.running_mean += 0.2 * module.running_var.sqrt() * torch.randn_like(module.running_mean)
            module.running_var *= torch.empty_like(module.running_var).uniform_(0.7, 1.4)


def normalised(images, norm):
    """uint8 [N, side, side, 3] to float64 [N, 3, side, side]."""
    planes = torch.from_numpy(images).permute(0, 3, 1, 2).double()
    if norm == "imagenet":
        return normalize(planes / 255, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    mean = {"caffe": [104.0, 117.0, 123.0], "tutorial": [103.94, 116.78, 123.68]}[norm]
    return planes.flip(1) - torch.tensor(mean, dtype=torch.float64)[:, None, None]


def read_images(path, side):
    return numpy.fromfile(path, dtype=numpy.uint8).reshape(-1, side, side, 3)


def save(model, path):
    state = model.state_dict()
    if path.endswith(".safetensors"):
        safetensors.torch.save_file(state, path)
    else:
        torch.save(state, path, _use_new_zipfile_serialization=not path.endswith(".legacy.pth"))


def forward(request):
    """Logits in float64, of weights that are float32 numbers."""
    logits = {}
    for case in request["cases"]:
        options = case["network"]
        torch.manual_seed(options["seed"])
        model = network(**options)
        pixels = normalised(read_images(request["images"], options["imageSize"]), options["inputNorm"])
        randomise(model, pixels.float())
        for path in case["weights"]:
            save(model, path)
        model.eval()
        with torch.no_grad():
            logits[case["name"]] = model.double()(pixels).tolist()
    print(json.dumps(logits))


class BiasedVariance:
    """The running variance as ONNX Runtime keeps it, of each batch's variance over n where PyTorch's is over n - 1."""

    def __init__(self, module):
        self.value = module.running_var.clone()
        module.register_forward_pre_hook(self.before)
        module.register_forward_hook(self.after)

    def before(self, module, _inputs):
        self.kept = module.running_var * (1 - module.momentum)

    def after(self, module, inputs, _output):
        if not module.training:
            return
        n = inputs[0].numel() // inputs[0].shape[1]
        gained = module.running_var - self.kept
        self.value = self.value * (1 - module.momentum) + gained * (n - 1) / n


def optimizer_of(model, kind, rate):
    if kind == "adam":
        return torch.optim.Adam(model.parameters(), lr=rate)
    return torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9, weight_decay=0.01)


def trajectory(request, optimizer, dtype):
    """Losses of the steps, then that of the first batch on running statistics; the model holds the weights after."""
    options = request["network"]
    model = network(**options)
    model.load_state_dict(safetensors.torch.load_file(request["initial"]))
    model.to(dtype).train()
    variances = [(module, BiasedVariance(module)) for module in batch_norms(model)]
    update = optimizer_of(model, optimizer["kind"], optimizer["rate"])
    pixels = normalised(read_images(request["images"], options["imageSize"]), options["inputNorm"]).to(dtype)
    labels = torch.tensor(request["labels"])
    losses = []
    for begin, end in request["batches"][: optimizer["steps"]]:
        loss = torch.nn.functional.cross_entropy(model(pixels[begin:end]), labels[begin:end])
        update.zero_grad()
        loss.backward()
        update.step()
        losses.append(loss.item())
    for module, variance in variances:
        module.running_var.copy_(variance.value)
    model.eval()
    begin, end = request["batches"][0]
    with torch.no_grad():
        losses.append(torch.nn.functional.cross_entropy(model(pixels[begin:end]), labels[begin:end]).item())
    return model, losses


def train(request):
    torch.manual_seed(request["network"]["seed"])
    options = request["network"]
    model = network(**options)
    pixels = normalised(read_images(request["images"], options["imageSize"]), options["inputNorm"])
    randomise(model, pixels.float())
    save(model, request["initial"])
    losses = {}
    for name, optimizer in request["optimizers"].items():
        losses[name] = {}
        for kind, dtype in (("float32", torch.float32), ("float64", torch.float64)):
            trained, losses[name][kind] = trajectory(request, optimizer, dtype)
            save(trained, optimizer[kind])
    print(json.dumps(losses))


COMMANDS = {"check": lambda: None, "forward": forward, "train": train}

if __name__ == "__main__":
    command, *paths = sys.argv[1:]
    requests = []
    for path in paths:
        with open(path, encoding="utf-8") as file:
            requests.append(json.load(file))
    COMMANDS[command](*requests)
