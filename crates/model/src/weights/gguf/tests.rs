use super::block::quantize_q8_0;
use super::parse::{Error, parse};
use super::write::{Planned, write_file};
use super::*;
use crate::architecture::Architecture;
use crate::config::Fields;
use crate::weights::safetensors::{SafeTensors, tests::Plain, tests::read_all};
use crate::weights::{Checkpoint, TensorSource, open};
use serde_json::json;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|x| x.to_bits()).collect()
}

fn dequantised(file: &GgufFile, name: &str) -> Vec<f32> {
    let mut out = vec![f32::NAN; file.tensor(name).unwrap().shape.iter().product()];
    file.read_tensor(name, &mut out).unwrap();
    out
}

// The expected values are the `gguf` package's: xtask/fixtures/gguf.py.

#[test]
fn every_type_is_dequantised_as_ggml_does_bit_for_bit() {
    let file = GgufFile::open(&fixture("gguf/types.gguf")).unwrap();
    let expected = SafeTensors::open(&fixture("gguf/types.safetensors")).unwrap();
    for name in ["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q4_K", "Q5_K", "Q6_K"] {
        assert_eq!(file.tensor(name).unwrap().tensor_type.name(), name);
        assert_eq!(file.tensor(name).unwrap().shape, [3, 256]);
        assert_eq!(bits(&dequantised(&file, name)), bits(&read_all(&expected, name)), "{name}");
    }
}

#[test]
fn many_threads_dequantise_what_one_does() {
    let device = kernels::Device::detect(Some(3));
    let file = GgufFile::open(&fixture("gguf/types.gguf")).unwrap();
    for name in ["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q4_K", "Q5_K", "Q6_K"] {
        let (info, one) = (file.tensor(name).unwrap(), dequantised(&file, name));
        // more than each thread's least share
        let mut many = vec![f32::NAN; 400 * one.len()];
        info.tensor_type.dequantize_on(&device, &file.tensor_bytes(info).repeat(400), &mut many);
        assert!(many.chunks(one.len()).all(|part| bits(part) == bits(&one)), "{name}");
    }
}

#[test]
fn q8_0_is_quantised_as_ggml_does_bit_for_bit() {
    let file = GgufFile::open(&fixture("gguf/types.gguf")).unwrap();
    let mut bytes = Vec::new();
    quantize_q8_0(&dequantised(&file, "q8_0_source"), &mut bytes).unwrap();
    assert_eq!(bytes, file.tensor_bytes(file.tensor("q8_0").unwrap()));
    for bad in [f32::NAN, f32::INFINITY, 1e9] {
        let mut values = [0.0; 32];
        values[5] = bad;
        assert!(quantize_q8_0(&values, &mut bytes).is_err(), "{bad}");
    }
}

#[test]
fn metadata_of_every_type_are_read() {
    let file = GgufFile::open(&fixture("gguf/types.gguf")).unwrap();
    let check = |key: &str, expected: Value| assert_eq!(file.metadata(key), Some(&expected), "{key}");
    check("scalar.uint8", Value::U8(200));
    check("scalar.int8", Value::I8(-100));
    check("scalar.uint16", Value::U16(60_000));
    check("scalar.int16", Value::I16(-30_000));
    check("scalar.uint32", Value::U32(4_000_000_000));
    check("scalar.int32", Value::I32(-2_000_000_000));
    check("scalar.uint64", Value::U64((1 << 63) + 1));
    check("scalar.int64", Value::I64(-(1 << 62)));
    check("scalar.float32", Value::F32(0.1));
    check("scalar.float64", Value::F64(0.1));
    check("scalar.bool", Value::Bool(true));
    check("scalar.string", Value::String("naïve ✓".to_string()));
    check("array.float32", Value::Array(Array::F32(vec![0.5, -0.25])));
    check("array.bool", Value::Array(Array::Bool(vec![true, false])));
    check("array.array", Value::Array(Array::Array(vec![Array::I32(vec![1, 2]), Array::I32(vec![3])])));
    assert_eq!(file.metadata("array.int32").unwrap().as_i32s(), Some(vec![1, -2, 3]));
    assert_eq!(file.metadata("array.string").unwrap().as_strings().unwrap(), ["", "Ġthe", "日本"]);
}

