#!/bin/sh
# Where the loop fails: PPO on gold itself, and on a reward model of many faultless rankings: docs/experiments/world-why.md.
# Usage: world-why.sh HELPMATE OUT SEED…
set -eu
helpmate=$1 out=$2
shift 2
. "$(dirname "$0")/world.sh"
for seed in "$@"; do
    loop 0.5m "$seed"
    questions 0.5m "$seed"
    folder=loop-0.5m-$seed
    for arm in gold clean; do
        run=why-$arm-$seed
        [ $arm = gold ] || [ -d "rm-clean-$seed/final" ] || continue # world-labelers.sh makes it
        for steps in 60 100; do # 60: as long as in the loop
            [ -f "$run-$steps-gold.jsonl" ] && continue
            if [ -d "$run" ]; then set -- --resume; else set --; fi
            if [ $arm = gold ]; then set -- "$@" --reward rule:world; else set -- "$@" --reward "rm-clean-$seed" --value "rm-clean-$seed/final"; fi
            "$helpmate" ppo --config "$here/configs/world-ppo.toml" --set ppo.beta=0.1 --model "$folder/sft" --prompts "$folder/data/policy.jsonl" \
                --seed "$seed" --max-steps "$steps" --threads "$threads" --out "$run" "$@"
            answers "$run" "$run-$steps" "7$seed"
        done
    done
done
