//! Rows, and the four stages that learn.
use super::Work;
use crate::asking::{self, Asking};
use crate::domain::{Domain, Part, Question, TextPart};
use crate::error::StudyError;
use crate::event::Event;
use record::Prompt;
use run::{ConfigError, Layers, PpoConfig, RmConfig, SftConfig, StageConfig};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use stdx::Seed;
use train::ppo::{Normalised, Rewards};
use train::scorer::{Asked, RewardModel, ScoreError, Scorer};
use train::{Options, Outcome, TrainError};

/// What a stage's options call themselves in its config.
const ORIGIN: &str = "quickstart";

/// The rows that everything begins with.
const DEMONSTRATIONS: &str = "data/demonstrations.jsonl";
const POLICY: &str = "data/policy.jsonl";
const MIX: &str = "data/mix.jsonl";
const SFT_TEXTS: &str = "data/sft-texts.jsonl";
const RANKINGS: &str = "data/rankings.jsonl";

impl Work<'_> {
    /// Demonstrations, prompts and texts, as files that any other command reads too.
    pub fn write_rows(&mut self) -> Result<(), StudyError> {
        let outputs = [DEMONSTRATIONS, SFT_TEXTS, POLICY, MIX];
        self.stage(("data", "demonstrations, prompts and texts"), &[], &outputs, |work| {
            let (domain, plan) = (&work.study.domain, &work.study.plan);
            let prompt = |question: Question| {
                let (id, use_case) = (&question.id, &question.use_case);
                json!({"prompt": question.messages(), "use_case": use_case, "id": id})
            };
            let text = |text: String| json!({"text": text});
            let policy: Vec<Value> =
                domain.questions(Part::Policy, plan.policy_questions).into_iter().map(prompt).collect();
            let texts = |part: TextPart, n: usize| domain.texts(part, n).into_iter().map(text).collect::<Vec<Value>>();
            work.write_rows_to(DEMONSTRATIONS, &domain.demonstrations(plan.demonstrations))?;
            work.write_rows_to(POLICY, &policy)?;
            work.write_rows_to(SFT_TEXTS, &texts(TextPart::Sft, plan.sft_texts))?;
            work.write_rows_to(MIX, &texts(TextPart::Mix, plan.mix_texts))
        })
    }

    /// Supervised fine-tuning.
    pub fn sft(&mut self) -> Result<(), StudyError> {
        let inputs = [DEMONSTRATIONS, SFT_TEXTS];
        self.stage(("sft", "supervised fine-tuning on demonstrations"), &inputs, &["sft/final"], |work| {
            let layers = || {
                let mut layers = Layers::new()
                    .option::<SftConfig>(ORIGIN, "model.path", work.text_of_base())?
                    .option::<SftConfig>(ORIGIN, "data.train", work.text_of(DEMONSTRATIONS))?;
                if work.study.plan.sft_texts > 0 {
                    layers = layers.option::<SftConfig>(ORIGIN, "sft.ptx", vec![work.text_of(SFT_TEXTS)])?;
                }
                with_settings::<SftConfig>(layers, work.study.plan.seed, &work.study.plan.sft)
            };
            let layers = layers();
            work.train::<SftConfig>("sft", layers, |options, sink| train::sft::run(options, sink))
        })
    }

    /// The model's own answers ranked, or the rankings that there are.
    pub fn rankings(&mut self) -> Result<(), StudyError> {
        let what = "answers of the SFT model, ranked by simulated labelers";
        self.stage(("rankings", what), &["sft/final"], &[RANKINGS], |work| {
            let domain = Arc::clone(&work.study.domain);
            if let Some(rankings) = domain.rankings() {
                return work.write_rows_to(RANKINGS, &rankings);
            }
            let plan = &work.study.plan;
            let questions = domain.questions(Part::Reward, plan.ranked_questions);
            let prompts: Vec<Vec<u32>> = questions
                .iter()
                .map(|question| work.renderer.prompt(&question.messages()))
                .collect::<Result<_, _>>()?;
            let model = asking::load(&work.study.device, &work.study.place("sft/final"))?;
            let seed = Seed(Seed(plan.seed).stream("answers to rank", 0).next_u64());
            let asking = Asking {
                prompts: &prompts,
                n: plan.ranked_answers,
                max_new_tokens: plan.max_new_tokens,
                stop: Vec::new(),
                seed,
            };
            let answers = asking::ask(&model, &work.renderer, &asking, work.study.stop, work.sink)?;
            let Some(answers) = answers else { return Err(work.interrupted("rankings")) };
            // Nobody ranks a text against itself: of equal answers one is shown, and one answer alone is no ranking.
            let mut texts: Vec<Vec<String>> = vec![Vec::new(); questions.len()];
            for answer in answers {
                let of_question = &mut texts[answer.prompt_idx];
                if !of_question.contains(&answer.text) {
                    of_question.push(answer.text);
                }
            }
            let ranked = questions.iter().zip(&texts).enumerate().filter(|(_, (_, texts))| texts.len() > 1);
            let rank = |(idx, (question, texts)): (usize, (&Question, &Vec<String>))| {
                domain.rank(question, texts, idx, Seed(plan.seed))
            };
            let rows: Vec<Value> = ranked.map(rank).collect();
            work.write_rows_to(RANKINGS, &rows)
        })
    }

    /// The reward model, from the SFT model.
    pub fn reward_model(&mut self) -> Result<(), StudyError> {
        let inputs = [RANKINGS, DEMONSTRATIONS, "sft/final"];
        self.stage(("rm", "reward model from the rankings"), &inputs, &["rm/final"], |work| {
            let layers = || {
                let layers = Layers::new()
                    .option::<RmConfig>(ORIGIN, "model.path", work.text_of("sft/final"))?
                    .option::<RmConfig>(ORIGIN, "data.train", work.text_of(RANKINGS))?
                    .option::<RmConfig>(ORIGIN, "rm.demonstrations", vec![work.text_of(DEMONSTRATIONS)])?
                    .option::<RmConfig>(ORIGIN, "data.eval_fraction", 0.1)?;
                with_settings::<RmConfig>(layers, work.study.plan.seed, &work.study.plan.rm)
            };
            let layers = layers();
            work.train::<RmConfig>("rm", layers, |options, sink| train::reward::run(options, sink))
        })
    }

    /// PPO against the reward model, with or without the pretraining mix; matched otherwise.
    pub fn ppo(&mut self, stage: &'static str, with_mix: bool) -> Result<(), StudyError> {
        let what = if with_mix { "the same PPO with the pretraining mix" } else { "PPO against the reward model" };
        let mut inputs = vec!["sft/final", "rm/final", POLICY];
        inputs.extend(with_mix.then_some(MIX));
        let output = format!("{stage}/final");
        self.stage((stage, what), &inputs, &[&output], |work| {
            let rewards = work.rewards()?;
            let layers = work.ppo_layers(with_mix);
            work.train::<PpoConfig>(stage, layers, |options, sink| train::ppo::run(options, rewards, sink))
        })
    }

    fn ppo_layers(&self, with_mix: bool) -> Result<Layers, ConfigError> {
        let plan = &self.study.plan;
        let mut layers = Layers::new()
            .option::<PpoConfig>(ORIGIN, "model.path", self.text_of("sft/final"))?
            .option::<PpoConfig>(ORIGIN, "data.train", self.text_of(POLICY))?
            .option::<PpoConfig>(ORIGIN, "ppo.reward", vec![self.text_of("rm/final")])?
            .option::<PpoConfig>(ORIGIN, "ppo.max_new_tokens", plan.max_new_tokens as i64)?;
        let is_critic_free = |setting: &String| {
            setting.strip_prefix("ppo.algorithm=").is_some_and(|name| !matches!(name, "ppo" | "actor_critic"))
        };
        if !plan.ppo.iter().any(is_critic_free) {
            layers = layers.option::<PpoConfig>(ORIGIN, "ppo.value", self.text_of("rm/final"))?;
        }
        layers = with_settings::<PpoConfig>(layers, plan.seed, &plan.ppo)?;
        if with_mix {
            layers = layers.option::<PpoConfig>(ORIGIN, "ppo.ptx", vec![self.text_of(MIX)])?;
            for setting in &plan.ptx {
                layers = layers.set::<PpoConfig>(setting)?;
            }
        }
        Ok(layers)
    }

    /// The reward model on its own scale, and gold beside it, only measured.
    fn rewards(&self) -> Result<Rewards, StudyError> {
        let (study, folder) = (self.study, self.study.place("rm/final"));
        let precision = asking::precision(&study.device, &folder)?;
        let reward = RewardModel::open(&study.device, &folder, precision, asking::BATCH_TOKENS)?;
        let questions = study.domain.questions(Part::Policy, study.plan.policy_questions);
        let gold = Gold {
            domain: Arc::clone(&study.domain),
            questions: questions.into_iter().map(|question| (question.messages(), question)).collect(),
        };
        Ok(Rewards {
            reward: Some(Box::new(Normalised(Box::new(reward)))),
            gold: Some(Box::new(gold)),
            folders: vec![folder],
        })
    }

    fn train<C: StageConfig>(
        &mut self,
        stage: &'static str,
        layers: Result<Layers, ConfigError>,
        run: impl FnOnce(Options<'_, C>, &mut dyn train::Sink) -> Result<Outcome, TrainError>,
    ) -> Result<(), StudyError> {
        let failed = |source: TrainError| StudyError::Train { stage, source };
        let config = layers.and_then(Layers::resolve::<C>).map_err(|error| failed(error.into()))?;
        let out = self.study.place(stage);
        let resume = out.join("config.toml").is_file();
        let options = Options {
            config,
            out,
            resume,
            device: self.study.device.clone(),
            renderer: &self.renderer,
            source: None,
            stop: self.study.stop,
            score: None,
            program: self.study.program.clone(),
        };
        let sink = &mut *self.sink;
        let outcome = run(options, &mut |event: &train::Event| sink(Event::Train(event)));
        sink(Event::Trained);
        match outcome.map_err(failed)? {
            Outcome::Finished(_) => Ok(()),
            Outcome::Interrupted { .. } => Err(self.interrupted(stage)),
        }
    }

    fn text_of_base(&self) -> String {
        self.study.base.to_string_lossy().into_owned()
    }

    /// A path of the study as a value of a config.
    fn text_of(&self, name: &str) -> String {
        self.study.place(name).to_string_lossy().into_owned()
    }
}

fn with_settings<C: StageConfig>(layers: Layers, seed: u64, settings: &[String]) -> Result<Layers, ConfigError> {
    let layers = layers.option::<C>(ORIGIN, "train.seed", i64::try_from(seed).unwrap_or(i64::MAX))?;
    settings.iter().try_fold(layers, |layers, setting| layers.set::<C>(setting))
}

/// The domain's verdict as a whole, as a reward that PPO only measures.
struct Gold {
    domain: Arc<dyn Domain>,
    questions: HashMap<Prompt, Question>,
}

impl Scorer for Gold {
    fn name(&self) -> String {
        format!("gold of {}", self.domain.name())
    }

    fn score(&mut self, asked: &[Asked<'_>]) -> Result<Vec<Vec<f64>>, ScoreError> {
        let judge = |question: Option<&Question>, answer: &str| {
            let verdict =
                question.and_then(|question| self.domain.judge(question, answer).into_iter().next().flatten());
            verdict.unwrap_or(0.0)
        };
        let of = |asked: &Asked<'_>| {
            let question = self.questions.get(asked.prompt);
            asked.completions.iter().map(|answer| judge(question, answer)).collect()
        };
        Ok(asked.iter().map(of).collect())
    }
}
