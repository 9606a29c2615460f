# What the experiments in the small world share; the scripts read it with HELPMATE and OUT in $helpmate and $out.
# A seed's loop is made once and serves them all. Two scripts may run side by side: who comes second waits.
here=$(cd "$(dirname "$0")" && pwd)
threads=${THREADS:-1}
mkdir -p "$out"
cd "$out"
export HELPMATE_HOME="${HELPMATE_HOME:-$PWD/home}"
rows=$here/world_rows.py

once() { # FILE COMMAND…: runs the command, which makes FILE, unless FILE is there
    made=$1
    shift
    (
        flock 9
        [ -e "$made" ] || "$@"
    ) 9> "$(echo "$made" | tr / -).lock"
}

loop() { # SIZE SEED → loop-SIZE-SEED: quickstart's SFT, reward model, PPO and PPO-ptx, all measured
    once "loop-$1-$2/report.json" sh -c '"$@" > "$0"' "loop-$1-$2.txt" "$helpmate" quickstart --model "world-$1" --seed "$2" \
        --plan "$here/configs/world-$1.json" --threads "$threads" --out "loop-$1-$2"
}

begun() { # SIZE SEED: the same as far as the reward model; an interrupted loop goes on later and ends as it would have
    [ -d "loop-$1-$2/rm/final" ] || loop "$1" "$2"
}

questions() { # SIZE SEED → questions.jsonl, bare.jsonl: what quickstart measured on, the same for all; bare as the base is asked
    once questions.jsonl "$rows" questions "loop-$1-$2/answers/sft.jsonl" questions.jsonl bare.jsonl
}

answers() { # MODEL NAME SEED → NAME.jsonl, NAME-gold.jsonl: two answers to each of those questions, judged
    once "$2.jsonl" "$helpmate" generate --model "$1" --prompts questions.jsonl --n 2 --seed "$3" --max-new-tokens 48 --batch 64 \
        --threads "$threads" --out "$2.jsonl"
    once "$2-gold.jsonl" "$helpmate" world check --data "$2.jsonl" --out "$2-gold.jsonl" > /dev/null
}

samples() { # SEED: 64 answers of the 0.5M SFT model to each of 100 prompts of the policy split, and written ones, scored by all
    begun 0.5m "$1"
    sft=loop-0.5m-$1/sft
    rm=loop-0.5m-$1/rm
    once written.jsonl "$helpmate" world rankings --split policy --n 100 --k 9 --groups gold --noise 0 --tie 0 --mistake 0 --out written.jsonl
    once "samples-$1.jsonl" "$helpmate" generate --model "$sft" --prompts written.jsonl --n 64 --seed "5$1" --max-new-tokens 48 \
        --batch 64 --threads "$threads" --out "samples-$1.jsonl"
    once "unique-$1.jsonl" "$rows" unique "samples-$1.jsonl" written.jsonl "unique-$1.jsonl" # the written ones behind
    once "unique-$1-gold.jsonl" "$helpmate" world check --data "unique-$1.jsonl" --out "unique-$1-gold.jsonl" > /dev/null
    once "unique-$1-proxy.jsonl" "$helpmate" score --reward "$rm" --data "unique-$1.jsonl" --threads "$threads" --out "unique-$1-proxy.jsonl"
    once "unique-$1-likely.jsonl" "$helpmate" logprobs --model "$sft" --data "unique-$1.jsonl" --threads "$threads" --out "unique-$1-likely.jsonl"
}

# The updates after which held-out loss is measured in a long run.
evaluated=${STEPS:-5 10 20 40 70 100}

long() { # ARM SEED → long-ARM-SEED: PPO (ppo) or PPO with the mix (ppo-ptx) from the 0.5M SFT model against its own reward model
    begun 0.5m "$2"
    folder=loop-0.5m-$2
    run=long-$1-$2
    once held-out.jsonl "$helpmate" world text --from 1099511627776 --n 200 --out held-out.jsonl # 2⁴⁰: no base read further
    once "sft-$2.jsonl" "$helpmate" logprobs --model "$folder/sft" --data held-out.jsonl --threads "$threads" --out "sft-$2.jsonl"
    (
        flock 8
        for steps in $evaluated; do
            [ -f "$run-$steps.jsonl" ] && continue
            if [ -d "$run" ]; then set -- "$1" "$2" --resume; else set -- "$1" "$2"; fi
            [ "$1" = ppo ] || set -- "$@" --ptx "$folder/data/mix.jsonl"
            arm=$1 seed=$2
            shift 2
            "$helpmate" ppo --config "$here/configs/world-$arm.toml" --model "$folder/sft" --reward "$folder/rm" --value "$folder/rm/final" \
                --prompts "$folder/data/policy.jsonl" --seed "$seed" --max-steps "$steps" --threads "$threads" --out "$run" "$@"
            set -- "$arm" "$seed"
            "$helpmate" logprobs --model "$run" --data held-out.jsonl --threads "$threads" --out "$run-$steps.jsonl"
        done
    ) 8> "$run.lock"
}
