#!/bin/sh
# A reward model smaller than the policy, in the small world: docs/experiments/world-small-reward.md.
# Usage: world-small-reward.sh HELPMATE OUT SEED…
set -eu
helpmate=$1 out=$2
shift 2
. "$(dirname "$0")/world.sh"
for seed in "$@"; do
    [ -d "loop-2m-$seed/ppo/final" ] || loop 2m "$seed" # has the arm of equal size
    begun 0.5m "$seed"
    questions 0.5m "$seed"
    folder=loop-2m-$seed
    rm=small-rm-$seed
    # The same rankings, held-out rows and settings; only what it begins as is smaller.
    once "$rm/final" "$helpmate" rm --model "loop-0.5m-$seed/sft" --data "$folder/data/rankings.jsonl" \
        --demonstrations "$folder/data/demonstrations.jsonl" --seed "$seed" --lr 5e-4 --batch-size 16 --epochs 1 \
        --set data.eval_fraction=0.1 --threads "$threads" --out "$rm"
    once "small-ppo-$seed/final" "$helpmate" ppo --model "$folder/sft" --reward "$rm" --value "$rm/final" --prompts "$folder/data/policy.jsonl" \
        --gold rule:world --seed "$seed" --lr 1e-4 --max-steps 60 --set ppo.value_lr=3e-4 --set ppo.rollout_batch=64 \
        --set ppo.minibatches=2 --set ppo.beta=0.1 --set ppo.max_new_tokens=48 --threads "$threads" --out "small-ppo-$seed"
    for arm in sft ppo small; do
        model=$folder/$arm
        [ $arm != small ] || model=small-ppo-$seed
        answers "$model" "small-$arm-$seed" "7$seed" # the same chance for each
    done
done
