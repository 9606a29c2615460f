//! On a task small enough to enumerate, the optimum of E[r] − β·KL(π‖π_ref) is known:
//! π* ∝ π_ref·exp(r/β). PPO, REINFORCE, RLOO, actor–critic and DPO, made of this crate's functions
//! and a table of logits, must all arrive there: KL(π‖π*) ≤ 0.01.
//!
//! Vocabulary 4, length 3, 64 sequences, 21 states (prefixes), β = 0.5. The policy is a softmax of
//! one row of logits per state; its gradient by the logits is d·(1[a] − π(a)) for a derivative d by
//! log π(a), which is what a model's backward pass does.

#![allow(clippy::unwrap_used)] // a panic is the report

use objective::policy::reinforce::RunningBaseline;
use objective::policy::{self, gae, q_actor, q_critic, rewards, rloo, states, tokens, whiten};
use objective::preference::{self, Completion, Pair, Ranking};
use objective::reward::win_probability;
use objective::{Options, numeric};

const VOCABULARY: usize = 4;
const LENGTH: usize = 3;
const SEQUENCES: usize = 64;
const STATES: usize = 1 + 4 + 16;
const BETA: f64 = 0.5;
const KL_MAX: f64 = 0.01;

type Sequence = [usize; LENGTH];

fn sequence(index: usize) -> Sequence {
    [index / 16, index / 4 % 4, index % 4]
}

/// The state before each token: 0, then 1 + first token, then 5 + first two tokens.
fn states_of(s: Sequence) -> [usize; LENGTH] {
    [0, 1 + s[0], 5 + 4 * s[0] + s[1]]
}

/// SplitMix64 (Steele, Lea & Flood 2014), as uniform numbers in [0, 1).
struct Uniform(u64);

impl Uniform {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// A policy: VOCABULARY logits per state, flat.
#[derive(Clone)]
struct Table(Vec<f64>);

impl Table {
    fn logits(&self, state: usize) -> &[f64] {
        &self.0[state * VOCABULARY..(state + 1) * VOCABULARY]
    }

    fn log_probabilities(&self, state: usize) -> Vec<f64> {
        let total = numeric::log_sum_exp(self.logits(state).iter().copied());
        self.logits(state).iter().map(|logit| logit - total).collect()
    }

    fn probabilities(&self, state: usize) -> Vec<f64> {
        self.log_probabilities(state).into_iter().map(f64::exp).collect()
    }

    fn logprobs(&self, s: Sequence) -> Vec<f64> {
        states_of(s).into_iter().zip(s).map(|(state, token)| self.log_probabilities(state)[token]).collect()
    }

    fn logprob(&self, s: Sequence) -> f64 {
        self.logprobs(s).iter().sum()
    }

    fn sample(&self, uniform: &mut Uniform) -> Sequence {
        let mut s = [0; LENGTH];
        for t in 0..LENGTH {
            let mut left = uniform.next();
            let mut token = 0;
            for probability in self.probabilities(states_of(s)[t]) {
                left -= probability;
                if left < 0.0 || token == VOCABULARY - 1 {
                    break;
                }
                token += 1;
            }
            s[t] = token;
        }
        s
    }

    /// Adds a derivative by each token's log π to the gradient by the logits.
    fn backward(&self, s: Sequence, d_logprobs: &[f64], gradient: &mut [f64]) {
        for ((state, token), slope) in states_of(s).into_iter().zip(s).zip(d_logprobs) {
            for (a, probability) in self.probabilities(state).into_iter().enumerate() {
                gradient[state * VOCABULARY + a] += slope * (f64::from(a == token) - probability);
            }
        }
    }
}

/// Adam without weight decay.
struct Adam {
    moments: Vec<(f64, f64)>,
    steps: i32,
}

impl Adam {
    fn new(n: usize) -> Adam {
        Adam { moments: vec![(0.0, 0.0); n], steps: 0 }
    }

