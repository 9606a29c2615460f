//! The padding token of a reward model.
use model::ModelConfig;
use render::Renderer;

/// `transformers` reads a batch's scores at the last token that isn't padding. Were padding also an EOS, that would be
/// the token before the EOS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Padding {
    /// Its id.
    pub id: u32,
    /// Its text; `None` when the tokenizer knows no such token.
    pub token: Option<String>,
}

impl Padding {
    /// The tokenizer's padding token if it ends nothing; else a special token that neither begins nor ends anything;
    /// else the last token that ends nothing. Every scored sequence ends in an EOS, so any other token will do.
    /// Never the token that rewards are read at.
    pub fn choose(renderer: &Renderer, config: &ModelConfig, readout: Option<u32>) -> Padding {
        let tokenizer = renderer.tokenizer();
        let fits = |id: &u32| {
            let ends = renderer.end_ids().contains(id) || config.eos_token_ids.contains(id);
            !ends && Some(*id) != readout && (*id as usize) < config.vocab_size
        };
        let specials = tokenizer.special_tokens().into_iter().rev().map(|(id, _)| id);
        let begins = [renderer.bos_id(), config.bos_token_id];
        let special = specials.filter(|&id| !begins.contains(&Some(id)));
        let any = (0..config.vocab_size as u32).rev();
        let candidates = [renderer.pad_id(), config.pad_token_id].into_iter().flatten().chain(special).chain(any);
        let id = candidates.into_iter().find(fits).unwrap_or(0);
        Padding { id, token: tokenizer.token(id) }
    }
}
