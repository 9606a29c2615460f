"""Reward models written by `helpmate rm` load in transformers and give the same scores, wherever they are read.

    python xtask/peer/reward_model.py --helpmate target/release/helpmate

Trains three tiny ones (read at the EOS; at <|reward|>; the same with nothing else trained) on the rows of
tests/conformance, scores those rows with `helpmate score` and with AutoModelForSequenceClassification in one padded
batch a row, and prints the largest difference of each.
"""
import argparse, json, pathlib, subprocess, tempfile

import torch, transformers
from transformers import AutoModelForSequenceClassification, AutoTokenizer

parser = argparse.ArgumentParser()
parser.add_argument("--helpmate", required=True)
arguments = parser.parse_args()
conformance = pathlib.Path(__file__).resolve().parents[2] / "tests/conformance"
rows = conformance / "rankings.jsonl"
READOUTS = {
    "eos": [],
    "token": ["rm.readout=token"],
    "token, alone": ["rm.readout=token", "rm.train_only_readout=true"],
}


def helpmate(*words):
    return subprocess.run([arguments.helpmate, *map(str, words)], check=True, capture_output=True, text=True).stdout


def theirs(folder, row):
    """Scores of a row's completions; the bias is Helpmate's own field."""
    config = json.loads((folder / "config.json").read_text())
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model, info = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"], info
    end = tokenizer.eos_token
    if config["readout"] == "token":
        end += "<|reward|>"
        assert tokenizer.convert_tokens_to_ids("<|reward|>") == config["readout_token_id"]
    texts = [row["prompt"] + completion["text"] + end for completion in row["completions"]]
    batch = tokenizer(texts, return_tensors="pt", padding=True, add_special_tokens=False)
    with torch.no_grad():
        scores = model.eval()(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits[:, 0]
    return (scores + config["reward_bias"]).tolist()


print(f"torch {torch.__version__}, transformers {transformers.__version__}")
with tempfile.TemporaryDirectory() as directory:
    for name, sets in READOUTS.items():
        run = pathlib.Path(directory) / name
        settings = [word for setting in sets + ["model.dtype=f32"] for word in ("--set", setting)]
        helpmate("rm", "--model", conformance / "tiny-policy", "--data", rows, "--out", run, "--max-steps", 5, "--lr", "1e-2", *settings)
        ours = [json.loads(line)["rewards"] for line in helpmate("score", "--reward", run, "--data", rows, "--dtype", "f32").splitlines()]
        pairs = [
            (a, b)
            for scored, line in zip(ours, rows.read_text().splitlines())
            for a, b in zip(scored, theirs(run / "final", json.loads(line)))
        ]
        worst = max(abs(a - b) for a, b in pairs)
        spread = max(a for a, _ in pairs) - min(a for a, _ in pairs)
        print(f"{name}: {len(pairs)} scores over a range of {spread:.2f}, largest difference {worst:.1e}")
        assert worst < 1e-5 and spread > 0.1