    fn step(&mut self, parameters: &mut [f64], gradient: &[f64], lr: f64) {
        self.steps += 1;
        let (correct_first, correct_second) = (1.0 - 0.9f64.powi(self.steps), 1.0 - 0.95f64.powi(self.steps));
        for ((x, g), (first, second)) in parameters.iter_mut().zip(gradient).zip(&mut self.moments) {
            *first = 0.9 * *first + 0.1 * g;
            *second = 0.95 * *second + 0.05 * g * g;
            *x -= lr * (*first / correct_first) / ((*second / correct_second).sqrt() + 1e-8);
        }
    }
}

struct Task {
    reference: Table,
    reward: Vec<f64>,
    /// log π*(s) of each sequence.
    optimum: Vec<f64>,
}

impl Task {
    fn new(seed: u64) -> Task {
        let mut uniform = Uniform(seed);
        let mut draw = || 2.0 * uniform.next() - 1.0;
        let reference = Table((0..STATES * VOCABULARY).map(|_| draw()).collect());
        let reward: Vec<f64> = (0..SEQUENCES).map(|_| draw()).collect();
        let tilted: Vec<f64> = (0..SEQUENCES).map(|i| reference.logprob(sequence(i)) + reward[i] / BETA).collect();
        let total = numeric::log_sum_exp(tilted.iter().copied());
        let optimum = tilted.iter().map(|tilted| tilted - total).collect();
        Task { reference, reward, optimum }
    }

    /// KL(π‖π*), by enumeration.
    fn distance(&self, policy: &Table) -> f64 {
        (0..SEQUENCES)
            .map(|i| (policy.logprob(sequence(i)), self.optimum[i]))
            .map(|(logprob, optimum)| logprob.exp() * (logprob - optimum))
            .sum()
    }

    fn index(s: Sequence) -> usize {
        16 * s[0] + 4 * s[1] + s[2]
    }

    fn token_rewards(&self, policy: &Table, s: Sequence) -> Vec<f64> {
        let (old, reference) = (policy.logprobs(s), self.reference.logprobs(s));
        rewards::token_rewards(0, self.reward[Task::index(s)], &old, &reference, BETA).unwrap()
    }

    #[track_caller]
    fn check(&self, name: &str, policy: &Table) {
        let start = self.distance(&self.reference);
        let end = self.distance(policy);
        eprintln!("{name}: KL(π‖π*) {start:.4} → {end:.5}");
        assert!(start > 0.3, "the task is too easy: it starts at {start}");
        assert!(end <= KL_MAX, "{name}: KL(π‖π*) = {end}");
    }
}

/// What was sampled in one iteration.
struct Batch {
    sampled: Vec<Sequence>,
    rewards: Vec<Vec<f64>>,
    old: Vec<Vec<f64>>,
    reference: Vec<Vec<f64>>,
}

const SAMPLES: usize = 512;
const ITERATIONS: usize = 600;

/// The loop every policy algorithm shares: sample, reward, advantage, loss, step. The learning rate
/// falls linearly to 0, so that sampling noise dies out.
fn learn(task: &Task, loss: &str, epochs: usize, mut advantages: impl FnMut(&Batch) -> Vec<Vec<f64>>) -> Table {
    let loss = policy::by_name(loss, &Options::new()).unwrap();
    let mut uniform = Uniform(17);
    let mut table = task.reference.clone();
    let mut adam = Adam::new(table.0.len());
    for iteration in 0..ITERATIONS {
        let sampled: Vec<Sequence> = (0..SAMPLES).map(|_| table.sample(&mut uniform)).collect();
        let each = |of: &dyn Fn(Sequence) -> Vec<f64>| sampled.iter().map(|&s| of(s)).collect::<Vec<_>>();
        let batch = Batch {
            rewards: each(&|s| task.token_rewards(&table, s)),
            old: each(&|s| table.logprobs(s)),
            reference: each(&|s| task.reference.logprobs(s)),
            sampled,
        };
        let advantages = advantages(&batch);
        let lr = 0.03 * (1.0 - iteration as f64 / ITERATIONS as f64);
        for _ in 0..epochs {
            let logprobs: Vec<Vec<f64>> = batch.sampled.iter().map(|&s| table.logprobs(s)).collect();
            let out = loss.loss(&tokens(&logprobs, &batch.old, &batch.reference, &advantages).unwrap()).unwrap();
            let mut gradient = vec![0.0; table.0.len()];
            for (&s, slopes) in batch.sampled.iter().zip(&out.gradient) {
                table.backward(s, slopes, &mut gradient);
            }
            adam.step(&mut table.0, &gradient, lr);
        }
    }
    table
}

/// A value per state, learned by one of the value losses; gives GAE's advantages.
struct Critic {
    loss: policy::Value,
    values: Vec<f64>,
    adam: Adam,
}

impl Critic {
    fn new(loss: &str) -> Critic {
        let loss = policy::value_by_name(loss, &Options::new()).unwrap();
        Critic { loss, values: vec![0.0; STATES], adam: Adam::new(STATES) }
    }

