"""Reads event files with the real TensorBoard: event_files.py FOLDER, or `check` to import everything.

Prints {run: {plugin: {tag: [[step, value]]}}} as JSON: numbers of scalars, [left, right, count] rows of histograms, and width,
height and SHA-256 of each picture, all as TensorBoard's own server has them.
"""

import hashlib
import io
import json
import pathlib
import struct
import sys

from PIL import Image
from tensorboard.backend.event_processing import data_provider, plugin_event_multiplexer
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c
from tensorboard.context import RequestContext


def check_records(path):
    """Every record's checksums, by TensorBoard's own function."""
    with open(path, "rb") as file:
        data = file.read()
    place = 0
    while place < len(data):
        header = data[place : place + 8]
        (length,) = struct.unpack("<Q", header)
        body = data[place + 12 : place + 12 + length]
        assert len(body) == length, "a record is cut off"
        (of_header,) = struct.unpack("<I", data[place + 8 : place + 12])
        (of_body,) = struct.unpack("<I", data[place + 12 + length : place + 16 + length])
        assert (of_header, of_body) == (masked_crc32c(header), masked_crc32c(body)), "a checksum is wrong"
        place += 16 + length


def picture(blob):
    image = Image.open(io.BytesIO(blob))
    image.load()
    return [*image.size, hashlib.sha256(blob).hexdigest()]


def read(folder):
    for path in pathlib.Path(folder).rglob("*tfevents*"):
        check_records(path)
    multiplexer = plugin_event_multiplexer.EventMultiplexer(
        tensor_size_guidance={"scalars": 0, "histograms": 0, "images": 0}
    ).AddRunsFromDirectory(folder)
    multiplexer.Reload()
    provider = data_provider.MultiplexerDataProvider(multiplexer, folder)
    context = RequestContext()
    everything = {"ctx": context, "experiment_id": "", "downsample": 1000000}
    found = {}

    def add(plugin, series, value):
        for run, tags in series.items():
            for tag, points in tags.items():
                found.setdefault(run, {}).setdefault(plugin, {})[tag] = [[point.step, value(point)] for point in points]

    add("scalars", provider.read_scalars(**everything, plugin_name="scalars"), lambda point: point.value)
    add("histograms", provider.read_tensors(**everything, plugin_name="histograms"), lambda point: point.numpy.tolist())

    def blobs(point):
        width, height, *files = (provider.read_blob(context, blob_key=value.blob_key) for value in point.values)
        return [int(width), int(height), *map(picture, files)]

    add("images", provider.read_blob_sequences(**everything, plugin_name="images"), blobs)
    return found


if __name__ == "__main__":
    if sys.argv[1] != "check":
        json.dump(read(sys.argv[1]), sys.stdout)
