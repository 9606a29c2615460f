#!/bin/sh
# DPO's implicit reward beside the reward model of the same rankings: docs/experiments/world-implicit.md.
# Usage: world-implicit.sh HELPMATE OUT SEED…, after world-labelers.sh and world-discrimination.sh for the same seeds.
set -eu
helpmate=$1 out=$2
shift 2
. "$(dirname "$0")/world.sh"

implicit() { # NAME SEED RANKINGS OPTION… → dpo-NAME, its implicit reward of the test answers in dpo-NAME-test.jsonl
    name=$1 seed=$2 data=$3
    shift 3
    once "dpo-$name/final" "$helpmate" dpo --config "$here/configs/world-dpo.toml" --model "loop-0.5m-$seed/sft" --data "$data" \
        --batch-size 16 --seed "$seed" --threads "$threads" --out "dpo-$name" "$@"
    once "dpo-$name-test.jsonl" "$helpmate" score --policy "dpo-$name" --reference "loop-0.5m-$seed/sft" \
        --data "rankings-truth-helpful-first-$seed.jsonl" --threads "$threads" --out "dpo-$name-test.jsonl"
}

for seed in "$@"; do
    implicit "n-150-$seed" "$seed" "rankings-n-150-$seed.jsonl"
    implicit "noise-0.12-$seed" "$seed" "rankings-noise-0.12-$seed.jsonl"
    implicit "loop-$seed" "$seed" "loop-0.5m-$seed/data/rankings.jsonl" --set data.eval_fraction=0.1
    once "rm-loop-$seed-test.jsonl" "$helpmate" score --reward "loop-0.5m-$seed/rm" \
        --data "rankings-truth-helpful-first-$seed.jsonl" --threads "$threads" --out "rm-loop-$seed-test.jsonl"
    once "unique-$seed-implicit.jsonl" "$helpmate" score --policy "dpo-loop-$seed" --reference "loop-0.5m-$seed/sft" \
        --data "unique-$seed.jsonl" --threads "$threads" --out "unique-$seed-implicit.jsonl"
done
