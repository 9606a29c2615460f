"""Tables of the experiments in the small world; summary.py calls them with OUT and what stands behind it."""
import glob, json, math, os, random, re

from summary import at, interval, lines, nats_per_token, smooth

IGNORANT = re.compile(r"\bknow (nothing|nobody)\b|\bnot know\b|\bdoes not say\b")
STAGES = ("base", "few-shot", "sft", "ppo", "ppo-ptx")


def table(head, rows):
    print("| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(str(cell) for cell in row) + " |")
    print()


def seeds_of(out, pattern):
    """Seeds of the files that match, `(\\d+)` in the pattern."""
    found = (re.fullmatch(pattern, os.path.relpath(path, out)) for path in glob.glob(f"{out}/**", recursive=True))
    return sorted({int(match[1]) for match in found if match})


def mean(values):
    values = list(values)
    return sum(values) / len(values) if values else math.nan


def paired(values):
    """Mean of differences, one a question, with its interval by bootstrap over questions (2,000 draws)."""
    draw, n = random.Random(0), len(values)
    drawn = sorted(sum(draw.choices(values, k=n)) / n for _ in range(2000))
    return f"{mean(values):+.3f} [{drawn[49]:+.3f}, {drawn[1949]:+.3f}] (n = {n})"


def spread(values):
    """A mean over questions with its interval by bootstrap (2,000 draws)."""
    draw, n = random.Random(0), len(values)
    drawn = sorted(sum(draw.choices(values, k=n)) / n for _ in range(2000))
    return f"{mean(values):.3f} [{drawn[49]:.3f}, {drawn[1949]:.3f}] (n = {n})"


def unpaired(of, to):
    """Difference of two means with twice its standard error."""
    variance = lambda values: sum((v - mean(values)) ** 2 for v in values) / (len(values) - 1) / len(values)
    return f"{mean(of) - mean(to):+.3f} ± {2 * math.sqrt(variance(of) + variance(to)):.3f}"


def key(row):
    return json.dumps(row["prompt"])


def by_prompt(rows, value):
    found = {}
    for row in rows:
        found.setdefault(key(row), []).append(value(row))
    return {prompt: mean(values) for prompt, values in found.items()}


def gold_of(path):
    """Gold's overall of each question, of answers as quickstart writes them or of `world check`."""
    return by_prompt(lines(path), lambda row: row["gold"]["overall"] if "gold" in row else row["overall"])


def difference(of, to):
    return [of[prompt] - to[prompt] for prompt in of if prompt in to]


def cell(report, measure, model, what="value"):
    line = next(line for line in report["measures"] if line["key"] == measure)
    found = next(one for one in line["models"] if one["model"] == model)[what]
    return found


def shown(estimate, sign=""):
    if estimate is None:
        return "–"
    if estimate.get("low") is None:
        return f"{estimate['value']:{sign}.3f}"
    return f"{estimate['value']:{sign}.3f} [{estimate['low']:{sign}.3f}, {estimate['high']:{sign}.3f}]"


def size(out, _):
    measures = ("overall", "truth", "hallucination", "constraints", "helpful", "reward", "kl_sft", "alike", "distinct_2", "text_loss")
    everything = {}
    for name in ("0.5m", "2m", "8m"):
        for seed in seeds_of(out, rf"loop-{re.escape(name)}-(\d+)/report\.json"):
            everything.setdefault(name, {})[seed] = json.load(open(f"{out}/loop-{name}-{seed}/report.json"))
    rows = []
    for name in ("0.5m", "2m", "8m"):
        if os.path.exists(f"{out}/few-shot-{name}-gold.jsonl"):
            rows.append([name] + [spread(list(gold_of(f"{out}/{manner}-{name}-gold.jsonl").values())) for manner in ("bare", "few-shot")])
            for path in sorted(glob.glob(f"{out}/sft-{name}-*-gold.jsonl")):
                rows[-1].append(path.split("-")[-2] + ": " + spread(list(gold_of(path).values())))
    print("**Asked by themselves: right as a whole (gold)**\n")
    width = max(map(len, rows), default=3)
    table(["base", "bare question", "few-shot", *["SFT (seed: gold)"] * (width - 3)], [row + ["–"] * (width - len(row)) for row in rows])
    print("**Right as a whole (gold), mean over questions**\n")
    rows = []
    for name, reports in everything.items():
        for seed, report in reports.items():
            rows.append([name, seed] + [shown(cell(report, "overall", stage)) for stage in STAGES])
        column = lambda stage: [cell(report, "overall", stage)["value"] for report in reports.values()]
        rows.append([f"**{name}**", "**all**"] + [interval(column(stage)) for stage in STAGES])
    table(["base", "seed", *STAGES], rows)
    print("**What each step changed in it, paired by question**\n")
    rows = []
    for name, reports in everything.items():
        values = {}
        for seed, report in reports.items():
            of = {"sft − base": cell(report, "overall", "sft", "against_base"), "ppo − sft": cell(report, "overall", "ppo", "against_sft"),
                  "ppo-ptx − sft": cell(report, "overall", "ppo-ptx", "against_sft"),
                  "few-shot − sft": cell(report, "overall", "few-shot", "against_sft")}
            rows.append([name, seed] + [shown(one, "+") for one in of.values()])
            for step, one in of.items():
                values.setdefault(step, []).append(one["value"])
        rows.append([f"**{name}**", "**all**"] + [interval(column) for column in values.values()])
    table(["base", "seed", "sft − base", "ppo − sft", "ppo-ptx − sft", "few-shot − sft"], rows)
    print("**The parts, the proxy and the cost, means over seeds**\n")
    rows = []
    for name, reports in everything.items():
        for measure in measures[1:]:
            cells = []
            for stage in STAGES:
                found = [cell(report, measure, stage) for report in reports.values()]
                cells.append("–" if None in found else interval([one["value"] for one in found]))
            rows.append([name, measure, *cells])
    table(["base", "measure", *STAGES], rows)
    print("**Whole answers: right (gold ≥ .999), and confessing not to know**\n")
    rows = []
    for name, reports in everything.items():
        for seed in reports:
            answers = {stage: lines(f"{out}/loop-{name}-{seed}/answers/{stage}.jsonl") for stage in STAGES}
            for what, test in (("right", lambda a: a["gold"]["overall"] >= RIGHT), ("confessing", lambda a: IGNORANT.search(a["completion"]))):
                rows.append([name, seed, what] + [f"{mean(bool(test(a)) for a in found):.3f}" for found in answers.values()])
    table(["base", "seed", "share of answers", *STAGES], rows)
    print("**Reward models: held-out pairs of the rankings ordered right**\n")
    rows = []
    for name, reports in everything.items():
        for seed, report in reports.items():
            found = report["reward_model"]
            accuracy, length = found["accuracy"], found["length_baseline"]
            rows.append([name, seed, f"{accuracy['estimate']:.3f} [{accuracy['low']:.3f}, {accuracy['high']:.3f}] ({accuracy['pairs']} pairs)",
                         f"{length['estimate']:.3f}"])
    table(["base", "seed", "accuracy", "the longer answer"], rows)


def accuracy_of(run):
    found = json.load(open(f"{run}/accuracy.json"))["accuracy"]
    return found["estimate"], f"{found['estimate']:.3f} [{found['low']:.3f}, {found['high']:.3f}]"


def small_reward(out, _):
    rows, columns = [], []
    for seed in seeds_of(out, r"small-small-(\d+)-gold\.jsonl"):
        loop = f"{out}/loop-2m-{seed}"
        gold = {name: gold_of(f"{out}/small-{name}-{seed}-gold.jsonl") for name in ("sft", "ppo", "small")}
        equal, small = accuracy_of(f"{loop}/rm"), accuracy_of(f"{out}/small-rm-{seed}")
        kl = [mean(m["kl_k1"] for m in lines(f"{run}/metrics.jsonl")[-5:]) for run in (f"{loop}/ppo", f"{out}/small-ppo-{seed}")]
        means = [mean(gold[name].values()) for name in ("sft", "ppo", "small")]
        rows.append([seed, equal[1], small[1], *(f"{x:.3f}" for x in means), paired(difference(gold["ppo"], gold["sft"])),
                     paired(difference(gold["small"], gold["sft"])), paired(difference(gold["small"], gold["ppo"])), *(f"{x:.2f}" for x in kl)])
        columns.append([equal[0], small[0], *means, means[1] - means[0], means[2] - means[0], means[2] - means[1], *kl])
    rows.append(["**all**"] + [interval(list(column)) for column in zip(*columns)])
    table(["seed", "accuracy: 2m", "0.5m", "gold: SFT", "PPO, 2m reward", "PPO, 0.5m reward", "PPO 2m − SFT", "PPO 0.5m − SFT",
           "PPO 0.5m − PPO 2m", "KL: 2m", "0.5m"], rows)


def scale(out, seed):
    config = json.load(open(f"{out}/loop-0.5m-{seed}/rm/final/config.json"))
    return config["reward_mean"], config["reward_std"]


class Samples:
    """64 answers of the SFT model to each of 100 prompts, and written ones, with everything that was said of them."""

    def __init__(self, out, seed, by="proxy"):
        """`by`: what the proxy is, the reward model's score or DPO's implicit reward."""
        shift, width = scale(out, seed) if by == "proxy" else (0, 1)
        gold, proxy, likely = (lines(f"{out}/unique-{seed}-{name}.jsonl") for name in ("gold", by, "likely"))
        facts = {}
        for row, g, p, l in zip(lines(f"{out}/unique-{seed}.jsonl"), gold, proxy, likely):
            log_likelihood = [x for x, learnt in zip(l["logprobs"], l["mask"]) if learnt]
            facts[key(row), row["completion"]] = {
                "gold": g["overall"], "proxy": (p["rewards"][0] - shift) / width, "likely": sum(log_likelihood),
                "a token": mean(log_likelihood), "text": row["completion"]}
        self.prompts, self.n_empty = {}, 0
        for row in lines(f"{out}/samples-{seed}.jsonl"):
            one = facts.get((key(row), row["completion"].strip()))
            self.n_empty += one is None
            if one:
                self.prompts.setdefault(key(row), []).append(one)
        self.written = {key(row): [facts[key(row), c["text"].strip()] for c in row["completions"] if c["text"].strip()]
                        for row in lines(f"{out}/written.jsonl")}

    def best(self, n, by, value):
        """prompt → value of the best of n by a score, exactly, over all draws of n without return."""
        def of(answers):
            n_drawn = min(n, len(answers))
            order, all_draws = sorted(answers, key=lambda a: -a[by]), math.comb(len(answers), n_drawn)
            return sum(math.comb(len(order) - 1 - i, n_drawn - 1) / all_draws * a[value] for i, a in enumerate(order))
        return {prompt: of(answers) for prompt, answers in self.prompts.items()}


def over_seeds(of_seeds):
    """Mean over seeds of each prompt, where it has a value."""
    prompts = {prompt for found in of_seeds for prompt in found}
    return {prompt: mean(found[prompt] for found in of_seeds if prompt in found) for prompt in sorted(prompts)}


def with_seeds(of_seeds):
    """Each seed's mean, then their mean with its interval over prompts."""
    seeds = ", ".join(f"{mean(found.values()):.3f}" for found in of_seeds) + "; " if len(of_seeds) > 1 else ""
    return seeds + spread(list(over_seeds(of_seeds).values()))


NS = (1, 2, 4, 8, 16, 32, 64)
SPAN = 10


def overoptimisation(out, _):
    seeds = seeds_of(out, r"long-ppo-(\d+)-100\.jsonl")
    curves, rows = {}, []
    for seed in seeds:
        metrics = lines(f"{out}/long-ppo-{seed}/metrics.jsonl")
        for begin in range(0, len(metrics), SPAN):
            span = metrics[begin : begin + SPAN]
            values = [math.sqrt(max(0.0, mean(m["kl_k1"] for m in span)))] + [mean(m[k] for m in span) for k in ("reward", "gold", "length", "entropy")]
            curves.setdefault(begin, []).append(values)
            within = [interval([m[k] for m in span]) for k in ("reward", "gold")]
            rows.append([f"{begin + 1}–{begin + len(span)}", seed, f"{values[0]:.3f}", *within] + [f"{v:.3f}" for v in values[3:]])
        best = max(range(0, len(metrics), SPAN), key=lambda i: mean(m["gold"] for m in metrics[i : i + SPAN]))
        print(f"seed {seed}: gold of the last {SPAN} iterations less that of the best ten ({best + 1}–{best + SPAN}): "
              + unpaired([m["gold"] for m in metrics[-SPAN:]], [m["gold"] for m in metrics[best : best + SPAN]])
              + ", less the first: " + unpaired([m["gold"] for m in metrics[-SPAN:]], [m["gold"] for m in metrics[:SPAN]])
              + ", the best less the first: " + unpaired([m["gold"] for m in metrics[best : best + SPAN]], [m["gold"] for m in metrics[:SPAN]]) + "\n")
    rows.sort(key=lambda row: (int(row[0].split("–")[0]), row[1]))
    print("**PPO without a KL penalty**\n")
    if len(seeds) > 1:
        table(["iterations", "√KL", "proxy", "gold", "tokens", "entropy"],
              [[f"{begin + 1}–{begin + SPAN}"] + [interval(list(column)) for column in zip(*found)] for begin, found in sorted(curves.items())])
    print("Every seed, with intervals over the ten iterations:\n")
    table(["iterations", "seed", "√KL", "proxy", "gold", "tokens", "entropy"], rows)
    best_of_n(out)


def best_of_n(out):
    seeds = seeds_of(out, r"unique-(\d+)-likely\.jsonl")
    found = {seed: Samples(out, seed) for seed in seeds}
    print(f"**Best of n by the proxy** (of 64 samples of the SFT model to each of 100 prompts; seeds {seeds}; intervals over prompts)\n")
    rows, first = [], None
    for n in NS:
        columns = [[s.best(n, *what) for s in found.values()] for what in (("proxy", "proxy"), ("proxy", "gold"), ("gold", "gold"))]
        first = first or over_seeds(columns[1])
        root = math.sqrt(max(0.0, math.log(n) - (n - 1) / n))
        rows.append([n, f"{root:.3f}", *map(with_seeds, columns[:2]), paired(difference(over_seeds(columns[1]), first)), with_seeds(columns[2])])
    table(["n", "√KL", "proxy", "gold", "gold less that of n = 1", "gold of the best by gold"], rows)
    print("empty answers left out: " + ", ".join(f"{s.n_empty} (seed {seed})" for seed, s in found.items()) + "\n")


def ptx_curve(out, run, start):
    """(KL, held-out loss less the start's, gold, proxy) after each evaluated step; rewards and KL are means of nine iterations."""
    metrics = lines(f"{out}/{run}/metrics.jsonl")
    kl, gold, proxy = (smooth([m[k] for m in metrics], 4) for k in ("kl_k1", "gold", "reward"))
    points = [(0.0, 0.0, gold[0], proxy[0])]
    for path in glob.glob(f"{out}/{run}-*.jsonl"):
        step = re.fullmatch(rf"{run}-(\d+)\.jsonl", os.path.basename(path))
        if step and int(step[1]) < len(metrics):  # the KL after step n is that of rollouts n + 1
            n = int(step[1])
            points.append((n, kl[n], nats_per_token(path) - start, gold[n], proxy[n]))
    return [points[0]] + [p[1:] for p in sorted(points[1:])]


def ptx(out, kls):
    seeds = seeds_of(out, r"long-ppo-ptx-(\d+)-100\.jsonl")
    base = nats_per_token(f"{out}/base.jsonl")
    start = {seed: nats_per_token(f"{out}/sft-{seed}.jsonl") for seed in seeds}
    print(f"held-out loss: base {base:.4f}, SFT {interval(list(start.values()))}\n")
    rows, columns = [], {}
    for seed in seeds:
        for arm in ("ppo", "ppo-ptx"):
            metrics, last = lines(f"{out}/long-{arm}-{seed}/metrics.jsonl"), nats_per_token(f"{out}/long-{arm}-{seed}-100.jsonl")
            row = [mean(m[k] for m in metrics[-10:]) for k in ("reward", "gold", "kl_k1")] + [last, last - start[seed], last - base]
            columns.setdefault(arm, []).append(row)
            rows.append([seed, arm] + [f"{x:.3f}" for x in row])
    for arm, found in columns.items():
        rows.append(["**all**", arm] + [interval(list(column)) for column in zip(*found)])
    table(["seed", "arm", "proxy", "gold", "KL", "held-out loss", "less SFT's", "less the base's"], rows)
    for seed in seeds:
        ends = [[-sum(x for x in row["logprobs"] if x is not None) / (len(row["logprobs"]) - 1) for row in lines(f"{out}/long-{arm}-{seed}-100.jsonl")]
                for arm in ("ppo", "ppo-ptx")]
        print(f"seed {seed}: held-out loss after 100 updates, ppo-ptx − ppo, paired by text: {paired([m - p for p, m in zip(*ends)])}\n")
    rows = []
    for kl in map(float, kls):
        kept = []
        for seed in seeds:
            plain, mixed = (at(ptx_curve(out, f"long-{arm}-{seed}", start[seed]), kl) for arm in ("ppo", "ppo-ptx"))
            if plain is None or mixed is None:
                rows.append([kl, seed] + ["not reached" if one is None else "reached" for one in (plain, mixed)] + [""] * 5)
                continue
            kept.append([m - p for p, m in zip(plain, mixed)])
            rows.append([kl, seed, f"{plain[0]:.3f}", f"{mixed[0]:.3f}", f"{kept[-1][0]:+.3f}", f"{plain[1]:.3f}", f"{mixed[1]:.3f}", f"{kept[-1][1]:+.3f}", f"{kept[-1][2]:+.3f}"])
        if kept:
            all_of = [interval(list(column)) for column in zip(*kept)]
            rows.append([kl, "**all**", "", "", all_of[0], "", "", all_of[1], all_of[2]])
    table(["KL, nats", "seed", "loss − SFT's: ppo", "ppo-ptx", "difference", "gold: ppo", "ppo-ptx", "difference", "proxy: difference"], rows)


def agreement(truth, scores, keep=lambda a, b: True):
    """prompt → (pairs ordered alike, half for equal scores; pairs that the truth orders). Scores: answer → number, by row."""
    found = {}
    for row, score in zip(truth, scores):
        answers, (good, n) = row["completions"], found.get(key(row), (0, 0))
        for i, a in enumerate(answers):
            for b in answers[i + 1 :]:
                if a["rank"] != b["rank"] and keep(key(row) + a["text"], key(row) + b["text"]):
                    d = (score[a["text"]] - score[b["text"]]) * (b["rank"] - a["rank"])
                    good, n = good + (d > 0) + 0.5 * (d == 0), n + 1
        found[key(row)] = good, n
    return found


def ratio(cells):
    return sum(good for good, _ in cells) / sum(n for _, n in cells)


def shares(of_seeds, less=None):
    """Each seed's share, then that of all together with its interval by bootstrap over prompts; with `less`, the difference."""
    both = [of_seeds] if less is None else [of_seeds, less]
    prompts = sorted(set.intersection(*(set(found) for side in both for found in side)))
    summed = [[tuple(map(sum, zip(*(found[p] for found in side)))) for p in prompts] for side in both]
    value = lambda places: (ratio([summed[0][i] for i in places]) - ratio([summed[1][i] for i in places]) if less
                            else ratio([summed[0][i] for i in places]))
    draw, places = random.Random(0), range(len(prompts))
    drawn = sorted(value(draw.choices(places, k=len(prompts))) for _ in range(1000))
    sign = "+" if less else ""
    seeds = [ratio(found.values()) for found in of_seeds]
    if less:
        seeds = [x - ratio(found.values()) for x, found in zip(seeds, less)]
    each = ", ".join(f"{x:{sign}.3f}" for x in seeds) + "; " if len(seeds) > 1 else ""
    return f"{each}{value(places):{sign}.3f} [{drawn[24]:{sign}.3f}, {drawn[974]:{sign}.3f}]"


def labelers(out, _):
    seeds = seeds_of(out, r"rm-without-form-first-(\d+)-test\.jsonl")
    groups = ("helpful-first", "truthful-first", "form-first")
    own = {seed: {key(row) + row["completion"] for row in lines(f"{out}/pool-eval-{seed}.jsonl") if row["source"] == "model"} for seed in seeds}

    def scores(name, seed):
        rows = lines(f"{out}/rankings-truth-helpful-first-{seed}.jsonl")
        return [dict(zip((c["text"] for c in row["completions"]), s["rewards"])) for row, s in zip(rows, lines(f"{out}/rm-{name}-{seed}-test.jsonl"))]

    def ranks(name, seed):
        return [{c["text"]: -c["rank"] for c in row["completions"]} for row in lines(f"{out}/rankings-{name}-{seed}.jsonl")]

    def against(group, name, of=scores, only_own=False):
        """Agreement with a group's true utility, by seed."""
        return [agreement(lines(f"{out}/rankings-truth-{group}-{seed}.jsonl"), of(name, seed),
                          (lambda a, b: a in own[seed] and b in own[seed]) if only_own else lambda a, b: True) for seed in seeds]

    def trained_on(name, seed):
        rows = lines(f"{out}/rankings-{name}-{seed}.jsonl")
        pairs = sum(a["rank"] != b["rank"] for row in rows for i, a in enumerate(row["completions"]) for b in row["completions"][i + 1 :])
        return f"{len(rows)} / {pairs}"

    def section(title, names):
        print(f"**{title}**\n")
        rows, usual = [], against("helpful-first", "noise-0.12")
        for what, name, beside in names:
            found = against("helpful-first", name)
            row = [what, trained_on(name, seeds[0]), shares(found), "–" if name == "noise-0.12" else shares(found, usual),
                   shares(against("helpful-first", name, only_own=True))]
            rows.append(row + ([shares(against("helpful-first", beside, ranks))] if beside else []))
        head = ["", "rankings / untied pairs (first seed)", "all pairs", "less the usual (noise .12, K = 4, 600 prompts)", "pairs of the model's own answers"]
        table(head + (["a labeler's own ranking"] if names[0][2] else []), rows)

    print(f"Seeds {seeds}, then all together with the interval over the 200 prompts.\n")
    section("Noise (K = 4, 600 prompts)", [(f"noise {s}", f"noise-{s}", f"labelers-{s}") for s in ("0", "0.12", "0.3", "1")])
    section("The same answers in rankings of K (noise .12)", [("K = 2", "k-2", None), ("K = 4", "noise-0.12", None), ("K = 8", "k-8", None)])
    section("Number of prompts (K = 4, noise .12)", [("150", "n-150", None), ("600", "noise-0.12", None)])
    print("**A group held out (K = 4, noise .12; two thirds of the rankings in each arm)**\n")
    rows = []
    for group in groups:
        without, everyone = against(group, f"without-{group}"), against(group, "all")
        others = [shares(against(group, f"truth-{other}", ranks)) for other in groups if other != group]
        rows.append([group, shares(without), shares(everyone), shares(without, everyone), *others])
    table(["group", "held out", "all three in training", "difference", "another group's true utility", "the third's"], rows)


def diversity(out, _):
    metrics = ("distinct_answers", "top_share", "distinct_2", "self_bleu", "entropy", "entropy_1", "ended", "tokens")
    for name in ("0.5m", "2m", "8m"):
        seeds, found = seeds_of(out, rf"diversity-{re.escape(name)}-(\d+)\.json"), {}
        for seed in seeds:
            for path in (f"{out}/diversity-base-{name}-{seed}.json", f"{out}/diversity-{name}-{seed}.json"):
                for model in json.load(open(path))["models"]:
                    estimates = {one["metric"]: one for one in model["tasks"][0]["estimates"]}
                    found.setdefault(model["model"]["name"], []).append(estimates)
        if not seeds:
            continue
        print(f"**world-{name}, seeds {seeds}**\n")
        value = lambda one: one["value"] if one["interval"] is None else one["value"]
        table(["model", *metrics], [[model] + [interval([value(one[m]) for one in all_of]) for m in metrics] for model, all_of in found.items()])
        rows = []
        for model, all_of in found.items():
            for seed, one in zip(seeds, all_of):
                rows.append([model, seed] + [f"{one[m]['value']:.3f} [{one[m]['interval'][0]:.3f}, {one[m]['interval'][1]:.3f}]" for m in metrics[:5]])
        print("Every seed, with intervals over 60 prompts:\n")
        table(["model", "seed", *metrics[:5]], rows)


BUCKETS = ((0, 0), (1, 8), (9, 32), (33, 64))
RIGHT, WRONG = 0.999, 0.5


def other_name(right, text):
    """Whether a text is the right answer but for one word."""
    a, b = right.split(), text.split()
    return len(a) == len(b) and sum(x != y for x, y in zip(a, b)) == 1


def share(pairs):
    """(right, wrong) scores → share of pairs with the right one above; half for equal ones."""
    return mean((a > b) + 0.5 * (a == b) for a, b in pairs)


def tests_of(samples, low, high):
    """(test, score) → prompt → share of pairs told right, of prompts with so many right answers of 64."""
    found = {}
    for prompt, answers in samples.prompts.items():
        if not low <= sum(a["gold"] >= RIGHT for a in answers) <= high or not samples.written.get(prompt):
            continue
        right, different = samples.written[prompt][0], {a["text"]: a for a in answers}.values()
        wrong = [a for a in different if a["gold"] < WRONG]
        changed = [w for w in samples.written[prompt][1:] if w["gold"] < WRONG and other_name(right["text"], w["text"])]
        pairs = {"own": [(r, w) for r in different if r["gold"] >= RIGHT for w in wrong], "written": [(right, w) for w in wrong],
                 "name": [(right, w) for w in changed]}
        for test, of in pairs.items():
            for by in SCORES:
                if of:  # a prompt counts once
                    found.setdefault((test, by), {})[prompt] = share([(a[by], b[by]) for a, b in of])
    return found


SCORES = ("proxy", "likely", "a token")


def discrimination(out, _):
    seeds = seeds_of(out, r"unique-(\d+)-likely\.jsonl")
    found = {seed: Samples(out, seed) for seed in seeds}
    for s in found.values():
        for answers in s.prompts.values():
            for a in answers:
                a["right"] = float(a["gold"] >= RIGHT)
    print(f"Seeds {seeds}, then their mean with its interval over prompts.\n\n**Best of n: share of right answers, by who chooses**\n")
    choose = lambda n, by: with_seeds([s.best(n, by, "right") for s in found.values()])
    table(["n", "gold (some answer is right)", "reward model", "the model's likelihood", "likelihood a token"],
          [[n, choose(n, "right"), *(choose(n, by) for by in SCORES)] for n in NS])
    print("**Telling a right answer from a wrong one, by how often the model gives a right one**\n")
    rows = []
    for test, what in (("own", "own right, own wrong"), ("written", "written right, own wrong"), ("name", "written right, one other name")):
        for low, high in BUCKETS + ((0, 64),):
            of_seeds = [tests_of(s, low, high) for s in found.values()]
            if any((test, by) not in of for of in of_seeds for by in SCORES):
                continue
            n = ", ".join(str(len(of[test, "proxy"])) for of in of_seeds)
            rows.append([what, str(low) if low == high else f"{low}–{high}", n] + [with_seeds([of[test, by] for of in of_seeds]) for by in SCORES])
    table(["pairs", "right of 64", "prompts", "reward model", "likelihood", "likelihood a token"], rows)


def implicit(out, _):
    seeds = seeds_of(out, r"unique-(\d+)-implicit\.jsonl")
    truth = {seed: lines(f"{out}/rankings-truth-helpful-first-{seed}.jsonl") for seed in seeds}

    def right(name):
        """Agreement with the labelers' true utility, by seed."""
        scores = {seed: [s["rewards"] for s in lines(f"{out}/{name.format(seed)}-test.jsonl")] for seed in seeds}
        texts = {seed: [[c["text"] for c in row["completions"]] for row in truth[seed]] for seed in seeds}
        return [agreement(truth[seed], [dict(zip(*row)) for row in zip(texts[seed], scores[seed])]) for seed in seeds]

    print(f"Seeds {seeds}, then all together with the interval over the 200 prompts.\n\n**Pairs of unseen answers ordered as the true utility does**\n")
    rows = []
    for what, name in (("150 rankings of 4", "n-150-{}"), ("600 rankings of 4", "noise-0.12-{}"), ("quickstart's 2,700 of up to 7", "loop-{}")):
        model, policy = right("rm-" + name), right("dpo-" + name)
        rows.append([what, shares(model), shares(policy), shares(policy, model)])
    table(["learnt from", "reward model", "DPO's implicit reward", "difference"], rows)
    print("**Best of n of the SFT model's answers, by who chooses** (100 prompts; quickstart's rankings)\n")
    by = {one: [Samples(out, seed, one) for seed in seeds] for one in ("proxy", "implicit")}
    rows = []
    for n in NS:
        best = {one: [s.best(n, "proxy", "gold") for s in of] for one, of in by.items()}
        less = [{p: a[p] - b[p] for p in a} for a, b in zip(best["implicit"], best["proxy"])]
        rows.append([n, with_seeds(best["proxy"]), with_seeds(best["implicit"]), paired(list(over_seeds(less).values()))])
    table(["n", "gold: reward model", "gold: implicit reward", "difference"], rows)


TABLES = {"world-size": size, "world-small-reward": small_reward, "world-overoptimisation": overoptimisation, "world-ptx": ptx,
          "world-labelers": labelers, "world-diversity": diversity, "world-discrimination": discrimination,
          "world-implicit": implicit}
