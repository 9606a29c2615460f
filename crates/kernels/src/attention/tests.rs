use super::*;
use crate::twin::{assert_close, assert_slope, devices, noise, wide};
use proptest::prelude::*;

/// A batch in one buffer: per row queries, keys and values with gaps between them.
struct Batch {
    shape: AttentionShape,
    layout: QkvLayout,
    blocks: Vec<QueryBlock>,
    n_rows: usize,
}

impl Batch {
    /// `segments` are (length, parent); rows follow one another.
    fn new(n_kv_heads: usize, group: usize, head_dim: usize, segments: &[(usize, Option<usize>)]) -> Batch {
        let n_heads = n_kv_heads * group;
        let (query_width, kv_width) = (n_heads * head_dim, n_kv_heads * head_dim);
        let layout = QkvLayout {
            stride: query_width + 2 * kv_width + 3,
            query: 1,
            key: query_width + 1,
            value: query_width + kv_width + 2,
        };
        let mut starts = vec![0];
        for &(length, _) in segments {
            starts.push(starts[starts.len() - 1] + length);
        }
        let block = |(index, &(length, _)): (usize, &(usize, Option<usize>))| {
            let mut spans = Vec::new();
            let mut at = segments[index].1;
            while let Some(parent) = at {
                spans.insert(0, Span { start: starts[parent] as u32, length: segments[parent].0 as u32 });
                at = segments[parent].1;
            }
            QueryBlock {
                query_start: starts[index] as u32,
                query_length: length as u32,
                spans,
                causal_start: starts[index] as u32,
            }
        };
        Batch {
            shape: AttentionShape {
                n_heads,
                n_kv_heads,
                head_dim,
                scale: 1.7 / (head_dim as f32).sqrt(),
                single_apart: true,
            },
            layout,
            blocks: segments.iter().enumerate().map(block).collect(),
            n_rows: starts[segments.len()],
        }
    }

    fn qkv(&self, seed: u64) -> Vec<f32> {
        noise(seed, self.n_rows * self.layout.stride).into_iter().map(|x| 1.5 * x).collect()
    }
    fn d_out(&self, seed: u64) -> Vec<f32> {
        noise(seed, self.n_rows * self.shape.n_heads * self.shape.head_dim)
    }

    fn forward(&self, device: &Device, qkv: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let rows = |offset| Rows { data: qkv, stride: self.layout.stride, offset };
        let mut out = vec![f32::NAN; self.n_rows * self.shape.n_heads * self.shape.head_dim];
        let mut log_sum_exp = vec![f32::NAN; self.n_rows * self.shape.n_heads];
        let (query, key, value) = (rows(self.layout.query), rows(self.layout.key), rows(self.layout.value));
        forward(device, self.shape, &self.blocks, query, key, value, &mut out, &mut log_sum_exp);
        (out, log_sum_exp)
    }

    fn backward(&self, device: &Device, qkv: &[f32], out: &[f32], log_sum_exp: &[f32], d_out: &[f32]) -> Vec<f32> {
        // Gaps between the heads' parts must stay as they are.
        let mut d_qkv = vec![7.0; qkv.len()];
        backward(device, self.shape, &self.blocks, self.layout, qkv, out, log_sum_exp, d_out, &mut d_qkv);
        d_qkv
    }

    /// Key rows that query `j` of `block` sees.
    fn visible(&self, block: &QueryBlock, j: usize) -> Vec<usize> {
        let spans = block.spans.iter().flat_map(|span| span.start..span.start + span.length);
        let own = block.causal_start..block.causal_start + j as u32 + 1;
        spans.chain(own).map(|row| row as usize).collect()
    }

