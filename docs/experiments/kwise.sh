#!/bin/sh
# K-wise reward training against shuffled pairs of the same rankings: docs/experiments/kwise.md.
# Usage: kwise.sh HELPMATE MODEL OUT SEED…     (MODEL: the folder of stories260K)
set -eu
helpmate=$1 model=$2 out=$3
shift 3
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$out"
cd "$out"
echo '{"prompt": ""}' > empty.jsonl
for seed in "$@"; do
    if [ ! -f "held-out-$seed.jsonl" ]; then
        "$helpmate" generate --model "$model" --prompts empty.jsonl --n 400 --seed "2$seed" --max-new-tokens 32 --batch 64 --out "begun-$seed.jsonl"
        "$here/simulate.py" prompts "begun-$seed.jsonl" 200 > "prompts-$seed.jsonl"
        "$helpmate" generate --model "$model" --prompts "prompts-$seed.jsonl" --n 9 --seed "3$seed" --max-new-tokens 24 --batch 64 --out "answers-$seed.jsonl"
        "$here/simulate.py" rank "answers-$seed.jsonl" "$seed" "rankings-$seed.jsonl" "pairs-$seed.jsonl" "held-out-$seed.jsonl" 2> "utility-$seed.txt"
    fi
    for arm in kwise pairs; do
        data=rankings-$seed.jsonl
        [ $arm = kwise ] || data=pairs-$seed.jsonl
        for setting in few many; do # optimizer steps: 25 of 4 prompts, or 100 of one
            run=$arm-$setting-$seed
            set --
            [ $setting = few ] || set -- --lr 2e-3 --set train.eval_every=20 --batch-size "$([ $arm = kwise ] && echo 1 || echo 36)"
            [ -d "$run/final" ] && continue
            "$helpmate" rm --config "$here/configs/rm-$arm.toml" --model "$model" --data "$data" --eval-data "held-out-$seed.jsonl" \
                --seed "$seed" --out "$run" "$@"
            "$helpmate" score --reward "$run" --data "rankings-$seed.jsonl" --out "$run-train-scores.jsonl"
        done
    done
done
