#!/usr/bin/env bash
# Makes the environment in .venv: system packages when it may, then halion with the exact versions of
# constraints.txt. A second call finds everything done and takes a second.
#   scripts/setup.sh          what a study needs
#   scripts/setup.sh test     and what the tests need
set -euo pipefail
cd "$(dirname "$0")/.."
extras=${1:-}
venv=${HALION_VENV:-.venv}

say() { printf 'halion setup: %s\n' "$*" >&2; }

# Debian's names; installed only when this user may do so without being asked for a password.
need_packages() {
  if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
    say "installing system packages: $*"
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
  elif command -v apt-get >/dev/null && sudo -n true 2>/dev/null; then
    say "installing system packages with sudo: $*"
    sudo apt-get update -qq && sudo DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
  else
    return 1
  fi
}

python=""
for candidate in ${HALION_PYTHON:-} python3.13 python3.12 python3.11 python3; do
  if command -v "$candidate" >/dev/null && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    python=$candidate
    break
  fi
done
[ -n "$python" ] || { say "Python 3.11 or newer is needed. Ask for: apt-get install python3 python3-venv"; exit 4; }

packages=()
command -v c++ >/dev/null || packages+=(g++)
"$python" -c 'import ensurepip, venv' 2>/dev/null || packages+=(python3-venv)
[ -f "$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h" ] || packages+=(python3-dev)
if [ ${#packages[@]} -gt 0 ] && ! need_packages "${packages[@]}"; then
  say "these system packages are needed. Ask for: apt-get install ${packages[*]}"
  exit 4
fi
if [ "$extras" = test ] && ! { command -v chromium >/dev/null && command -v chromedriver >/dev/null; }; then
  need_packages chromium chromium-driver ||
    say "no Chromium: the browser tests will skip. To run them: apt-get install chromium chromium-driver"
fi

# The stamp names everything that the installation depends on: a changed source is installed again.
stamp=$(find pyproject.toml constraints.txt CMakeLists.txt README.md src -type f ! -name '*.pyc' ! -name '*.so' -print0 |
  sort -z | xargs -0 sha256sum | sha256sum | cut -d' ' -f1)-$extras
if [ "$(cat "$venv/.halion-stamp" 2>/dev/null)" != "$stamp" ]; then
  [ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
  say "installing halion into $venv"
  # torch first and by its exact version, so that a build that is at hand is taken and no other is looked for.
  "$venv/bin/python" -m pip install -qq --disable-pip-version-check -c constraints.txt torch==2.13.0
  "$venv/bin/python" -m pip install -qq --disable-pip-version-check -c constraints.txt ".${extras:+[$extras]}"
  echo "$stamp" >"$venv/.halion-stamp"
fi
