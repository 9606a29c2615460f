#!/usr/bin/env python3
"""People's comparisons, cut to what two cores can train on, in five folds; for folds.sh.

Usage: folds.py hh    hh_harmless_base_test.jsonl OUT     folds by first human turn
       folds.py oasst oasst_en_rankings.jsonl     OUT     folds by conversation tree

Writes OUT/fold-N.jsonl (held out) and OUT/train-N.jsonl, N = 0..4. The prompt, plain text, keeps the newest whole turns up to 400
characters (the last human turn always); answers are not cut. HH rows whose transcripts differ before the last answer, or with equal
or empty answers, are left out and counted."""
import hashlib, json, os, random, re, sys

ROOM = 400


def prompt_of(turns):
    kept, room = [], ROOM
    for role, text in reversed(turns):
        if kept and len(text) > room:
            break
        kept.append((role, text))
        room -= len(text)
    kept.reverse()
    while kept[0][0] == "Assistant" and len(kept) > 1:
        kept.pop(0)
    return "".join(f"\n\n{role}: {text}" for role, text in kept) + "\n\nAssistant:"


def hh(source):
    def turns(transcript):
        parts = re.split(r"\n\n(Human|Assistant): ?", transcript)[1:]
        return [(role, text.strip()) for role, text in zip(parts[::2], parts[1::2])]

    chosen, rejected = turns(source["chosen"]), turns(source["rejected"])
    if chosen[:-1] != rejected[:-1] or chosen[-1][0] != "Assistant" or rejected[-1][0] != "Assistant":
        return None
    if chosen[-1][1] == rejected[-1][1] or not chosen[-1][1] or not rejected[-1][1]:
        return None
    row = {"prompt": prompt_of(chosen[:-1]), "chosen": " " + chosen[-1][1], "rejected": " " + rejected[-1][1]}
    return chosen[0][1], row


def oasst(source):
    turns = [("Human" if turn["role"] == "prompter" else "Assistant", turn["text"]) for turn in source["prompt"]]
    completions = [{"text": " " + c["text"].strip(), "rank": c["rank"]} for c in source["completions"]]
    return source["tree_id"], {"prompt": prompt_of(turns), "completions": completions}


read, path, out = {"hh": hh, "oasst": oasst}[sys.argv[1]], sys.argv[2], sys.argv[3]
os.makedirs(out, exist_ok=True)
folds, left_out = [[] for _ in range(5)], 0
for line in open(path):
    found = read(json.loads(line))
    if found is None:
        left_out += 1
    else:
        folds[int(hashlib.sha256(found[0].encode()).hexdigest(), 16) % 5].append({**found[1], "source": "human"})
for n, held_out in enumerate(folds):
    train = [row for other in range(5) if other != n for row in folds[other]]
    random.Random(n).shuffle(train)
    for name, rows in (("fold", held_out), ("train", train)):
        with open(f"{out}/{name}-{n}.jsonl", "w") as f:
            f.writelines(json.dumps(row) + "\n" for row in rows)
print(f"{sum(map(len, folds))} rows in folds of {[len(f) for f in folds]}, {left_out} left out")