    /// (out, log-sum-exp, d_qkv) by the definition, all in f64.
    fn twin(&self, qkv: &[f64], d_out: &[f64]) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
        let AttentionShape { n_heads, n_kv_heads, head_dim, scale, .. } = self.shape;
        let scale = scale as f64;
        let mut out = vec![0.0; self.n_rows * n_heads * head_dim];
        let mut log_sum_exp = vec![0.0; self.n_rows * n_heads];
        let mut d_qkv = vec![7.0; qkv.len()];
        for row in d_qkv.chunks_mut(self.layout.stride) {
            row[self.layout.query..][..n_heads * head_dim].fill(0.0);
            row[self.layout.key..][..n_kv_heads * head_dim].fill(0.0);
            row[self.layout.value..][..n_kv_heads * head_dim].fill(0.0);
        }
        for block in &self.blocks {
            for j in 0..block.query_length as usize {
                let row = block.query_start as usize + j;
                let seen = self.visible(block, j);
                for head in 0..n_heads {
                    let kv_head = head / (n_heads / n_kv_heads);
                    let q = row * self.layout.stride + self.layout.query + head * head_dim;
                    let k = |row: usize| row * self.layout.stride + self.layout.key + kv_head * head_dim;
                    let v = |row: usize| row * self.layout.stride + self.layout.value + kv_head * head_dim;
                    let dot = |a: usize, b: usize| (0..head_dim).map(|i| qkv[a + i] * qkv[b + i]).sum::<f64>();
                    let scores: Vec<f64> = seen.iter().map(|&row| scale * dot(q, k(row))).collect();
                    let maximum = scores.iter().copied().fold(f64::MIN, f64::max);
                    let total: f64 = scores.iter().map(|s| (s - maximum).exp()).sum();
                    let weights: Vec<f64> = scores.iter().map(|s| (s - maximum).exp() / total).collect();
                    log_sum_exp[row * n_heads + head] = maximum + total.ln();
                    let o = (row * n_heads + head) * head_dim;
                    for (&row, weight) in seen.iter().zip(&weights) {
                        for i in 0..head_dim {
                            out[o + i] += weight * qkv[v(row) + i];
                        }
                    }
                    let delta: f64 = (0..head_dim).map(|i| out[o + i] * d_out[o + i]).sum();
                    for (&row, weight) in seen.iter().zip(&weights) {
                        let d_weight: f64 = (0..head_dim).map(|i| d_out[o + i] * qkv[v(row) + i]).sum();
                        let d_score = scale * weight * (d_weight - delta);
                        for i in 0..head_dim {
                            d_qkv[v(row) + i] += weight * d_out[o + i];
                            d_qkv[q + i] += d_score * qkv[k(row) + i];
                            d_qkv[k(row) + i] += d_score * qkv[q + i];
                        }
                    }
                }
            }
        }
        (out, log_sum_exp, d_qkv)
    }

    #[track_caller]
    fn check(&self, devices: &[Device], seed: u64) {
        let (qkv, d_out) = (self.qkv(seed), self.d_out(seed + 1));
        let (out64, log_sum_exp64, d_qkv64) = self.twin(&wide(&qkv), &wide(&d_out));
        for device in devices {
            let (out, log_sum_exp) = self.forward(device, &qkv);
            assert_close("out", &out, &out64, 3e-6);
            assert_close("log_sum_exp", &log_sum_exp, &log_sum_exp64, 1e-6);
            let d_qkv = self.backward(device, &qkv, &out, &log_sum_exp, &d_out);
            assert_close("d_qkv", &d_qkv, &d_qkv64, 3e-5);
            assert_eq!(d_qkv, self.backward(device, &qkv, &out, &log_sum_exp, &d_out), "not the same twice");
        }
    }
}

#[test]
fn the_twins_gradient_is_the_slope() {
    let batch = Batch::new(2, 2, 3, &[(3, None), (2, Some(0)), (2, Some(0)), (1, Some(1)), (2, None)]);
    let (qkv, d_out) = (wide(&batch.qkv(1)), wide(&batch.d_out(2)));
    let gradient: Vec<f64> = batch.twin(&qkv, &d_out).2.into_iter().map(|g| if g == 7.0 { 0.0 } else { g }).collect();
    assert_slope("d_qkv", &qkv, &gradient, |qkv| {
        batch.twin(qkv, &d_out).0.iter().zip(&d_out).map(|(a, b)| a * b).sum()
    });
}

