//! A token that is learnt by itself beside a frozen table: where a reward model may read its scalar.
//!
//! Its row lies apart from the embedding, in the trainable tail of the flat buffer, and takes the table's place where the
//! token stands. Nothing before the token depends on the row, so the backward pass runs over the tokens from it on alone;
//! of the others only keys and values are read, which the forward pass left.
use crate::architecture::Architecture;
use crate::batch::TreeBatch;
use crate::config::Fields;
use crate::forward::blocks_of;
use crate::model::Model;
use crate::parameters::{self, Storage, Vector};
use crate::weights::TensorSource;
use crate::workspace::{LayerTape, sized};
use crate::{LoadOptions, ModelError, weights};
use kernels::Device;
use kernels::attention::{self, QkvLayout, QueryBlock, Span};
use kernels::elementwise;
use std::path::Path;

/// A token that the model's file may lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LearnedToken {
    /// Its id.
    pub token_id: u32,
    /// Rows of the embedding, at least `token_id` + 1 and at least as many as the file has.
    pub rows: usize,
}

/// The row of a token whose table is frozen.
pub(crate) struct LearnedRow {
    pub token_id: u32,
    pub row: Vector,
}

impl Model {
    /// [`Model::load`] with an embedding of `token.rows` rows; those that the file lacks are zero. Where the embedding is
    /// frozen and something trains, the token's row trains all the same. The LM head doesn't grow: only for models with a
    /// scalar head.
    pub fn load_with_token(
        device: &Device,
        path: &Path,
        options: &LoadOptions,
        token: LearnedToken,
    ) -> Result<Model, ModelError> {
        let mut checkpoint = weights::open(path)?;
        if let Some(config) = checkpoint.config.as_object_mut() {
            config.insert("vocab_size".into(), token.rows.into());
        }
        let origin = path.join("config.json");
        let mut model = Model::empty(device, checkpoint.config, &origin, options, Some(token))?;
        model.fill(checkpoint.tensors.as_ref(), path)?;
        Ok(model)
    }

    /// Gives a token the row of another, to begin with.
    pub fn init_token(&mut self, token_id: u32, like: u32) {
        let row = self.table_row(like);
        let device = self.device.clone();
        if let Some(learned) = self.parameters.learned.as_ref().filter(|learned| learned.token_id == token_id) {
            let offset = learned.row.offset;
            self.parameters.flat[offset..offset + row.len()].copy_from_slice(&row);
            return;
        }
        match &mut self.parameters.embedding.storage {
            Storage::Flat { offset, .. } => {
                let start = *offset + token_id as usize * row.len();
                self.parameters.flat[start..start + row.len()].copy_from_slice(&row);
                self.parameters.repack(&device);
            }
            Storage::Bf16(packed) => packed.pack_rows(&device, token_id as usize, &row),
            Storage::Q8(_) | Storage::Staged(_) => unreachable!("an embedding is never held in Q8_0"),
        }
    }

    /// A token's row of the table.
    fn table_row(&self, token_id: u32) -> Vec<f32> {
        let d = self.architecture.hidden_size;
        let mut row = vec![0.0; d];
        match &self.parameters.embedding.storage {
            Storage::Flat { offset, .. } => {
                row.copy_from_slice(&self.parameters.flat[offset + token_id as usize * d..][..d]);
            }
            Storage::Bf16(packed) => packed.read_row(token_id as usize, &mut row),
            Storage::Q8(_) | Storage::Staged(_) => unreachable!("an embedding is never held in Q8_0"),
        }
        row
    }

    /// After loading: the learned row begins as the table's.
    pub(crate) fn adopt_token(&mut self) {
        let Some((token_id, offset)) = self.parameters.learned.as_ref().map(|l| (l.token_id, l.row.offset)) else {
            return;
        };
        let row = self.table_row(token_id);
        self.parameters.flat[offset..offset + row.len()].copy_from_slice(&row);
    }

    /// Puts the learned row where its token stands, over what the table has there.
    pub(crate) fn place_token(&self, token_ids: &[u32], x: &mut [f32]) {
        let Some(learned) = &self.parameters.learned else {
            return;
        };
        let row = self.parameters.values(&learned.row);
        for (x, _) in x.chunks_mut(row.len()).zip(token_ids).filter(|(_, id)| **id == learned.token_id) {
            x.copy_from_slice(row);
        }
    }

