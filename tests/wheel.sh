#!/bin/sh
# Builds the wheel, installs it into a clean environment and uses it from another folder.
# The environment sees the packages of the one that runs this, but not its Quintain: what is
# imported must come out of the wheel. That saves a second installation of torch.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$PYTHON" -m pip wheel --quiet --no-deps --wheel-dir "$work/dist" "$root"
"$PYTHON" -m venv "$work/env"
site=$("$work/env/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
"$work/env/bin/python" -m pip install --quiet --no-deps "$work"/dist/quintain-*.whl
outer=$("$PYTHON" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
printf '%s\n' "$outer" > "$site/outer.pth"  # a path only: its .pth files are not read, so its
                                            # editable Quintain stays out
cd "$work"
origin=$("$work/env/bin/python" -c 'import quintain; print(quintain.__file__)')
case $origin in
    "$site"/*) ;;
    *) echo "the wheel was not used: $origin"; exit 1 ;;
esac
"$work/env/bin/quintain" list model --format json | grep -q '"transformer"'
"$work/env/bin/quintain" list suite --format json | grep -q '"reproduction/fsdd"'
"$work/env/bin/quintain" run dataset=sunspots model=lstm budget.steps=20 wandb.mode=disabled store=store
"$work/env/bin/quintain" leaderboard store=store
"$work/env/bin/quintain" leaderboard store=store --output page.html
grep -q "Content-Security-Policy" page.html
"$work/env/bin/quintain" new model mine --into plugins
"$work/env/bin/quintain" run dataset=sunspots model=mine plugins_dir=plugins budget.steps=20 \
    wandb.mode=disabled store=store
echo "the wheel works"