#[test]
fn metadata_of_every_type_are_written_and_read_again() {
    let every = vec![
        ("u8", Value::U8(1)),
        ("i8", Value::I8(-1)),
        ("u16", Value::U16(2)),
        ("i16", Value::I16(-2)),
        ("u32", Value::U32(3)),
        ("i32", Value::I32(-3)),
        ("u64", Value::U64(4)),
        ("i64", Value::I64(-4)),
        ("f32", Value::F32(0.5)),
        ("f64", Value::F64(-0.5)),
        ("bool", Value::Bool(true)),
        ("string", Value::String("é".to_string())),
        ("u8s", Value::Array(Array::U8(vec![1, 2]))),
        ("i8s", Value::Array(Array::I8(vec![-1]))),
        ("u16s", Value::Array(Array::U16(vec![1]))),
        ("i16s", Value::Array(Array::I16(vec![-1]))),
        ("u32s", Value::Array(Array::U32(vec![1]))),
        ("i32s", Value::Array(Array::I32(vec![]))),
        ("u64s", Value::Array(Array::U64(vec![1]))),
        ("i64s", Value::Array(Array::I64(vec![-1]))),
        ("f32s", Value::Array(Array::F32(vec![0.5]))),
        ("f64s", Value::Array(Array::F64(vec![0.5]))),
        ("bools", Value::Array(Array::Bool(vec![false, true]))),
        ("strings", Value::Array(Array::String(vec!["a".to_string(), String::new()]))),
        ("arrays", Value::Array(Array::Array(vec![Array::U8(vec![1]), Array::String(vec!["x".to_string()])]))),
    ];
    let every: Vec<(String, Value)> = every.into_iter().map(|(k, v)| (k.to_string(), v)).collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.gguf");
    write_file(&path, &every, &[], &mut |_, _| Ok(())).unwrap();
    let file = GgufFile::open(&path).unwrap();
    assert_eq!(file.metadata_keys().count(), every.len());
    for (key, value) in &every {
        assert_eq!(file.metadata(key), Some(value), "{key}");
    }
}

/// The families, each with a model folder and llama.cpp's conversion of it.
const FAMILIES: [&str; 5] = ["llama", "qwen2", "qwen3", "gpt2", "gpt_neox"];

fn folder_and_gguf(family: &str) -> (Checkpoint, Checkpoint) {
    let folder = open(&fixture("families").join(family)).unwrap();
    (folder, open(&fixture("gguf").join(format!("{family}.gguf"))).unwrap())
}

fn architecture(config: &serde_json::Value) -> Architecture {
    let fields = Fields { json: config, path: Path::new("config.json") };
    crate::family::find(&fields).unwrap().architecture(&fields).unwrap()
}

fn assert_same_architecture(found: &serde_json::Value, expected: &serde_json::Value) {
    let (mut found, mut expected) = (architecture(found), architecture(expected));
    let (f, e) = (found.rotary.take().unwrap_or_default(), expected.rotary.take().unwrap_or_default());
    assert_eq!(f.len(), e.len());
    assert!(f.iter().zip(&e).all(|(f, e)| (f - e).abs() < 1e-6 * e), "rotary frequencies {f:?}, expected {e:?}");
    found.initializer_range = expected.initializer_range; // Not in a GGUF, and of no use after training.
    assert_eq!(format!("{found:?}"), format!("{expected:?}"));
}

fn assert_same_tensors(found: &dyn TensorSource, expected: &dyn TensorSource) {
    assert_eq!(found.names(), expected.names());
    for name in expected.names() {
        assert_eq!(found.shape(&name), expected.shape(&name), "{name}");
        assert_eq!(bits(&read_all(found, &name)), bits(&read_all(expected, &name)), "{name}");
    }
}

#[test]
fn llama_cpps_conversion_is_read_as_the_folder_it_was_made_from() {
    for family in FAMILIES {
        let (folder, gguf) = folder_and_gguf(family);
        assert_same_tensors(gguf.tensors.as_ref(), folder.tensors.as_ref());
        assert_same_architecture(&gguf.config, &folder.config);
        assert_eq!(gguf.config["model_type"], folder.config["model_type"]);
        assert_eq!(gguf.config["architectures"], folder.config["architectures"]);
    }
}

