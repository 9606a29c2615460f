use super::*;
use crate::Dtype;
use proptest::prelude::*;

/// Tensors in memory whose values tell their place: tensor number + element number / 1024.
pub(in crate::weights) struct Plain(pub Vec<(String, Vec<usize>, Vec<f32>)>);

impl Plain {
    pub(in crate::weights) fn new(tensors: &[(&str, &[usize])]) -> Plain {
        let values = |t: usize, shape: &[usize]| {
            (0..shape.iter().product()).map(|i: usize| t as f32 + i as f32 / 1024.0).collect()
        };
        Plain(tensors.iter().enumerate().map(|(t, (n, s))| (n.to_string(), s.to_vec(), values(t, s))).collect())
    }
    fn find(&self, name: &str) -> Option<&(String, Vec<usize>, Vec<f32>)> {
        self.0.iter().find(|(n, ..)| n == name)
    }
}

impl TensorSource for Plain {
    fn names(&self) -> Vec<String> {
        self.0.iter().map(|(n, ..)| n.clone()).collect()
    }
    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.find(name).map(|(_, shape, _)| shape.clone())
    }
    fn read(&self, name: &str, out: &mut [f32]) -> Result<(), ModelError> {
        let (_, _, values) = self.find(name).ok_or_else(|| missing(Path::new("memory"), name))?;
        out.copy_from_slice(values);
        Ok(())
    }
}

pub(in crate::weights) fn read_all(source: &dyn TensorSource, name: &str) -> Vec<f32> {
    let mut out = vec![f32::NAN; source.shape(name).unwrap().iter().product()];
    source.read(name, &mut out).unwrap();
    out
}

#[test]
fn written_tensors_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let tensors = Plain::new(&[("z", &[2, 3]), ("a.weight", &[70, 1000]), ("scalar", &[]), ("none", &[0, 4])]);
    write(&path, &tensors, Dtype::F32).unwrap();
    let file = SafeTensors::open(&path).unwrap();
    assert_eq!(file.names(), ["a.weight", "none", "scalar", "z"]);
    for (name, shape, values) in &tensors.0 {
        assert_eq!(file.shape(name).as_ref(), Some(shape));
        assert_eq!(&read_all(&file, name), values);
    }
    let first = std::fs::read(&path).unwrap();
    write(&path, &tensors, Dtype::F32).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), first, "the same bytes again");
    let wrong_length = file.read("z", &mut [0.0; 5]).unwrap_err().to_string();
    assert!(wrong_length.contains("`z` has shape [2, 3], asked for 5"), "{wrong_length}");
}

#[test]
fn many_threads_read_what_one_does() {
    let (folder, device) = (tempfile::tempdir().unwrap(), Device::detect(Some(3)));
    let path = folder.path().join("model.safetensors");
    // more than each thread's least share, and not a multiple of it
    let tensors = Plain::new(&[("a", &[3]), ("b", &[333, 1001])]);
    for dtype in [Dtype::F32, Dtype::F16, Dtype::Bf16] {
        write(&path, &tensors, dtype).unwrap();
        let file = SafeTensors::open(&path).unwrap();
        for (name, _, values) in &tensors.0 {
            let mut out = vec![f32::NAN; values.len()];
            file.read_on(&device, name, &mut out).unwrap();
            assert_eq!(out, read_all(&file, name), "{name} in {dtype:?}");
        }
    }
    let wrong_length = SafeTensors::open(&path).unwrap().read_on(&device, "a", &mut [0.0; 5]).unwrap_err().to_string();
    assert!(wrong_length.contains("`a` has shape [3], asked for 5"), "{wrong_length}");
}

