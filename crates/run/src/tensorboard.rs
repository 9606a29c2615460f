//! TensorBoard event files with scalars.
//!
//! A file is a TFRecord: per record an 8-byte little-endian length, its masked CRC-32C, the bytes, their masked
//! CRC-32C. A record is an `Event` message of TensorFlow's `event.proto`, encoded by hand: `wall_time` = 1 (double),
//! `step` = 2 (varint), `file_version` = 3 (string), `summary` = 5 { `value` = 1 { `tag` = 1 (string),
//! `simple_value` = 2 (float) } }.
use std::io::{self, Write};

/// The record with which every file begins.
pub fn header(wall_time: f64) -> Vec<u8> {
    let mut event = Vec::new();
    put_double(&mut event, 1, wall_time);
    put_bytes(&mut event, 3, b"brain.Event:2");
    event
}

/// One scalar at a step.
pub fn scalar(wall_time: f64, step: u64, tag: &str, value: f32) -> Vec<u8> {
    let mut summary_value = Vec::new();
    put_bytes(&mut summary_value, 1, tag.as_bytes());
    put_key(&mut summary_value, 2, 5);
    summary_value.extend(value.to_le_bytes());
    let mut summary = Vec::new();
    put_bytes(&mut summary, 1, &summary_value);
    let mut event = Vec::new();
    put_double(&mut event, 1, wall_time);
    put_key(&mut event, 2, 0);
    put_varint(&mut event, step);
    put_bytes(&mut event, 5, &summary);
    event
}

/// Frames one record.
pub fn write_record(out: &mut impl Write, record: &[u8]) -> io::Result<()> {
    let length = (record.len() as u64).to_le_bytes();
    out.write_all(&length)?;
    out.write_all(&masked_crc(&length).to_le_bytes())?;
    out.write_all(record)?;
    out.write_all(&masked_crc(record).to_le_bytes())
}

/// TFRecord's masked CRC-32C: rotated right by 15 bits, plus a constant.
fn masked_crc(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

fn put_key(out: &mut Vec<u8>, field: u64, wire_type: u64) {
    put_varint(out, field << 3 | wire_type);
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn put_double(out: &mut Vec<u8>, field: u64, value: f64) {
    put_key(out, field, 1);
    out.extend(value.to_le_bytes());
}

fn put_bytes(out: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    put_key(out, field, 2);
    put_varint(out, bytes.len() as u64);
    out.extend(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CRC-32C of 32 zero bytes is 8a9136aa (RFC 3720, B.4). Rotated right by 15 and with a282ead8 added, modulo 2³²,
    /// that is 0fd7_fffa (worked out in Python).
    #[test]
    fn the_mask_is_a_rotation_and_a_sum() {
        assert_eq!(masked_crc(&[0; 32]), 0x0fd7_fffa);
    }

    /// Bytes of `Event(wall_time=1.5, step=300, summary=Summary(value=[Value(tag="loss", simple_value=2.5)]))`,
    /// worked out by hand from the protobuf wire format.
    #[test]
    fn a_scalar_in_protobuf() {
        let mut expected = vec![0x09];
        expected.extend(1.5_f64.to_le_bytes());
        expected.extend([0x10, 0xac, 0x02]); // 300 = 0b10_0101100
        expected.extend([0x2a, 13, 0x0a, 11]); // summary, value
        expected.extend([0x0a, 4, b'l', b'o', b's', b's', 0x15]);
        expected.extend(2.5_f32.to_le_bytes());
        assert_eq!(scalar(1.5, 300, "loss", 2.5), expected);
    }

    #[test]
    fn a_record_is_length_check_bytes_check() {
        let mut out = Vec::new();
        write_record(&mut out, b"abc").expect("write to memory");
        assert_eq!(out.len(), 8 + 4 + 3 + 4);
        assert_eq!(&out[..8], &3_u64.to_le_bytes());
        assert_eq!(&out[12..15], b"abc");
        assert_eq!(&out[15..], &masked_crc(b"abc").to_le_bytes());
    }
}
