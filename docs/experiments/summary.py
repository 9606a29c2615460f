#!/usr/bin/env python3
"""Tables of the recorded runs, as Markdown.

Usage: summary.py ppo-ptx OUT KL…       what ppo-ptx.sh wrote; the KLs at which the arms are compared
       summary.py kwise OUT SEED…       what kwise.sh wrote
       summary.py folds OUT             what folds.sh wrote
       summary.py world-… OUT [KL…]     what world-….sh wrote (world_tables.py)

Intervals are 95 %: over seeds Student's t, over prompts the bootstrap."""
import glob, json, math, os, random, re, sys

T = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}


def lines(path):
    return [json.loads(line) for line in open(path)]


def interval(values):
    """Mean with its half width over seeds."""
    n, mean = len(values), sum(values) / len(values)
    if n < 2:
        return f"{mean:.4f} (n = 1)"
    deviation = math.sqrt(sum((v - mean) ** 2 for v in values) / (n - 1))
    return f"{mean:.4f} ± {T[n - 1] * deviation / math.sqrt(n):.4f} (n = {n})"


def nats_per_token(path):
    values = [x for row in lines(path) for x in row["logprobs"] if x is not None]
    return -sum(values) / len(values)


def smooth(values, reach=1):
    """Means with neighbours on both sides (three in all): a KL from 128 rollouts is noisy."""
    near = [values[max(0, i - reach) : i + reach + 1] for i in range(len(values))]
    return [sum(window) / len(window) for window in near]


def curve(out, run, base):
    """(KL, rise of the held-out loss, reward) of the policy after each evaluated step."""
    metrics = lines(f"{out}/{run}/metrics.jsonl")
    kl, reward = smooth([m["kl_k1"] for m in metrics]), smooth([m["reward"] for m in metrics])
    points = [(0.0, 0.0, metrics[0]["reward"])]
    for path in glob.glob(f"{out}/{run}-*.jsonl"):
        found = re.fullmatch(rf"{run}-(\d+)\.jsonl", os.path.basename(path))
        if found and int(found[1]) < len(metrics):  # the KL after step n is that of rollouts n + 1
            n = int(found[1])
            points.append((n, kl[n], nats_per_token(path) - base, reward[n]))
    return [points[0]] + [p[1:] for p in sorted(points[1:])]


def at(points, kl):
    """Loss, reward (and what else there is) at the first crossing of a KL, in a straight line between its neighbours."""
    for a, b in zip(points, points[1:]):
        if a[0] <= kl <= b[0]:
            s = (kl - a[0]) / (b[0] - a[0])
            return tuple(x + s * (y - x) for x, y in zip(a[1:], b[1:]))
    return None


def rate(path):
    scores = [x for row in lines(path) for x in row["rewards"]]
    return sum(scores) / len(scores)


def ppo_ptx(out, kls):
    base = nats_per_token(f"{out}/base.jsonl")
    seeds = sorted({int(re.search(r"(\d+)-answers", p)[1]) for p in glob.glob(f"{out}/ppo-ptx-*-answers.jsonl.scores")})
    print(f"base: {base:.4f} nats a token on its own held-out text; reward on held-out openings {rate(out + '/base-answers.jsonl.scores'):.4f}\n")
    print("| seed | arm | reward, iterations 26–30 | KL of these, nats | reward on held-out openings | held-out loss − base's |")
    print("|---|---|---|---|---|---|")
    columns = {}
    for arm in ("ppo", "ppo-ptx"):
        for seed in seeds:
            run = f"{arm}-{seed}"
            metrics, last = lines(f"{out}/{run}/metrics.jsonl"), f"{out}/{run}-30.jsonl"
            mean = lambda key: sum(m[key] for m in metrics[25:30]) / 5
            row = [mean("reward"), mean("kl_k1"), rate(f"{out}/{run}-answers.jsonl.scores"), nats_per_token(last) - base]
            columns.setdefault(arm, []).append(row)
            print(f"| {seed} | {arm} | " + " | ".join(f"{x:.4f}" for x in row) + " |")
    for arm, rows in columns.items():
        print(f"| **all** | {arm} | " + " | ".join(interval(list(column)) for column in zip(*rows)) + " |")
    print("\n| KL, nats | seed | loss − base's: ppo | ppo-ptx | difference | reward: ppo | ppo-ptx | difference |")
    print("|---|---|---|---|---|---|---|---|")
    for kl in kls:
        losses, rewards = [], []
        for seed in seeds:
            plain, mixed = (at(curve(out, f"{arm}-{seed}", base), kl) for arm in ("ppo", "ppo-ptx"))
            if plain is None or mixed is None:
                print(f"| {kl} | {seed} | {plain} | {mixed} | not reached | | | |")
                continue
            losses.append(mixed[0] - plain[0])
            rewards.append(mixed[1] - plain[1])
            print(f"| {kl} | {seed} | {plain[0]:.4f} | {mixed[0]:.4f} | {losses[-1]:.4f} | {plain[1]:.3f} | {mixed[1]:.3f} | {rewards[-1]:.3f} |")
        if losses:
            print(f"| {kl} | **all** | | | {interval(losses)} | | | {interval(rewards)} |")


def pair_accuracy(rankings, scores):
    good = n = 0
    for row, score in zip(lines(rankings), lines(scores)):
        by_rank = [r for _, r in sorted(zip((c["rank"] for c in row["completions"]), score["rewards"]))]
        for i in range(len(by_rank)):
            for j in range(i + 1, len(by_rank)):
                good, n = good + (by_rank[i] > by_rank[j]) + 0.5 * (by_rank[i] == by_rank[j]), n + 1
    return good / n


