#!/usr/bin/env python3
"""Rows for the experiments in the small world (world.sh and the scripts that read it).

Usage: world_rows.py questions ANSWERS QUESTIONS BARE       what quickstart measured on, as prompts; bare as the base is asked
       world_rows.py unique SAMPLES RANKINGS OUT            different answers to each prompt, then those of the rankings
       world_rows.py pool SAMPLES RANKINGS SEED OUT         per prompt up to 5 answers of the model and 3 written ones, shuffled
       world_rows.py head N FILE OUT                        the rows of the first N prompts
       world_rows.py shots DEMONSTRATIONS QUESTIONS OUT     the questions behind five demonstrations of different use-cases, as quickstart asks
       world_rows.py asked ANSWERS QUESTIONS OUT            answers under the questions themselves, in their order, so that gold reads them"""
import json, random, sys


def lines(path):
    return [json.loads(line) for line in open(path)]


def write(path, rows):
    with open(path, "w") as f:
        f.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def answers_of(path):
    """prompt → (its JSON, different answers in their order), of rows with one answer or with several."""
    found = {}
    for row in lines(path):
        _, texts = found.setdefault(json.dumps(row["prompt"]), (row["prompt"], []))
        for text in [row["completion"]] if "completion" in row else [c["text"] for c in row["completions"]]:
            if text.strip() and text.strip() not in texts:  # an empty answer can't be scored; gold gives it 0
                texts.append(text.strip())
    return found


def row(prompt, text, source):
    return {"prompt": prompt, "completion": text, "source": source}


def questions(answers, out, bare):
    seen = {}
    for answer in lines(answers):
        seen.setdefault(answer["id"], answer)
    write(out, [{"prompt": a["prompt"], "id": i, "use_case": a["use_case"]} for i, a in seen.items()])
    write(bare, [{"prompt": a["prompt"][-1]["content"] + "\n", "id": i, "use_case": a["use_case"]} for i, a in seen.items()])


def unique(samples, rankings, out):
    rows = [row(prompt, text, "model") for prompt, texts in answers_of(samples).values() for text in texts]
    write(out, rows + [row(prompt, text, "rule") for prompt, texts in answers_of(rankings).values() for text in texts])


def pool(samples, rankings, seed, out):
    written, draw, rows = answers_of(rankings), random.Random(int(seed)), []
    for key, (prompt, texts) in answers_of(samples).items():
        own = [row(prompt, text, "model") for text in texts[:5]]
        other = [row(prompt, text, "rule") for text in written[key][1][:3] if text not in texts[:5]]
        draw.shuffle(both := own + other)
        rows += both
    write(out, rows)


def head(n, path, out):
    seen, kept = set(), []
    for line in lines(path):
        seen.add(json.dumps(line["prompt"]))
        if len(seen) > int(n):
            break
        kept.append(line)
    write(out, kept)


def shots(demonstrations, questions, out):
    shown = {}
    for demonstration in lines(demonstrations):
        question, answer = (message["content"] for message in demonstration["messages"])
        if "\n" not in question + answer:
            shown.setdefault(demonstration["use_case"], f"Q: {question}\nA: {answer}\n\n")
    before = "".join(list(shown.values())[:5])
    write(out, [{"prompt": f"{before}Q: {row['prompt'][-1]['content']}\nA:"} for row in lines(questions)])


def asked(answers, questions, out):
    prompts = [row["prompt"] for row in lines(questions)]
    write(out, [row(prompts[a["row"]], a["completion"].strip(), "model") for a in lines(answers)])


{"questions": questions, "unique": unique, "pool": pool, "head": head, "shots": shots, "asked": asked}[sys.argv[1]](*sys.argv[2:])