#[test]
fn every_instruction_set_on_trees() {
    // Off the tiles' sizes on purpose; a prompt with branches, one of a single token, one that branches again.
    let segments = [(70, None), (45, Some(0)), (1, Some(0)), (33, Some(1)), (5, Some(1)), (90, None), (1, None)];
    for (n_kv_heads, group, head_dim) in [(1, 1, 8), (2, 3, 64), (1, 2, 80), (1, 7, 33), (2, 1, 1), (1, 9, 16)] {
        Batch::new(n_kv_heads, group, head_dim, &segments).check(&devices(), 3);
    }
}

#[test]
fn wide_heads_and_many_of_them() {
    let segments = [(150, None), (20, Some(0)), (30, Some(0))];
    for (n_kv_heads, group, head_dim) in [(1, 2, 128), (3, 1, 96), (1, 40, 16), (1, 130, 8)] {
        Batch::new(n_kv_heads, group, head_dim, &segments).check(&devices()[..], 5);
    }
}

#[test]
fn a_long_sequence_is_shared_between_workers() {
    let batch = Batch::new(1, 3, 16, &[(700, None)]);
    batch.check(&devices(), 8);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn random_trees(
        seed in 0u64..1000,
        lengths in prop::collection::vec((1usize..100, 0usize..6), 1..6),
        n_kv_heads in 1usize..3,
        group in 1usize..5,
        head_dim in prop::sample::select(vec![2, 7, 16, 24, 33, 64]),
        which in 0usize..100,
    ) {
        // A parent is any earlier segment, or none.
        let segments: Vec<_> =
            lengths.iter().enumerate().map(|(i, &(length, parent))| (length, (parent < i).then_some(parent))).collect();
        let devices = devices();
        Batch::new(n_kv_heads, group, head_dim, &segments).check(&devices[which % devices.len()..][..1], seed);
    }
}

/// The prompt once with its branches, or copied before each branch: the same outputs, and the prompt's gradient is the
/// sum over the copies.
#[test]
fn a_tree_is_its_sequences() {
    let (prompt, branches) = (77, [40, 9, 1]);
    let segments: Vec<_> = std::iter::once((prompt, None)).chain(branches.map(|n| (n, Some(0)))).collect();
    let tree = Batch::new(1, 3, 64, &segments);
    let qkv = tree.qkv(20);
    let mut d_out = tree.d_out(21);
    let out_width = tree.shape.n_heads * tree.shape.head_dim;
    // The prompt's own outputs count once only; leave them out of the loss on both sides.
    d_out[..prompt * out_width].fill(0.0);
    for device in devices() {
        let (out, log_sum_exp) = tree.forward(&device, &qkv);
        let d_qkv = tree.backward(&device, &qkv, &out, &log_sum_exp, &d_out);
        let mut prompt_sum = vec![0.0f64; prompt * tree.layout.stride];
        let mut start = prompt;
        for n in branches {
            let rows: Vec<usize> = (0..prompt).chain(start..start + n).collect();
            let pick = |x: &[f32], width: usize| -> Vec<f32> {
                rows.iter().flat_map(|&row| x[row * width..(row + 1) * width].to_vec()).collect()
            };
            let sequence = Batch::new(1, 3, 64, &[(prompt + n, None)]);
            let qkv = pick(&qkv, tree.layout.stride);
            let (alone, log_sum_exp_alone) = sequence.forward(&device, &qkv);
            assert_close("out", &alone, &wide(&pick(&out, out_width)), 2e-6);
            let d_alone = sequence.backward(&device, &qkv, &alone, &log_sum_exp_alone, &pick(&d_out, out_width));
            let (of_prompt, of_branch) = d_alone.split_at(prompt * tree.layout.stride);
            assert_close(
                "branch",
                of_branch,
                &wide(&d_qkv[start * tree.layout.stride..][..n * tree.layout.stride]),
                5e-6,
            );
            for (sum, &d) in prompt_sum.iter_mut().zip(of_prompt) {
                // The gaps hold 7 in every copy.
                *sum = if d == 7.0 { 7.0 } else { *sum + d as f64 };
            }
            start += n;
        }
        assert_close("prompt", &d_qkv[..prompt * tree.layout.stride], &prompt_sum, 5e-6);
    }
}

