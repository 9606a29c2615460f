"""The same measurements in PyTorch at its best setting, for `cargo xtask bench --peer PYTHON`: one call, one line of JSON.

Needs torch, transformers; llama-cpp-python for `llama-cpp`; trl for `trl-dpo` and `trl-reward`.
"""
import argparse, json, resource, statistics, sys, time

parser = argparse.ArgumentParser()
parser.add_argument("what", choices=["train", "generate", "first-step", "kwise", "llama-cpp", "trl-dpo", "trl-reward"])
parser.add_argument("--precision", default="bf16")
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--sequences", type=int, default=None)
parser.add_argument("--tokens", type=int, default=256)
parser.add_argument("--steps", type=int, default=4)
parser.add_argument("--prompt", type=int, default=64)
parser.add_argument("--new", type=int, default=64)
parser.add_argument("--model")
a = parser.parse_args()


def report(**values):
    print(json.dumps({**values, "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))
    sys.exit(0)


if a.what == "llama-cpp":
    import llama_cpp

    n = a.sequences or 8
    llama_cpp.llama_backend_init()
    weights = llama_cpp.llama_model_load_from_file(a.model.encode(), llama_cpp.llama_model_default_params())
    settings = llama_cpp.llama_context_default_params()
    settings.n_ctx, settings.n_batch, settings.n_ubatch = n * (a.prompt + a.new), n * a.prompt, 512
    settings.n_seq_max, settings.n_threads, settings.n_threads_batch, settings.kv_unified = n, a.threads, a.threads, False
    context = llama_cpp.llama_init_from_model(weights, settings)
    batch = llama_cpp.llama_batch_init(n * max(a.prompt, 1), 0, 1)

    def run(new):
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(context), True)
        start = time.time()
        def decode(rows):
            batch.n_tokens = len(rows)
            for i, (token, position, sequence, wants) in enumerate(rows):
                batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.logits[i] = token, position, 1, wants
                batch.seq_id[i][0] = sequence
            assert llama_cpp.llama_decode(context, batch) == 0
        decode([((7 * s + 13 * p) % 40000 + 5, p, s, p == a.prompt - 1) for s in range(n) for p in range(a.prompt)])
        for t in range(new - 1):
            decode([((11 * s + t) % 40000 + 5, a.prompt + t, s, True) for s in range(n)])
        return time.time() - start

    run(2)
    seconds = statistics.median(run(a.new) for _ in range(3))
    report(tokens_per_second=n * a.new / seconds, seconds=seconds)

import torch, transformers

torch.set_num_threads(a.threads)
config = transformers.LlamaConfig(vocab_size=49152, hidden_size=576, intermediate_size=1536, num_hidden_layers=30, num_attention_heads=9,
    num_key_value_heads=3, max_position_embeddings=8192, rms_norm_eps=1e-5, rope_theta=100000.0, tie_word_embeddings=True)
bf16 = a.precision == "bf16"
autocast = torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16)


def step_of(model, optimizer, ids):
    start = time.time()
    with autocast:
        loss = model(input_ids=ids, labels=ids).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=False)
    return time.time() - start


def fused_adamw(model):
    return torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.9, 0.95), weight_decay=0.0, fused=True)


if a.what == "train":
    model = transformers.AutoModelForCausalLM.from_config(config)
    ids = torch.randint(0, 49152, (a.sequences or 4, a.tokens))
    optimizer = fused_adamw(model)
    seconds = [step_of(model, optimizer, ids) for _ in range(a.steps + 1)][1:]
    step = statistics.median(seconds)
    report(tokens_per_second=ids.numel() / step, step_s=step)

if a.what == "first-step":
    model = transformers.AutoModelForCausalLM.from_pretrained(a.model, dtype=torch.float32)
    report(step_s=step_of(model, fused_adamw(model), torch.randint(0, 49152, (4, 256))))

if a.what == "generate":
    model = transformers.AutoModelForCausalLM.from_config(config).to(torch.bfloat16 if bf16 else torch.float32).eval()
    ids = torch.randint(5, 49152, (a.sequences or 8, a.prompt))
    call = dict(do_sample=False, eos_token_id=None, pad_token_id=0, attention_mask=torch.ones_like(ids))
    with torch.inference_mode():
        model.generate(ids, max_new_tokens=2, min_new_tokens=2, **call)
        def run():
            start = time.time()
            model.generate(ids, max_new_tokens=a.new, min_new_tokens=a.new, **call)
            return time.time() - start
        seconds = statistics.median(run() for _ in range(3))
    report(tokens_per_second=ids.shape[0] * a.new / seconds, seconds=seconds)

if a.what in ("trl-dpo", "trl-reward"):
    # Prompts of 256 tokens and answers of 64, as crates/bench/src/preferences.rs and `kwise`; every word is a token.
    import datasets, tempfile, tokenizers, trl

    words = {f"w{i}": i + 3 for i in range(40000)} | {"<eos>": 0, "<pad>": 1, "<unk>": 2}
    whole = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="<unk>"))
    whole.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=whole, eos_token="<eos>", pad_token="<pad>", unk_token="<unk>")
    text = lambda n, seed: " ".join(f"w{(7919 * seed + 31 * i) % 40000}" for i in range(n))
    batch, steps = (8, a.steps) if a.what == "trl-dpo" else (9, 4 * a.steps)
    rows = []
    for i in range(batch * (steps + 1)):
        prompt = text(256, i)
        chosen, rejected = " " + text(63, 3 * i + 1), " " + text(63, 3 * i + 2)
        rows.append({"prompt": prompt, "chosen": chosen, "rejected": rejected})
    if a.what == "trl-reward":
        rows = [{"chosen": r["prompt"] + r["chosen"], "rejected": r["prompt"] + r["rejected"]} for r in rows]
    rows = datasets.Dataset.from_list(rows)
    common = dict(output_dir=tempfile.mkdtemp(), per_device_train_batch_size=batch, max_steps=steps + 1, bf16=bf16, use_cpu=True,
        report_to=[], save_strategy="no", logging_steps=1000, gradient_checkpointing=False, optim="adamw_torch_fused", max_length=None,
        learning_rate=1e-5, disable_tqdm=True)

    class Clock(transformers.TrainerCallback):
        seconds = []
        def on_step_begin(self, *_, **__):
            self.start = time.time()
        def on_step_end(self, *_, **__):
            self.seconds.append(time.time() - self.start)

    config.pad_token_id, config.eos_token_id = 1, 0
    if a.what == "trl-dpo":
        model = transformers.AutoModelForCausalLM.from_config(config)
        settings = trl.DPOConfig(**common, precompute_ref_log_probs=True)
        trainer = trl.DPOTrainer(model=model, args=settings, train_dataset=rows, processing_class=tokenizer, callbacks=[Clock])
    else:
        config.num_labels = 1
        model = transformers.AutoModelForSequenceClassification.from_config(config)
        settings = trl.RewardConfig(**common)
        trainer = trl.RewardTrainer(model=model, args=settings, train_dataset=rows, processing_class=tokenizer, callbacks=[Clock])
    trainer.train()
    step = statistics.median(Clock.seconds[1:])
    pairs = batch / step
    report(pairs_per_second=pairs, prompts_per_second=pairs / 36, step_s=step)  # nine ranked answers are 36 pairs
