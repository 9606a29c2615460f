#!/bin/sh
# The pretraining mix against the tax at matched KL, in the small world: docs/experiments/world-ptx.md.
# Usage: world-ptx.sh HELPMATE OUT SEED…
set -eu
helpmate=$1 out=$2
shift 2
. "$(dirname "$0")/world.sh"
once held-out.jsonl "$helpmate" world text --from 1099511627776 --n 200 --out held-out.jsonl
once base.jsonl "$helpmate" logprobs --model world-0.5m --data held-out.jsonl --threads "$threads" --out base.jsonl
for seed in "$@"; do
    long ppo "$seed"
    long ppo-ptx "$seed"
done
