"""Trains a ResNet on noise by PyTorch, some steps for each line that asks for them. See step.ts."""

import json
import re
import sys
import time

import torch
import torchvision

depth, side, size, threads, width, _, precision = sys.argv[1:8]
torch.manual_seed(0)
torch.set_num_threads(int(threads))
if float(width) != 1:
    sys.exit("torchvision's ResNet has one width: leave pytorch out of --kinds")
network = getattr(torchvision.models, f"resnet{depth}")(num_classes=102)
network = network.to(memory_format=torch.channels_last).train()
optimizer = torch.optim.Adam(network.parameters(), lr=1e-4)
loss = torch.nn.CrossEntropyLoss()
shape = (int(size), 3, int(side), int(side))
pixels = torch.rand(shape).to(memory_format=torch.channels_last)
labels = torch.randint(0, 102, (int(size),))

for line in sys.stdin:
    if line.strip() == "peak":
        with open("/proc/self/status") as status:
            print(json.dumps([int(re.search(r"VmHWM:\s+(\d+) kB", status.read())[1]) / 1024]), flush=True)
        continue
    times = []
    for _ in range(int(line)):
        started = time.perf_counter()
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            logits = network(pixels)
        loss(logits.float(), labels).backward()
        optimizer.step()
        times.append(1000 * (time.perf_counter() - started))
    print(json.dumps(times), flush=True)
