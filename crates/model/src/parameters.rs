//! Where every weight lives, and how it gets there from a file and back.
//!
//! All f32 parameters share one flat buffer: what is frozen comes first, what trains comes last, so that gradients and
//! optimizer moments are plain buffers over its tail. A frozen linear in bf16 or Q8_0 lies outside the buffer.
use crate::ModelError;
use crate::architecture::{Architecture, Mlp, Norm, QkvLayout};
use crate::config::Fields;
use crate::family::{Family, Slot};
use crate::lora::Adapter;
use crate::readout::LearnedRow;
use crate::weights::TensorSource;
use kernels::Device;
use kernels::linear::{Matrix, PackedBf16, PackedQ8, Precision};

/// How rows of a linear lie in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transform {
    /// `[rows, n_in]`.
    Plain,
    /// `[n_in, rows]`.
    Transposed,
    /// For each head its query, key and value rows in turn.
    PerHead { n_heads: usize, head_dim: usize },
}

/// A run of a linear's rows that is one tensor of the file.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    /// Module name in the file; `.weight` and `.bias` follow.
    pub module: String,
    pub first_row: usize,
    pub n_rows: usize,
    pub transform: Transform,
}

/// How a linear's weight is held.
pub(crate) enum Storage {
    /// In the flat buffer at `offset`, with a bf16 copy for compute when the arithmetic is bf16.
    Flat { offset: usize, packed: Option<PackedBf16> },
    /// Frozen, bf16 only.
    Bf16(PackedBf16),
    /// Frozen, Q8_0 only.
    Q8(PackedQ8),
    /// On the way to Q8_0: the rows read so far, in f32.
    Staged(Vec<f32>),
}

/// A linear layer `[n_out, n_in]`, or an embedding table.
pub(crate) struct Linear {
    pub n_out: usize,
    pub n_in: usize,
    pub storage: Storage,
    /// Offset of the bias in the flat buffer.
    pub bias: Option<usize>,
    pub parts: Vec<Part>,
    pub adapters: Vec<Adapter>,
}

/// A one-dimensional parameter in the flat buffer (or a small table, by rows).
#[derive(Clone, Debug)]
pub(crate) struct Vector {
    pub name: String,
    pub shape: Vec<usize>,
    pub offset: usize,
    pub length: usize,
}

/// A norm's weight and, for LayerNorm, bias.
pub(crate) struct NormWeights {
    pub weight: Vector,
    pub bias: Option<Vector>,
}

/// One decoder layer.
pub(crate) struct Layer {
    pub attention_norm: NormWeights,
    pub qkv: Linear,
    pub query_key_norm: Option<(Vector, Vector)>,
    pub output: Linear,
    pub mlp_norm: NormWeights,
    pub up: Linear,
    pub down: Linear,
}

/// Every weight of a model.
pub(crate) struct Parameters {
    /// The f32 parameters; `trainable_start..` train.
    pub flat: Vec<f32>,
    pub trainable_start: usize,
    pub embedding: Linear,
    pub positions: Option<Vector>,
    pub layers: Vec<Layer>,
    pub final_norm: NormWeights,
    /// `None` when tied to the embedding, or when the model has only a scalar head.
    pub lm_head: Option<Linear>,
    pub scalar_head: Option<Vector>,
    /// A token whose row trains though the embedding doesn't.
    pub learned: Option<LearnedRow>,
    /// Whether the embedding may have rows that the file lacks.
    pub grows: bool,
}

/// How the base weights are to be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holding {
    /// f32, training or not.
    F32,
    /// f32 master and bf16 copy.
    Master,
    /// bf16 only.
    Bf16,
    /// Q8_0 linears; embeddings bf16.
    Q8,
}

/// Hands out ranges of the flat buffer.
pub(crate) struct Allocator {
    pub next: usize,
}

impl Allocator {
    pub fn take(&mut self, length: usize) -> usize {
        let offset = self.next;
        self.next += length;
        offset
    }
    pub fn vector(&mut self, name: String, shape: Vec<usize>) -> Vector {
        let length = shape.iter().product();
        Vector { name, shape, offset: self.take(length), length }
    }
}

fn at(template: &str, layer: usize) -> String {
    template.replace("{}", &layer.to_string())
}

/// Lays out a model's parameters, all zero. Scalar head and adapters are added afterwards by the caller.
pub(crate) struct Layout<'a> {
    pub family: &'a dyn Family,
    pub architecture: &'a Architecture,
    pub holding: Holding,
    pub allocator: Allocator,
}

