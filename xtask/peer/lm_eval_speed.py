"""The questions of `crates/bench/src/evaluation.rs` through lm-evaluation-harness, for `cargo xtask bench --lm-eval PYTHON`.

One call, one line of JSON. The time is that of the harness's own `loglikelihood` or `generate_until`: from texts to
answers, its data sets, templates and metrics left aside. Needs lm_eval, torch, transformers.
"""
import argparse, json, os, resource, time

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_OFFLINE", "1")
import torch
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM

parser = argparse.ArgumentParser()
parser.add_argument("--model", required=True)
parser.add_argument("--items", required=True)
parser.add_argument("--precision", default="bf16")
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--batch", type=int, default=8)
a = parser.parse_args()
torch.set_num_threads(a.threads)
items = json.load(open(a.items, encoding="utf-8"))
dtype = {"f32": "float32", "bf16": "bfloat16"}[a.precision]
lm = HFLM(pretrained=a.model, dtype=dtype, device="cpu", batch_size=a.batch)


def choices(items):
    pairs = [(item["context"], continuation) for item in items for continuation in item["continuations"]]
    requests = [Instance(request_type="loglikelihood", doc={}, arguments=pair, idx=i) for i, pair in enumerate(pairs)]
    found = iter(lm.loglikelihood(requests, disable_tqdm=True))
    sums = [[next(found)[0] for _ in item["continuations"]] for item in items]
    return [max(range(len(s)), key=s.__getitem__) for s in sums]  # the first of the highest


def texts(items):
    requests = [
        Instance(request_type="generate_until", doc={}, idx=i,
                 arguments=(item["prompt"], {"until": [], "max_gen_toks": item["max_new_tokens"], "do_sample": False}))
        for i, item in enumerate(items)]
    return [text.strip() for text in lm.generate_until(requests, disable_tqdm=True)]


ask = choices if "continuations" in items[0] else texts
ask(items[:1])
start = time.time()
answers = ask(items)
seconds = time.time() - start
right = [answer == item["right"] for answer, item in zip(answers, items) if item.get("right") is not None]
accuracy = sum(right) / len(right) if right else None
n = len(right) or len(items)
print(json.dumps({
    "questions_per_second": n / seconds, "seconds": seconds, "questions": n, "accuracy": accuracy,
    "check": accuracy if a.precision == "f32" else None, "answers": answers,
    "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))