def kwise(out, seeds):
    own = [float(open(f"{out}/utility-{seed}.txt").read().split()[-1]) for seed in seeds]
    print(f"held-out accuracy of the hidden utility itself: {interval(own)}")
    for setting in ("few", "many"):
        print(f"\n**{setting} steps**\n\n| seed | arm | held-out loss: best | at the end | rise | held-out accuracy at the end | training accuracy | gap |")
        print("|---|---|---|---|---|---|---|---|")
        columns = {}
        for seed in seeds:
            for arm in ("kwise", "pairs"):
                run = f"{out}/{arm}-{setting}-{seed}"
                evaluations = lines(f"{run}/evaluations.jsonl")
                loss, accuracy = [e["held_out_loss"] for e in evaluations], evaluations[-1]["accuracy"]
                trained = pair_accuracy(f"{out}/rankings-{seed}.jsonl", f"{run}-train-scores.jsonl")
                row = [min(loss), loss[-1], loss[-1] - min(loss), accuracy, trained, trained - accuracy]
                columns.setdefault(arm, []).append(row)
                print(f"| {seed} | {arm} | " + " | ".join(f"{x:.4f}" for x in row) + " |")
        for arm, rows in columns.items():
            print(f"| **all** | {arm} | " + " | ".join(interval(list(column)) for column in zip(*rows)) + " |")
        differences = [[p - k for k, p in zip(*rows)] for rows in zip(columns["kwise"], columns["pairs"])]
        print("| **all** | pairs − kwise | " + " | ".join(interval(list(column)) for column in zip(*differences)) + " |")


def by_prompt(rows, right):
    """Share of right pairs with its interval by bootstrap over prompts (2,000 draws)."""
    groups = {}
    for row, value in zip(rows, right):
        groups.setdefault(row["prompt"], []).append(value)
    groups, draw = list(groups.values()), random.Random(0)
    shares = []
    for _ in range(2000):
        drawn = [groups[draw.randrange(len(groups))] for _ in groups]
        shares.append(sum(map(sum, drawn)) / sum(map(len, drawn)))
    shares.sort()
    return f"{100 * sum(right) / len(right):.1f} % [{100 * shares[49]:.1f}, {100 * shares[1949]:.1f}]"


def better(a, b):
    return 0.5 if a == b else float(a > b)


def pairs_of(row, scores):
    """(better, worse) by people, each as (text, score)."""
    if "chosen" in row:
        return [((row["chosen"], scores[0]), (row["rejected"], scores[1]))]
    answers = [(c["rank"], (c["text"], s)) for c, s in zip(row["completions"], scores)]
    return [(a, b) for rank_a, a in answers for rank_b, b in answers if rank_a < rank_b]


def folds(out):
    print("| data | what | fold | training rows | held-out pairs | accuracy | more characters | fewer characters |")
    print("|---|---|---|---|---|---|---|---|")
    everything = {}
    for path in sorted(glob.glob(f"{out}/*-scores.jsonl")):
        data, arm, fold, n = re.search(r"([a-z]+)-([a-z]+)-(\d+)-(\d+)-scores", path).groups()
        rows, right, longer = [], [], []
        for row, score in zip(lines(f"{out}/{data}/fold-{fold}.jsonl"), lines(path)):
            for (text_a, score_a), (text_b, score_b) in pairs_of(row, score["rewards"]):
                rows.append(row)
                right.append(better(score_a, score_b))
                longer.append(better(len(text_a), len(text_b)))
        columns = [by_prompt(rows, column) for column in (right, longer, [1 - x for x in longer])]
        n_train = len(lines(f"{out}/{data}-{arm}-{fold}-{n}.jsonl"))
        print(f"| {data} | {arm} | {fold} | {n_train} | {len(rows)} | " + " | ".join(columns) + " |")
        for kept, found in zip(everything.setdefault((data, arm, n), ([], [], [])), (rows, right, longer)):
            kept.extend(found)
    for (data, arm, n), (rows, right, longer) in everything.items():
        columns = [by_prompt(rows, column) for column in (right, longer, [1 - x for x in longer])]
        print(f"| {data} | {arm} | **all** | ≤ {n} | {len(rows)} | " + " | ".join(columns) + " |")
    for (data, arm, n), (rows, right, longer) in everything.items():
        # The better of the two baselines, chosen on these very pairs: to its advantage.
        sign = 1 if 2 * sum(longer) > len(longer) else -1
        less = [r - (x if sign > 0 else 1 - x) for r, x in zip(right, longer)]
        print(f"\n{data}, {arm}: less the better of the length baselines, paired by pair: {by_prompt(rows, less)}")
    for (data, arm, n), (rows, right, _) in everything.items():
        other = everything.get((data, "rm", n))
        if arm == "dpo" and other and len(other[0]) == len(rows):
            less = [d - r for d, r in zip(right, other[1])]
            print(f"\n{data}: DPO less the reward model, paired by pair: {by_prompt(rows, less)}")


def main():
    kind, out, rest = sys.argv[1], sys.argv[2], sys.argv[3:]
    if kind == "ppo-ptx":
        ppo_ptx(out, [float(kl) for kl in rest])
    elif kind == "kwise":
        kwise(out, [int(seed) for seed in rest])
    elif kind.startswith("world-"):
        sys.dont_write_bytecode = True
        import world_tables

        world_tables.TABLES[kind](out, rest)
    else:
        folds(out)


if __name__ == "__main__":
    main()