/// Keys and values in a cache with rows in any place; queries in a buffer of their own.
struct Decode {
    shape: AttentionShape,
    cache: Vec<f32>,
    stride: usize,
    queries: Vec<f32>,
}

impl Decode {
    fn new(n_kv_heads: usize, group: usize, head_dim: usize, n_queries: usize, n_rows: usize) -> Decode {
        let shape =
            AttentionShape { n_heads: n_kv_heads * group, n_kv_heads, head_dim, scale: 0.3, single_apart: true };
        let stride = 2 * n_kv_heads * head_dim;
        Decode {
            shape,
            cache: noise(31, n_rows * stride),
            stride,
            queries: noise(32, n_queries * shape.n_heads * head_dim),
        }
    }
    fn run(&self, device: &Device, blocks: &[QueryBlock]) -> (Vec<f32>, Vec<f32>) {
        let AttentionShape { n_heads, n_kv_heads, head_dim, .. } = self.shape;
        let mut out = vec![0.0; self.queries.len()];
        let mut log_sum_exp = vec![0.0; self.queries.len() / head_dim];
        let query = Rows { data: &self.queries, stride: n_heads * head_dim, offset: 0 };
        let key = Rows { data: &self.cache, stride: self.stride, offset: 0 };
        let value = Rows { data: &self.cache, stride: self.stride, offset: n_kv_heads * head_dim };
        forward(device, self.shape, blocks, query, key, value, &mut out, &mut log_sum_exp);
        (out, log_sum_exp)
    }
    /// The same from a cache in bf16, which holds `self.cache` without loss after [`Decode::rounded`].
    fn run_bf16(&self, device: &Device, blocks: &[QueryBlock]) -> (Vec<f32>, Vec<f32>) {
        let AttentionShape { n_heads, n_kv_heads, head_dim, .. } = self.shape;
        let cache: Vec<u16> = self.cache.iter().map(|x| (x.to_bits() >> 16) as u16).collect();
        let mut out = vec![0.0; self.queries.len()];
        let mut log_sum_exp = vec![0.0; self.queries.len() / head_dim];
        let query = Rows { data: &self.queries, stride: n_heads * head_dim, offset: 0 };
        let key = Rows { data: &cache, stride: self.stride, offset: 0 };
        let value = Rows { data: &cache, stride: self.stride, offset: n_kv_heads * head_dim };
        forward_bf16(device, self.shape, blocks, query, key, value, &mut out, &mut log_sum_exp);
        (out, log_sum_exp)
    }
    fn rounded(mut self) -> Decode {
        self.cache.iter_mut().for_each(|x| *x = f32::from_bits(x.to_bits() & 0xffff_0000));
        self
    }
    fn twin(&self, block: &QueryBlock) -> Vec<f64> {
        let AttentionShape { n_heads, n_kv_heads, head_dim, scale, .. } = self.shape;
        let spans = block.spans.iter().flat_map(|span| span.start..span.start + span.length);
        let rows: Vec<usize> = spans.chain([block.causal_start]).map(|row| row as usize).collect();
        let query = &self.queries[block.query_start as usize * n_heads * head_dim..];
        let heads = (0..n_heads).flat_map(|head| {
            let kv_head = head / (n_heads / n_kv_heads);
            let at = |row: usize, part: usize, i: usize| {
                self.cache[row * self.stride + (part * n_kv_heads + kv_head) * head_dim + i] as f64
            };
            let score = |&row: &usize| -> f64 {
                (0..head_dim).map(|i| query[head * head_dim + i] as f64 * at(row, 0, i)).sum::<f64>() * scale as f64
            };
            let weights: Vec<f64> = rows.iter().map(|row| score(row).exp()).collect();
            let total: f64 = weights.iter().sum();
            (0..head_dim)
                .map(|i| rows.iter().zip(&weights).map(|(&row, w)| w * at(row, 1, i)).sum::<f64>() / total)
                .collect::<Vec<_>>()
        });
        heads.collect()
    }
}