#[test]
fn a_failed_write_leaves_the_old_file_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let mut tensors = Plain::new(&[("a", &[4]), ("b", &[4])]);
    write(&path, &tensors, Dtype::F16).unwrap();
    let before = std::fs::read(&path).unwrap();
    tensors.0[1].2[2] = 1e6;
    let error = write(&path, &tensors, Dtype::F16).unwrap_err().to_string();
    assert!(error.contains("tensor `b`: 1000000 is beyond what F16 can hold"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

/// The file of a header and `n_data` bytes.
fn file_bytes(header: &str, n_data: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.resize(bytes.len() + n_data, 7);
    bytes
}

fn check_refusal(header: &str, n_data: usize, expected: &str) {
    let message = header::parse(&file_bytes(header, n_data)).expect_err(header);
    assert!(message.contains(expected), "{header}: {message:?} does not mention {expected:?}");
}

#[test]
fn lies_in_the_header_are_refused_by_the_tensor() {
    let one = r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
    assert!(header::parse(&file_bytes(one, 8)).is_ok());
    check_refusal(one, 7, "tensor `a`: its bytes are 0..8, the file has 7");
    check_refusal(one, 9, "the tensors take 8 bytes, the file has 9");
    check_refusal("[]", 0, "no JSON object");
    check_refusal(r#"{"a":3}"#, 0, "tensor `a`");
    check_refusal(r#"{"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}"#, 8, "tensor `a`");
    check_refusal(r#"{"a":{"dtype":"F31","shape":[2],"data_offsets":[0,8]}}"#, 8, "type `F31` is unknown");
    check_refusal(r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}"#, 8, "its bytes are 8..0");
    check_refusal(r#"{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}"#, 8, "shape [3] of F32 takes 12");
    check_refusal(r#"{"a":{"dtype":"F4","shape":[3],"data_offsets":[0,2]}}"#, 2, "no whole number of bytes");
    let huge = r#"{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]}}"#;
    check_refusal(huge, 8, "tensor `a`: shape [4294967296, 4294967296]");
    let two = |b: &str| format!(r#"{{"a":{{"dtype":"F16","shape":[2],"data_offsets":[0,4]}},{b}}}"#);
    check_refusal(&two(r#""b":{"dtype":"F16","shape":[2],"data_offsets":[2,6]}"#), 6, "tensor `b` overlaps");
    check_refusal(&two(r#""b":{"dtype":"F16","shape":[1],"data_offsets":[6,8]}"#), 8, "tensor `b` leaves a gap");
    check_refusal(&two(r#""a":{"dtype":"F16","shape":[1],"data_offsets":[4,6]}"#), 6, "tensor `a` occurs twice");
    check_refusal(r#"{"__metadata__":{"format":3}}"#, 0, "`__metadata__`");
    check_refusal(&format!("{{\"a\":{}", "[".repeat(5000)), 0, "header:");
    for claim in [1 << 40, u64::MAX] {
        let mut bytes = file_bytes(one, 8);
        bytes[..8].copy_from_slice(&claim.to_le_bytes());
        assert!(header::parse(&bytes).unwrap_err().contains(&format!("the header claims {claim} bytes")));
    }
    assert!(header::parse(b"short").unwrap_err().contains("5 bytes, too few"));
}

#[test]
fn a_type_that_is_not_read_is_refused_by_name_when_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    let header = r#"{"mask":{"dtype":"BOOL","shape":[4],"data_offsets":[0,4]}}"#;
    std::fs::write(&path, file_bytes(header, 4)).unwrap();
    let file = SafeTensors::open(&path).unwrap();
    let error = file.read("mask", &mut [0.0; 4]).unwrap_err().to_string();
    assert!(error.contains("tensor `mask` of type BOOL (F32, F16 and BF16 are) is not supported"), "{error}");
}

#[test]
fn shards_are_read_through_their_index() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    let (first, second) = (Plain::new(&[("a", &[2])]), Plain::new(&[("b", &[3]), ("c", &[1])]));
    write(&place("one.safetensors"), &first, Dtype::F32).unwrap();
    write(&place("two.safetensors"), &second, Dtype::Bf16).unwrap();
    let index = |map: &str| std::fs::write(place("model.safetensors.index.json"), format!(r#"{{"weight_map":{map}}}"#));
    index(r#"{"a":"one.safetensors","b":"two.safetensors","c":"two.safetensors"}"#).unwrap();
    let sharded = open_folder(folder.path()).unwrap();
    assert_eq!(sharded.names(), ["a", "b", "c"]);
    assert_eq!(read_all(sharded.as_ref(), "a"), [0.0, 1.0 / 1024.0]);
    assert_eq!(sharded.shape("b"), Some(vec![3]));
    assert_eq!(read_all(sharded.as_ref(), "c"), [1.0]);
    let refusal = |map: &str| {
        index(map).unwrap();
        open_folder(folder.path()).err().expect(map).to_string()
    };
    assert!(refusal(r#"{"a":"two.safetensors"}"#).contains("tensor `a` is missing"));
    assert!(refusal(r#"{"a":"three.safetensors"}"#).contains("three.safetensors"));
    assert!(refusal(r#"{"a":"../one.safetensors"}"#).contains("expected a file name beside the index"));
    assert!(refusal(r#"{"a":3}"#).contains("`a`"));
    assert!(refusal("3").contains("`weight_map`: expected an object"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn any_shapes_survive(shapes in prop::collection::vec(prop::collection::vec(0usize..5, 0..4), 0..6)) {
        let names: Vec<String> = (0..shapes.len()).map(|i| format!("t{i} \"é")).collect();
        let list: Vec<(&str, &[usize])> = names.iter().zip(&shapes).map(|(n, s)| (n.as_str(), s.as_slice())).collect();
        let tensors = Plain::new(&list);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.safetensors");
        write(&path, &tensors, Dtype::F32).unwrap();
        let file = SafeTensors::open(&path).unwrap();
        for (name, shape, values) in &tensors.0 {
            prop_assert_eq!(file.shape(name), Some(shape.clone()));
            prop_assert_eq!(read_all(&file, name), values.clone());
        }
    }
}