#[test]
fn a_model_is_written_as_llama_cpp_converts_it() {
    let scratch = tempfile::tempdir().unwrap();
    for family in FAMILIES {
        let folder = open(&fixture("families").join(family)).unwrap();
        let path = scratch.path().join("ours.gguf");
        write(&path, &folder.config, &[], folder.tensors.as_ref(), WriteType::F32).unwrap();
        let (ours, theirs) =
            (GgufFile::open(&path).unwrap(), GgufFile::open(&fixture("gguf").join(format!("{family}.gguf"))).unwrap());
        let names = |file: &GgufFile| file.tensors().map(|(n, _)| n.to_string()).collect::<Vec<_>>();
        assert_eq!(names(&ours), names(&theirs));
        for (name, info) in theirs.tensors() {
            let found = ours.tensor(name).unwrap();
            assert_eq!((found.tensor_type, &found.shape), (info.tensor_type, &info.shape), "{name}");
            // Its converter computes Llama 3's factors in f32, here they are rounded once.
            let tolerance = if name == config::ROTARY_FACTORS { 1e-6 } else { 0.0 };
            for (x, y) in dequantised(&ours, name).iter().zip(dequantised(&theirs, name)) {
                assert!((x - y).abs() <= tolerance * y.abs(), "{name}: {x}, llama.cpp has {y}");
            }
        }
        let ours_only = ["general.name", "general.size_label", "general.quantization_version"];
        for key in theirs.metadata_keys().filter(|k| !ours_only.contains(k)) {
            let is_default = key.ends_with("attention.key_length") || key.ends_with("attention.value_length");
            assert!(
                ours.metadata(key) == theirs.metadata(key) || (is_default && ours.metadata(key).is_none()),
                "{key}"
            );
        }
    }
}

#[test]
fn every_family_survives_the_way_out_and_back_in_every_type() {
    let scratch = tempfile::tempdir().unwrap();
    for family in ["llama", "mistral", "qwen2", "qwen3", "gpt2", "gpt_neox"] {
        let folder = open(&fixture("families").join(family)).unwrap();
        for write_type in [WriteType::F32, WriteType::F16, WriteType::Bf16, WriteType::Q8_0] {
            let path = scratch.path().join("x.gguf");
            write(&path, &folder.config, &[], folder.tensors.as_ref(), write_type).unwrap();
            let first = std::fs::read(&path).unwrap();
            write(&path, &folder.config, &[], folder.tensors.as_ref(), write_type).unwrap();
            assert!(first == std::fs::read(&path).unwrap(), "the same bytes again");
            let back = open(&path).unwrap();
            assert_same_architecture(&back.config, &folder.config);
            assert_eq!(back.tensors.names(), folder.tensors.names());
            // Half of the last place: f16 keeps 11 bits, bf16 8; Q8_0 7 bits of a block's largest and its scale 11.
            let tolerance = [0.0, 2f32.powi(-11), 2f32.powi(-8), 2f32.powi(-7)][write_type as usize];
            for name in back.tensors.names() {
                let (found, expected) =
                    (read_all(back.tensors.as_ref(), &name), read_all(folder.tensors.as_ref(), &name));
                let largest = expected.iter().fold(0f32, |m, x| m.max(x.abs()));
                let is_exact = back.tensors.shape(&name).unwrap().len() == 1 || name == "transformer.wpe.weight";
                let tolerance = if is_exact { 0.0 } else { tolerance * largest };
                let worst = found.iter().zip(&expected).fold(0f32, |m, (f, e)| m.max((f - e).abs()));
                assert!(worst <= tolerance, "{family} {name} {write_type:?}: {worst} > {tolerance}");
            }
        }
    }
}

