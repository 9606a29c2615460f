//! The backward pass, mirror of [`crate::forward`]. `dx` is the gradient of the residual and is carried from the last
//! layer to the first in place; whatever is cheap (norms, activations) is computed again instead of kept.
use crate::architecture::{Mlp, Norm};
use crate::batch::TreeBatch;
use crate::forward::{Attend, EMBEDDING_STREAM, Pass, attention_stream, mlp_stream};
use crate::model::{Model, Noise};
use crate::parameters::{Layer, Linear, NormWeights, Storage, Vector};
use crate::readout::{Dependents, Within};
use crate::workspace::{HeadTape, LayerTape, Scratch, Workspace, sized};
use crate::{Derivatives, Request, lora};
use kernels::attention::{self, QkvLayout};
use kernels::linear::{self, Write};
use kernels::{activation, elementwise, norm, rotary};
use std::ops::Range;

/// Gradients of the trainable tail of the flat buffer.
pub(crate) struct Sink<'a> {
    pub gradients: &'a mut [f32],
    pub start: usize,
}

impl Sink<'_> {
    /// Where the gradient of `offset..offset + length` goes; `None` when that is frozen.
    pub fn range(&mut self, offset: usize, length: usize) -> Option<&mut [f32]> {
        let first = offset.checked_sub(self.start)?;
        Some(&mut self.gradients[first..first + length])
    }
    fn vector(&mut self, vector: &Vector) -> Option<&mut [f32]> {
        self.range(vector.offset, vector.length)
    }
    /// The gradients of two ranges, the first before the second.
    fn two(&mut self, first: &Vector, second: &Vector) -> Option<(&mut [f32], &mut [f32])> {
        let Range { start, end } = first.offset.checked_sub(self.start)?..second.offset - self.start;
        let (head, tail) = self.gradients.split_at_mut(end);
        Some((&mut head[start..start + first.length], &mut tail[..second.length]))
    }
}

impl Model {
    /// Gradients of a linear's weight, bias and adapters; dx when it is wanted.
    fn apply_backward(
        &self,
        linear: &Linear,
        x: &[f32],
        dy: &[f32],
        dx: Option<(&mut [f32], Write)>,
        n_rows: usize,
        sink: &mut Sink,
        low: &mut Vec<f32>,
    ) {
        let (device, n_out, n_in) = (&self.device, linear.n_out, linear.n_in);
        if let Some(d_bias) = linear.bias.and_then(|offset| sink.range(offset, n_out)) {
            elementwise::add_column_sums(device, &dy[..n_rows * n_out], n_out, d_bias);
        }
        if let Storage::Flat { offset, .. } = linear.storage
            && let Some(d_weight) = sink.range(offset, n_out * n_in)
        {
            linear::backward_weight(
                device,
                dy,
                n_out,
                x,
                n_in,
                d_weight,
                n_out,
                n_in,
                n_rows,
                self.precision,
                Write::Accumulate,
            );
        }
        let mut dx_slice = None;
        if let Some((dx, write)) = dx {
            linear::backward_input(device, dy, n_out, self.parameters.matrix(linear), dx, n_in, n_rows, write);
            dx_slice = Some(dx);
        }
        if self.adapter_enabled && !linear.adapters.is_empty() {
            let Sink { gradients, start } = sink;
            lora::backward(device, &self.parameters.flat, *start, linear, x, dy, dx_slice, n_rows, gradients, low);
        }
    }

    /// Adds to dx and to the gradients of the norm's weights.
    fn normalise_backward(
        &self,
        weights: &NormWeights,
        x: &[f32],
        mean: &[f32],
        inverse: &[f32],
        dy: &[f32],
        dx: &mut [f32],
        sink: &mut Sink,
    ) {
        let weight = self.parameters.values(&weights.weight);
        let n_rows = x.len() / weight.len();
        match (self.architecture.norm, &weights.bias) {
            (Norm::Layer, Some(bias)) => {
                let both = sink.two(&weights.weight, bias);
                norm::layer_backward(&self.device, x, weight, &mean[..n_rows], &inverse[..n_rows], dy, dx, both);
            }
            _ => norm::rms_backward(&self.device, x, weight, &inverse[..n_rows], dy, dx, sink.vector(&weights.weight)),
        }
    }

