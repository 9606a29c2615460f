"""Whether models that Helpmate wrote are, in `transformers`, the same models.

    python xtask/peer/transformers_roundtrip.py --helpmate target/release/helpmate --policy runs/ppo/final \
        --reward runs/rm/final --demonstrations data/demonstrations.jsonl --rankings data/rankings.jsonl

The policy is read by `AutoModelForCausalLM`, the reward model by `AutoModelForSequenceClassification`, both with the
tokenizer and chat template in their folders, in f32. Compared with `helpmate logprobs` and `helpmate score --dtype f32`:
token ids; the log-probability of every token; the reward of every completion, alone and in one right-padded batch
(`transformers` finds the last token that isn't `pad_token_id`: were that an EOS, it would read the token before). The
reward is the logit plus `reward_bias` of config.json. Prints JSON; exits with 1 if something is off.
"""
import argparse, json, platform, subprocess, sys, tempfile

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

parser = argparse.ArgumentParser()
parser.add_argument("--helpmate", default="target/release/helpmate")
parser.add_argument("--policy", required=True)
parser.add_argument("--reward", required=True)
parser.add_argument("--demonstrations", required=True, help="rows for log-probabilities")
parser.add_argument("--rankings", required=True, help="rows for rewards")
parser.add_argument("--rows", type=int, default=6, help="rows of each file")
parser.add_argument("--tolerance", type=float, default=1e-3, help="nats, and reward; largest distance")
a = parser.parse_args()
torch.set_num_threads(2)


def rows(path):
    with open(path) as file:
        return [json.loads(line) for line in file if line.strip()][: a.rows]


def helpmate(command, rows):
    """What the binary says about these rows."""
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
        file.flush()
        ran = subprocess.run([a.helpmate, *command, "--data", file.name, "--dtype", "f32"], capture_output=True, text=True)
    if ran.returncode != 0:
        sys.exit(ran.stderr)
    return [json.loads(line) for line in ran.stdout.splitlines()]


def tokens(tokenizer, prompt, completion):
    """Prompt and completion up to the completion's end: EOS, or the end of the turn."""
    if isinstance(prompt, str):
        text = prompt + completion + tokenizer.eos_token
    else:
        messages = prompt + [{"role": "assistant", "content": completion}]
        text = tokenizer.apply_chat_template(messages, tokenize=False).rstrip("\n")
    return tokenizer(text, add_special_tokens=isinstance(prompt, str))["input_ids"]


def conversation(row):
    messages = row["messages"]
    return messages[:-1], messages[-1]["content"]


@torch.no_grad()
def policy_report():
    tokenizer = AutoTokenizer.from_pretrained(a.policy)
    model = AutoModelForCausalLM.from_pretrained(a.policy, dtype=torch.float32).eval()
    data = rows(a.demonstrations)
    largest, n_tokens, same_ids = 0.0, 0, True
    for row, ours in zip(data, helpmate(["logprobs", "--model", a.policy], data), strict=True):
        parts = conversation(row) if "messages" in row else (row["prompt"], row["completion"])
        ids = tokens(tokenizer, *parts)
        # ours may end with the line break that the template puts behind the last turn
        same_ids &= ours["token_ids"][: len(ids)] == ids and len(ours["token_ids"]) - len(ids) <= 1
        log_probs = model(torch.tensor([ids])).logits[0].log_softmax(-1)
        for t in range(1, len(ids)):
            largest = max(largest, abs(log_probs[t - 1, ids[t]].item() - ours["logprobs"][t]))
            n_tokens += 1
    return {
        "class": type(model).__name__,
        "rows": len(data),
        "tokens": n_tokens,
        "token_ids_equal": same_ids,
        "logprob_distance_max": largest,
    }


@torch.no_grad()
def reward_report():
    tokenizer = AutoTokenizer.from_pretrained(a.reward)
    model = AutoModelForSequenceClassification.from_pretrained(a.reward, dtype=torch.float32).eval()
    bias = model.config.reward_bias
    ends = model.config.eos_token_id
    ends = ends if isinstance(ends, list) else [ends]
    data = rows(a.rankings)
    ours = [reward for scored in helpmate(["score", "--reward", a.reward], data) for reward in scored["rewards"]]
    ids = [tokens(tokenizer, row["prompt"], answer["text"]) for row in data for answer in row["completions"]]
    alone = [model(torch.tensor([one])).logits[0, 0].item() + bias for one in ids]
    width, pad = max(map(len, ids)), model.config.pad_token_id
    padded = torch.tensor([one + [pad] * (width - len(one)) for one in ids])
    mask = torch.tensor([[1] * len(one) + [0] * (width - len(one)) for one in ids])
    batch = (model(padded, attention_mask=mask).logits[:, 0] + bias).tolist()
    distance = lambda theirs: max(abs(x - y) for x, y in zip(ours, theirs, strict=True))
    return {
        "class": type(model).__name__,
        "labels": model.config.num_labels,
        "rewards": len(ours),
        "spread": max(ours) - min(ours),
        "reward_bias": bias,
        "pad_token_id": pad,
        "pad_is_no_eos": pad not in ends,
        "reward_distance_max": distance(alone),
        "reward_distance_max_padded": distance(batch),
    }


def version(package):
    try:
        return __import__(package).__version__
    except ImportError:
        return None


policy, reward = policy_report(), reward_report()
holds = (
    policy["token_ids_equal"]
    and reward["pad_is_no_eos"]
    and reward["labels"] == 1
    and max(policy["logprob_distance_max"], reward["reward_distance_max"], reward["reward_distance_max_padded"]) <= a.tolerance
)
print(json.dumps({
    "holds": holds,
    "tolerance": a.tolerance,
    "policy": policy,
    "reward": reward,
    "versions": {
        "helpmate": subprocess.run([a.helpmate, "--version"], capture_output=True, text=True).stdout.strip(),
        "python": platform.python_version(),
        "torch": version("torch"),
        "transformers": version("transformers"),
        "tokenizers": version("tokenizers"),
    },
}, indent=1))
sys.exit(0 if holds else 1)
