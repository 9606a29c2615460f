//! What configurations say about themselves: values, origins, errors.
#![allow(clippy::unwrap_used)]
use run::config::MissingEos;
use run::{ConfigError, Layers, Origin, PpoConfig, PretrainConfig, Resolved, SftConfig};
use std::path::Path;

/// The least that a config must be given.
fn base() -> Layers {
    Layers::new()
        .option::<SftConfig>("--model", "model.path", "m")
        .and_then(|layers| layers.option::<SftConfig>("--data", "data.train", "a.jsonl"))
        .unwrap()
}

fn resolve(sets: &[&str]) -> Result<Resolved<SftConfig>, ConfigError> {
    let mut layers = base();
    for set in sets {
        layers = layers.set::<SftConfig>(set)?;
    }
    layers.resolve()
}

/// The error of some `--set`s, with its hint.
fn refusal(sets: &[&str]) -> String {
    let error = resolve(sets).unwrap_err();
    match error.hint() {
        Some(hint) => format!("{error} | {hint}"),
        None => error.to_string(),
    }
}

#[test]
fn later_layers_win_and_origins_are_kept() {
    let file = "[optimizer]\nlr = 2e-5\nwarmup_steps = 7\n[model]\nlora = { rank = 4 }\n";
    let resolved: Resolved<SftConfig> = base()
        .file::<SftConfig>(Path::new("my.toml"), file)
        .and_then(|layers| layers.set::<SftConfig>("optimizer.lr=1"))
        .and_then(|layers| layers.set::<SftConfig>("model.lora.alpha=16"))
        .unwrap()
        .resolve()
        .unwrap();
    let config = &resolved.config;
    assert_eq!(config.optimizer.lr, 1.0); // an integer is a number
    assert_eq!(config.optimizer.warmup_steps, 7);
    let lora = config.model.lora.as_ref().unwrap();
    assert_eq!((lora.rank, lora.alpha), (4, Some(16.0)));
    assert_eq!(config.train.epochs, Some(1)); // neither epochs nor max_steps given
    assert_eq!(resolved.origin("optimizer.lr"), Origin::Set);
    assert_eq!(resolved.origin("optimizer.warmup_steps"), Origin::File("my.toml".into()));
    let text = resolved.to_toml();
    for line in [
        "lr = 1.0  # --set",
        "warmup_steps = 7  # my.toml",
        "path = \"m\"  # --model",
        "train = [\"a.jsonl\"]  # --data",
        "betas = [0.9, 0.95]  # default",
        "# max_steps is not set",
    ] {
        assert!(text.contains(line), "{line:?} is missing in:\n{text}");
    }
    assert!(!text.contains("shared_prefix"), "an option without effect was written:\n{text}");
}

/// `{ subtract = 1.0 }` was merged with the default `{ replace = -1.0 }`, and the two refused.
#[test]
fn a_table_that_chooses_takes_the_place_of_another() {
    let resolved = |layers: Layers| {
        let layers = layers.set::<PpoConfig>("model.path=m").unwrap();
        let layers = layers.set::<PpoConfig>("data.train=prompts.jsonl").unwrap();
        layers.set::<PpoConfig>("ppo.reward=[\"rule:json\"]").unwrap().resolve::<PpoConfig>().unwrap().config.ppo
    };
    let file = "[ppo]\nmissing_eos = { subtract = 0.5 }\n";
    let in_file = || Layers::new().file::<PpoConfig>(Path::new("c.toml"), file).unwrap();
    assert_eq!(resolved(in_file()).missing_eos, MissingEos::Subtract(0.5));
    let above = in_file().set::<PpoConfig>("ppo.missing_eos={replace = -2}").unwrap();
    assert_eq!(resolved(above).missing_eos, MissingEos::Replace(-2.0));
    let keep = in_file().set::<PpoConfig>("ppo.missing_eos=keep").unwrap();
    assert_eq!(resolved(keep).missing_eos, MissingEos::Keep);
}

