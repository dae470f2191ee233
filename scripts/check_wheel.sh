#!/usr/bin/env bash
# Builds the sdist and, from it and without git, the wheel; installs the wheel with the versions of constraints.txt in
# an environment of its own, and works with it in an empty folder outside of the repository.
#   scripts/check_wheel.sh           in a temporary folder
#   scripts/check_wheel.sh FOLDER    keeps sdist and wheel in FOLDER
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
[ $# -eq 0 ] || mkdir -p "$1"
dist=$(cd "${1:-$work}" && pwd)
python=${HALION_PYTHON:-python3}
export PIP_DISABLE_PIP_VERSION_CHECK=1 OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
unset PYTHONPATH

say() { printf 'check wheel: %s\n' "$*" >&2; }

say "building"
"$python" -m venv "$work/build"
"$work/build/bin/pip" install -qq build
# `build` makes the sdist from here and the wheel from the unpacked sdist.
"$work/build/bin/python" -m build --outdir "$dist" "$root" >"$work/build.log" 2>&1 ||
  { tail -n 40 "$work/build.log" >&2; exit 1; }
wheel=$(ls -t "$dist"/halion-*.whl | head -n 1)
sdist=$(ls -t "$dist"/halion-*.tar.gz | head -n 1)

say "comparing $(basename "$sdist") and $(basename "$wheel") with the repository"
"$python" "$root/scripts/compare_contents.py" "$root" "$sdist" "$wheel"

say "installing"
"$python" -m venv "$work/venv"
"$work/venv/bin/pip" install -qq -c "$root/constraints.txt" torch==2.13.0
"$work/venv/bin/pip" install -qq -c "$root/constraints.txt" "$wheel"

say "working in an empty folder"
mkdir "$work/empty"
cd "$work/empty"
halion=$work/venv/bin/halion
version=$("$halion" --version)
case $(basename "$wheel") in
  "halion-${version#halion }-"*) ;;
  *) say "--version says '$version'"; exit 1 ;;
esac
"$halion" doctor
"$halion" enumerate Li3YCl6 --count-only
"$work/venv/bin/python" -c '
from halion.potentials import load_potential
print(load_potential("halion-LYCB-600K").weights_sha256)'
"$halion" run Li3YBr6 --folder run --supercell 1,1,1 --workers 1 --temperatures 500,600 --production-ps 0.16 \
  --set ranking.relax_best=2 --set ranking.max_steps=8 --set dynamics.heating_ps=0.02 --set dynamics.nvt_ps=0.02 \
  --set dynamics.npt_ps=0.04 --set dynamics.cell_average_ps=0.03 --set dynamics.store_every_steps=2 \
  --set dynamics.checkpoint_ps=0.02 >run.txt
[ -s run/report/report.html ] || { say "the run has left no report"; cat run.txt >&2; exit 1; }
say "whole: $version"