fn decode_block(query: u32, spans: &[(u32, u32)], own: u32) -> QueryBlock {
    QueryBlock {
        query_start: query,
        query_length: 1,
        spans: spans.iter().map(|&(start, length)| Span { start, length }).collect(),
        causal_start: own,
    }
}

#[test]
fn decoding_reads_a_cache_in_any_order() {
    for (n_kv_heads, group, head_dim) in [(3, 3, 64), (1, 1, 7), (2, 4, 80), (1, 12, 16), (1, 8, 128)] {
        let decode = Decode::new(n_kv_heads, group, head_dim, 4, 400);
        let blocks = [
            decode_block(2, &[(10, 150), (300, 20)], 320),
            decode_block(0, &[(10, 150), (200, 3)], 203),
            decode_block(3, &[], 399),
            decode_block(1, &[(0, 1), (5, 1), (8, 65)], 1),
        ];
        for device in devices() {
            let (out, log_sum_exp) = decode.run(&device, &blocks);
            let width = decode.shape.n_heads * head_dim;
            for (index, block) in blocks.iter().enumerate() {
                let at = block.query_start as usize * width;
                assert_close("out", &out[at..at + width], &decode.twin(block), 1e-6);
                // A sequence by itself: the same to the last bit, and so with its context cut into other pieces.
                let (alone, alone_log_sum_exp) = decode.run(&device, &blocks[index..index + 1]);
                assert_eq!(alone[at..at + width], out[at..at + width]);
                let place = block.query_start as usize * decode.shape.n_heads;
                let heads = place..place + decode.shape.n_heads;
                assert_eq!(alone_log_sum_exp[heads.clone()], log_sum_exp[heads]);
                let mut pieces = block.clone();
                pieces.spans = block
                    .spans
                    .iter()
                    .flat_map(|span| {
                        let half = span.length / 2;
                        let rest = Span { start: span.start + half, length: span.length - half };
                        [Span { start: span.start, length: half }, rest]
                    })
                    .collect();
                assert_eq!(decode.run(&device, &[pieces]).0[at..at + width], out[at..at + width]);
            }
        }
    }
}

/// Keys and values in bf16 give what the same numbers in f32 give, to the last bit: only where they come from differs.
#[test]
fn a_cache_in_bf16_is_read_as_one_in_f32() {
    for (n_kv_heads, group, head_dim) in [(3, 3, 64), (1, 1, 7), (2, 4, 80), (1, 12, 16), (1, 8, 128)] {
        let decode = Decode::new(n_kv_heads, group, head_dim, 24, 400).rounded();
        // A prefill behind a context, and a single query.
        let long = QueryBlock {
            query_start: 0,
            query_length: 23,
            spans: vec![Span { start: 5, length: 130 }],
            causal_start: 200,
        };
        let blocks = [long, decode_block(23, &[(10, 150), (300, 20)], 320)];
        for device in devices() {
            assert_eq!(decode.run_bf16(&device, &blocks), decode.run(&device, &blocks), "{:?}", device.isa);
        }
    }
}

