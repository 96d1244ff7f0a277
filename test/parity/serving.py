"""ONNX Runtime's own wheel, as a Python program serves a model by it.

    serving.py check                                 imports it
    serving.py run MODEL PIXELS SIDE                 runs a model on a file of uint8 [pictures, side, side, 3] and prints
                                                     {version, metadata, description, outputs: {name: {dims, data}}} as JSON
"""

import json
import sys

import numpy
import onnxruntime


def run(model, pixels, side):
    side = int(side)
    image = numpy.fromfile(pixels, dtype=numpy.uint8).reshape(-1, side, side, 3)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    outputs = dict(zip(names, session.run(names, {"image": image})))
    about = session.get_modelmeta()
    print(
        json.dumps(
            {
                "version": onnxruntime.__version__,
                "metadata": about.custom_metadata_map,
                "description": about.description,
                "outputs": {
                    name: {"dims": list(value.shape), "data": value.astype(float).ravel().tolist()}
                    for name, value in outputs.items()
                },
            }
        )
    )


COMMANDS = {"check": lambda: None, "run": run}

if __name__ == "__main__":
    COMMANDS[sys.argv[1]](*sys.argv[2:])