    /// One layer, given dL/d(its result) in `dx`, which becomes dL/d(its input).
    fn layer_backward(
        &self,
        layer_idx: usize,
        x: &[f32],
        tape: &LayerTape,
        scratch: &mut Scratch,
        pass: &Pass,
        dx: &mut [f32],
        sink: &mut Sink,
        wants_dx: bool,
    ) {
        let layer = &self.parameters.layers[layer_idx];
        if self.architecture.parallel_residual {
            // Both branches read x, so dL/dx gains from each while dL/d(result) must stay whole until both have read it.
            let mut d_result = std::mem::take(&mut scratch.d_branch);
            elementwise::copy(&self.device, dx, sized(&mut d_result, dx.len()));
            self.mlp_backward(layer, layer_idx, x, tape, scratch, pass, &d_result[..dx.len()], dx, sink);
            self.attention_backward(
                layer,
                layer_idx,
                x,
                tape,
                scratch,
                pass,
                Some(&d_result[..dx.len()]),
                dx,
                sink,
                wants_dx,
            );
            scratch.d_branch = d_result;
        } else {
            let middle = &tape.middle[..dx.len()];
            let mut d_result = std::mem::take(&mut scratch.d_branch);
            elementwise::copy(&self.device, dx, sized(&mut d_result, dx.len()));
            self.mlp_backward(layer, layer_idx, middle, tape, scratch, pass, &d_result[..dx.len()], dx, sink);
            scratch.d_branch = d_result;
            self.attention_backward(layer, layer_idx, x, tape, scratch, pass, None, dx, sink, wants_dx);
        }
    }

    /// dL/d(branch), with dropout's mask when there is any.
    fn masked<'a>(&self, d_result: &'a [f32], branch: &'a mut Vec<f32>, pass: &Pass, stream: u64) -> &'a [f32] {
        if pass.noise.dropout == 0.0 {
            return d_result;
        }
        let branch = sized(branch, d_result.len());
        branch.copy_from_slice(d_result);
        elementwise::dropout(&self.device, pass.noise.seed, stream, pass.noise.dropout, branch);
        branch
    }

    /// Feed-forward: from dL/d(result) adds to `dx`, the gradient of the residual it read.
    fn mlp_backward(
        &self,
        layer: &Layer,
        layer_idx: usize,
        input: &[f32],
        tape: &LayerTape,
        scratch: &mut Scratch,
        pass: &Pass,
        d_result: &[f32],
        dx: &mut [f32],
        sink: &mut Sink,
    ) {
        let (architecture, t) = (&self.architecture, pass.n_tokens);
        let Scratch { normed, activated, branch, low, d_normed, d_activated, d_up, .. } = scratch;
        let d_down = self.masked(d_result, branch, pass, mlp_stream(layer_idx));
        let up = &tape.up[..t * architecture.up_width()];
        let activated = sized(activated, t * architecture.intermediate_size);
        self.activate(up, activated);
        let d_activated = sized(d_activated, activated.len());
        self.apply_backward(&layer.down, activated, d_down, Some((d_activated, Write::Overwrite)), t, sink, low);
        let d_up = sized(d_up, up.len());
        match architecture.mlp {
            Mlp::SwiGlu => {
                activation::swiglu_backward(&self.device, up, architecture.intermediate_size, d_activated, d_up)
            }
            Mlp::Gelu(kind) => activation::gelu_backward(&self.device, kind, up, d_activated, d_up),
        }
        let normed = sized(normed, dx.len());
        let (mut mean, mut inverse) = (Vec::new(), Vec::new());
        self.normalise(&layer.mlp_norm, input, normed, &mut mean, &mut inverse);
        let d_normed = sized(d_normed, dx.len());
        self.apply_backward(&layer.up, normed, d_up, Some((d_normed, Write::Overwrite)), t, sink, low);
        self.normalise_backward(&layer.mlp_norm, input, &tape.mlp_mean, &tape.mlp_inverse, d_normed, dx, sink);
    }