impl Layout<'_> {
    pub fn layer(&mut self, layer: usize) -> Layer {
        let architecture = self.architecture;
        let (d, query, key) = (architecture.hidden_size, architecture.query_width(), architecture.key_width());
        let name = |slot| at(self.family.name(slot), layer);
        let transform = if architecture.conv1d { Transform::Transposed } else { Transform::Plain };
        let part = |slot, first_row, n_rows| Part { module: name(slot), first_row, n_rows, transform };
        let qkv_parts = match architecture.qkv_layout {
            QkvLayout::Separate => {
                vec![part(Slot::Query, 0, query), part(Slot::Key, query, key), part(Slot::Value, query + key, key)]
            }
            QkvLayout::Fused => vec![part(Slot::QueryKeyValue, 0, query + 2 * key)],
            QkvLayout::FusedPerHead => {
                let transform = Transform::PerHead { n_heads: architecture.n_heads, head_dim: architecture.head_dim };
                vec![Part { transform, ..part(Slot::QueryKeyValue, 0, query + 2 * key) }]
            }
        };
        let f = architecture.intermediate_size;
        let up_parts = match architecture.mlp {
            Mlp::SwiGlu => vec![part(Slot::Gate, 0, f), part(Slot::Up, f, f)],
            Mlp::Gelu(_) => vec![part(Slot::Up, 0, f)],
        };
        let (output_parts, down_parts) = (vec![part(Slot::Output, 0, d)], vec![part(Slot::Down, 0, d)]);
        let qk_names = architecture.qk_norm.then(|| (name(Slot::QueryNorm), name(Slot::KeyNorm)));
        let (attention_norm, mlp_norm) = (name(Slot::AttentionNorm), name(Slot::MlpNorm));
        let width = architecture.head_dim;
        Layer {
            attention_norm: self.norm(attention_norm),
            qkv: self.linear(qkv_parts, d, architecture.qkv_bias),
            query_key_norm: qk_names.map(|(q, k)| {
                let mut head_norm = |name: String| self.allocator.vector(format!("{name}.weight"), vec![width]);
                (head_norm(q), head_norm(k))
            }),
            output: self.linear(output_parts, query, architecture.output_bias),
            mlp_norm: self.norm(mlp_norm),
            up: self.linear(up_parts, d, architecture.mlp_bias),
            down: self.linear(down_parts, f, architecture.mlp_bias),
        }
    }
    pub fn norm(&mut self, module: String) -> NormWeights {
        let d = self.architecture.hidden_size;
        NormWeights {
            weight: self.allocator.vector(format!("{module}.weight"), vec![d]),
            bias: (self.architecture.norm == Norm::Layer)
                .then(|| self.allocator.vector(format!("{module}.bias"), vec![d])),
        }
    }
    /// `[vocabulary, width]`. `computes`: used as the LM head, so it needs a copy in the compute type.
    pub fn table(&mut self, module: &str, computes: bool) -> Linear {
        let (rows, width) = (self.architecture.vocab_size, self.architecture.hidden_size);
        let parts = vec![Part { module: module.to_string(), first_row: 0, n_rows: rows, transform: Transform::Plain }];
        let storage = match self.holding {
            Holding::F32 => Storage::Flat { offset: self.allocator.take(rows * width), packed: None },
            Holding::Master => Storage::Flat {
                offset: self.allocator.take(rows * width),
                packed: computes.then(|| PackedBf16::zeros(rows, width)),
            },
            Holding::Bf16 | Holding::Q8 => Storage::Bf16(PackedBf16::zeros(rows, width)),
        };
        Linear { n_out: rows, n_in: width, storage, bias: None, parts, adapters: Vec::new() }
    }
    fn linear(&mut self, parts: Vec<Part>, n_in: usize, bias: bool) -> Linear {
        let n_out = parts.iter().map(|p| p.n_rows).sum();
        let storage = match self.holding {
            Holding::F32 => Storage::Flat { offset: self.allocator.take(n_out * n_in), packed: None },
            Holding::Master => Storage::Flat {
                offset: self.allocator.take(n_out * n_in),
                packed: Some(PackedBf16::zeros(n_out, n_in)),
            },
            // Q8_0 blocks hold 32 inputs; a width that isn't a multiple stays in bf16.
            Holding::Q8 if n_in.is_multiple_of(32) => Storage::Staged(vec![0.0; n_out * n_in]),
            Holding::Bf16 | Holding::Q8 => Storage::Bf16(PackedBf16::zeros(n_out, n_in)),
        };
        let bias = bias.then(|| self.allocator.take(n_out));
        Linear { n_out, n_in, storage, bias, parts, adapters: Vec::new() }
    }
}