#[test]
fn what_is_saved_can_be_resumed_and_may_only_train_longer() {
    let started = resolve(&["optimizer.schedule=constant", "train.max_steps=5"]).unwrap();
    let text = started.to_toml();
    let again = |set: &str| {
        Layers::new()
            .saved::<SftConfig>(Path::new("run/config.toml"), &text)
            .and_then(|layers| layers.set::<SftConfig>(set))
            .and_then(Layers::resolve::<SftConfig>)
            .unwrap()
    };
    let same = again("train.save_every=3");
    assert_eq!(same.origin("train.max_steps"), Origin::Saved("--set".into()));
    assert_eq!(same.origin("optimizer.min_lr_ratio"), Origin::Default);
    same.check_resumes(&started).unwrap();

    let longer = again("train.epochs=2");
    assert_eq!((longer.config.train.epochs, longer.config.train.max_steps), (Some(2), None));
    longer.check_resumes(&started).unwrap();

    let error = again("train.batch_size=3").check_resumes(&started).unwrap_err();
    assert_eq!(error.to_string(), "`train.batch_size` is 3 (--set), but the run was started with 8");
}

#[test]
fn unknown_keys_name_the_nearest() {
    assert_eq!(refusal(&["optimizer.lrr=1"]), "--set: unknown key `optimizer.lrr` | did you mean `optimizer.lr`?");
    // the right name in the wrong section
    assert!(refusal(&["train.lr=1"]).ends_with("did you mean `optimizer.lr`?"));
    assert!(refusal(&["optimzer.betas=[0.9,0.9]"]).ends_with("did you mean `optimizer.betas`?"));
    assert_eq!(refusal(&["ppo.kl_budget=1"]), "--set: unknown key `ppo.kl_budget`");
    let error = base().file::<SftConfig>(Path::new("c.toml"), "[train]\nbatchsize = 4\n").err().unwrap();
    assert_eq!(error.to_string(), "c.toml: unknown key `train.batchsize`");
    assert_eq!(error.hint().unwrap(), "did you mean `train.batch_size`?");
    assert!(refusal(&["model.lora={rank=1, alhpa=2}"]).contains("alhpa"));
}

#[test]
fn values_out_of_range_are_refused() {
    for (set, expected) in [
        ("optimizer.lr=nan", "`optimizer.lr` = NaN (--set): expected a finite number above 0"),
        ("optimizer.lr=-1e-5", "`optimizer.lr` = -0.00001 (--set): expected a finite number above 0"),
        ("optimizer.lr=inf", "`optimizer.lr` = inf (--set): expected a finite number above 0"),
        ("model.dropout=1.0", "`model.dropout` = 1 (--set): expected a number in [0, 1)"),
        ("data.max_length=1", "`data.max_length` = 1 (--set): expected at least 2 tokens"),
        ("train.batch_size=0", "`train.batch_size` = 0 (--set): expected at least 1"),
        ("train.max_steps=0", "`train.max_steps` = 0 (--set): expected at least 1"),
        ("train.ema=1", "`train.ema` = 1 (--set): expected a number in (0, 1)"),
        ("optimizer.betas=[0.9, 1.0]", "`optimizer.betas` = [0.9, 1.0] (--set): expected two numbers in [0, 1)"),
    ] {
        assert_eq!(refusal(&[set]), expected);
    }
}

#[test]
fn wrong_types_name_key_or_line() {
    let message = refusal(&["optimizer.lr=fast"]);
    assert!(message.contains("`optimizer.lr`") && message.contains("\"fast\""), "{message}");
    assert!(refusal(&["train.batch_size=-1"]).contains("-1"));
    assert!(refusal(&["optimizer.schedule=cosin"]).contains("cosin"));
    assert!(refusal(&["lr"]).contains("expected key=value"));
    assert!(refusal(&["train=3"]).contains("is a section"));
    let text = "[train]\n\nbatch_size = \"many\"\n";
    let error = base().file::<SftConfig>(Path::new("c.toml"), text).err().unwrap().to_string();
    assert!(error.contains("c.toml") && error.contains("line 3"), "{error}");
    let error = base().file::<SftConfig>(Path::new("c.toml"), "[train\n").err().unwrap().to_string();
    assert!(error.contains("c.toml") && error.contains("line 1"), "{error}");
}

