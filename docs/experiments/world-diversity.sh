#!/bin/sh
# How different the answers to one prompt are, before and after reinforcement: docs/experiments/world-diversity.md.
# Usage: world-diversity.sh HELPMATE OUT SIZE SEED…
set -eu
helpmate=$1 out=$2 size=$3
shift 3
. "$(dirname "$0")/world.sh"
for seed in "$@"; do
    loop "$size" "$seed"
    questions "$size" "$seed"
    once hundred.jsonl sh -c 'head -n 60 questions.jsonl > hundred.jsonl; head -n 60 bare.jsonl > hundred-bare.jsonl'
    folder=loop-$size-$seed
    set -- "$folder/sft" "$folder/ppo" "$folder/ppo-ptx"
    for long in "long-ppo-$seed" "long-ppo-ptx-$seed"; do # 100 steps without a KL penalty, where world-ptx.sh has made them
        [ "$size" != 0.5m ] || [ ! -d "$long/final" ] || set -- "$@" "$long"
    done
    models=
    for model in "$@"; do models="$models --model $(basename "$model" "-$seed")=$model"; done
    measure() { # NAME OPTION…
        name=$1
        shift
        once "diversity-$name.json" sh -c '"$@" > "$0"' "diversity-$name.json" "$helpmate" eval run diversity --samples 12 --max-new-tokens 48 \
            --seed "$seed" --no-cache --json --threads "$threads" "$@"
    }
    measure "base-$size-$seed" --data hundred-bare.jsonl --chat never --model "base=world-$size"
    # shellcheck disable=SC2086 # the models are several words
    measure "$size-$seed" --data hundred.jsonl $models
done
