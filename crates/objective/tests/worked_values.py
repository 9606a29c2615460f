"""Makes the worked values of the losses in src/ with textbook formulas and nothing but `math`.

    python3 crates/objective/tests/worked_values.py

Each line is `file constant value`. The formulas are written as in the papers, unstable and plain;
the points are moderate, so that this is exact enough.
"""
from math import exp, log


def sigma(x):
    return 1 / (1 + exp(-x))


def show(file, constant, value):
    print(file, constant, repr(value))


# --- reward models: two prompts, ranks 1 2 2 3 (margin .25, weight .75) and 2 1 ---
a, b = [0.9, -0.4, 1.3, 0.2], [-0.7, 0.6]
pairs_a = [(0, 1), (0, 2), (0, 3), (1, 3), (2, 3)]  # (better, worse), the tie left out
pairs_b = [(1, 0)]
margin, weight = 0.25, 0.75
plain_a = [-log(sigma(a[w] - a[l] - margin)) for w, l in pairs_a]
plain_b = [-log(sigma(b[w] - b[l])) for w, l in pairs_b]
show("reward/bradley_terry", "BY_DEFAULT", (weight * sum(plain_a) / 5 + sum(plain_b) / 1) / 2)
center_a = [0.01 * (a[w] + a[l]) ** 2 for w, l in pairs_a]
center_b = [0.01 * (b[w] + b[l]) ** 2 for w, l in pairs_b]
pooled = weight * (sum(plain_a) + sum(center_a)) + sum(plain_b) + sum(center_b)
show("reward/bradley_terry", "POOLED_ALL_CENTERED", pooled / (6 + 1))


def plackett_luce(stages):
    """stages: (chosen score, scores it was chosen from)"""
    return [-log(exp(s) / sum(exp(o) for o in over)) for s, over in stages]


stages_a = plackett_luce([(a[0], a), (a[1], [a[1], a[3]]), (a[2], [a[2], a[3]])])
stages_b = plackett_luce([(b[1], b)])
show("reward/plackett_luce", "BY_DEFAULT", (weight * sum(stages_a) + sum(stages_b)) / 2)
show("reward/plackett_luce", "STAGES_MEAN", (weight * sum(stages_a) / 3 + sum(stages_b)) / 2)

# --- preferences: chosen 4 tokens, reference -7.3; rejected 7 tokens, reference -9.1 ---
w, l, ref_w, ref_l, n_w, n_l = -5.2, -10.9, -7.3, -9.1, 4, 7
delta = (w - l) - (ref_w - ref_l)
for name, beta, eps in [("PLAIN", 0.1, 0.0), ("SMOOTHED", 0.5, 0.2)]:
    show("preference/sigmoid", name, -(1 - eps) * log(sigma(beta * delta)) - eps * log(sigma(-beta * delta)))
for name, beta, eps in [("BY_DEFAULT", 0.1, 0.1), ("FIFTH_FLIPPED", 0.5, 0.2)]:
    loss = (-(1 - eps) * log(sigma(beta * delta)) + eps * log(sigma(-beta * delta))) / (1 - 2 * eps)
    show("preference/robust", name, loss)
averaged = (w / n_w - l / n_l) - (ref_w / n_w - ref_l / n_l)
show("preference/ipo", "AVERAGED", (averaged - 1 / (2 * 0.1)) ** 2)
show("preference/simpo", "BY_DEFAULT", -log(sigma(2.0 / n_w * w - 2.0 / n_l * l - 1.0)))
p_w, p_l = exp(w / n_w), exp(l / n_l)
odds = log((p_w / (1 - p_w)) / (p_l / (1 - p_l)))
show("preference/orpo", "BY_DEFAULT", -log(p_w) - 0.1 * log(sigma(odds)))
show("preference/cpo", "BY_DEFAULT", -log(sigma(0.1 * (w - l))) - w / n_w)
show("preference/cpo", "AVERAGED", -log(sigma(0.1 * (w / n_w - l / n_l))) - w / n_w)
z0, beta = 0.4, 0.1
kto = (1.3 * (1 - sigma(beta * (w - ref_w - z0))) + (1 - sigma(beta * (z0 - (l - ref_l))))) / 2
show("preference/kto", "WEIGHTED", kto)
policy, ref, tokens = [-5.2, -8.8, -6.0, -9.9], [-7.3, -9.1, -6.6, -8.2], [4, 7, 3, 5]
for name, r in [
    ("BY_DEFAULT", [0.1 * (p - q) for p, q in zip(policy, ref)]),
    ("AVERAGED", [2.0 * (p - q) / n for p, q, n in zip(policy, ref, tokens)]),
]:
    stages = plackett_luce([(r[0], r), (r[1], [r[1], r[3]]), (r[2], [r[2], r[3]])])
    show("preference/plackett_luce", name, sum(stages))

# --- policy: three tokens ---
new, old, advantage = [-0.8, -2.9, -0.55], [-1.2, -2.3, -0.4], [0.8, -1.1, 0.3]
for name, c in [("BY_DEFAULT", 0.2), ("WIDE", 0.7)]:
    terms = []
    for n, o, adv in zip(new, old, advantage):
        ratio = exp(n - o)
        terms.append(max(-adv * ratio, -adv * min(max(ratio, 1 - c), 1 + c)))
    show("policy/ppo_clip", name, sum(terms) / 3)
logits, q = [0.3, -0.9, 1.1], [1.0, -0.5, 0.2]
total = sum(exp(x) for x in logits)
show("policy/q_actor", "OFF_SYMMETRY", -sum(exp(x) / total * v for x, v in zip(logits, q)))
