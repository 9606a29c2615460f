#!/bin/sh
# Reward models and DPO on people's comparisons, one fold at a time: docs/experiments/preferences.md.
# Usage: folds.sh HELPMATE MODEL PREFERENCES OUT hh|oasst rm|dpo ROWS FOLD…
#   PREFERENCES: the folder ../shared/data/preferences; ROWS: training rows of each fold, 2000 for all.
# Fold n has seed n + 1. THREADS=1 and two of these side by side need less time than one with both cores.
set -eu
helpmate=$1 model=$2 preferences=$3 out=$4 set=$5 arm=$6 rows=$7
shift 7
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$out"
cd "$out"
case $set in
hh) file=hh_harmless_base_test.jsonl ;;
oasst) file=oasst_en_rankings.jsonl ;;
esac
[ -f "$set/fold-4.jsonl" ] || "$here/folds.py" "$set" "$preferences/$file" "$set"
for fold in "$@"; do
    run=$set-$arm-$fold-$rows
    [ -f "$run-scores.jsonl" ] && continue
    head -n "$rows" "$set/train-$fold.jsonl" > "$run.jsonl"
    tail -n 8 "$set/train-$fold.jsonl" > "$set-few-$fold.jsonl" # of the loop's own held-out rows only few: they cost time
    if [ -d "$run" ]; then set -- --resume; else set --; fi
    "$helpmate" "$arm" --config "$here/configs/$arm-folds.toml" --model "$model" --data "$run.jsonl" \
        --eval-data "$set-few-$fold.jsonl" --out "$run" --seed $((fold + 1)) --threads "${THREADS:-$(nproc)}" "$@"
    if [ "$arm" = rm ]; then set -- --reward "$run"; else set -- --policy "$run" --reference "$model"; fi
    "$helpmate" score "$@" --threads "${THREADS:-$(nproc)}" --data "$set/fold-$fold.jsonl" --out "$run-scores.jsonl"
done
"$here/summary.py" folds "$out"
