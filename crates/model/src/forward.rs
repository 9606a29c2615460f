//! The forward pass of a decoder, layer by layer.
//!
//! `x` is the residual `[T, D]`. Per layer: h = norm(x); q,k,v = h·Wᵀ; rotate; attend; x += o·Wᵀ; h = norm(x);
//! x += down(activation(up(h))). GPT-NeoX adds both branches to the same residual.
use crate::architecture::{Mlp, Norm};
use crate::batch::TreeBatch;
use crate::decode::LayerCache;
use crate::model::{Model, Noise};
use crate::parameters::{Layer, Linear, NormWeights, Storage};
use crate::readout::Within;
use crate::workspace::{HeadTape, LayerTape, Scratch, Workspace, sized};
use crate::{Outputs, Request, lora};
use kernels::attention::{self, AttentionShape, QueryBlock, Rows, Span};
use kernels::head::Head;
use kernels::linear::{self, Precision, Write};
use kernels::{activation, elementwise, norm, rotary};

/// Where a layer's queries find their keys and values.
pub(crate) enum Attend<'a> {
    /// Among the batch's own tokens.
    Batch,
    /// In a cache, to whose `rows` the new ones are written first.
    Cache { layer: &'a mut LayerCache, rows: &'a [u32], exact: bool },
}

/// What every layer of a pass shares.
pub(crate) struct Pass<'a> {
    pub n_tokens: usize,
    pub positions: &'a [u32],
    pub blocks: &'a [QueryBlock],
    pub table: Option<&'a rotary::RotaryTable>,
    pub noise: Noise,
    /// A backward pass over some of a batch's tokens: where it finds the others.
    pub within: Option<Within<'a>>,
}

/// Streams of dropout: the embedding, then two a layer.
pub(crate) const EMBEDDING_STREAM: u64 = 0;
pub(crate) fn attention_stream(layer: usize) -> u64 {
    1 + 2 * layer as u64
}
pub(crate) fn mlp_stream(layer: usize) -> u64 {
    2 + 2 * layer as u64
}
/// NEFTune's streams begin here, one a segment.
const NEFTUNE_STREAM: u64 = 1 << 32;

/// The attention pattern of a tree: a segment's tokens see their ancestors whole and themselves causally.
pub(crate) fn blocks_of(batch: &TreeBatch) -> Vec<QueryBlock> {
    let segments = batch.segments();
    let block = |segment: &crate::Segment| {
        let ancestors = std::iter::successors(segment.parent, |&p| segments[p].parent);
        let mut spans: Vec<Span> =
            ancestors.map(|p| Span { start: segments[p].start as u32, length: segments[p].length as u32 }).collect();
        spans.reverse();
        QueryBlock {
            query_start: segment.start as u32,
            query_length: segment.length as u32,
            spans,
            causal_start: segment.start as u32,
        }
    };
    segments.iter().map(block).collect()
}

impl Model {
    /// y = x·Wᵀ + bias + adapters, or y += that.
    pub(crate) fn apply(
        &self,
        linear: &Linear,
        x: &[f32],
        y: &mut [f32],
        n_rows: usize,
        write: Write,
        low: &mut Vec<f32>,
    ) {
        let (device, flat) = (&self.device, &self.parameters.flat);
        linear::forward(device, x, linear.n_in, self.parameters.matrix(linear), y, linear.n_out, n_rows, write);
        if let Some(bias) = linear.bias {
            elementwise::add_bias(
                device,
                &flat[bias..bias + linear.n_out],
                &mut y[..n_rows * linear.n_out],
                linear.n_out,
            );
        }
        if self.adapter_enabled {
            lora::forward(device, flat, linear, x, y, n_rows, low);
        }
    }

    pub(crate) fn normalise(
        &self,
        weights: &NormWeights,
        x: &[f32],
        y: &mut [f32],
        mean: &mut Vec<f32>,
        inverse: &mut Vec<f32>,
    ) {
        let (epsilon, weight) = (self.architecture.norm_epsilon, self.parameters.values(&weights.weight));
        let n_rows = x.len() / weight.len();
        let inverse = sized(inverse, n_rows);
        match (self.architecture.norm, &weights.bias) {
            (Norm::Layer, Some(bias)) => {
                norm::layer_forward(
                    &self.device,
                    x,
                    weight,
                    self.parameters.values(bias),
                    epsilon,
                    y,
                    sized(mean, n_rows),
                    inverse,
                );
            }
            _ => norm::rms_forward(&self.device, x, weight, epsilon, y, inverse),
        }
    }