/// A tensor as the file knows it, with what it is in the model.
pub(crate) enum Holder<'a> {
    Weight(&'a Linear, &'a Part),
    Bias(usize, &'a Part),
    Vector(&'a Vector),
}

/// Name and shape of a tensor of the file, and its holder.
pub(crate) struct FileTensor<'a> {
    pub name: String,
    pub shape: Vec<usize>,
    pub holder: Holder<'a>,
}

fn linear_tensors<'a>(linear: &'a Linear, out: &mut Vec<FileTensor<'a>>) {
    for part in &linear.parts {
        let shape = match part.transform {
            Transform::Transposed => vec![linear.n_in, part.n_rows],
            _ => vec![part.n_rows, linear.n_in],
        };
        out.push(FileTensor { name: format!("{}.weight", part.module), shape, holder: Holder::Weight(linear, part) });
        if let Some(bias) = linear.bias {
            out.push(FileTensor {
                name: format!("{}.bias", part.module),
                shape: vec![part.n_rows],
                holder: Holder::Bias(bias, part),
            });
        }
    }
}

fn vector_tensor(vector: &Vector) -> FileTensor<'_> {
    FileTensor { name: vector.name.clone(), shape: vector.shape.clone(), holder: Holder::Vector(vector) }
}

fn norm_tensors<'a>(norm: &'a NormWeights, out: &mut Vec<FileTensor<'a>>) {
    out.push(vector_tensor(&norm.weight));
    out.extend(norm.bias.as_ref().map(vector_tensor));
}

impl Parameters {
    /// Every tensor of the base model, in the order of the flat buffer.
    pub fn file_tensors(&self) -> Vec<FileTensor<'_>> {
        let mut out = Vec::new();
        linear_tensors(&self.embedding, &mut out);
        out.extend(self.positions.as_ref().map(vector_tensor));
        for layer in &self.layers {
            norm_tensors(&layer.attention_norm, &mut out);
            linear_tensors(&layer.qkv, &mut out);
            if let Some((query, key)) = &layer.query_key_norm {
                out.extend([vector_tensor(query), vector_tensor(key)]);
            }
            linear_tensors(&layer.output, &mut out);
            norm_tensors(&layer.mlp_norm, &mut out);
            linear_tensors(&layer.up, &mut out);
            linear_tensors(&layer.down, &mut out);
        }
        norm_tensors(&self.final_norm, &mut out);
        if let Some(head) = &self.lm_head {
            linear_tensors(head, &mut out);
        }
        out.extend(self.scalar_head.as_ref().map(vector_tensor));
        out
    }
    /// Every linear that can carry adapters.
    pub fn linears(&self) -> impl Iterator<Item = &Linear> {
        self.layers.iter().flat_map(|l| [&l.qkv, &l.output, &l.up, &l.down])
    }
    /// The weight of a linear as the kernels take it.
    pub fn matrix<'a>(&'a self, linear: &'a Linear) -> Matrix<'a> {
        match &linear.storage {
            Storage::Flat { packed: Some(packed), .. } | Storage::Bf16(packed) => Matrix::Bf16(packed),
            Storage::Flat { offset, packed: None } => Matrix::F32 {
                weight: &self.flat[*offset..offset + linear.n_out * linear.n_in],
                n_out: linear.n_out,
                n_in: linear.n_in,
            },
            Storage::Q8(packed) => Matrix::Q8(packed),
            Storage::Staged(_) => unreachable!("a weight is used before it is loaded"),
        }
    }
    /// The values of a vector.
    pub fn values(&self, vector: &Vector) -> &[f32] {
        &self.flat[vector.offset..vector.offset + vector.length]
    }
    /// Refreshes the bf16 copies after the flat buffer changed.
    pub fn repack(&mut self, device: &Device) {
        let Parameters { flat, embedding, layers, lm_head, .. } = self;
        let linears = layers.iter_mut().flat_map(|l| [&mut l.qkv, &mut l.output, &mut l.up, &mut l.down]);
        for linear in linears.chain([embedding]).chain(lm_head.as_mut()) {
            if let Storage::Flat { offset, packed: Some(packed) } = &mut linear.storage {
                packed.pack_rows(device, 0, &flat[*offset..*offset + linear.n_out * linear.n_in]);
            }
        }
    }
    /// Bytes of everything held.
    pub fn bytes(&self) -> u64 {
        let packed = |linear: &Linear| match &linear.storage {
            Storage::Flat { packed, .. } => packed.as_ref().map_or(0, PackedBf16::bytes),
            Storage::Bf16(packed) => packed.bytes(),
            Storage::Q8(packed) => packed.bytes(),
            Storage::Staged(rows) => rows.len() + rows.len() / 16, // as Q8_0, which it becomes: 34 bytes for 32
        };
        let linears = self.linears().chain([&self.embedding]).chain(self.lm_head.as_ref());
        (self.flat.len() * 4 + linears.map(packed).sum::<usize>()) as u64
    }
}