    /// Attention: `d_result` is dL/d(its branch), or the residual's gradient itself when `None`.
    fn attention_backward(
        &self,
        layer: &Layer,
        layer_idx: usize,
        x: &[f32],
        tape: &LayerTape,
        scratch: &mut Scratch,
        pass: &Pass,
        d_result: Option<&[f32]>,
        dx: &mut [f32],
        sink: &mut Sink,
        wants_dx: bool,
    ) {
        let (architecture, device, t) = (&self.architecture, &self.device, pass.n_tokens);
        let (stride, query) = (architecture.qkv_width(), architecture.query_width());
        let Scratch { normed, branch, low, d_normed, d_attention, d_qkv, wide, .. } = scratch;
        let attention = &tape.attention[..t * query];
        let d_attention = sized(d_attention, t * query);
        let d_output = self.masked(d_result.unwrap_or(dx), branch, pass, attention_stream(layer_idx));
        self.apply_backward(&layer.output, attention, d_output, Some((d_attention, Write::Overwrite)), t, sink, low);

        let layout = QkvLayout { stride, query: 0, key: query, value: query + architecture.key_width() };
        let d_qkv = sized(d_qkv, t * stride);
        match &pass.within {
            Some(within) => self.attention_within(within, pass.blocks, layout, d_attention, d_qkv, wide),
            None => attention::backward(
                device,
                self.attention_shape(),
                pass.blocks,
                layout,
                &tape.qkv[..t * stride],
                attention,
                &tape.log_sum_exp[..t * architecture.n_heads],
                d_attention,
                d_qkv,
            ),
        }
        let (n_heads, n_kv_heads) = (architecture.n_heads, architecture.n_kv_heads);
        if let Some(table) = pass.table {
            rotary::rotate(
                device,
                table,
                pass.positions,
                d_qkv,
                stride,
                0,
                n_heads + n_kv_heads,
                architecture.head_dim,
                true,
            );
        }
        if let Some((query_norm, key_norm)) = &layer.query_key_norm {
            let (before, inverse) = (&tape.query_before[..t * query], &tape.query_inverse[..t * n_heads]);
            norm::rms_heads_backward(
                device,
                before,
                self.parameters.values(query_norm),
                inverse,
                d_qkv,
                stride,
                0,
                n_heads,
                sink.vector(query_norm),
            );
            let (before, inverse) =
                (&tape.key_before[..t * architecture.key_width()], &tape.key_inverse[..t * n_kv_heads]);
            norm::rms_heads_backward(
                device,
                before,
                self.parameters.values(key_norm),
                inverse,
                d_qkv,
                stride,
                query,
                n_kv_heads,
                sink.vector(key_norm),
            );
        }

        let normed = sized(normed, dx.len());
        let (mut mean, mut inverse) = (Vec::new(), Vec::new());
        self.normalise(&layer.attention_norm, x, normed, &mut mean, &mut inverse);
        let d_normed = sized(d_normed, dx.len());
        let wanted = wants_dx.then_some((&mut *d_normed, Write::Overwrite));
        self.apply_backward(&layer.qkv, normed, d_qkv, wanted, t, sink, low);
        if wants_dx {
            self.normalise_backward(
                &layer.attention_norm,
                x,
                &tape.attention_mean,
                &tape.attention_inverse,
                d_normed,
                dx,
                sink,
            );
        }
    }

