"""Reads variables with the real PaddlePaddle: paddle.py FOLDER, with {name: dims} as JSON on standard input.

Prints {name: sha256 of the values} as JSON.
"""

import hashlib
import json
import sys

# The folder of this file would otherwise be where `import paddle` looks first.
sys.path.pop(0)

import numpy
import paddle

paddle.enable_static()
wanted = json.load(sys.stdin)
program = paddle.static.Program()
block = program.global_block()
variables = [
    block.create_var(name=name, shape=dims, dtype="float32", persistable=True) for name, dims in wanted.items()
]
executor = paddle.static.Executor(paddle.CPUPlace())
paddle.static.load_vars(executor, sys.argv[1], program, vars=variables)
scope = paddle.static.global_scope()
values = {name: numpy.array(scope.find_var(name).get_tensor()) for name in wanted}
assert all(list(values[name].shape) == dims for name, dims in wanted.items())
print(json.dumps({name: hashlib.sha256(value.tobytes()).hexdigest() for name, value in values.items()}))