    /// Attention's backward pass from some rows only, given dL/d(their results) and saved activations of all.
    pub(crate) fn attention_within(
        &self,
        within: &Within,
        blocks: &[QueryBlock],
        layout: QkvLayout,
        d_attention: &[f32],
        d_qkv: &mut [f32],
        wide: &mut (Vec<f32>, Vec<f32>),
    ) {
        let (query, stride) = (self.architecture.query_width(), layout.stride);
        let Within { rows, tape, n_tokens: t } = *within;
        let (d_out, d_all) = (sized(&mut wide.0, t * query), sized(&mut wide.1, t * stride));
        for (d_row, &row) in d_attention.chunks(query).zip(rows) {
            d_out[row as usize * query..][..query].copy_from_slice(d_row);
        }
        attention::backward(
            &self.device,
            self.attention_shape(),
            blocks,
            layout,
            &tape.qkv[..t * stride],
            &tape.attention[..t * query],
            &tape.log_sum_exp[..t * self.architecture.n_heads],
            d_out,
            d_all,
        );
        elementwise::gather_rows(&self.device, d_all, stride, rows, d_qkv);
    }
}

/// Where a backward pass over some rows finds what the others left.
#[derive(Clone, Copy)]
pub(crate) struct Within<'a> {
    /// Their rows, ascending.
    pub rows: &'a [u32],
    /// The layer's activations of every token.
    pub tape: &'a LayerTape,
    /// How many tokens those are.
    pub n_tokens: usize,
}

/// The tokens of a batch whose results depend on a learned row.
#[derive(Default)]
pub(crate) struct Dependents {
    pub rows: Vec<u32>,
    pub token_ids: Vec<u32>,
    pub positions: Vec<u32>,
    /// What each run of them sees.
    pub blocks: Vec<QueryBlock>,
}

impl Dependents {
    /// Every token from the first `token_id` on, along each path; none without such a token.
    pub fn of(batch: &TreeBatch, token_id: Option<u32>) -> Dependents {
        let mut dependents = Dependents::default();
        let Some(token_id) = token_id else {
            return dependents;
        };
        let mut depends = vec![false; batch.segments().len()];
        for (idx, (segment, block)) in batch.segments().iter().zip(blocks_of(batch)).enumerate() {
            let token_ids = &batch.token_ids()[segment.start..][..segment.length];
            let inherited = segment.parent.is_some_and(|parent| depends[parent]);
            let own = token_ids.iter().position(|&id| id == token_id);
            let first = if inherited { Some(0) } else { own };
            let Some(first) = first else {
                continue;
            };
            depends[idx] = true;
            let start = (segment.start + first) as u32;
            let rows = start..(segment.start + segment.length) as u32;
            let before = (first > 0).then_some(Span { start: segment.start as u32, length: first as u32 });
            dependents.blocks.push(QueryBlock {
                query_start: start,
                query_length: rows.len() as u32,
                spans: block.spans.into_iter().chain(before).collect(),
                causal_start: start,
            });
            dependents.token_ids.extend(&token_ids[first..]);
            dependents.positions.extend(&batch.positions()[segment.start + first..][..rows.len()]);
            dependents.rows.extend(rows);
        }
        dependents
    }
}

impl LayerTape {
    /// The activations of some rows alone, but for those that attention reads of all.
    pub(crate) fn gather(&self, device: &Device, a: &Architecture, rows: &[u32], to: &mut LayerTape) {
        let gather = |from: &[f32], width: usize, to: &mut Vec<f32>| {
            if !from.is_empty() {
                elementwise::gather_rows(device, from, width, rows, sized(to, rows.len() * width));
            }
        };
        gather(&self.attention_mean, 1, &mut to.attention_mean);
        gather(&self.attention_inverse, 1, &mut to.attention_inverse);
        gather(&self.query_before, a.query_width(), &mut to.query_before);
        gather(&self.key_before, a.key_width(), &mut to.key_before);
        gather(&self.query_inverse, a.n_heads, &mut to.query_inverse);
        gather(&self.key_inverse, a.n_kv_heads, &mut to.key_inverse);
        gather(&self.attention, a.query_width(), &mut to.attention);
        gather(&self.middle, a.hidden_size, &mut to.middle);
        gather(&self.mlp_mean, 1, &mut to.mlp_mean);
        gather(&self.mlp_inverse, 1, &mut to.mlp_inverse);
        gather(&self.up, a.up_width(), &mut to.up);
    }
}

/// The embedding's rows, with zeros for those that the file lacks.
pub(crate) fn read_grown(
    source: &dyn TensorSource,
    device: &Device,
    fields: &Fields,
    name: &str,
    shape: &[usize],
    values: &mut [f32],
) -> Result<(), ModelError> {
    let in_file = parameters::find_name(source, name).and_then(|found| source.shape(&found));
    let rows = in_file.and_then(|shape| shape.first().copied()).unwrap_or(shape[0]).min(shape[0]);
    let (known, new) = values.split_at_mut(rows * shape[1]);
    new.fill(0.0);
    parameters::read_tensor(source, device, fields, name, &[rows, shape[1]], known)
}
