//! Prints a hash of every tensor of a GGUF file as f32 (`NAME BLAKE3`), to compare with another reader's.
use model::weights::gguf::GgufFile;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args_os().nth(1).ok_or("usage: gguf_digest FILE.gguf")?;
    let file = GgufFile::open(path.as_ref())?;
    for (name, info) in file.tensors() {
        let mut values = vec![0.0; info.shape.iter().product()];
        file.read_tensor(name, &mut values)?;
        let bytes: Vec<u8> = values.iter().flat_map(|x: &f32| x.to_le_bytes()).collect();
        println!("{name} {}", blake3::hash(&bytes));
    }
    Ok(())
}
