#!/bin/sh
# Quality by model size and stage, in the small world: docs/experiments/world-size.md.
# Usage: world-size.sh HELPMATE OUT SIZE SEED…     (SIZE: 0.5m, 2m or 8m)
set -eu
helpmate=$1 out=$2 size=$3
shift 3
. "$(dirname "$0")/world.sh"
for seed in "$@"; do loop "$size" "$seed"; done
