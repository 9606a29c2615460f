#!/usr/bin/env python3
"""Harmlessness comparisons (HH) cut to what two cores can train on, in five folds by first human turn.

Usage: hh.py HH.jsonl OUT     writes OUT/fold-N.jsonl (held out) and OUT/train-N.jsonl, N = 0..4

The prompt, plain text, keeps the newest whole turns up to 400 characters (the last human turn always); answers are not cut.
Rows whose transcripts differ before the last answer, or with equal or empty answers, are left out and counted."""
import hashlib, json, os, random, re, sys


def turns(transcript):
    parts = re.split(r"\n\n(Human|Assistant): ?", transcript)[1:]
    return [(role, text.strip()) for role, text in zip(parts[::2], parts[1::2])]


def row(line):
    source = json.loads(line)
    chosen, rejected = turns(source["chosen"]), turns(source["rejected"])
    if chosen[:-1] != rejected[:-1] or chosen[-1][0] != "Assistant" or rejected[-1][0] != "Assistant":
        return None
    if chosen[-1][1] == rejected[-1][1] or not chosen[-1][1] or not rejected[-1][1]:
        return None
    context, kept, room = chosen[:-1], [], 400
    for role, text in reversed(context):
        if kept and (len(text) > room or not text):
            break
        kept.append((role, text))
        room -= len(text)
    kept.reverse()
    while kept and kept[0][0] == "Assistant":
        kept.pop(0)
    prompt = "".join(f"\n\n{role}: {text}" for role, text in kept) + "\n\nAssistant:"
    fold = int(hashlib.sha256(context[0][1].encode()).hexdigest(), 16) % 5
    answers = {"chosen": " " + chosen[-1][1], "rejected": " " + rejected[-1][1]}
    return fold, {"prompt": prompt, **answers, "source": "human"}


os.makedirs(sys.argv[2], exist_ok=True)
folds, left_out = [[] for _ in range(5)], 0
for line in open(sys.argv[1]):
    found = row(line)
    if found is None:
        left_out += 1
    else:
        folds[found[0]].append(found[1])
for n, held_out in enumerate(folds):
    train = [r for other in range(5) if other != n for r in folds[other]]
    for name, rows in (("fold", held_out), ("train", train)):
        random.Random(n).shuffle(rows)
        with open(f"{sys.argv[2]}/{name}-{n}.jsonl", "w") as f:
            f.writelines(json.dumps(r) + "\n" for r in rows)
pairs = sum(folds, [])
longer = sum(0.5 * (len(r["chosen"]) >= len(r["rejected"])) + 0.5 * (len(r["chosen"]) > len(r["rejected"])) for r in pairs)
print(f"{len(pairs)} pairs in folds of {[len(f) for f in folds]}, {left_out} left out; longer is better: {longer / len(pairs):.4f}")