    /// From the derivatives of the outputs to dL/d(the last layer's result), in `scratch.dx`. Fills `log_probs` and `entropies` on the way.
    pub(crate) fn head_backward(
        &self,
        request: &Request,
        derivatives: &Derivatives,
        t: usize,
        workspace: &mut Workspace,
        sink: &mut Sink,
        log_probs: &mut [f32],
        entropies: Option<&mut [f32]>,
    ) {
        let (d, n) = (self.architecture.hidden_size, request.targets.len());
        let Workspace { head, scratch, .. } = workspace;
        let HeadTape { rows, normed, d_normed, .. } = head;
        let width = rows.len() * d;
        let (normed, d_normed) = (&normed[..width], sized(d_normed, width));
        d_normed.fill(0.0);
        if n > 0 && !derivatives.log_probs.is_empty() {
            let targets: Vec<u32> = request.targets.iter().map(|target| target.token_id).collect();
            let table = self.parameters.lm_head.as_ref().unwrap_or(&self.parameters.embedding);
            let d_weight = match table.storage {
                Storage::Flat { offset, .. } => sink.range(offset, table.n_out * table.n_in),
                _ => None,
            };
            let d_entropies = (!derivatives.entropies.is_empty()).then_some(&derivatives.entropies[..]);
            let call = self.head(request, &targets, normed);
            kernels::head::backward(
                &self.device,
                call,
                &derivatives.log_probs,
                d_entropies,
                &mut d_normed[..n * d],
                d_weight,
                log_probs,
                entropies,
            );
        }
        if !request.scalars.is_empty() && !derivatives.scalars.is_empty() {
            self.scalars_backward(&derivatives.scalars, &normed[n * d..], &mut d_normed[n * d..], sink);
        }
        self.rows_backward(t, head, &mut scratch.dx, sink);
    }

    /// From the gradient of the rows that a request reads to dL/d(the last layer's result), in `dx`.
    pub(crate) fn rows_backward(&self, t: usize, head: &mut HeadTape, dx: &mut Vec<f32>, sink: &mut Sink) {
        let d = self.architecture.hidden_size;
        let HeadTape { rows, gathered, mean, inverse, d_normed, d_gathered, .. } = head;
        let width = rows.len() * d;
        let d_gathered = sized(d_gathered, width);
        d_gathered.fill(0.0);
        self.normalise_backward(
            &self.parameters.final_norm,
            &gathered[..width],
            mean,
            inverse,
            &d_normed[..width],
            d_gathered,
            sink,
        );
        let dx = sized(dx, t * d);
        dx.fill(0.0);
        elementwise::scatter_add_rows(&self.device, d_gathered, d, rows, dx);
    }

    fn scalars_backward(&self, d_scalars: &[f32], normed: &[f32], d_normed: &mut [f32], sink: &mut Sink) {
        let head = self.parameters.scalar_head.as_ref().expect("scalars were asked of a model without a scalar head");
        let (weight, d) = (self.parameters.values(head), self.architecture.hidden_size);
        for ((d_row, row), derivative) in d_normed.chunks_mut(d).zip(normed.chunks(d)).zip(d_scalars) {
            d_row.iter_mut().zip(weight).for_each(|(g, w)| *g += derivative * w);
            if let Some(d_weight) = sink.vector(head) {
                d_weight.iter_mut().zip(row).for_each(|(g, h)| *g += derivative * h);
            }
        }
    }

    /// All layers and the embedding, from `scratch.dx` down.
    pub(crate) fn layers_backward(&self, batch: &TreeBatch, workspace: &mut Workspace, sink: &mut Sink) {
        // (Dropout's masks are drawn by a number's place among those of all tokens.)
        if !self.trains_embedding(sink) && self.lora.is_none() && workspace.noise.dropout == 0.0 {
            return self.dependents_backward(batch, workspace, sink);
        }
        let (t, d) = (batch.len(), self.architecture.hidden_size);
        let Workspace { checkpoint_activations, inputs, layers, scratch, blocks, noise, .. } = workspace;
        let last_position = batch.positions().iter().copied().max().unwrap_or(0) as usize;
        let table = self.rotary_table(last_position + 1);
        let noise = *noise;
        let table = table.as_deref();
        let pass = Pass { n_tokens: t, positions: batch.positions(), blocks, table, noise, within: None };
        let wants_first_dx = self.trains_embedding(sink) || self.parameters.learned.is_some();
        let mut dx = std::mem::take(&mut scratch.dx);
        for layer_idx in (0..self.architecture.n_layers).rev() {
            let (before, after) = inputs.split_at_mut(layer_idx + 1);
            let x = &before[layer_idx][..t * d];
            if *checkpoint_activations {
                // The layer's result has been used; its buffer takes the recomputed one.
                self.layer_forward(layer_idx, x, &mut after[0][..t * d], &mut layers[0], scratch, &pass, Attend::Batch);
            }
            let tape = &layers[if *checkpoint_activations { 0 } else { layer_idx }];
            let wants_dx = layer_idx > 0 || wants_first_dx;
            self.layer_backward(layer_idx, x, tape, scratch, &pass, &mut dx[..t * d], sink, wants_dx);
        }
        self.embedding_backward(batch.token_ids(), batch.positions(), &mut dx[..t * d], noise, sink);
        scratch.dx = dx;
    }

