#!/bin/sh
# GPAW in an environment of its own, with MPI. Usage: scripts/gpaw.sh [FOLDER]   (default .venv-gpaw)
set -eu
folder=${1:-.venv-gpaw}
missing=""
for package in libxc-dev libopenblas-dev libopenmpi-dev openmpi-bin python3-dev gcc; do
    dpkg -s "$package" >/dev/null 2>&1 || missing="$missing $package"
done
if [ -n "$missing" ]; then
    if [ "$(id -u)" -ne 0 ]; then
        echo "type: sudo apt-get install$missing   and then this command again" >&2
        exit 1
    fi
    apt-get update -q && apt-get install -y -q --no-install-recommends $missing
fi
[ -x "$folder/bin/python" ] || python3 -m venv "$folder"
"$folder/bin/pip" install -q "gpaw>=26.7,<27"
"$folder/bin/python" -c "import gpaw; print('GPAW', gpaw.__version__)"
echo "export HALION_GPAW_PYTHON=$(cd "$folder" && pwd)/bin/python"
