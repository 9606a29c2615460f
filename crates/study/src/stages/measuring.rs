//! Models measured on questions that no stage saw.
use super::Work;
use crate::answer::Answer;
use crate::asking::{self, Asking};
use crate::domain::{Domain, Part, Question, TextPart};
use crate::error::StudyError;
use crate::loss::{self, TextLoss};
use crate::report::{Example, Measured};
use crate::study::{CONTENDERS, Contender, Manner};
use generate::{Completion, StopReason};
use model::Model;
use std::sync::Arc;
use stdx::Seed;
use train::ppo::Normalised;
use train::scorer::{Asked, RewardModel, Scorer};

const EXAMPLES: &str = "answers/examples.jsonl";

fn answers_file(key: &str) -> String {
    format!("answers/{key}.jsonl")
}

fn texts_file(key: &str) -> String {
    format!("texts/{key}.jsonl")
}

impl Work<'_> {
    /// Asks a model every question and measures its answers; its loss on texts too, unless another has its weights.
    pub fn measure(&mut self, contender: &Contender) -> Result<(), StudyError> {
        let name = match contender.key {
            "base" => "measure-base",
            "few-shot" => "measure-few-shot",
            "sft" => "measure-sft",
            "ppo" => "measure-ppo",
            _ => "measure-ppo-ptx",
        };
        let own = contender.folder.map(|stage| format!("{stage}/final"));
        let mut inputs = vec!["sft/final", "rm/final"];
        inputs.extend(own.as_deref());
        let (answers, texts) = (answers_file(contender.key), texts_file(contender.key));
        self.stage((name, contender.what), &inputs, &[&answers, &texts], |work| {
            let model = asking::load(&work.study.device, &work.study.model(contender))?;
            let losses = work.losses(contender, &model)?;
            let rows = work.answers(name, contender, &model)?;
            work.write_rows_to(&answers, &rows)?;
            work.write_rows_to(&texts, &losses)
        })
    }

    fn losses(&self, contender: &Contender, model: &Model) -> Result<Vec<TextLoss>, StudyError> {
        if contender.manner == Manner::FewShot {
            return Ok(Vec::new()); // the base's weights, measured already
        }
        let texts = self.study.domain.texts(TextPart::HeldOut, self.study.plan.texts);
        loss::of_texts(model, &self.renderer, &texts)
    }

    fn answers(&mut self, stage: &str, contender: &Contender, model: &Model) -> Result<Vec<Answer>, StudyError> {
        let domain = Arc::clone(&self.study.domain);
        let plan = &self.study.plan;
        let questions = domain.questions(Part::Eval, plan.questions);
        // The same chance for every model: what differs is the model.
        let seed = Seed(Seed(plan.seed).stream("answers to measure", 0).next_u64());
        let (prompts, completions) = self.ask(stage, contender, model, &questions, plan.samples, seed)?;
        let mut rows: Vec<Answer> = completions
            .iter()
            .map(|found| {
                let question = &questions[found.prompt_idx];
                let text = found.text.trim().to_owned();
                Answer {
                    ended: matches!(found.stop, StopReason::End | StopReason::StopString),
                    tokens: found.token_ids.len(),
                    ..Answer::new(&*domain, question, contender.key, found.sample_idx, text)
                }
            })
            .collect();
        self.add_rewards(&questions, &completions, &mut rows)?;
        if contender.manner == Manner::Chat {
            self.add_kl(contender, &prompts, &completions, &mut rows)?;
        }
        Ok(rows)
    }

    /// The prompts as tokens, and the answers to them.
    fn ask(
        &mut self,
        stage: &str,
        contender: &Contender,
        model: &Model,
        questions: &[Question],
        n: usize,
        seed: Seed,
    ) -> Result<(Vec<Vec<u32>>, Vec<Completion>), StudyError> {
        let domain = &self.study.domain;
        let render = |question: &Question| match contender.manner {
            Manner::Bare => self.renderer.prompt(&record::Prompt::Text(domain.bare(question))),
            Manner::FewShot => self.renderer.prompt(&record::Prompt::Text(domain.few_shot(question))),
            Manner::Chat => self.renderer.prompt(&question.messages()),
        };
        let prompts: Vec<Vec<u32>> = questions.iter().map(render).collect::<Result<_, _>>()?;
        let stop = if contender.manner == Manner::FewShot { domain.few_shot_stop() } else { Vec::new() };
        let max_new_tokens = self.study.plan.max_new_tokens;
        let asking = Asking { prompts: &prompts, n, max_new_tokens, stop, seed };
        let found = asking::ask(model, &self.renderer, &asking, self.study.stop, self.sink)?;
        let Some(found) = found else { return Err(self.interrupted(stage)) };
        Ok((prompts, found))
    }

    fn add_rewards(
        &self,
        questions: &[Question],
        completions: &[Completion],
        rows: &mut [Answer],
    ) -> Result<(), StudyError> {
        let folder = self.study.place("rm/final");
        let precision = asking::precision(&self.study.device, &folder)?;
        let reward = RewardModel::open(&self.study.device, &folder, precision, asking::BATCH_TOKENS)?;
        let mut reward = Normalised(Box::new(reward));
        let prompts: Vec<record::Prompt> = questions.iter().map(Question::messages).collect();
        let asked: Vec<Asked<'_>> = completions
            .iter()
            .zip(rows.iter())
            .map(|(found, row)| Asked::one(&prompts[found.prompt_idx], &row.completion))
            .collect();
        let rewards = reward.score(&asked)?;
        for (row, reward) in rows.iter_mut().zip(rewards.into_iter().flatten()) {
            row.reward = reward;
        }
        Ok(())
    }

    fn add_kl(
        &self,
        contender: &Contender,
        prompts: &[Vec<u32>],
        completions: &[Completion],
        rows: &mut [Answer],
    ) -> Result<(), StudyError> {
        let sequences: Vec<(&[u32], &[u32])> =
            completions.iter().map(|found| (&prompts[found.prompt_idx][..], &found.token_ids[..])).collect();
        let sampled = |found: &Completion| found.log_probs.iter().copied().map(f64::from).sum::<f64>();
        let device = &self.study.device;
        let base = asking::log_likelihoods(&asking::load(device, &self.study.base)?, &sequences);
        for (idx, found) in completions.iter().enumerate() {
            rows[idx].kl_base = Some(sampled(found) - base[idx]);
        }
        if contender.key != "sft" {
            let sft = asking::log_likelihoods(&asking::load(device, &self.study.place("sft/final"))?, &sequences);
            for (idx, found) in completions.iter().enumerate() {
                rows[idx].kl_sft = Some(sampled(found) - sft[idx]);
            }
        }
        Ok(())
    }

    /// Several answers of every model to one question.
    pub fn examples(&mut self) -> Result<(), StudyError> {
        let inputs = ["sft/final", "ppo/final", "ppo-ptx/final"];
        self.stage(("examples", "several answers of each model to one question"), &inputs, &[EXAMPLES], |work| {
            let domain = Arc::clone(&work.study.domain);
            let question = domain.example();
            let mut rows = Vec::new();
            for contender in CONTENDERS {
                let model = asking::load(&work.study.device, &work.study.model(contender))?;
                let seed = Seed(Seed(work.study.plan.seed).stream("examples", 0).next_u64());
                let asked = std::slice::from_ref(&question);
                let n = work.study.plan.example_answers;
                let (_, found) = work.ask("examples", contender, &model, asked, n, seed)?;
                let answers: Vec<String> = found.into_iter().map(|found| found.text.trim().to_owned()).collect();
                rows.push(example(&*domain, &question, contender.key, answers));
            }
            work.write_rows_to(EXAMPLES, &rows)
        })
    }

    /// Everything that was measured, and the examples.
    pub(super) fn measured(&self) -> Result<(Vec<Measured>, Vec<Example>), StudyError> {
        let of = |contender: &Contender| {
            Ok(Measured {
                key: contender.key,
                answers: self.read_rows(&answers_file(contender.key))?,
                texts: self.read_rows(&texts_file(contender.key))?,
            })
        };
        let measured = CONTENDERS.iter().map(of).collect::<Result<_, StudyError>>()?;
        Ok((measured, self.read_rows(EXAMPLES)?))
    }
}

fn example(domain: &dyn Domain, question: &Question, model: &str, answers: Vec<String>) -> Example {
    let different = answers.iter().collect::<std::collections::BTreeSet<_>>().len();
    let verdict = |answer: &String| domain.judge(question, answer).into_iter().next().flatten().unwrap_or(0.0);
    let right = answers.iter().map(verdict).filter(|&verdict| verdict >= 1.0).count() as f64;
    Example { model: model.to_owned(), answers, different, right }
}
