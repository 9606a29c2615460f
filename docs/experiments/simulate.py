#!/usr/bin/env python3
"""Simulated rankings for kwise.sh: answers by a model, ordered by a hidden utility with noise.

Usage: simulate.py prompts SAMPLES N > prompts.jsonl          the first 12 words of N texts
       simulate.py rank ANSWERS SEED TRAIN PAIRS HELD_OUT     first half of the prompts trained on, the other held out

Utility: glad words less sad words; a Gumbel variable is added to each answer's, so that the order is a draw from
Plackett-Luce and of two answers i is preferred to j with probability sigmoid(u_i - u_j)."""
import itertools, json, math, random, re, sys

GLAD = {"happy", "fun", "smiled", "love", "loved", "play", "played", "friend", "friends", "nice", "laughed", "proud", "good"}
SAD = {"sad", "scared", "cry", "cried", "bad", "hurt", "not", "lost", "angry", "afraid", "mean", "no"}


def utility(text):
    words = re.findall(r"[a-z]+", text.lower())
    return sum(w in GLAD for w in words) - sum(w in SAD for w in words)


def prompts(samples, n):
    seen = set()
    for line in open(samples):
        prompt = " ".join(json.loads(line)["completion"].split()[:12])
        if prompt not in seen and len(seen) < n:
            seen.add(prompt)
            print(json.dumps({"prompt": prompt, "source": "model"}))
    if len(seen) < n:
        sys.exit(f"only {len(seen)} different prompts, expected {n}")


def rank(answers, seed, train, pairs, held_out):
    noise = random.Random(seed)
    groups = {}
    for line in open(answers):
        row = json.loads(line)
        texts = groups.setdefault(row["prompt"], [])
        if row["completion"] not in texts:
            texts.append(row["completion"])
    rows, best_possible = [], []
    for prompt, texts in groups.items():
        drawn = {t: utility(t) - math.log(-math.log(noise.random())) for t in texts}
        order = sorted(texts, key=lambda t: -drawn[t])
        completions = [{"text": t, "rank": i + 1} for i, t in enumerate(order)]
        rows.append({"prompt": prompt, "completions": completions, "source": "simulated"})
        if len(rows) > len(groups) // 2:
            best_possible += [
                0.5 if utility(a) == utility(b) else float(utility(a) > utility(b)) for a, b in itertools.combinations(order, 2)
            ]
    half = len(rows) // 2
    write = lambda path, rows: open(path, "w").writelines(json.dumps(r) + "\n" for r in rows)
    write(train, rows[:half])
    write(held_out, rows[half:])
    write(pairs, [
        {"prompt": r["prompt"], "chosen": a["text"], "rejected": b["text"], "source": "simulated"}
        for r in rows[:half] for a, b in itertools.combinations(r["completions"], 2)
    ])
    print(f"held-out accuracy of the utility itself: {sum(best_possible) / len(best_possible):.4f}", file=sys.stderr)


if sys.argv[1] == "prompts":
    prompts(sys.argv[2], int(sys.argv[3]))
else:
    rank(sys.argv[2], int(sys.argv[3]), *sys.argv[4:7])
