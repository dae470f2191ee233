"""Compile kernels for a device that is not there: `python gpu_compile.py launches.json`, without the interpreter.

launches.json holds [module, kernel, types of the arguments, constants]; printed is one line per kernel,
[kernel, precision, bytes of shared memory].
"""

import importlib
import json
import sys

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from halion.potentials.gpu.network import TILES

TARGET = GPUTarget("cuda", 90, 32)


def compiled(module: str, name: str, types: list[str], constants: dict) -> list:
    """Kernel, precision and shared memory of one launch."""
    kernel = getattr(importlib.import_module(module), name)
    tiles = TILES.get(constants.get("PRECISION"))
    warps = 4
    if tiles is not None and name != "linear_rows":
        constants, warps = constants | {"BLOCK": tiles.rows}, tiles.warps_back if "back" in name else tiles.warps
    names = [argument.name for argument in kernel.params]
    signature = dict(zip(names, types)) | {
        one.name: "constexpr" if one.is_constexpr else "i32" for one in kernel.params[len(types) :]
    }
    values = {(k,): constants[name] for k, name in enumerate(names) if signature[name] == "constexpr"}
    # Addresses and sizes are multiples of 16, the number of atoms may be anything.
    aligned = [k for k, name in enumerate(names) if signature[name][0] == "*" or name.isupper()]
    aligned = {(k,): [["tt.divisibility", 16]] for k in aligned if signature[names[k]] != "constexpr"}
    source = ASTSource(kernel, signature, constexprs=values, attrs=aligned)
    program = triton.compile(source, target=TARGET, options={"num_warps": warps, "num_stages": 2})
    assert len(program.asm["cubin"]) > 0
    return [name, constants.get("PRECISION", ""), program.metadata.shared]


if __name__ == "__main__":
    with open(sys.argv[1]) as file:
        for launch in json.load(file):
            sys.stdout.write(json.dumps(compiled(*launch)) + "\n")