    /// Token (and position) embeddings, with the noise of training.
    pub(crate) fn embed(&self, token_ids: &[u32], positions: &[u32], x: &mut [f32]) {
        let d = self.architecture.hidden_size;
        let n_positions = self.config.max_position;
        let embedding = &self.parameters.embedding;
        for &id in token_ids {
            assert!((id as usize) < embedding.n_out, "token {id} of a vocabulary of {}", embedding.n_out);
        }
        match &embedding.storage {
            // the bf16 copy: a model in training says what it will say when it is frozen
            Storage::Flat { packed: Some(packed), .. } | Storage::Bf16(packed) => {
                x.chunks_mut(d).zip(token_ids).for_each(|(row, &id)| packed.read_row(id as usize, row))
            }
            Storage::Flat { offset, packed: None } => {
                let table = &self.parameters.flat[*offset..offset + embedding.n_out * d];
                elementwise::gather_rows(&self.device, table, d, token_ids, x);
                if self.precision == Precision::Bf16 {
                    let mut rounded = vec![0; x.len()];
                    elementwise::to_bf16(&self.device, x, &mut rounded);
                    elementwise::from_bf16(&self.device, &rounded, x);
                }
            }
            Storage::Q8(_) | Storage::Staged(_) => {
                unreachable!("an embedding is never held in Q8_0")
            }
        }
        self.place_token(token_ids, x);
        if let Some(table) = &self.parameters.positions {
            let table = self.parameters.values(table);
            for (row, &p) in x.chunks_mut(d).zip(positions) {
                assert!((p as usize) < n_positions, "position {p} in a context of {n_positions}");
                row.iter_mut().zip(&table[p as usize * d..]).for_each(|(x, t)| *x += t);
            }
        }
    }

    /// NEFTune (arXiv 2310.05914: uniform noise of magnitude α/√(L·d) on each sequence's embeddings) and dropout.
    fn disturb_embedding(&self, batch: &TreeBatch, noise: Noise, x: &mut [f32]) {
        let d = self.architecture.hidden_size;
        if noise.neftune_alpha > 0.0 {
            for (idx, segment) in batch.segments().iter().enumerate() {
                let magnitude = noise.neftune_alpha / ((segment.length * d) as f32).sqrt();
                let rows = &mut x[segment.start * d..(segment.start + segment.length) * d];
                elementwise::add_uniform_noise(&self.device, noise.seed, NEFTUNE_STREAM + idx as u64, magnitude, rows);
            }
        }
        if noise.dropout > 0.0 {
            elementwise::dropout(&self.device, noise.seed, EMBEDDING_STREAM, noise.dropout, x);
        }
    }

    /// One layer: reads `x`, writes `next`, saves what the backward pass needs in `tape`.
    pub(crate) fn layer_forward(
        &self,
        layer_idx: usize,
        x: &[f32],
        next: &mut [f32],
        tape: &mut LayerTape,
        scratch: &mut Scratch,
        pass: &Pass,
        attend: Attend,
    ) {
        let (layer, architecture, t) = (&self.parameters.layers[layer_idx], &self.architecture, pass.n_tokens);
        let d = architecture.hidden_size;
        self.look(layer, x, tape, scratch, pass, attend);
        let Scratch { normed, branch, activated, low, .. } = scratch;

        let residual = if architecture.parallel_residual { &mut *next } else { sized(&mut tape.middle, t * d) };
        elementwise::copy(&self.device, x, residual);
        let attention = &tape.attention[..t * architecture.query_width()];
        self.add_branch(&layer.output, attention, residual, branch, low, pass, attention_stream(layer_idx));

        let middle = if architecture.parallel_residual { x } else { &tape.middle[..t * d] };
        let normed = sized(normed, t * d);
        self.normalise(&layer.mlp_norm, middle, normed, &mut tape.mlp_mean, &mut tape.mlp_inverse);
        let up = sized(&mut tape.up, t * architecture.up_width());
        self.apply(&layer.up, normed, up, t, Write::Overwrite, low);
        let activated = sized(activated, t * architecture.intermediate_size);
        self.activate(up, activated);
        if !architecture.parallel_residual {
            elementwise::copy(&self.device, middle, next);
        }
        self.add_branch(&layer.down, activated, next, branch, low, pass, mlp_stream(layer_idx));
    }

