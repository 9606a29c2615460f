#!/bin/sh
# unseen.sh HELPMATE MODEL OUT CLUSTER… -- SEED…: each cluster held out in turn, with each seed; prints a line a run.
set -eu
helpmate=$1 model=$2 out=$3
shift 3
clusters=
while [ "$1" != -- ]; do clusters="$clusters $1"; shift; done
shift
here=$(dirname "$0")/../..
for cluster in $clusters; do
  for seed in "$@"; do
    "$helpmate" unseen --model "$model" --templates "$here/data/templates" --data "$here/data/labelled.jsonl" \
      --clusters "$here/data/task_clusters.json" --hold-out "$cluster" --seed "$seed" --epochs 2 \
      --set model.dtype=bf16 --set train.save_every=100000 --out "$out/$cluster-$seed" > "$out/$cluster-$seed.txt"
  done
done
python3 "$(dirname "$0")/unseen.py" "$out"/*/report.json
