#!/bin/sh
# Quality by model size and stage, in the small world: docs/experiments/world-size.md.
# Usage: world-size.sh HELPMATE OUT SIZE SEED…     (SIZE: 0.5m, 2m or 8m; without a seed the base is asked, bare and few-shot,
#        what another size's loop was asked, and every SFT model of this size that a loop, whole or not, has left)
set -eu
helpmate=$1 out=$2 size=$3
shift 3
. "$(dirname "$0")/world.sh"
for seed in "$@"; do loop "$size" "$seed"; done
[ $# -eq 0 ] || exit 0
demonstrations=$(find . -path './loop-*/data/demonstrations.jsonl' | sort | head -n 1)
once few-shot.jsonl "$rows" shots "$demonstrations" questions.jsonl few-shot.jsonl
for manner in bare few-shot; do
    name=$manner-$size
    [ $manner = bare ] || set -- --stop '
'
    once "$name-raw.jsonl" "$helpmate" generate --model "world-$size" --prompts "$manner.jsonl" --n 2 --seed 1 --max-new-tokens 48 --batch 64 \
        "$@" --threads "$threads" --out "$name-raw.jsonl"
    once "$name.jsonl" "$rows" asked "$name-raw.jsonl" questions.jsonl "$name.jsonl"
    once "$name-gold.jsonl" "$helpmate" world check --data "$name.jsonl" --out "$name-gold.jsonl" > /dev/null
done
for folder in loop-"$size"-*/sft/final; do
    [ ! -d "$folder" ] || answers "$folder" "sft-$(basename "${folder%/sft/final}" | cut -d - -f 2,3)" 1
done