#[test]
fn contradictions_and_idle_options_are_refused() {
    assert!(refusal(&["train.epochs=2", "train.max_steps=3"]).contains("`train.max_steps` and `train.epochs`"));
    assert_eq!(
        refusal(&["data.shared_prefix=false"]),
        "`data.shared_prefix` (--set) would do nothing in sft: a demonstration has one completion | leave it out"
    );
    assert!(refusal(&["optimizer.schedule=constant", "optimizer.min_lr_ratio=0.2"]).contains("is constant"));
    assert!(refusal(&["data.packing=false", "train.micro_tokens=99"]).contains("packing is off"));
    assert!(refusal(&["train.eval_every=5"]).contains("no held-out rows"));
    assert!(refusal(&["train.choose=held_out_loss"]).contains("--eval-data"));
    assert!(refusal(&["data.eval=e.jsonl", "data.eval_fraction=0.1"]).contains("both given"));
    let missing = Layers::new().resolve::<SftConfig>().unwrap_err();
    assert_eq!(missing.to_string(), "`model.path` is missing");
}

#[test]
fn pretraining_has_its_own_defaults_even_beside_given_values() {
    let resolved: Resolved<PretrainConfig> = Layers::new()
        .file::<PretrainConfig>(
            Path::new("p.toml"),
            "[model]\npath = \"m\"\n[data]\ntrain = [\"t.jsonl\"]\n[optimizer]\nwarmup_steps = 3\n",
        )
        .unwrap()
        .resolve()
        .unwrap();
    assert_eq!(resolved.config.optimizer.lr, 3e-4);
    let idle = Layers::new().set::<PretrainConfig>("data.loss_on=all").unwrap().resolve::<PretrainConfig>();
    assert!(idle.unwrap_err().to_string().contains("would do nothing in pretrain"));
}

#[test]
fn preference_stages_refuse_what_would_do_nothing_there() {
    use run::{DpoConfig, RmConfig};
    let rm = |set: &str| {
        let layers = Layers::new().option::<RmConfig>("--model", "model.path", "m").unwrap();
        let layers = layers.option::<RmConfig>("--data", "data.train", "a.jsonl").unwrap();
        layers.set::<RmConfig>(set).and_then(Layers::resolve::<RmConfig>)
    };
    assert_eq!(rm("rm.margin=true").unwrap().config.train.batch_size, 64);
    assert_eq!(rm("rm.labeler_weights.a=0.5").unwrap().config.rm.labeler_weights["a"], 0.5);
    for (set, part) in [
        ("data.over_length=truncate", "is not the one that was judged"),
        ("data.loss_on=all", "would do nothing in rm"),
        ("rm.labeler_weights.a=-1", "a = -1"),
        ("rm.margins=true", "unknown key `rm.margins`"),
        ("rm.readout=middle", "readout"),
        ("rm.train_only_readout=true", "would do nothing in rm"),
        ("dpo.beta=1", "unknown key"),
    ] {
        let error = rm(set).unwrap_err().to_string();
        assert!(error.contains(part), "{set}: {error}");
    }
    let resolved = Layers::new()
        .option::<DpoConfig>("--model", "model.path", "m")
        .and_then(|layers| layers.option::<DpoConfig>("--data", "data.train", "a.jsonl"))
        .and_then(|layers| layers.set::<DpoConfig>("dpo.loss=ipo"))
        .and_then(Layers::resolve::<DpoConfig>)
        .unwrap();
    assert!(
        resolved.to_toml().contains("[dpo]\nloss = \"ipo\"  # --set\n# beta is not set\n"),
        "{}",
        resolved.to_toml()
    );
}