/// Rearranges rows between file and model; `n_in` is 1 for a bias.
pub(crate) fn transform(kind: Transform, n_rows: usize, n_in: usize, from: &[f32], to: &mut [f32], to_file: bool) {
    match kind {
        Transform::Plain => to.copy_from_slice(from),
        Transform::Transposed => {
            let (rows, columns) = if to_file { (n_rows, n_in) } else { (n_in, n_rows) };
            for r in 0..rows {
                for c in 0..columns {
                    to[c * rows + r] = from[r * columns + c];
                }
            }
        }
        Transform::PerHead { n_heads, head_dim } => {
            for kind in 0..3 {
                for head in 0..n_heads {
                    for i in 0..head_dim {
                        let in_model = ((kind * n_heads + head) * head_dim + i) * n_in;
                        let in_file = ((head * 3 + kind) * head_dim + i) * n_in;
                        let (source, target) = if to_file { (in_model, in_file) } else { (in_file, in_model) };
                        to[target..target + n_in].copy_from_slice(&from[source..source + n_in]);
                    }
                }
            }
        }
    }
}

/// Looks a tensor up by its name, with or without the leading module that some checkpoints leave out.
pub(crate) fn find_name(source: &dyn TensorSource, name: &str) -> Option<String> {
    let bare = ["model.", "transformer.", "gpt_neox."].iter().find_map(|prefix| name.strip_prefix(prefix));
    [Some(name), bare].into_iter().flatten().find(|n| source.shape(n).is_some()).map(str::to_string)
}

/// Reads one tensor into `values` after checking its shape.
pub(crate) fn read_tensor(
    source: &dyn TensorSource,
    device: &Device,
    fields: &Fields,
    name: &str,
    shape: &[usize],
    values: &mut [f32],
) -> Result<(), ModelError> {
    let found = find_name(source, name)
        .ok_or_else(|| fields.invalid(format!("tensor `{name}` is missing (expected shape {shape:?})")))?;
    let actual = source.shape(&found).unwrap_or_default();
    if actual != shape {
        return Err(fields.invalid(format!("tensor `{found}` has shape {actual:?}, expected {shape:?}")));
    }
    source.read_on(device, &found, values)
}

/// Where a tensor of the file belongs.
pub(crate) struct Place {
    transform: Transform,
    n_rows: usize,
    n_in: usize,
    goal: Goal,
}

enum Goal {
    /// From this element of the flat buffer on.
    Flat(usize),
    /// From this row on of the linear that holds the module.
    Packed(usize),
}

impl FileTensor<'_> {
    /// Where its values go.
    pub fn place(&self) -> Place {
        match &self.holder {
            Holder::Vector(vector) => {
                Place { transform: Transform::Plain, n_rows: 1, n_in: vector.length, goal: Goal::Flat(vector.offset) }
            }
            Holder::Bias(offset, part) => {
                let transform = if part.transform == Transform::Transposed { Transform::Plain } else { part.transform };
                Place { transform, n_rows: part.n_rows, n_in: 1, goal: Goal::Flat(offset + part.first_row) }
            }
            Holder::Weight(linear, part) => {
                let goal = match &linear.storage {
                    Storage::Flat { offset, .. } => Goal::Flat(offset + part.first_row * linear.n_in),
                    _ => Goal::Packed(part.first_row),
                };
                Place { transform: part.transform, n_rows: part.n_rows, n_in: linear.n_in, goal }
            }
        }
    }
}

impl Place {
    /// The part of the flat buffer that takes the file's values as they are.
    pub fn direct(&self) -> Option<std::ops::Range<usize>> {
        match (self.transform, &self.goal) {
            (Transform::Plain, Goal::Flat(start)) => Some(*start..start + self.n_rows * self.n_in),
            _ => None,
        }
    }
}

