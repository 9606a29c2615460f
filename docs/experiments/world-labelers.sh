#!/bin/sh
# Noise, answers a ranking, number of rankings, and a group held out: docs/experiments/world-labelers.md.
# Usage: world-labelers.sh HELPMATE OUT SEED…
set -eu
helpmate=$1 out=$2
shift 2
. "$(dirname "$0")/world.sh"
all="helpful-first truthful-first form-first"

pools() { # SPLIT N SEED → pool-SPLIT-SEED.jsonl: up to five answers of the SFT model and three written ones to each of N prompts
    once "written-$1.jsonl" "$helpmate" world rankings --split "$1" --n "$2" --k 3 --groups gold --seed 1 --out "written-$1.jsonl"
    once "own-$1-$3.jsonl" "$helpmate" generate --model "loop-0.5m-$3/sft" --prompts "written-$1.jsonl" --n 6 --seed "6$3" \
        --max-new-tokens 48 --batch 64 --threads "$threads" --out "own-$1-$3.jsonl"
    once "pool-$1-$3.jsonl" "$rows" pool "own-$1-$3.jsonl" "written-$1.jsonl" "$3" "pool-$1-$3.jsonl"
}

rank() { # NAME POOL OPTION… → rankings-NAME.jsonl
    name=$1 pool=$2
    shift 2
    once "rankings-$name.jsonl" "$helpmate" world rankings --data "$pool" --labelers 4 --out "rankings-$name.jsonl" "$@"
}

learn() { # NAME SEED RANKINGS BATCH OPTION… → rm-NAME, its scores of the test answers in rm-NAME-test.jsonl
    name=$1 seed=$2 data=$3 batch=$4
    shift 4
    once "rm-$name/final" "$helpmate" rm --config "$here/configs/world-rm.toml" --model "loop-0.5m-$seed/sft" --data "$data" \
        --eval-data "rankings-truth-helpful-first-$seed.jsonl" --batch-size "$batch" --seed "$seed" --threads "$threads" --out "rm-$name" "$@"
    once "rm-$name-test.jsonl" "$helpmate" score --reward "rm-$name" --data "rankings-truth-helpful-first-$seed.jsonl" \
        --threads "$threads" --out "rm-$name-test.jsonl"
}

for seed in "$@"; do
    begun 0.5m "$seed"
    pools reward 600 "$seed"
    pools eval 200 "$seed"
    few=pool-reward-$seed.jsonl least=pool-least-$seed.jsonl test=pool-eval-$seed.jsonl
    once "$least" "$rows" head 150 "$few" "$least"
    for group in $all; do # the true utility of each group: no noise, no ties, no mistakes
        rank "truth-$group-$seed" "$test" --k 8 --groups "$group" --noise 0 --tie 0 --mistake 0
    done

    # Noise at K = 4; every optimizer step sees about 64 answers. Beside it what the labelers themselves reach on the test answers.
    for noise in 0 0.12 0.3 1; do
        rank "noise-$noise-$seed" "$few" --k 4 --noise "$noise" --seed "$seed"
        rank "labelers-$noise-$seed" "$test" --k 8 --noise "$noise" --seed "1$seed"
        learn "noise-$noise-$seed" "$seed" "rankings-noise-$noise-$seed.jsonl" 16
    done

    # The same answers cut into rankings of 2, 4 (above) and 8; noise .12.
    for k in 2 8; do
        rank "k-$k-$seed" "$few" --k "$k" --seed "$seed"
        learn "k-$k-$seed" "$seed" "rankings-k-$k-$seed.jsonl" $((64 / k))
    done

    # The number of prompts: 150 and 600 (above).
    rank "n-150-$seed" "$least" --k 4 --seed "$seed"
    learn "n-150-$seed" "$seed" "rankings-n-150-$seed.jsonl" 16

    # Three groups of labelers: without one of them, and with all on as many rankings (labelers take turns, twelve a round).
    # shellcheck disable=SC2086 # the groups are several words
    rank "groups-$seed" "$few" --k 4 --seed "$seed" --groups $all
    once "rankings-all-$seed.jsonl" sh -c "awk 'int((NR - 1) / 12) % 3 != 2' rankings-groups-$seed.jsonl > rankings-all-$seed.jsonl"
    learn "all-$seed" "$seed" "rankings-all-$seed.jsonl" 16
    for group in $all; do
        once "rankings-without-$group-$seed.jsonl" sh -c "grep -v '\"group\":\"$group\"' rankings-groups-$seed.jsonl > rankings-without-$group-$seed.jsonl"
        learn "without-$group-$seed" "$seed" "rankings-without-$group-$seed.jsonl" 16
    done
done
