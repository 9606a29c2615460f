//! Times attention and the row kernels at the shapes of a 135-million-parameter model (9 heads, 3 key/value heads of 64).
//!
//! `cargo run --release -p kernels --example attention_bench [THREADS [ISA]]` prints what each takes.
use kernels::attention::{AttentionShape, QkvLayout, QueryBlock, Rows, Span, backward, forward};
use kernels::{Device, Isa, activation, elementwise, norm, optimizer, rotary};
use std::time::Instant;

const SHAPE: AttentionShape =
    AttentionShape { n_heads: 9, n_kv_heads: 3, head_dim: 64, scale: 0.125, single_apart: true };
const LAYOUT: QkvLayout = QkvLayout { stride: 960, query: 0, key: 576, value: 768 };

fn main() {
    let threads = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(2);
    let only = std::env::args().nth(2);
    for isa in Isa::ALL.into_iter().rev().filter(|isa| only.as_ref().is_none_or(|name| *name == format!("{isa:?}"))) {
        let Ok(device) = Device::with_isa(threads, isa) else { continue };
        println!("{isa:?}, {threads} threads");
        training(&device, "train 4 × 256", 4, 256);
        training(&device, "train 1 × 2048", 1, 2048);
        tree(&device);
        decode(&device, 8, 128);
        decode(&device, 64, 128);
        decode(&device, 1, 2048);
        rows(&device);
    }
}

/// Numbers in −1..1 without a pattern that a cache or a branch predictor could learn.
fn noise(length: usize) -> Vec<f32> {
    let mut x = elementwise::zeroed(length);
    for (i, x) in x.iter_mut().enumerate() {
        *x = ((i as u32).wrapping_mul(2_654_435_761) >> 8) as f32 / (1 << 23) as f32 - 1.0;
    }
    x
}

