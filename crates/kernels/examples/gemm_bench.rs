//! Prints what the pool and the linear kernels reach on this machine.
use std::time::Instant;

fn main() {
    let device = kernels::Device::detect(None);
    println!("{:?}, {} threads", device.isa, device.pool.threads());
    for _ in 0..3 {
        let start = Instant::now();
        for _ in 0..10_000 {
            device.pool.broadcast(|w| {
                std::hint::black_box(w);
            });
        }
        println!("empty broadcast: {:.2} µs", start.elapsed().as_secs_f64() / 10_000.0 * 1e6);
    }
}
