"""Measures of text in the Python packages people use, for `cargo xtask bench --peer PYTHON`: one call, one line of JSON.

Needs rouge-score (rouge-filter), rapidfuzz (rouge-filter-ids), rensa (near-duplicates). The inputs are those of crates/bench/src/corpora.rs.
"""
import argparse, json, resource, sys, time

parser = argparse.ArgumentParser()
parser.add_argument("what", choices=["rouge-filter", "rouge-filter-ids", "near-duplicates"])
parser.add_argument("--pool", type=int, default=50_000)
parser.add_argument("--candidates", type=int, default=1_000)
parser.add_argument("--documents", type=int, default=1_000_000)
parser.add_argument("--sample", type=int, default=20_000, help="comparisons that are timed")
a = parser.parse_args()


def words(seed, n):
    """The same words as ours: a multiplicative generator, skewed so that low numbers are common."""
    out, state = [], seed * 2654435761 % 2**32
    for _ in range(n):
        state = (state * 1664525 + 1013904223) % 2**32
        u = state / 2**32
        out.append(int(u * u * u * 4000))
    return out


def report(**values):
    print(json.dumps({**values, "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))
    sys.exit(0)


def sentence(seed, shortest=6, longest=20):
    length = shortest + seed * 7919 % (longest - shortest + 1)
    return " ".join(f"w{w}" for w in words(seed, length))


if a.what == "rouge-filter":
    from rouge_score import rouge_scorer

    scorer = rouge_scorer.RougeScorer(["rougeL"], use_stemmer=False)
    pool = [sentence(i + 1) for i in range(a.sample)]
    candidate = sentence(1_000_003)
    start = time.time()
    scores = [scorer.score(candidate, other)["rougeL"].fmeasure for other in pool]
    seconds = time.time() - start
    check = sum(f * (1 + j % 7) for j, f in enumerate(scores[:20_000]))
    report(comparisons_per_second=a.sample / seconds, check=check)

if a.what == "rouge-filter-ids":
    from rapidfuzz.distance import LCSseq

    pool = [words(i + 1, 6 + (i + 1) * 7919 % 15) for i in range(a.sample)]
    candidates = [words(1_000_003 + i, 6 + (1_000_003 + i) * 7919 % 15) for i in range(20)]
    start = time.time()
    common = [LCSseq.similarity(candidate, other) for candidate in candidates for other in pool]
    seconds = time.time() - start
    # F1 of the first candidate, as rouge_score computes it from the longest common subsequence.
    scores = []
    for n, other in zip(common, pool):
        precision, recall = n / len(other), n / len(candidates[0])
        scores.append(2 * precision * recall / (precision + recall) if n else 0.0)
    check = sum(f * (1 + j % 7) for j, f in enumerate(scores[:20_000]))
    report(comparisons_per_second=a.sample * len(candidates) / seconds, check=check)

if a.what == "near-duplicates":
    from rensa import RMinHash, RMinHashLSH

    start = time.time()
    lsh = RMinHashLSH(threshold=0.8, num_perm=126, num_bands=18)
    kept = 0
    for i in range(a.documents):
        # Every tenth text is one that was there, with one word of twenty replaced.
        seed = i + 1 if i % 10 else max(i - 5, 1)
        tokens = [f"w{w}" for w in words(seed, 40)]
        if i % 10 == 0:
            tokens[0] = f"x{i}"
        sketch = RMinHash(num_perm=126, seed=42)
        sketch.update(tokens)
        if not any(True for _ in lsh.query(sketch)):
            lsh.insert(i, sketch)
            kept += 1
    report(documents_per_second=a.documents / (time.time() - start), kept=kept)
