"""What `helpmate label export --for …` writes, read by the trainers it is for.

    python xtask/peer/label_exports.py --helpmate target/release/helpmate --model FOLDER --out xtask/peer/label_exports.json

Makes a labeling database of a few judgements (plain prompts and conversations), exports it for each trainer, and
- TRL: loads the file with `datasets`, prepares it with RewardTrainer, DPOTrainer and SFTTrainer, trains one step of each
  on a tiny random model with FOLDER's tokenizer, and reads the Parquet export;
- LLaMA-Factory: its own reader of `dataset_info.json` and its ShareGPT converter (`pip install --no-deps --target DIR llamafactory omegaconf antlr4-python3-runtime==4.9.3`);
- OpenRLHF: what its reward and SFT data sets do to a row with `--apply_chat_template` (the prompt is a prefix of what is
  trained on, chosen and rejected end in the assistant's turn).
Any refusal of a trainer ends the script with an error. Needs torch, transformers, trl, datasets.
"""
import argparse, importlib.machinery, importlib.metadata, json, os, pathlib, platform, subprocess, sys, tempfile, types

os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", WANDB_DISABLED="true", CUDA_VISIBLE_DEVICES="")
parser = argparse.ArgumentParser()
parser.add_argument("--helpmate", required=True)
parser.add_argument("--model", required=True, help="a folder with a tokenizer that has a chat template")
parser.add_argument("--llamafactory", help="where `pip install --target` put LLaMA-Factory")
parser.add_argument("--out")
a = parser.parse_args()
helpmate = os.path.abspath(a.helpmate)
if a.llamafactory:
    sys.path.append(a.llamafactory)

import datasets, torch, transformers, trl

place = pathlib.Path(tempfile.mkdtemp())
datasets.disable_progress_bars()


def run(command):
    subprocess.run([helpmate, *command.split()], cwd=place, check=True, stderr=subprocess.PIPE)


def answer(text, rank):
    return {"text": text, "rank": rank, "source": "model", "origin": "m"}


rows = []
for i in range(6):
    asked = f"What is {i} and {i + 2}?"
    talk = [{"role": "user", "content": "Help me add."}, {"role": "assistant", "content": "Gladly."}, {"role": "user", "content": asked}]
    for labeler, ranks in (("one", (1, 2, 3)), ("two", (2, 1, 2))):
        texts = (f"It is {2 * i + 2}.", "Naïve <b>answer</b>, \u2603.", "I don't know.")
        completions = [answer(text, rank) for text, rank in zip(texts, ranks)]
        rows.append({"prompt": talk if i % 2 else asked, "labeler": labeler, "source": "human", "completions": completions})
    rows.append({"prompt": talk if i % 2 else asked, "labeler": "one", "source": "human", "completion": f"{2 * i + 2}, of course."})
