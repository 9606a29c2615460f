//! placeholder until kernels has it
use kernels::Device;
pub(crate) fn hash(seed: u64, stream: u64, i: u64) -> u64 {
    let mut z = seed ^ stream.wrapping_mul(0x9e3779b97f4a7c15) ^ i.wrapping_mul(0xbf58476d1ce4e5b9);
    z ^= z >> 31;
    z = z.wrapping_mul(0x94d049bb133111eb);
    z ^= z >> 29;
    z = z.wrapping_mul(0xbf58476d1ce4e5b9);
    z ^ (z >> 32)
}
pub(crate) fn dropout(_: &Device, seed: u64, stream: u64, p: f32, x: &mut [f32]) {
    let keep = 1.0 / (1.0 - p);
    for (i, v) in x.iter_mut().enumerate() {
        let u = (hash(seed, stream, i as u64) >> 40) as f32 / (1u64 << 24) as f32;
        *v = if u < p { 0.0 } else { *v * keep };
    }
}
pub(crate) fn add_uniform_noise(_: &Device, seed: u64, stream: u64, magnitude: f32, x: &mut [f32]) {
    for (i, v) in x.iter_mut().enumerate() {
        let u = (hash(seed, stream, i as u64) >> 40) as f32 / (1u64 << 23) as f32 - 1.0;
        *v += magnitude * u;
    }
}
pub(crate) fn write(
    _: &std::path::Path,
    _: &dyn crate::weights::TensorSource,
    _: crate::Dtype,
) -> Result<(), crate::ModelError> {
    todo!()
}