#[test]
fn q8_0_is_used_where_rows_allow_it_and_never_for_vectors() {
    let config = json!({"model_type": "llama", "vocab_size": 8, "hidden_size": 32, "intermediate_size": 40, "num_hidden_layers": 1,
        "num_attention_heads": 4, "max_position_embeddings": 16, "tie_word_embeddings": true});
    let layer = |module: &str| format!("model.layers.0.{module}.weight");
    let modules = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj"].map(layer);
    let (gate, up, down) = (layer("mlp.gate_proj"), layer("mlp.up_proj"), layer("mlp.down_proj"));
    let norms = [layer("input_layernorm"), layer("post_attention_layernorm")];
    let mut tensors: Vec<(&str, &[usize])> = modules.iter().map(|m| (m.as_str(), &[32usize, 32][..])).collect();
    tensors.extend([(gate.as_str(), &[40usize, 32][..]), (&up, &[40, 32]), (&down, &[32, 40])]);
    tensors.extend(norms.iter().map(|n| (n.as_str(), &[32usize][..])));
    tensors.extend([("model.embed_tokens.weight", &[8usize, 32][..]), ("model.norm.weight", &[32])]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.gguf");
    let tokens =
        |n: usize| ("tokenizer.ggml.tokens".to_string(), Value::Array(Array::String(vec!["t".to_string(); n])));
    write(&path, &config, &[tokens(8)], &Plain::new(&tensors), WriteType::Q8_0).unwrap();
    let file = GgufFile::open(&path).unwrap();
    let type_name = |name: &str| file.tensor(name).unwrap().tensor_type.name();
    assert_eq!(type_name("blk.0.ffn_up.weight"), "Q8_0");
    assert_eq!(type_name("token_embd.weight"), "Q8_0");
    assert_eq!(type_name("blk.0.ffn_down.weight"), "F16", "rows of 40 are no blocks of 32");
    assert_eq!(type_name("output_norm.weight"), "F32");
    assert_eq!(file.metadata("general.file_type"), Some(&Value::U32(7)));

    let refusal = |tensors: &Plain, tokenizer: &[(String, Value)]| {
        write(&path, &config, tokenizer, tensors, WriteType::F16).expect_err("is refused").to_string()
    };
    assert!(refusal(&Plain::new(&tensors), &[tokens(7)]).contains("7 tokens and the embedding 8 rows"));
    let other = ("general.name".to_string(), Value::U8(0));
    assert!(refusal(&Plain::new(&tensors), &[other]).contains("expected a key under `tokenizer.`"));
    assert!(refusal(&Plain::new(&tensors[1..]), &[]).contains("`model.layers.0.self_attn.q_proj.weight` is missing"));
    let mut with_head = tensors.clone();
    with_head.push(("score.weight", &[1, 32]));
    assert!(refusal(&Plain::new(&with_head), &[]).contains("tensor `score.weight` in a GGUF is not supported"));
}

/// A small file whose places are known: one entry (`a` = u32 7) and the tensors given as (name, dimensions, type, offset).
fn small(tensors: &[(&str, &[u64], u32, u64)], n_data: usize) -> Vec<u8> {
    let string = |text: &str| [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat();
    let mut bytes =
        [&b"GGUF"[..], &3u32.to_le_bytes(), &(tensors.len() as u64).to_le_bytes(), &1u64.to_le_bytes()].concat();
    bytes.extend([string("a"), 4u32.to_le_bytes().to_vec(), 7u32.to_le_bytes().to_vec()].concat());
    for (name, dimensions, type_id, offset) in tensors {
        bytes.extend(string(name));
        bytes.extend((dimensions.len() as u32).to_le_bytes());
        bytes.extend(dimensions.iter().flat_map(|d| d.to_le_bytes()));
        bytes.extend(type_id.to_le_bytes());
        bytes.extend(offset.to_le_bytes());
    }
    bytes.resize(bytes.len().next_multiple_of(32) + n_data, 0);
    bytes
}

#[track_caller]
fn check_refusal(bytes: &[u8], expected: &str) {
    let message = match parse(bytes).err() {
        Some(Error::Invalid(message)) => message,
        Some(Error::Unsupported(feature)) => format!("{feature} is not supported"),
        None => panic!("is accepted, expected {expected:?}"),
    };
    assert!(message.contains(expected), "{message:?} does not mention {expected:?}");
}

/// `small` with other bytes at a place.
fn patched(at: usize, with: &[u8]) -> Vec<u8> {
    let mut bytes = small(&[("t", &[4, 2], 0, 0)], 32);
    bytes[at..][..with.len()].copy_from_slice(with);
    bytes
}

#[test]
fn lies_in_the_header_are_refused_by_the_field() {
    assert!(parse(&patched(0, b"GGUF")).is_ok());
    assert!(parse(&patched(4, &[2])).is_ok(), "version 2 has the same layout");
    check_refusal(&patched(0, b"GGML"), "begins with \"GGML\", expected \"GGUF\"");
    check_refusal(&patched(4, &[1]), "GGUF version 1");
    check_refusal(&patched(4, &[9]), "GGUF version 9");
    check_refusal(&patched(4, &[0, 0, 0, 3]), "big-endian GGUF");
    let huge = [0xff; 8];
    check_refusal(&patched(8, &huge), "the number of tensors");
    check_refusal(&patched(16, &huge), "the number of metadata entries");
    check_refusal(&patched(24, &huge), "metadata key 0");
    check_refusal(&patched(32, &[0xff]), "metadata key 0: not valid UTF-8");
    check_refusal(&patched(33, &[13]), "metadata `a` has type 13, expected 0 to 12");
    check_refusal(&patched(33, &[9, 0, 0, 0, 13]), "metadata `a` is an array of type 13");
    check_refusal(&patched(33, &[9, 0, 0, 0, 8, 0, 0, 0, 0xff, 0xff, 0xff]), "metadata `a`: 16777215 are claimed");
    check_refusal(&patched(33, &[7, 0, 0, 0, 2]), "metadata `a`: a boolean is 2");
    // The tensor's claim begins at 41: name (9), number of dimensions, two of them, type, offset.
    check_refusal(&patched(41, &huge), "the name of tensor 0");
    check_refusal(&patched(50, &[5]), "tensor `t` has 5 dimensions");
    check_refusal(&patched(54, &[0]), "tensor `t`: shape [0, 2] has an impossible size");
    check_refusal(&patched(54, &huge), "impossible size");
    check_refusal(&patched(54, &[0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1]), "impossible size");
    check_refusal(&patched(54, &[5]), "tensor `t`: its 40 bytes at offset 0 don't lie in the file's 32");
    check_refusal(&patched(70, &[99]), "tensor `t` of type number 99");
    check_refusal(&patched(70, &[2]), "rows of 4 elements are no whole blocks of Q4_0 (32)");
    check_refusal(&patched(74, &[8]), "its offset 8 is no multiple of the alignment 32");
    check_refusal(&patched(74, &[0, 0, 0, 0, 0, 0, 0, 0x80]), "tensor `t`: its 32 bytes at offset 9223372036854775808");
    check_refusal(&small(&[("t", &[8], 0, 0), ("u", &[16], 0, 32), ("v", &[8], 0, 64)], 96), "`u` and `v` overlap");
    check_refusal(&small(&[("t", &[8], 0, 0), ("t", &[8], 0, 32)], 64), "tensor `t` occurs twice");
    let whole = small(&[("t", &[4, 2], 0, 0)], 32);
    for end in 0..whole.len() {
        assert!(parse(&whole[..end]).is_err(), "cut at {end}");
    }
}

#[test]
fn arrays_deep_in_each_other_and_bad_alignments_are_refused() {
    let nested = |depth: usize| {
        let mut bytes = [&b"GGUF"[..], &3u32.to_le_bytes(), &0u64.to_le_bytes(), &1u64.to_le_bytes()].concat();
        bytes.extend([&1u64.to_le_bytes()[..], b"a", &9u32.to_le_bytes()].concat());
        for _ in 0..depth {
            bytes.extend([&9u32.to_le_bytes()[..], &1u64.to_le_bytes()].concat());
        }
        bytes.extend([&0u32.to_le_bytes()[..], &0u64.to_le_bytes()].concat());
        bytes
    };
    assert!(parse(&nested(3)).is_ok());
    check_refusal(&nested(4), "arrays lie more than 4 deep");
    check_refusal(&nested(100_000), "arrays lie more than 4 deep");
    let aligned = |value: u32| {
        let mut bytes = [&b"GGUF"[..], &3u32.to_le_bytes(), &0u64.to_le_bytes(), &1u64.to_le_bytes()].concat();
        bytes.extend(
            [&17u64.to_le_bytes()[..], b"general.alignment", &4u32.to_le_bytes(), &value.to_le_bytes()].concat(),
        );
        bytes
    };
    assert!(parse(&aligned(64)).is_ok());
    check_refusal(&aligned(0), "`general.alignment` is U32(0), expected a power of two");
    check_refusal(&aligned(48), "expected a power of two");
    check_refusal(&aligned(1 << 31), "expected a power of two");
}

/// A Llama of one layer in a file, with changes to its metadata (`None` leaves the entry out).
fn changed(
    path: &Path,
    changes: &[(&str, Option<Value>)],
    extra_tensor: Option<&str>,
) -> Result<Checkpoint, ModelError> {
    let mut metadata: BTreeMap<String, Value> = [
        ("general.architecture", Value::String("llama".to_string())),
        ("llama.block_count", Value::U32(1)),
        ("llama.context_length", Value::U32(16)),
        ("llama.embedding_length", Value::U32(8)),
        ("llama.feed_forward_length", Value::U32(8)),
        ("llama.attention.head_count", Value::U32(2)),
        ("llama.attention.layer_norm_rms_epsilon", Value::F32(1e-5)),
        ("tokenizer.ggml.eos_token_id", Value::U32(2)),
    ]
    .map(|(k, v)| (k.to_string(), v))
    .into();
    for (key, value) in changes {
        match value {
            Some(value) => metadata.insert(key.to_string(), value.clone()),
            None => metadata.remove(*key),
        };
    }
    let planned = |name: &str, shape: &[usize]| Planned {
        name: name.to_string(),
        shape: shape.to_vec(),
        tensor_type: TensorType::F32,
    };
    let mut tensors = vec![planned("token_embd.weight", &[3, 8]), planned("blk.0.attn_q.weight", &[8, 8])];
    tensors.extend(extra_tensor.map(|name| planned(name, &[3])));
    let metadata: Vec<(String, Value)> = metadata.into_iter().collect();
    write_file(path, &metadata, &tensors, &mut |_, _| Ok(())).unwrap();
    open(path)
}

#[test]
fn a_model_that_would_be_read_wrongly_is_refused_by_the_key_or_tensor() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.gguf");
    let config = changed(&path, &[("tokenizer.ggml.eot_token_id", Some(Value::U32(1)))], None).unwrap().config;
    assert_eq!(config["eos_token_id"], json!([2, 1]));
    assert_eq!(config["rms_norm_eps"], json!(1e-5), "the decimal that the f32 stands for");
    assert_eq!((&config["tie_word_embeddings"], &config["vocab_size"]), (&json!(true), &json!(3)));
    let check = |key: &str, value: Option<Value>, expected: &str| {
        let message = changed(&path, &[(key, value)], None).err().expect(expected).to_string();
        assert!(message.contains(expected), "{message:?} does not mention {expected:?}");
    };
    let text = |text: &str| Some(Value::String(text.to_string()));
    check("general.architecture", None, "`general.architecture` is missing");
    check("general.architecture", text("mamba"), "`general.architecture` `mamba`");
    check("llama.block_count", None, "`llama.block_count` is missing");
    check("llama.block_count", Some(Value::U32(0)), "`llama.block_count` is U32(0), expected a positive integer");
    check("llama.attention.head_count", Some(Value::U32(3)), "width 8 is no multiple of 3 heads");
    check("llama.attention.head_count", Some(Value::Array(Array::U32(vec![2]))), "for each layer");
    check("llama.attention.layer_norm_rms_epsilon", Some(Value::F32(f32::NAN)), "expected a positive number");
    check("llama.expert_count", Some(Value::U32(8)), "mixture of experts (`llama.expert_count`)");
    check("llama.rope.scaling.type", text("yarn"), "rotary scaling `yarn`");
    check("llama.rope.dimension_count", Some(Value::U32(2)), "`llama.rope.dimension_count` 2 of 4");
    check("llama.attention.value_length", Some(Value::U32(2)), "`llama.attention.value_length` 2 beside keys of 4");
    check("split.count", Some(Value::U16(2)), "a model in 2 files (`split.count`)");
    check("llama.attention.scale", Some(Value::F32(0.1)), "`llama.attention.scale`");
    let tokens = Some(Value::Array(Array::String(vec!["t".to_string(); 4])));
    check("tokenizer.ggml.tokens", tokens, "4 tokens, `token_embd.weight` 3 rows");
    let message = changed(&path, &[], Some("blk.0.attn_sub_norm.weight")).err().unwrap().to_string();
    assert!(message.contains("tensor `blk.0.attn_sub_norm.weight` in an architecture `llama`"), "{message}");
    let message = changed(&path, &[], Some("rope_freqs.weight")).err().unwrap().to_string();
    assert!(message.contains("`rope_freqs.weight` has shape [3], expected [2]"), "{message}");
}