    fn advantages(&mut self, batch: &Batch) -> Vec<Vec<f64>> {
        let read = |values: &[f64]| -> Vec<Vec<f64>> {
            let row = |&s: &Sequence| states_of(s).map(|state| values[state]).to_vec();
            batch.sampled.iter().map(row).collect()
        };
        let old = read(&self.values);
        let estimate = gae::gae(&batch.rewards, &old, 1.0, 0.95).unwrap();
        for _ in 0..4 {
            let states = states(&read(&self.values), &old, &estimate.returns).unwrap();
            let out = self.loss.loss(&states).unwrap();
            let mut gradient = vec![0.0; STATES];
            for (&s, slopes) in batch.sampled.iter().zip(&out.gradient) {
                states_of(s).into_iter().zip(slopes).for_each(|(state, slope)| gradient[state] += slope);
            }
            self.adam.step(&mut self.values, &gradient, 0.02);
        }
        estimate.advantages
    }
}

#[test]
fn ppo_arrives() {
    let task = Task::new(1);
    let mut critic = Critic::new("value_clip");
    let policy = learn(&task, "ppo_clip", 2, |batch| whiten::advantages(&critic.advantages(batch)));
    task.check("PPO", &policy);
}

#[test]
fn advantage_actor_critic_arrives() {
    let task = Task::new(2);
    let mut critic = Critic::new("value_squared");
    let policy = learn(&task, "policy_gradient", 1, |batch| critic.advantages(batch));
    task.check("advantage actor–critic", &policy);
}

#[test]
fn reinforce_arrives() {
    let task = Task::new(3);
    let mut baseline = RunningBaseline::new(0.9).unwrap();
    let policy = learn(&task, "policy_gradient", 1, |batch| baseline.advantages(&batch.rewards).unwrap());
    task.check("REINFORCE", &policy);
}

#[test]
fn rloo_arrives() {
    let task = Task::new(4);
    // One prompt only: groups of four of its rollouts stand for four answers to a prompt.
    let groups: Vec<usize> = (0..SAMPLES).map(|i| i / 4).collect();
    let policy = learn(&task, "policy_gradient", 1, |batch| rloo::advantages(&batch.rewards, &groups).unwrap());
    task.check("RLOO", &policy);
}

/// KL as a loss (k2) instead of in the reward has the same optimum.
#[test]
fn reinforce_with_the_kl_as_a_k2_loss_arrives() {
    let task = Task::new(5);
    let kl = policy::by_name("kl_k2", &Options::new()).unwrap();
    let groups: Vec<usize> = (0..SAMPLES).map(|i| i / 4).collect();
    let policy = learn(&task, "policy_gradient", 1, |batch| {
        let scores: Vec<Vec<f64>> =
            batch.sampled.iter().map(|&s| vec![0.0, 0.0, task.reward[Task::index(s)]]).collect();
        let mut advantages = rloo::advantages(&scores, &groups).unwrap();
        let zero: Vec<Vec<f64>> = vec![vec![0.0; LENGTH]; SAMPLES];
        // The gradient of β·k2 summed over a sequence's tokens, moved into the advantage: a token's
        // log π acts on its own k2, and by being sampled on those of the tokens after it.
        let slopes = kl.loss(&tokens(&batch.old, &batch.old, &batch.reference, &zero).unwrap()).unwrap();
        let tokens = (SAMPLES * LENGTH) as f64;
        for (advantage, slopes) in advantages.iter_mut().zip(slopes.gradient) {
            let d: Vec<f64> = slopes.iter().map(|slope| slope * tokens).collect();
            for t in 0..LENGTH {
                advantage[t] -= BETA * d[t..].iter().sum::<f64>();
            }
        }
        advantages
    });
    task.check("REINFORCE with k2", &policy);
}

/// arXiv 1607.07086: a critic of every next token with delayed copies, and an actor that takes the
/// expectation over all of them.
#[test]
fn actor_critic_with_a_value_for_every_token_arrives() {
    let task = Task::new(6);
    let mut uniform = Uniform(23);
    let mut actor = task.reference.clone();
    let mut critic = Table(vec![0.0; STATES * VOCABULARY]);
    let (mut delayed_actor, mut delayed_critic) = (actor.clone(), critic.clone());
    let (mut actor_adam, mut critic_adam) = (Adam::new(actor.0.len()), Adam::new(critic.0.len()));
    for iteration in 0..ITERATIONS {
        let (mut d_actor, mut d_critic) = (vec![0.0; actor.0.len()], vec![0.0; critic.0.len()]);
        for _ in 0..SAMPLES {
            let s = actor.sample(&mut uniform);
            let worth = states_of(s)
                .map(|state| q_critic::expected(&delayed_actor.probabilities(state), delayed_critic.logits(state)));
            let targets = q_critic::targets(&task.token_rewards(&actor, s), &worth).unwrap();
            for ((state, token), target) in states_of(s).into_iter().zip(s).zip(targets) {
                let q = critic.logits(state);
                let by_q = q_critic::loss(q, token, target, 0.0).gradient;
                let by_logits = q_actor::loss(actor.logits(state), q).gradient;
                for a in 0..VOCABULARY {
                    d_critic[state * VOCABULARY + a] += by_q[a] / SAMPLES as f64;
                    d_actor[state * VOCABULARY + a] += by_logits[a] / SAMPLES as f64;
                }
            }
        }
        let left = 1.0 - iteration as f64 / ITERATIONS as f64;
        critic_adam.step(&mut critic.0, &d_critic, 0.1 * left.max(0.05));
        // The critic needs to know something before the actor listens to it.
        if iteration > 50 {
            actor_adam.step(&mut actor.0, &d_actor, 0.03 * left);
        }
        let follow = |delayed: &mut Table, current: &Table| {
            for (delayed, current) in delayed.0.iter_mut().zip(&current.0) {
                *delayed = q_critic::delayed_update(*delayed, *current, 0.2);
            }
        };
        follow(&mut delayed_actor, &actor);
        follow(&mut delayed_critic, &critic);
    }
    task.check("actor–critic (Q)", &actor);
}

/// DPO sees only preferences, never the reward: all pairs of sequences, each order weighted by its
/// Bradley–Terry probability under the true reward.
fn population_dpo(task: &Task, loss: &str, smoothed: f64) -> Table {
    let mut options = Options::new().with("beta", BETA);
    if smoothed > 0.0 {
        options.set("label_smoothing", smoothed);
    }
    let loss = preference::by_name(loss, &options).unwrap();
    let mut table = task.reference.clone();
    let mut adam = Adam::new(table.0.len());
    for iteration in 0..300 {
        let completion = |i: usize| Completion {
            policy: table.logprob(sequence(i)),
            reference: task.reference.logprob(sequence(i)),
            tokens: LENGTH,
        };
        let completions: Vec<Completion> = (0..SEQUENCES).map(completion).collect();
        let mut slopes = vec![0.0; SEQUENCES];
        for i in 0..SEQUENCES {
            for j in (0..SEQUENCES).filter(|&j| j != i) {
                let clean = win_probability(task.reward[i], task.reward[j]);
                // What the label says when a share of labels is flipped.
                let share = clean * (1.0 - smoothed) + (1.0 - clean) * smoothed;
                let pair = Pair { chosen: completions[i], rejected: completions[j] };
                let grad = loss.loss(&[pair]).unwrap().pairs[0];
                slopes[i] += share * grad.d_chosen / 4032.0;
                slopes[j] += share * grad.d_rejected / 4032.0;
            }
        }
        let mut gradient = vec![0.0; table.0.len()];
        for (i, slope) in slopes.iter().enumerate() {
            table.backward(sequence(i), &[*slope; LENGTH], &mut gradient);
        }
        adam.step(&mut table.0, &gradient, 0.1 * (1.0 - f64::from(iteration) / 300.0));
    }
    table
}

#[test]
fn dpo_on_population_preferences_arrives() {
    let task = Task::new(7);
    task.check("DPO", &population_dpo(&task, "sigmoid", 0.0));
}

/// With a fifth of the labels flipped, the robust loss still finds the optimum of the true ones …
#[test]
fn robust_dpo_on_flipped_labels_arrives() {
    let task = Task::new(8);
    task.check("robust DPO", &population_dpo(&task, "robust", 0.2));
}

/// … and so does listwise DPO on whole rankings drawn from the reward's Plackett–Luce.
#[test]
fn plackett_luce_dpo_on_sampled_rankings_arrives() {
    let task = Task::new(9);
    let loss = preference::by_name("plackett_luce", &Options::new().with("beta", BETA)).unwrap();
    let mut uniform = Uniform(29);
    let mut table = task.reference.clone();
    let mut adam = Adam::new(table.0.len());
    for iteration in 0..300 {
        let mut rankings = Vec::new();
        let mut members = Vec::new();
        for _ in 0..512 {
            let drawn: Vec<usize> = (0..5).map(|_| (uniform.next() * 64.0) as usize).collect();
            // Sorting by reward + Gumbel noise draws from Plackett–Luce (Yellott 1977).
            let noisy: Vec<f64> =
                drawn.iter().map(|&i| task.reward[i] - (-(uniform.next().max(1e-300)).ln()).ln()).collect();
            let rank = |x: f64| noisy.iter().filter(|&&other| other > x).count() as u32;
            let completion = |&i: &usize| Completion {
                policy: table.logprob(sequence(i)),
                reference: task.reference.logprob(sequence(i)),
                tokens: LENGTH,
            };
            rankings.push(Ranking {
                completions: drawn.iter().map(completion).collect(),
                ranks: noisy.iter().map(|&x| rank(x)).collect(),
            });
            members.push(drawn);
        }
        let out = loss.rankings(&rankings).unwrap();
        let mut gradient = vec![0.0; table.0.len()];
        for (members, slopes) in members.iter().zip(&out.d_policy) {
            for (&i, &slope) in members.iter().zip(slopes) {
                table.backward(sequence(i), &[slope; LENGTH], &mut gradient);
            }
        }
        adam.step(&mut table.0, &gradient, 0.1 * (1.0 - f64::from(iteration) / 300.0));
    }
    task.check("Plackett–Luce DPO", &table);
}

/// The implicit reward of the optimum is the reward itself, up to a constant.
#[test]
fn the_implicit_reward_of_the_optimum_is_the_reward() {
    let task = Task::new(10);
    let implicit = |i: usize| {
        let reference = task.reference.logprob(sequence(i));
        let completion = Completion { policy: task.optimum[i], reference, tokens: LENGTH };
        preference::implicit_reward(&completion, BETA, false)
    };
    let constant = implicit(0) - task.reward[0];
    for i in 1..SEQUENCES {
        assert!((implicit(i) - task.reward[i] - constant).abs() < 1e-12);
    }
}
