#!/bin/sh
# PPO against a rule, without and with the pretraining mix, at matched KL: docs/experiments/ppo-ptx.md.
# Usage: ppo-ptx.sh HELPMATE MODEL OUT SEED…     (MODEL: the folder of stories260K)
set -eu
helpmate=$1 model=$2 out=$3
shift 3
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$out"
cd "$out"

# Text to mix in and text held out: the base's own samples, from nothing but the beginning of a text.
texts() { # NAME N SEED
    [ -f "$1" ] && return
    echo '{"prompt": ""}' > empty.jsonl
    "$helpmate" generate --model "$model" --prompts empty.jsonl --n "$2" --seed "$3" --max-new-tokens 64 --batch 64 --out "$1.raw"
    sed 's/.*"completion":\("\([^"\\]\|\\.\)*"\).*/{"text":\1,"source":"model"}/' "$1.raw" > "$1"
}
texts ptx.jsonl 1024 21
texts held-out.jsonl 512 22
[ -f base.jsonl ] || "$helpmate" logprobs --model "$model" --data held-out.jsonl --out base.jsonl

answers() { # MODEL FILE: answers to openings that nothing was trained on
    "$helpmate" generate --model "$1" --prompts "$here/data/openings-held-out.jsonl" --n 16 --seed 23 --max-new-tokens 24 --batch 64 --out "$2"
    "$helpmate" score --reward rule:contains:happy --data "$2" --out "$2.scores"
}
[ -f base-answers.jsonl.scores ] || answers "$model" base-answers.jsonl

for seed in "$@"; do
    for arm in ppo ppo-ptx; do
        run=$arm-$seed
        for steps in ${STEPS:-2 4 6 8 10 12 15 18 21 24 27 30}; do
            [ -f "$run-$steps.jsonl" ] && continue
            if [ -d "$run" ]; then set -- --resume; else set -- ; fi
            [ $arm = ppo ] || set -- "$@" --ptx ptx.jsonl
            "$helpmate" ppo --config "$here/configs/$arm.toml" --model "$model" --prompts "$here/data/openings.jsonl" \
                --seed "$seed" --max-steps "$steps" --out "$run" "$@"
            "$helpmate" logprobs --model "$run" --data held-out.jsonl --out "$run-$steps.jsonl"
        done
        [ -f "$run-answers.jsonl.scores" ] || answers "$run" "$run-answers.jsonl"
    done
done
