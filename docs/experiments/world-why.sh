#!/bin/sh
# Where the loop fails: PPO on gold itself: docs/experiments/world-why.md.
# Usage: world-why.sh HELPMATE OUT SEED…
set -eu
helpmate=$1 out=$2
shift 2
. "$(dirname "$0")/world.sh"
for seed in "$@"; do
    loop 0.5m "$seed"
    questions 0.5m "$seed"
    folder=loop-0.5m-$seed
    run=why-gold-$seed
    for steps in 60 100; do # 60: as long as in the loop
        [ -f "$run-$steps-gold.jsonl" ] && continue
        if [ -d "$run" ]; then set -- --resume; else set --; fi
        "$helpmate" ppo --config "$here/configs/world-ppo.toml" --set ppo.beta=0.1 --model "$folder/sft" --reward rule:world \
            --prompts "$folder/data/policy.jsonl" --seed "$seed" --max-steps "$steps" --threads "$threads" --out "$run" "$@"
        answers "$run" "$run-$steps" "7$seed"
    done
done
