#!/bin/sh
# A reward model on HH's harmlessness comparisons, one fold at a time: docs/experiments/preferences.md.
# Usage: folds.sh HELPMATE MODEL HH.jsonl OUT PAIRS FOLD…     (PAIRS: training pairs of each fold, 1300 for all)
set -eu
helpmate=$1 model=$2 hh=$3 out=$4 pairs=$5
shift 5
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$out"
cd "$out"
[ -f data/fold-4.jsonl ] || "$here/hh.py" "$hh" data
for fold in "$@"; do
    run=rm-$fold-$pairs
    head -n "$pairs" "data/train-$fold.jsonl" > "$run.jsonl"
    tail -n 8 "data/train-$fold.jsonl" > "calibration-$fold.jsonl" # only mean and deviation come from these
    if [ -d "$run" ]; then set -- --resume; else set --; fi
    "$helpmate" rm --config "$here/configs/rm-hh.toml" --model "$model" --data "$run.jsonl" \
        --eval-data "calibration-$fold.jsonl" --out "$run" "$@"
    "$helpmate" score --reward "$run" --data "data/fold-$fold.jsonl" --out "$run-scores.jsonl"
done
"$here/summary.py" folds "$out"