/// Many single queries at once are cut into other tasks than few: the numbers stay.
#[test]
fn a_sequence_does_not_notice_how_many_there_are() {
    for (n_kv_heads, group, head_dim) in [(3, 3, 64), (2, 1, 20)] {
        let decode = Decode::new(n_kv_heads, group, head_dim, 16, 400);
        let blocks: Vec<_> = (0..16).map(|i| decode_block(i, &[(3 * i, 40 + 5 * i), (200, i)], 380 + i)).collect();
        for device in devices() {
            let (out, log_sum_exp) = decode.run(&device, &blocks);
            let (width, heads) = (decode.shape.n_heads * head_dim, decode.shape.n_heads);
            for (i, block) in blocks.iter().enumerate() {
                let (alone, alone_log_sum_exp) = decode.run(&device, std::slice::from_ref(block));
                assert_eq!(alone[i * width..(i + 1) * width], out[i * width..(i + 1) * width]);
                assert_eq!(alone_log_sum_exp[i * heads..(i + 1) * heads], log_sum_exp[i * heads..(i + 1) * heads]);
                assert_close("out", &out[i * width..(i + 1) * width], &decode.twin(block), 1e-6);
            }
        }
    }
}

/// Several new tokens at once behind a context (a prefill in pieces) give what one query at a time gives.
#[test]
fn a_prefill_in_pieces_is_one_query_at_a_time() {
    let decode = Decode::new(2, 3, 64, 50, 300);
    for device in devices() {
        let whole = QueryBlock {
            query_start: 0,
            query_length: 50,
            spans: vec![Span { start: 20, length: 131 }],
            causal_start: 200,
        };
        let (out, _) = decode.run(&device, &[whole]);
        let blocks: Vec<_> = (0..50).map(|i| decode_block(i, &[(20, 131), (200, i)], 200 + i)).collect();
        let (alone, _) = decode.run(&device, &blocks);
        assert_close("out", &out, &wide(&alone), 1e-6);
    }
}

/// Without the decoder's own order of summation: to the last bit, for any length and behind any context.
#[test]
fn one_query_at_a_time_can_be_the_same_bits() {
    for (n_kv_heads, group, head_dim, context) in [(3, 3, 64, 131), (1, 1, 7, 0), (2, 4, 80, 64), (1, 8, 128, 1)] {
        let mut decode = Decode::new(n_kv_heads, group, head_dim, 70, 300);
        decode.shape.single_apart = false;
        let spans = [(20, context)];
        for device in devices() {
            let context = Span { start: 20, length: context };
            let whole = QueryBlock { query_start: 0, query_length: 70, spans: vec![context], causal_start: 200 };
            let (out, log_sum_exp) = decode.run(&device, &[whole]);
            let block = |i| decode_block(i, &[spans[0], (200, i)], 200 + i);
            let (alone, alone_log_sum_exp) = decode.run(&device, &(0..70).map(block).collect::<Vec<_>>());
            assert!(out == alone && log_sum_exp == alone_log_sum_exp, "{:?}, head of {head_dim}", device.isa);
        }
    }
}

#[test]
fn large_scores_and_nan_are_neither_lost_nor_invented() {
    let batch = Batch::new(1, 1, 16, &[(100, None)]);
    for device in devices() {
        let mut qkv: Vec<f32> = batch.qkv(40).into_iter().map(|x| x * 300.0).collect();
        let (out, log_sum_exp) = batch.forward(&device, &qkv);
        assert!(out.iter().chain(&log_sum_exp).all(|x| x.is_finite()));
        let d_qkv = batch.backward(&device, &qkv, &out, &log_sum_exp, &batch.d_out(41));
        assert!(d_qkv.iter().all(|x| x.is_finite()));
        // A NaN key at row 50 reaches every later query and no earlier one.
        qkv[50 * batch.layout.stride + batch.layout.key + 3] = f32::NAN;
        let (out, _) = batch.forward(&device, &qkv);
        assert!(out[..50 * 16].iter().all(|x| x.is_finite()));
        assert!(out[50 * 16..].iter().all(|x| x.is_nan()));
    }
}
