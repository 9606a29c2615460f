//! Prints what the pool, the linear kernels and the LM head reach on this machine.
//!
//! `cargo run --release -p kernels --example gemm_bench [-- ISA [THREADS]]`
#![allow(non_snake_case)]
use kernels::head::{self, Head};
use kernels::linear::{Matrix, PackedBf16, PackedQ8, Precision, Write, backward_input, backward_weight, forward};
use kernels::{Device, Isa};
use std::time::Instant;

/// Least seconds of a call, after one to warm up: what the code can do, whatever else the machine does.
fn seconds(mut call: impl FnMut()) -> f64 {
    call();
    let begin = Instant::now();
    let mut least = f64::INFINITY;
    for repeat in 0.. {
        let start = Instant::now();
        call();
        least = least.min(start.elapsed().as_secs_f64());
        if repeat >= 4 && begin.elapsed().as_secs_f64() > 0.5 {
            break;
        }
    }
    least
}

fn values(length: usize) -> Vec<f32> {
    (0..length).map(|i| (i * 7919 % 1009) as f32 / 1009.0 - 0.5).collect()
}

/// GFLOP/s of the three products in f32 and in bf16.
fn products(device: &Device, rows: usize, n_in: usize, n_out: usize) {
    let (x, dy, weight) = (values(rows * n_in), values(rows * n_out), values(n_out * n_in));
    let (mut y, mut dx, mut dw) = (vec![0.0; rows * n_out], vec![0.0; rows * n_in], vec![0.0; n_out * n_in]);
    let mut bf16 = PackedBf16::zeros(n_out, n_in);
    bf16.pack_rows(device, 0, &weight);
    let q8 = PackedQ8::quantize(device, &weight, n_out, n_in);
    let flops = 2.0 * (rows * n_in * n_out) as f64 / 1e9;
    let f32 = Matrix::F32 { weight: &weight, n_out, n_in };
    for (name, matrix) in [("f32", f32), ("bf16", Matrix::Bf16(&bf16)), ("q8", Matrix::Q8(&q8))] {
        let ahead = seconds(|| forward(device, &x, n_in, matrix, &mut y, n_out, rows, Write::Overwrite));
        let input = seconds(|| backward_input(device, &dy, n_out, matrix, &mut dx, n_in, rows, Write::Overwrite));
        let precision = if name == "f32" { Precision::F32 } else { Precision::Bf16 };
        let weight = seconds(|| {
            backward_weight(device, &dy, n_out, &x, n_in, &mut dw, n_out, n_in, rows, precision, Write::Accumulate)
        });
        println!(
            "{rows} x {n_in} x {n_out} {name:>5}: forward {:6.0}  d input {:6.0}  d weight {:6.0} GFLOP/s",
            flops / ahead,
            flops / input,
            flops / weight
        );
    }
}

/// GB/s of weights read when rows are few: the matrices of 30 layers in turn, more than any cache holds.
fn decoding(device: &Device, rows: usize, n_in: usize, n_out: usize) {
    const COPIES: usize = 60;
    let (x, weight) = (values(rows * n_in), values(n_out * n_in));
    let mut y = vec![0.0; rows * n_out];
    let floats: Vec<Vec<f32>> = (0..COPIES)
        .map(|_| {
            let mut copy = kernels::elementwise::zeroed(weight.len());
            copy.copy_from_slice(&weight);
            copy
        })
        .collect();
    let packed: Vec<PackedBf16> = (0..COPIES)
        .map(|_| {
            let mut packed = PackedBf16::zeros(n_out, n_in);
            packed.pack_rows(device, 0, &weight);
            packed
        })
        .collect();
    let q8: Vec<PackedQ8> = (0..COPIES).map(|_| PackedQ8::quantize(device, &weight, n_out, n_in)).collect();
    let mut run = |name: &str, bytes: usize, matrices: Vec<Matrix>| {
        let time = seconds(|| {
            for &matrix in &matrices {
                forward(device, &x, n_in, matrix, &mut y, n_out, rows, Write::Overwrite);
            }
        }) / matrices.len() as f64;
        println!(
            "{rows} x {n_in} x {n_out} {name:>5}: {:6.1} GB/s, {:6.1} µs a call",
            bytes as f64 / time / 1e9,
            time * 1e6
        );
    };
    run("f32", 4 * n_out * n_in, floats.iter().map(|weight| Matrix::F32 { weight, n_out, n_in }).collect());
    run("bf16", packed[0].bytes(), packed.iter().map(Matrix::Bf16).collect());
    run("q8", q8[0].bytes(), q8.iter().map(Matrix::Q8).collect());
}

fn heads(device: &Device, rows: usize, width: usize, n_vocabulary: usize) {
    let (hidden, weight) = (values(rows * width), values(n_vocabulary * width));
    let targets: Vec<u32> = (0..rows).map(|r| (r * 31 % n_vocabulary) as u32).collect();
    let mut bf16 = PackedBf16::zeros(n_vocabulary, width);
    bf16.pack_rows(device, 0, &weight);
    let slopes = vec![1.0; rows];
    let (mut log_probs, mut d_hidden, mut d_weight) =
        (vec![0.0; rows], vec![0.0; rows * width], vec![0.0; weight.len()]);
    let f32 = Matrix::F32 { weight: &weight, n_out: n_vocabulary, n_in: width };
    for (name, weight_VD) in [("f32", f32), ("bf16", Matrix::Bf16(&bf16))] {
        let head = Head { hidden_RD: &hidden, weight_VD, targets_R: &targets, temperature: 1.0 };
        let ahead = seconds(|| head::forward(device, head, &mut log_probs, None));
        let back = seconds(|| {
            let d_weight = Some(&mut d_weight[..]);
            head::backward(device, head, &slopes, None, &mut d_hidden, d_weight, &mut log_probs, None)
        });
        let flops = 2.0 * (rows * width * n_vocabulary) as f64 / 1e9;
        println!(
            "head {rows} x {width} x {n_vocabulary} {name}: forward {:.1} ms ({:.0} GFLOP/s), backward {:.1} ms ({:.0} GFLOP/s)",
            ahead * 1e3,
            flops / ahead,
            back * 1e3,
            3.0 * flops / back
        );
    }
}

fn main() {
    let (asked, threads) = (std::env::args().nth(1), std::env::args().nth(2));
    let threads = threads.map(|threads| threads.parse().unwrap_or_else(|error| panic!("threads {threads}: {error}")));
    let device = match asked {
        None => Device::detect(threads),
        Some(name) => {
            let isa = Isa::ALL.into_iter().find(|isa| format!("{isa:?}").eq_ignore_ascii_case(&name));
            let isa = isa.unwrap_or_else(|| panic!("no instruction set {name}; there are {:?}", Isa::ALL));
            let threads = threads.unwrap_or_else(|| Device::detect(None).pool.threads());
            Device::with_isa(threads, isa).unwrap_or_else(|error| panic!("{error}"))
        }
    };
    println!("{:?}, {} threads", device.isa, device.pool.threads());
    let wake = seconds(|| {
        device.pool.broadcast(|w| {
            std::hint::black_box(w);
        })
    });
    println!("empty broadcast: {:.2} µs", wake * 1e6);
    for (n_in, n_out) in [(576, 1536), (1536, 576), (576, 49152)] {
        products(&device, 1024, n_in, n_out);
    }
    for rows in [1, 8, 32, 64] {
        decoding(&device, rows, 576, 3072);
    }
    heads(&device, 1024, 576, 49152);
}
