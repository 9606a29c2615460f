"""The same items through lm-evaluation-harness and through `helpmate eval run`: accuracies equal, log-likelihoods within 1e-3.

    python xtask/peer/lm_eval_parity.py --helpmate target/release/helpmate --model FOLDER --shared ../shared/data \
        --limit 40 --out xtask/peer/lm_eval_parity.json

Needs lm_eval (its versions are recorded), torch, transformers. The harness runs in float32 on the CPU with its own
defaults; its tasks read local files, their templates are the harness's own.
"""
import argparse, json, os, pathlib, platform, subprocess, tempfile, time

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_OFFLINE", "1")
import datasets, lm_eval, torch, transformers
from lm_eval import evaluator
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks.crows_pairs import utils as crows
from lm_eval.tasks.truthfulqa import utils as truthful

parser = argparse.ArgumentParser()
parser.add_argument("--helpmate", required=True)
parser.add_argument("--model", required=True)
parser.add_argument("--name")
parser.add_argument("--shared", required=True)
parser.add_argument("--limit", type=int, default=40)
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--batch", type=int, default=8)
parser.add_argument("--out", required=True)
a = parser.parse_args()
torch.set_num_threads(a.threads)
shared = pathlib.Path(a.shared)
folder = pathlib.Path(tempfile.mkdtemp())


def rows(path):
    return [json.loads(line) for line in open(path, encoding="utf-8")]


def write(name, items):
    path = folder / f"{name}.jsonl"
    path.write_text("".join(json.dumps(item, ensure_ascii=False) + "\n" for item in items), encoding="utf-8")
    return path


# --- the items -------------------------------------------------------------------------------------------------------
questions = rows(shared / "eval/truthfulqa.jsonl")[: a.limit]
for i, q in enumerate(questions):
    q["id"] = f"q{i}"
pairs = rows(shared / "eval/crows_pairs.jsonl")[: a.limit]
choice_rows = [
    {"id": q["id"], "context": f"Q: {q['question']}\nA:", "choices": q["mc2"]["choices"],
     "gold": q["mc2"]["choices"].index(q["best_answer"])}
    for q in questions if q["best_answer"] in q["mc2"]["choices"]
]
texts = [{"id": f"t{i}", "text": q["question"] + " " + " ".join(q["correct_answers"])} for i, q in enumerate(questions)]
texts.append({"id": "long", "text": "\n".join(q["question"] + " " + q["best_answer"] for q in questions * 3)})
files = {
    "multiple_choice": write("multiple_choice", choice_rows),
    "truthfulqa_mc": write("truthfulqa_mc", questions),
    "crows_pairs": write("crows_pairs", pairs),
    "perplexity": write("perplexity", texts),
}

# --- the harness -----------------------------------------------------------------------------------------------------
def task(name, file, **config):
    return {"task": name, "dataset_path": "json", "dataset_kwargs": {"data_files": {"test": str(file)}}, "test_split": "test",
            "output_type": "multiple_choice", "num_fewshot": 0, **config}


def metric(*names):
    return [{"metric": n, "aggregation": "mean", "higher_is_better": True} for n in names]


# both sides without the benchmark's primer: it is its authors' text, and what stands before a question changes no rule of scoring
primed = "Q: {{question}}\nA:"
flat = write("truthfulqa_flat", [
    {"question": q["question"], "mc1_targets": q["mc1"], "mc2_targets": q["mc2"]} for q in questions])
tasks = [
    task("multiple_choice", files["multiple_choice"], doc_to_text="{{context}}", doc_to_choice="{{choices}}", doc_to_target="gold",
         metric_list=metric("acc", "acc_norm", "acc_bytes", "acc_mutual_info")),
    task("mc1", flat, doc_to_text=primed, doc_to_choice="{{mc1_targets.choices}}", doc_to_target=0, metric_list=metric("acc")),
    task("mc2", flat, doc_to_text=primed, doc_to_choice="{{mc2_targets.choices}}", doc_to_target=0, metric_list=metric("acc"),
         process_results=truthful.process_results_mc2),
    task("crows_pairs", files["crows_pairs"], doc_to_text="", doc_to_choice=crows.doc_to_choice, doc_to_target=0, target_delimiter="",
         metric_list=metric("likelihood_diff", "pct_stereotype"), process_results=crows.process_results),
]
lm = HFLM(pretrained=a.model, dtype="float32", device="cpu", batch_size=a.batch)
seconds = {}
theirs = {}
for config in tasks:
    start = time.time()
    result = evaluator.simple_evaluate(model=lm, tasks=[config], log_samples=True, bootstrap_iters=0)
    name = config["task"]
    seconds[name] = time.time() - start
    values = {k.split(",")[0]: v for k, v in result["results"][name].items() if isinstance(v, (int, float)) and "stderr" not in k}
    samples = sorted(result["samples"][name], key=lambda s: s["doc_id"])
    theirs[name] = {"values": values, "lls": [[float(r[0][0]) for r in s["resps"]] for s in samples],
                    "acc": [s.get("acc") for s in samples]}
start = time.time()
rolling = lm.loglikelihood_rolling([
    Instance(request_type="loglikelihood_rolling", doc={}, arguments=(t["text"],), idx=i) for i, t in enumerate(texts)])