/// Puts a tensor's values (in the file's layout) where they belong, by way of `arranged` where they change places. Packed
/// copies of flat weights are made by `repack`.
pub(crate) fn put(
    parameters: &mut Parameters,
    device: &Device,
    name: &str,
    place: &Place,
    values: &[f32],
    arranged: &mut Vec<f32>,
) {
    let arranged: &[f32] = if place.transform == Transform::Plain {
        values
    } else {
        arranged.resize(values.len(), 0.0);
        transform(place.transform, place.n_rows, place.n_in, values, arranged, false);
        arranged
    };
    match place.goal {
        Goal::Flat(start) => parameters.flat[start..start + arranged.len()].copy_from_slice(arranged),
        Goal::Packed(first_row) => {
            let Parameters { embedding, layers, lm_head, .. } = parameters;
            let linears = layers.iter_mut().flat_map(|l| [&mut l.qkv, &mut l.output, &mut l.up, &mut l.down]);
            let holds =
                |linear: &&mut Linear| linear.parts.iter().any(|p| name.strip_suffix(".weight") == Some(&p.module));
            let linear = linears.chain([embedding]).chain(lm_head.as_mut()).find(holds);
            let linear = linear.expect("every packed tensor has its linear");
            if let Storage::Bf16(packed) = &mut linear.storage {
                packed.pack_rows(device, first_row, arranged);
            } else {
                stage(linear, device, first_row, arranged);
            }
        }
    }
}

/// Collects the rows of a linear that becomes Q8_0; its parts come in order, the last one makes it whole.
fn stage(linear: &mut Linear, device: &Device, first_row: usize, rows: &[f32]) {
    let Storage::Staged(staged) = &mut linear.storage else { unreachable!("only a staged weight takes rows") };
    staged[first_row * linear.n_in..][..rows.len()].copy_from_slice(rows);
    if first_row * linear.n_in + rows.len() == staged.len() {
        linear.storage = Storage::Q8(PackedQ8::quantize(device, staged, linear.n_out, linear.n_in));
    }
}

/// The values of a tensor in the file's layout, from the model, or from a buffer laid out like the flat one
/// (gradients, moments, averages) that begins at `start`.
pub(crate) fn export(parameters: &Parameters, tensor: &FileTensor, flat: &[f32], start: usize) -> Vec<f32> {
    let length = tensor.shape.iter().product();
    let mut out = vec![0.0; length];
    match &tensor.holder {
        Holder::Vector(vector) => out.copy_from_slice(&flat[vector.offset - start..][..length]),
        Holder::Bias(offset, part) => {
            let kind = if part.transform == Transform::Transposed { Transform::Plain } else { part.transform };
            transform(kind, part.n_rows, 1, &flat[offset + part.first_row - start..][..length], &mut out, true);
        }
        Holder::Weight(linear, part) => {
            let mut rows = vec![0.0; length];
            match &linear.storage {
                Storage::Flat { offset, .. } => {
                    rows.copy_from_slice(&flat[offset + part.first_row * linear.n_in - start..][..length])
                }
                Storage::Bf16(packed) => read_rows(part, linear.n_in, &mut rows, |row, out| packed.read_row(row, out)),
                Storage::Q8(packed) => read_rows(part, linear.n_in, &mut rows, |row, out| packed.read_row(row, out)),
                Storage::Staged(_) => unreachable!("a weight is read before it is loaded"),
            }
            crate::lora::merge_into(parameters, linear, part, &mut rows);
            if let Some(learned) = parameters.learned.as_ref().filter(|_| std::ptr::eq(*linear, &parameters.embedding))
            {
                let at = learned.token_id as usize * linear.n_in;
                rows[at..at + linear.n_in].copy_from_slice(&flat[learned.row.offset - start..][..linear.n_in]);
            }
            transform(part.transform, part.n_rows, linear.n_in, &rows, &mut out, true);
        }
    }
    out
}

fn read_rows(part: &Part, n_in: usize, rows: &mut [f32], read: impl Fn(usize, &mut [f32])) {
    for (i, row) in rows.chunks_mut(n_in).enumerate() {
        read(part.first_row + i, row);
    }
}

/// How the base is held for what will be trained in which arithmetic.
pub(crate) fn holding(precision: Precision, trains_everything: bool, base_q8: bool) -> Holding {
    match (precision, trains_everything, base_q8) {
        (_, false, true) => Holding::Q8,
        (Precision::F32, ..) => Holding::F32,
        (Precision::Bf16, true, _) => Holding::Master,
        (Precision::Bf16, false, _) => Holding::Bf16,
    }
}