    /// A layer's attention, up to its output linear: from the residual to `tape.attention`.
    fn look(&self, layer: &Layer, x: &[f32], tape: &mut LayerTape, scratch: &mut Scratch, pass: &Pass, attend: Attend) {
        let t = pass.n_tokens;
        let normed = sized(&mut scratch.normed, x.len());
        self.normalise(&layer.attention_norm, x, normed, &mut tape.attention_mean, &mut tape.attention_inverse);
        let qkv = sized(&mut tape.qkv, t * self.architecture.qkv_width());
        self.apply(&layer.qkv, normed, qkv, t, Write::Overwrite, &mut scratch.low);
        self.norm_and_rotate(layer, tape, pass);
        self.attend(tape, pass, attend);
    }

    /// [`Model::layer_forward`] where nothing is kept and nothing dropped: `x` becomes the layer's result, the same bits,
    /// and is never copied.
    pub(crate) fn layer_in_place(
        &self,
        layer_idx: usize,
        x: &mut [f32],
        tape: &mut LayerTape,
        scratch: &mut Scratch,
        pass: &Pass,
        attend: Attend,
    ) {
        let (layer, architecture, t) = (&self.parameters.layers[layer_idx], &self.architecture, pass.n_tokens);
        self.look(layer, x, tape, scratch, pass, attend);
        let Scratch { normed, activated, low, .. } = scratch;
        let attention = &tape.attention[..t * architecture.query_width()];
        if !architecture.parallel_residual {
            self.apply(&layer.output, attention, x, t, Write::Accumulate, low);
        }
        let normed = sized(normed, x.len());
        self.normalise(&layer.mlp_norm, x, normed, &mut tape.mlp_mean, &mut tape.mlp_inverse);
        if architecture.parallel_residual {
            self.apply(&layer.output, attention, x, t, Write::Accumulate, low);
        }
        let up = sized(&mut tape.up, t * architecture.up_width());
        self.apply(&layer.up, normed, up, t, Write::Overwrite, low);
        let activated = sized(activated, t * architecture.intermediate_size);
        self.activate(up, activated);
        self.apply(&layer.down, activated, x, t, Write::Accumulate, low);
    }

    /// residual += dropout(linear(x)).
    fn add_branch(
        &self,
        linear: &Linear,
        x: &[f32],
        residual: &mut [f32],
        branch: &mut Vec<f32>,
        low: &mut Vec<f32>,
        pass: &Pass,
        stream: u64,
    ) {
        if pass.noise.dropout == 0.0 {
            return self.apply(linear, x, residual, pass.n_tokens, Write::Accumulate, low);
        }
        let branch = sized(branch, residual.len());
        self.apply(linear, x, branch, pass.n_tokens, Write::Overwrite, low);
        elementwise::dropout(&self.device, pass.noise.seed, stream, pass.noise.dropout, branch);
        elementwise::add(&self.device, branch, residual);
    }

    pub(crate) fn activate(&self, up: &[f32], activated: &mut [f32]) {
        match self.architecture.mlp {
            Mlp::SwiGlu => activation::swiglu_forward(&self.device, up, self.architecture.intermediate_size, activated),
            Mlp::Gelu(kind) => activation::gelu_forward(&self.device, kind, up, activated),
        }
    }