seconds["perplexity"] = time.time() - start

# --- ours ------------------------------------------------------------------------------------------------------------
command = [a.helpmate, "eval", "run", *files, "--model", f"m={a.model}", "--dtype", "f32", "--chat", "never", "--no-cache",
           "--threads", str(a.threads), "--out", str(folder / "ours"), "--data", *[f"{k}={v}" for k, v in files.items()]]
subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
evaluation = json.load(open(folder / "ours/evaluation.json"))
ours = {t["task"]: t for t in evaluation["models"][0]["tasks"]}
items = {k: rows(folder / f"ours/items/m/{k}.jsonl") for k in files}


def ours_of(name, metric):
    return next(e["value"] for e in ours[name]["estimates"] if e["metric"] == metric)


# --- side by side ----------------------------------------------------------------------------------------------------
report, worst = [], 0.0


def compare(name, expected, found, tolerance):
    report.append({"number": name, "lm_eval": expected, "helpmate": found, "difference": abs(expected - found), "tolerance": tolerance})


def likelihoods(name, their_lls, our_items, pick):
    """The largest difference of a log-likelihood; items too long for the context are cut by the harness, counted by us."""
    differences, left_out = [], 0
    for lls, item in zip(their_lls, our_items, strict=True):
        if item["answer"]["answer"] == "too_long":
            left_out += 1
            continue
        mine = pick(item)
        differences += [abs(x - y) for x, y in zip(lls, mine, strict=True)]
    report.append({"number": f"{name}: largest difference of {len(differences)} log-likelihoods", "difference": max(differences),
                   "tolerance": 1e-3, "items_too_long": left_out})
    return left_out


def sums(item):
    return [l["sum"] for l in item["answer"]["conditional"]] + [l["sum"] for l in item["answer"]["unconditional"]]


def union(question):
    asked = list(dict.fromkeys(question["mc1"]["choices"] + question["mc2"]["choices"]))
    return [asked.index(c) for c in question["mc1"]["choices"]], [asked.index(c) for c in question["mc2"]["choices"]]


def accuracies(name, task, metric, tolerance):
    """Means over the items that fit the context."""
    kept = [i for i, item in enumerate(items[task]) if item["answer"]["answer"] != "too_long"]
    compare(f"{task}/{metric} ({len(kept)} items)", sum(theirs[name]["acc"][i] for i in kept) / len(kept), ours_of(task, metric), tolerance)


if likelihoods("multiple_choice", theirs["multiple_choice"]["lls"], items["multiple_choice"], sums) == 0:
    for m in ["acc", "acc_norm", "acc_bytes", "acc_mutual_info"]:
        compare(f"multiple_choice/{m}", theirs["multiple_choice"]["values"][m], ours_of("multiple_choice", m), 1e-12)
by_id = {q["id"]: q for q in questions}
for which in (0, 1):
    name = f"mc{which + 1}"
    pick = lambda item: [sums(item)[i] for i in union(by_id[item["id"]])[which]]
    likelihoods(name, theirs[name]["lls"], items["truthfulqa_mc"], pick)
    accuracies(name, "truthfulqa_mc", name, 1e-12 if which == 0 else 1e-4)
likelihoods("crows_pairs", theirs["crows_pairs"]["lls"], items["crows_pairs"], sums)
for m, tolerance in [("pct_stereotype", 1e-12), ("likelihood_diff", 1e-3)]:
    compare(f"crows_pairs/{m}", theirs["crows_pairs"]["values"][m], ours_of("crows_pairs", m), tolerance)
differences = [abs(x - i["answer"]["sum"]) / i["answer"]["tokens"] for x, i in zip(rolling, items["perplexity"], strict=True)]
report.append({"number": f"perplexity: largest difference of {len(differences)} texts, nats a token", "difference": max(differences),
               "tolerance": 1e-4})
seconds_ours = {k: t["seconds"] for k, t in ours.items()}
ok = all(r["difference"] <= r["tolerance"] for r in report)
record = {
    "model": a.name or pathlib.Path(a.model).name, "limit": a.limit, "ok": ok, "numbers": report,
    "threads": a.threads, "batch_lm_eval": a.batch,
    "versions": {"lm_eval": lm_eval.__version__, "torch": torch.__version__, "transformers": transformers.__version__,
                 "datasets": datasets.__version__, "python": platform.python_version(),
                 "helpmate": evaluation["helpmate"], "arithmetic": evaluation["models"][0]["model"]["arithmetic"]},
}
out = pathlib.Path(a.out)
records = [r for r in (json.loads(out.read_text()) if out.exists() else []) if r["model"] != record["model"]]
out.write_text(json.dumps(records + [record], indent=1, ensure_ascii=False) + "\n")
for r in report:
    print(f"{'ok ' if r['difference'] <= r['tolerance'] else 'BAD'} {r['number']}: {r['difference']:.3g} (≤ {r['tolerance']:g})"
          + (f"  {r['lm_eval']:.6f} {r['helpmate']:.6f}" if "lm_eval" in r else ""))
print("seconds", {k: round(v, 2) for k, v in seconds.items()}, "ours", {k: round(v, 2) for k, v in seconds_ours.items()})
raise SystemExit(0 if ok else 1)