(place / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
(place / "settings.toml").write_text("field = []\n[review]\ndemonstrations = 0\n")
run("label project create tone --settings settings.toml")
run("label import tone --data rows.jsonl --judgements")
for trainer in ("trl", "openrlhf", "llamafactory"):
    (place / trainer).mkdir()
    for content in ("preferences", "demonstrations"):
        run(f"label export tone --for {trainer} --content {content} --out {trainer}/{content}.jsonl")
(place / "plain.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows if isinstance(row["prompt"], str)))
run("label project create plain --settings settings.toml")
run("label import plain --data plain.jsonl --judgements")
run("label export plain --format parquet --out rankings.parquet")

tokenizer = transformers.AutoTokenizer.from_pretrained(a.model)
tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
config = transformers.LlamaConfig(vocab_size=len(tokenizer), hidden_size=16, intermediate_size=32, num_hidden_layers=1,
                                  num_attention_heads=2, num_key_value_heads=2, pad_token_id=tokenizer.pad_token_id,
                                  eos_token_id=tokenizer.eos_token_id, bos_token_id=tokenizer.bos_token_id)
torch.manual_seed(0)
language_model = lambda: transformers.LlamaForCausalLM(config)
found = {}

# A data set has one type of prompt: plain prompts and conversations are trained on apart, as anywhere in TRL.
def load(file, of):
    lines = [json.loads(line) for line in (place / file).read_text().splitlines()]
    part = place / f"{of.__name__}-{file.replace('/', '-')}"
    part.write_text("".join(json.dumps(line) + "\n" for line in lines if isinstance(line["prompt"], of)))
    return datasets.load_dataset("json", data_files=str(part), split="train", cache_dir=str(place / "cache"))


settings = dict(output_dir=str(place / "run"), max_steps=1, per_device_train_batch_size=2, report_to=[], use_cpu=True,
                save_strategy="no", disable_tqdm=True, logging_steps=1)
for name, of in (("plain", str), ("conversations", list)):
    pairs, written = load("trl/preferences.jsonl", of), load("trl/demonstrations.jsonl", of)
    reward = trl.RewardTrainer(model=transformers.LlamaForSequenceClassification(transformers.LlamaConfig(**{**config.to_dict(), "num_labels": 1})),
                               args=trl.RewardConfig(max_length=256, **settings), train_dataset=pairs, processing_class=tokenizer)
    dpo = trl.DPOTrainer(model=language_model(), ref_model=language_model(), args=trl.DPOConfig(max_length=256, **settings), train_dataset=pairs, processing_class=tokenizer)
    sft = trl.SFTTrainer(model=language_model(), args=trl.SFTConfig(max_length=256, completion_only_loss=True, **settings), train_dataset=written,
                         processing_class=tokenizer)
    losses = {}
    for what, trainer in (("reward", reward), ("dpo", dpo), ("sft", sft)):
        loss = trainer.train().training_loss
        assert loss == loss and loss > 0, (name, what, loss)
        losses[what] = round(loss, 4)
        assert len(trainer.train_dataset) == len(pairs if what != "sft" else written), (name, what)
    found[f"trl {name}"] = {"pairs": len(pairs), "demonstrations": len(written), "loss of one step": losses}

table = datasets.load_dataset("parquet", data_files=str(place / "rankings.parquet"), split="train", cache_dir=str(place / "cache"))
assert table[0]["completions"][0]["text"] and {row["labeler"] for row in table} and len(table) == 6
found["parquet"] = {"rows": len(table), "columns": table.column_names}

# OpenRLHF: what its data sets do, with its options as `label export` names them.
template = lambda messages, **more: tokenizer.apply_chat_template(messages, tokenize=False, **more)
for row in map(json.loads, (place / "openrlhf/preferences.jsonl").read_text().splitlines()):
    prompt = template(row["chosen"][:-1], add_generation_prompt=True)
    for side in ("chosen", "rejected"):
        assert template(row[side]).startswith(prompt), row
        assert row[side][-1]["role"] == "assistant" and row[side][:-1] == row["chosen"][:-1]
for row in map(json.loads, (place / "openrlhf/demonstrations.jsonl").read_text().splitlines()):
    prompt = template(row["input"], add_generation_prompt=True)
    assert template(row["input"] + [{"role": "assistant", "content": row["output"]}]).startswith(prompt), row
found["openrlhf"] = "prompts are prefixes of what is trained on"

# Its reader needs no sound and minds no version; what it imports on the way does.
audio = types.ModuleType("torchaudio")
audio.__spec__ = importlib.machinery.ModuleSpec("torchaudio", None)
sys.modules.setdefault("torchaudio", audio)
os.environ["DISABLE_VERSION_CHECK"] = "1"
try:
    from llamafactory.data.converter import get_dataset_converter
    from llamafactory.data.parser import get_dataset_list
    from llamafactory.hparams import DataArguments
except ImportError as error:
    found["llamafactory"] = f"not checked: {error}"
else:
    folder = str(place / "llamafactory")
    counts = {}
    for attr in get_dataset_list(["preferences", "demonstrations"], folder):
        data = datasets.load_dataset("json", data_files=f"{folder}/{attr.dataset_name}", split="train", cache_dir=str(place / "cache"))
        convert = get_dataset_converter(attr.formatting, attr, DataArguments(dataset_dir=folder))
        rows = [convert(row) for row in data]
        # A row that it can't read it makes empty.
        sides = 2 if attr.ranking else 1
        assert all(row["_prompt"] and len(row["_response"]) == sides for row in rows), attr
        counts[attr.dataset_name] = len(rows)
    found["llamafactory"] = counts

versions = {name: __import__(name).__version__ for name in ("torch", "transformers", "trl", "datasets")}
try:
    versions["llamafactory"] = importlib.metadata.version("llamafactory")
except importlib.metadata.PackageNotFoundError:
    pass
record = {"versions": versions, "python": platform.python_version(), "found": found}
print(json.dumps(record, indent=2))
if a.out:
    pathlib.Path(a.out).write_text(json.dumps(record, indent=2) + "\n")