    fn norm_and_rotate(&self, layer: &Layer, tape: &mut LayerTape, pass: &Pass) {
        let (architecture, device, t) = (&self.architecture, &self.device, pass.n_tokens);
        let (stride, query, key) = (architecture.qkv_width(), architecture.query_width(), architecture.key_width());
        let (n_heads, n_kv_heads) = (architecture.n_heads, architecture.n_kv_heads);
        let qkv = &mut tape.qkv[..t * stride];
        if let Some((query_norm, key_norm)) = &layer.query_key_norm {
            let epsilon = architecture.norm_epsilon;
            let (inverse, before) =
                (sized(&mut tape.query_inverse, t * n_heads), sized(&mut tape.query_before, t * query));
            norm::rms_heads_forward(
                device,
                qkv,
                stride,
                0,
                n_heads,
                self.parameters.values(query_norm),
                epsilon,
                inverse,
                Some(before),
            );
            let (inverse, before) =
                (sized(&mut tape.key_inverse, t * n_kv_heads), sized(&mut tape.key_before, t * key));
            norm::rms_heads_forward(
                device,
                qkv,
                stride,
                query,
                n_kv_heads,
                self.parameters.values(key_norm),
                epsilon,
                inverse,
                Some(before),
            );
        }
        if let Some(table) = pass.table {
            // Queries and keys lie side by side: one call turns the heads of both.
            rotary::rotate(
                device,
                table,
                pass.positions,
                qkv,
                stride,
                0,
                n_heads + n_kv_heads,
                architecture.head_dim,
                false,
            );
        }
    }

    pub(crate) fn attention_shape(&self) -> AttentionShape {
        let architecture = &self.architecture;
        AttentionShape {
            n_heads: architecture.n_heads,
            n_kv_heads: architecture.n_kv_heads,
            head_dim: architecture.head_dim,
            scale: 1.0 / (architecture.head_dim as f32).sqrt(),
            single_apart: false,
        }
    }

    fn attend(&self, tape: &mut LayerTape, pass: &Pass, attend: Attend) {
        let (architecture, t) = (&self.architecture, pass.n_tokens);
        let (stride, query, width) = (architecture.qkv_width(), architecture.query_width(), architecture.key_width());
        let qkv = &tape.qkv[..t * stride];
        let out = sized(&mut tape.attention, t * query);
        let log_sum_exp = sized(&mut tape.log_sum_exp, t * architecture.n_heads);
        let queries = Rows { data: qkv, stride, offset: 0 };
        let mut shape = self.attention_shape();
        let (device, blocks) = (&self.device, pass.blocks);
        match attend {
            Attend::Batch => {
                let [keys, values] = [query, query + width].map(|offset| Rows { data: qkv, stride, offset });
                attention::forward(device, shape, blocks, queries, keys, values, out, log_sum_exp);
            }
            Attend::Cache { layer, rows, exact } => {
                shape.single_apart = !exact;
                let new = qkv.chunks(stride).map(|token| token[query..].split_at(width)).zip(rows);
                let new = new.map(|(token, &row)| (token, row as usize * width..(row as usize + 1) * width));
                match layer {
                    LayerCache::F32(keys, values) => {
                        for ((key, value), at) in new {
                            keys[at.clone()].copy_from_slice(key);
                            values[at].copy_from_slice(value);
                        }
                        let [keys, values] = [&*keys, &*values].map(|data| Rows { data, stride: width, offset: 0 });
                        attention::forward(device, shape, blocks, queries, keys, values, out, log_sum_exp);
                    }
                    LayerCache::Bf16(keys, values) => {
                        for ((key, value), at) in new {
                            elementwise::to_bf16(device, key, &mut keys[at.clone()]);
                            elementwise::to_bf16(device, value, &mut values[at]);
                        }
                        let [keys, values] = [&*keys, &*values].map(|data| Rows { data, stride: width, offset: 0 });
                        attention::forward_bf16(device, shape, blocks, queries, keys, values, out, log_sum_exp);
                    }
                }
            }
        }
    }

