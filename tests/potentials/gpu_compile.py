"""Compile kernels for a device that is not there: `python gpu_compile.py launches.json`, without the interpreter.

launches.json holds [module, kernel, types of the arguments, constants]; printed is one line per kernel,
[kernel, precision, bytes of shared memory of a program, bytes of stack of a thread (what registers cannot hold)].
"""

import importlib
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from halion.potentials.gpu.network import TILES
from halion.potentials.gpu.rows import STEPS

TARGET = GPUTarget("cuda", 90, 32)


def compiled(module: str, name: str, types: list[str], constants: dict) -> list:
    """Kernel, precision, shared memory and stack of one launch."""
    kernel = getattr(importlib.import_module(module), name)
    tiles = TILES.get(constants.get("PRECISION"))
    warps = 4
    if tiles is not None and name != "linear_rows":
        constants, warps = constants | {"BLOCK": tiles.rows}, tiles.warps_back if "back" in name else tiles.warps
    if name == "linear_rows":
        constants = constants | {"STEP": min(constants["INPUTS"], STEPS[constants["PRECISION"]])}
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
    return [name, constants.get("PRECISION", ""), program.metadata.shared, stack_bytes(program.asm["cubin"])]


def stack_bytes(binary: bytes) -> int:
    """Stack of a thread, as the disassembler in Triton's wheel tells it."""
    tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(binary)
        file.flush()
        told = subprocess.run(
            [tool, "--dump-resource-usage", file.name], capture_output=True, text=True, check=True
        )
    return int(re.search(r"STACK:(\d+)", told.stdout).group(1))


if __name__ == "__main__":
    with open(sys.argv[1]) as file:
        for launch in json.load(file):
            sys.stdout.write(json.dumps(compiled(*launch)) + "\n")