    fn trains_embedding(&self, sink: &Sink) -> bool {
        matches!(self.parameters.embedding.storage, Storage::Flat { offset, .. } if offset >= sink.start)
    }

    /// The same where nothing trains below a head and a learned token: only what depends on the token has a gradient to
    /// carry, so only those rows are run; of the others keys and values are read.
    fn dependents_backward(&self, batch: &TreeBatch, workspace: &mut Workspace, sink: &mut Sink) {
        let learned = self.parameters.learned.as_ref().map(|learned| learned.token_id);
        let Dependents { rows, token_ids, positions, blocks: own_blocks } = &Dependents::of(batch, learned);
        let (t, n, d) = (batch.len(), rows.len(), self.architecture.hidden_size);
        if n == 0 {
            return;
        }
        let Workspace { checkpoint_activations, inputs, layers, scratch, blocks, noise, .. } = workspace;
        let last_position = batch.positions().iter().copied().max().unwrap_or(0) as usize;
        let table = self.rotary_table(last_position + 1);
        let (table, noise) = (table.as_deref(), *noise);
        let pass = Pass { n_tokens: t, positions: batch.positions(), blocks, table, noise, within: None };
        let (mut dx, mut x_own, mut own) = (vec![0.0; n * d], vec![0.0; n * d], LayerTape::default());
        elementwise::gather_rows(&self.device, &scratch.dx[..t * d], d, rows, &mut dx);
        for layer_idx in (0..self.architecture.n_layers).rev() {
            let (before, after) = inputs.split_at_mut(layer_idx + 1);
            let x = &before[layer_idx][..t * d];
            if *checkpoint_activations {
                self.layer_forward(layer_idx, x, &mut after[0][..t * d], &mut layers[0], scratch, &pass, Attend::Batch);
            }
            let tape = &layers[if *checkpoint_activations { 0 } else { layer_idx }];
            elementwise::gather_rows(&self.device, x, d, rows, &mut x_own);
            tape.gather(&self.device, &self.architecture, rows, &mut own);
            let within = Some(Within { rows, tape, n_tokens: t });
            let pass = Pass { n_tokens: n, positions, blocks: own_blocks, table, noise, within };
            self.layer_backward(layer_idx, &x_own, &own, scratch, &pass, &mut dx, sink, true);
        }
        self.embedding_backward(token_ids, positions, &mut dx, noise, sink);
    }

    fn embedding_backward(&self, token_ids: &[u32], positions: &[u32], dx: &mut [f32], noise: Noise, sink: &mut Sink) {
        let d = self.architecture.hidden_size;
        if noise.dropout > 0.0 {
            elementwise::dropout(&self.device, noise.seed, EMBEDDING_STREAM, noise.dropout, dx);
        }
        if let Some(learned) = &self.parameters.learned
            && let Some(d_row) = sink.vector(&learned.row)
        {
            let rows = dx.chunks(d).zip(token_ids).filter(|(_, id)| **id == learned.token_id);
            rows.for_each(|(row, _)| d_row.iter_mut().zip(row).for_each(|(sum, g)| *sum += g));
        }
        let embedding = &self.parameters.embedding;
        if let Storage::Flat { offset, .. } = embedding.storage
            && let Some(d_table) = sink.range(offset, embedding.n_out * d)
        {
            elementwise::scatter_add_rows(&self.device, dx, d, token_ids, d_table);
        }
        if let Some(d_table) = self.parameters.positions.as_ref().and_then(|table| sink.vector(table)) {
            elementwise::scatter_add_rows(&self.device, dx, d, positions, d_table);
        }
    }
}