/// The least time of `work`, in milliseconds, of many runs after two to warm up: what it takes when nothing
/// else runs.
fn time(mut work: impl FnMut()) -> f64 {
    work();
    work();
    let mut times: Vec<f64> = Vec::new();
    let begin = Instant::now();
    while times.len() < 7 || (begin.elapsed().as_secs_f64() < 0.5 && times.len() < 500) {
        let start = Instant::now();
        work();
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    times[0]
}

fn training(device: &Device, name: &str, n_sequences: usize, length: usize) {
    let blocks: Vec<_> = (0..n_sequences).map(|i| block(i * length, length, Vec::new())).collect();
    let pairs = n_sequences * length * (length + 1) / 2;
    passes(device, name, &blocks, n_sequences * length, pairs);
}

/// A prompt of 128 with 7 answers of 128: the tokens of 4 × 256.
fn tree(device: &Device) {
    let mut blocks = vec![block(0, 128, Vec::new())];
    blocks.extend((1..8).map(|i| block(i * 128, 128, vec![Span { start: 0, length: 128 }])));
    passes(device, "tree 128 + 7 × 128", &blocks, 1024, 8 * 128 * 129 / 2 + 7 * 128 * 128);
}

fn block(start: usize, length: usize, spans: Vec<Span>) -> QueryBlock {
    QueryBlock { query_start: start as u32, query_length: length as u32, spans, causal_start: start as u32 }
}

fn passes(device: &Device, name: &str, blocks: &[QueryBlock], n_rows: usize, pairs: usize) {
    let qkv = noise(n_rows * LAYOUT.stride);
    let d_out = noise(n_rows * 576);
    let (mut out, mut log_sum_exp) = (vec![0.0; n_rows * 576], vec![0.0; n_rows * 9]);
    let mut d_qkv = vec![0.0; qkv.len()];
    let rows = |offset| Rows { data: &qkv, stride: LAYOUT.stride, offset };
    let flops = (pairs * SHAPE.n_heads * SHAPE.head_dim * 2) as f64;
    let ms = time(|| forward(device, SHAPE, blocks, rows(0), rows(576), rows(768), &mut out, &mut log_sum_exp));
    println!("  {name:<22} forward  {ms:8.3} ms  {:6.1} GFLOP/s", 2.0 * flops / ms / 1e6);
    let ms = time(|| backward(device, SHAPE, blocks, LAYOUT, &qkv, &out, &log_sum_exp, &d_out, &mut d_qkv));
    println!("  {name:<22} backward {ms:8.3} ms  {:6.1} GFLOP/s", 5.0 * flops / ms / 1e6);
}

fn decode(device: &Device, n_sequences: usize, context: usize) {
    let stride = 2 * 192;
    let cache = noise(n_sequences * (context + 1) * stride);
    let queries = noise(n_sequences * 576);
    let blocks: Vec<_> = (0..n_sequences)
        .map(|i| QueryBlock {
            query_start: i as u32,
            query_length: 1,
            spans: vec![Span { start: (i * (context + 1)) as u32, length: context as u32 }],
            causal_start: (i * (context + 1) + context) as u32,
        })
        .collect();
    let (mut out, mut log_sum_exp) = (vec![0.0; n_sequences * 576], vec![0.0; n_sequences * 9]);
    let query = Rows { data: &queries, stride: 576, offset: 0 };
    let key = Rows { data: &cache, stride, offset: 0 };
    let value = Rows { data: &cache, stride, offset: 192 };
    let ms = time(|| forward(device, SHAPE, &blocks, query, key, value, &mut out, &mut log_sum_exp));
    let bytes = std::mem::size_of_val(&cache[..]) as f64;
    println!("  decode {n_sequences} × {context:<12} forward  {ms:8.4} ms  {:6.1} GB/s", bytes / ms / 1e6);
}

fn rows(device: &Device) {
    let (n, d, f) = (1024, 576, 1536);
    let report = |name: &str, floats: usize, ms: f64| {
        println!("  {name:<22}          {ms:8.3} ms  {:6.1} GB/s", floats as f64 * 4.0 / ms / 1e6);
    };
    let (gate_up, dy) = (noise(n * 2 * f), noise(n * f));
    let (mut y, mut d_gate_up) = (vec![0.0; n * f], vec![0.0; n * 2 * f]);
    let ms = time(|| activation::swiglu_forward(device, &gate_up, f, &mut y));
    report("swiglu forward", 3 * n * f, ms);
    let ms = time(|| activation::swiglu_backward(device, &gate_up, f, &dy, &mut d_gate_up));
    report("swiglu backward", 5 * n * f, ms);

    let (x, weight, dy) = (noise(n * d), noise(d), noise(n * d));
    let (mut y, mut inverse, mut dx) = (vec![0.0; n * d], vec![0.0; n], vec![0.0; n * d]);
    let mut d_weight = vec![0.0; d];
    let ms = time(|| norm::rms_forward(device, &x, &weight, 1e-5, &mut y, &mut inverse));
    report("rms norm forward", 2 * n * d, ms);
    let ms = time(|| norm::rms_backward(device, &x, &weight, &inverse, &dy, &mut dx, Some(&mut d_weight)));
    report("rms norm backward", 4 * n * d, ms);
    let ms = time(|| elementwise::add(device, &x, &mut y));
    report("add", 3 * n * d, ms);

    let table = rotary::RotaryTable { rotary_dim: 64, cos: noise(256 * 32), sin: noise(256 * 32) };
    let positions: Vec<u32> = (0..n as u32).map(|i| i % 256).collect();
    let mut qkv = noise(n * LAYOUT.stride);
    let ms = time(|| rotary::rotate(device, &table, &positions, &mut qkv, LAYOUT.stride, 0, 12, 64, false));
    report("rotary", 2 * n * 768, ms);

    let size = 16 << 20;
    let (mut p, g) = (noise(size), noise(size));
    let (mut m, mut v) = (elementwise::zeroed(size), elementwise::zeroed(size));
    let settings = optimizer::AdamW {
        learning_rate: 1e-6,
        beta1: 0.9,
        beta2: 0.95,
        epsilon: 1e-8,
        weight_decay: 0.0,
        step: 10,
        gradient_scale: 1.0,
    };
    let ms = time(|| optimizer::adamw(device, settings, &mut p, &g, &mut m, &mut v));
    report("adamw 16 Mi", 7 * size, ms);
    let ms = time(|| {
        std::hint::black_box(optimizer::sum_of_squares(device, &g));
    });
    report("sum of squares 16 Mi", size, ms);
}
