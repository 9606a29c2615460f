//! Small operations over slices.
use crate::Device;

/// y += x.
pub fn add(device: &Device, x: &[f32], y: &mut [f32]) {
    let _ = (device, x, y);
    todo!()
}
/// Every row of y += bias.
pub fn add_bias(device: &Device, bias: &[f32], y: &mut [f32], stride: usize) {
    let _ = (device, bias, y, stride);
    todo!()
}
/// d_bias += column sums of the first `d_bias.len()` columns of dy.
pub fn add_column_sums(device: &Device, dy: &[f32], stride: usize, d_bias: &mut [f32]) {
    let _ = (device, dy, stride, d_bias);
    todo!()
}
/// y = y·factor.
pub fn scale(device: &Device, y: &mut [f32], factor: f32) {
    let _ = (device, y, factor);
    todo!()
}
/// Row i of out = row ids[i] of table `[V, D]`.
pub fn gather_rows(device: &Device, table: &[f32], width: usize, ids: &[u32], out: &mut [f32]) {
    let _ = (device, table, width, ids, out);
    todo!()
}
/// Row ids[i] of table += row i of x; equal ids add in order of i.
pub fn scatter_add_rows(device: &Device, x: &[f32], width: usize, ids: &[u32], table: &mut [f32]) {
    let _ = (device, x, width, ids, table);
    todo!()
}
/// Rounds to bf16, nearest even.
pub fn to_bf16(device: &Device, x: &[f32], y: &mut [u16]) {
    let _ = (device, x, y);
    todo!()
}
/// Widens from bf16.
pub fn from_bf16(device: &Device, x: &[u16], y: &mut [f32]) {
    let _ = (device, x, y);
    todo!()
}
/// A zeroed buffer on huge pages where the system has them: first touch of small pages is slow on virtual machines.
pub fn zeroed(length: usize) -> Vec<f32> {
    vec![0.0; length]
}