    /// All layers. With `keep`, every layer's activations stay in the workspace (or only its input, when checkpointing).
    pub(crate) fn run_layers(&self, batch: &TreeBatch, noise: Noise, keep: bool, workspace: &mut Workspace) {
        let (t, d, n_layers) = (batch.len(), self.architecture.hidden_size, self.architecture.n_layers);
        let Workspace { checkpoint_activations, inputs, layers, scratch, blocks, noise: kept_noise, .. } = workspace;
        *blocks = blocks_of(batch);
        *kept_noise = noise;
        let last_position = batch.positions().iter().copied().max().unwrap_or(0) as usize;
        let table = self.rotary_table(last_position + 1);
        let pass =
            Pass { n_tokens: t, positions: batch.positions(), blocks, table: table.as_deref(), noise, within: None };
        inputs.resize_with(if keep { n_layers + 1 } else { 2 }, Vec::new);
        layers.resize_with(if keep && !*checkpoint_activations { n_layers } else { 1 }, LayerTape::default);
        let x = sized(&mut inputs[0], t * d);
        self.embed(batch.token_ids(), batch.positions(), x);
        self.disturb_embedding(batch, noise, x);
        for layer_idx in 0..n_layers {
            let (before, after) = if keep { inputs.split_at_mut(layer_idx + 1) } else { inputs.split_at_mut(1) };
            let (x, next) = (&before[before.len() - 1][..t * d], sized(&mut after[0], t * d));
            let tape_idx = layer_idx.min(layers.len() - 1);
            self.layer_forward(layer_idx, x, next, &mut layers[tape_idx], scratch, &pass, Attend::Batch);
            if !keep {
                inputs.swap(0, 1);
            }
        }
    }

    /// Gathers and normalises the rows that a request reads: its targets' sources, then its scalars.
    pub(crate) fn head_rows(&self, request: &Request, t: usize, keep: bool, workspace: &mut Workspace) {
        let d = self.architecture.hidden_size;
        let x = &workspace.inputs[if keep { self.architecture.n_layers } else { 0 }][..t * d];
        let HeadTape { rows, gathered, normed, mean, inverse, .. } = &mut workspace.head;
        rows.clear();
        rows.extend(request.targets.iter().map(|target| target.source as u32));
        rows.extend(request.scalars.iter().map(|&token| token as u32));
        let gathered = sized(gathered, rows.len() * d);
        elementwise::gather_rows(&self.device, x, d, rows, gathered);
        self.normalise(&self.parameters.final_norm, gathered, sized(normed, rows.len() * d), mean, inverse);
    }

    /// The head call of a request over rows already gathered.
    pub(crate) fn head<'a>(&'a self, request: &Request, targets: &'a [u32], normed: &'a [f32]) -> Head<'a> {
        let table = self.parameters.lm_head.as_ref().unwrap_or(&self.parameters.embedding);
        Head {
            hidden_RD: &normed[..targets.len() * self.architecture.hidden_size],
            weight_VD: self.parameters.matrix(table),
            targets_R: targets,
            temperature: request.temperature,
        }
    }

    /// The scalar head over its rows: w·h + bias, summed in f64.
    pub(crate) fn read_scalars(&self, request: &Request, normed: &[f32]) -> Vec<f32> {
        if request.scalars.is_empty() {
            return Vec::new();
        }
        let head = self.parameters.scalar_head.as_ref().expect("scalars were asked of a model without a scalar head");
        let (weight, d) = (self.parameters.values(head), self.architecture.hidden_size);
        let first = request.targets.len() * d;
        let rows = normed[first..first + request.scalars.len() * d].chunks(d);
        let dot = |row: &[f32]| row.iter().zip(weight).map(|(h, w)| f64::from(*h) * f64::from(*w)).sum::<f64>();
        rows.map(|row| (dot(row) + f64::from(self.config.reward_bias)) as f32).collect()
    }

    /// Everything a request asks for, from rows already gathered.
    pub(crate) fn answer(&self, request: &Request, workspace: &Workspace) -> Outputs {
        let n = request.targets.len();
        let targets: Vec<u32> = request.targets.iter().map(|t| t.token_id).collect();
        let mut outputs = Outputs {
            log_probs: vec![0.0; n],
            entropies: vec![0.0; if request.entropy { n } else { 0 }],
            scalars: self.read_scalars(request, &workspace.head.normed),
        };
        if n > 0 {
            let head = self.head(request, &targets, &workspace.head.normed);
            let entropies = request.entropy.then_some(&mut outputs.entropies[..]);
            kernels::head::forward(&self.device, head, &mut outputs.log_probs, entropies);
        }
        outputs
    }
}
