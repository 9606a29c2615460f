//! The fused LM head: log-probability of a target, entropy, and their gradients, in chunks of rows;
//! the logits of all rows are never in memory together.
//!
//! With z = h·Wᵀ / temperature: log p = z_target − logsumexp(z); entropy = logsumexp(z) − Σ p·z (nats).
//! d(log p)/dz = onehot − p;  d(entropy)/dz_i = −p_i (log p_i + entropy).
use crate::Device;
use crate::linear::Matrix;

/// What a head call works on.
#[derive(Clone, Copy)]
pub struct Head<'a> {
    /// Hidden states after the final norm, one row a target, `[R, D]`.
    pub hidden_RD: &'a [f32],
    /// The output embedding, `[V, D]`.
    pub weight_VD: Matrix<'a>,
    /// Target token of each row.
    pub targets_R: &'a [u32],
    /// Divides the logits.
    pub temperature: f32,
}

/// Fills `log_probs_R`, and `entropies_R` when given.
pub fn forward(device: &Device, head: Head, log_probs_R: &mut [f32], entropies_R: Option<&mut [f32]>) {
    let _ = (device, head, log_probs_R, entropies_R);
    todo!()
}

/// Given dL/d(log p) and, when given, dL/d(entropy): overwrites `d_hidden_RD` and adds to `d_weight_VD`.
/// Also returns the log-probs (and entropies) through `log_probs_R`, `entropies_R`, which it computes on the way: a loss that is
/// linear in the log-probs (cross-entropy) needs no separate forward.
pub fn backward(
    device: &Device,
    head: Head,
    d_log_probs_R: &[f32],
    d_entropies_R: Option<&[f32]>,
    d_hidden_RD: &mut [f32],
    d_weight_VD: Option<&mut [f32]>,
    log_probs_R: &mut [f32],
    entropies_R: Option<&mut [f32]>,
) {
    let _ = (device, head, d_log_probs_R, d_entropies_R, d_hidden_RD, d_weight_VD, log_probs_R, entropies_R);
    todo!()
}
