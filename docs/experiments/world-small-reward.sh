#!/bin/sh
# A reward model smaller than the policy, in the small world: docs/experiments/world-small-reward.md.
# Usage: world-small-reward.sh HELPMATE OUT SEED…
set -eu
helpmate=$1 out=$2
shift 2
. "$(dirname "$0")/world.sh"
for seed in "$@"; do
    loop 2m "$seed" # has the arm of equal size
    loop 0.5m "$seed"
    questions 2m "$seed"
    folder=loop-2m-$seed
    rm=small-rm-$seed
    # The same rankings, held-out rows and settings; only what it begins as is smaller.
    once "$rm/final" "$helpmate" rm --model "loop-0.5m-$seed/sft" --data "$folder/data/rankings.jsonl" \
        --demonstrations "$folder/data/demonstrations.jsonl" --seed "$seed" --lr 5e-4 --batch-size 16 --epochs 1 \
        --set data.eval_fraction=0.1 --threads "$threads" --out "$rm"
    once "small-ppo-$seed/final" "$helpmate" ppo --model "$folder/sft" --reward "$rm" --value "$rm/final" --prompts "$folder/data/policy.jsonl" \
        --gold rule:world --seed "$seed" --lr 1e-4 --max-steps 60 --set ppo.value_lr=3e-4 --set ppo.rollout_batch=64 \
        --set ppo.minibatches=2 --set ppo.beta=0.1 --set ppo.max_new_tokens=48 --threads "$threads" --out "small-ppo-$seed"
    answers "small-ppo-$seed" "small-answers-$seed" "7$seed"
    for size in 2m 0.5m; do # both reward models on both policies' answers
        reward=$folder/rm
        [ $size = 2m ] || reward=$rm
        once "small-answers-$seed-by-$size.jsonl" "$helpmate" score --reward "$reward" --data "small-answers-$seed.jsonl" --skip-bad \
            --threads "$threads" --out "small-answers-$seed-by-$size.jsonl"
    done
done
