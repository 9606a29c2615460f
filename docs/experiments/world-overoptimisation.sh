#!/bin/sh
# A small proxy against gold, along PPO and best-of-n, in the small world: docs/experiments/world-overoptimisation.md.
# Usage: world-overoptimisation.sh HELPMATE OUT SEED…
set -eu
helpmate=$1 out=$2
shift 2
. "$(dirname "$0")/world.sh"
for seed in "$@"; do
    long ppo "$seed"
    samples "$seed"
done
