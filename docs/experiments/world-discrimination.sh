#!/bin/sh
# Telling a right answer against giving one: docs/experiments/world-discrimination.md.
# Usage: world-discrimination.sh HELPMATE OUT SEED…
set -eu
helpmate=$1 out=$2
shift 2
. "$(dirname "$0")/world.sh"
for seed in "$@"; do samples "$seed"; done
