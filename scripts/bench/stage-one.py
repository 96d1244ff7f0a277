"""Computes features of noise by PyTorch, or trains a head on them, some batches for each line. See stage-one.ts."""

import json
import sys
import time

import torch
import torchvision

side, size, threads = map(int, sys.argv[1:4])
torch.manual_seed(0)
torch.set_num_threads(threads)
network = torchvision.models.resnet50(num_classes=102)
head, network.fc = network.fc, torch.nn.Identity()
network = network.to(memory_format=torch.channels_last).eval()
optimizer = torch.optim.Adam(head.parameters(), lr=1e-3)
loss = torch.nn.CrossEntropyLoss()
pixels = torch.rand((size, 3, side, side)).to(memory_format=torch.channels_last)
labels = torch.randint(0, 102, (size,))
features = torch.rand((size, 2048))

for line in sys.stdin:
    what, count = line.split()
    times = []
    for _ in range(int(count)):
        started = time.perf_counter()
        if what == "features":
            with torch.no_grad():
                features = network(pixels)
        else:
            optimizer.zero_grad()
            loss(head(features), labels).backward()
            optimizer.step()
        times.append(1000 * (time.perf_counter() - started))
    print(json.dumps(times), flush=True)
