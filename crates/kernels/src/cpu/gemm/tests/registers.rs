//! Eight tile registers in memory, and what the instructions do to them (Intel's manual, volume 2).

type Register = [[u8; 64]; 16];

/// Eight registers of 16 rows of 64 bytes.
pub struct Registers([Register; 8]);

fn float(row: &[u8; 64], column: usize) -> f32 {
    f32::from_le_bytes(row[4 * column..][..4].try_into().expect("four bytes"))
}

fn bf16(row: &[u8; 64], i: usize) -> f32 {
    f32::from_bits((u16::from_le_bytes([row[2 * i], row[2 * i + 1]]) as u32) << 16)
}

impl Registers {
    /// Rubbish that would show, not zeros.
    pub fn rubbish() -> Registers {
        Registers([[[0xff; 64]; 16]; 8])
    }

    /// TILEZERO.
    pub fn zero(&mut self, tile: usize) {
        self.0[tile] = [[0; 64]; 16];
    }

    /// TILELOADD.
    ///
    /// # Safety
    /// 16 rows of 64 bytes can be read, `stride` bytes apart.
    pub unsafe fn load(&mut self, tile: usize, address: *const u8, stride: usize) {
        for (r, row) in self.0[tile].iter_mut().enumerate() {
            // SAFETY: by the contract.
            *row = unsafe { address.add(r * stride).cast::<[u8; 64]>().read_unaligned() };
        }
    }

    /// TILESTORED.
    ///
    /// # Safety
    /// 16 rows of 64 bytes can be written, `stride` bytes apart.
    pub unsafe fn store(&self, tile: usize, address: *mut u8, stride: usize) {
        for (r, row) in self.0[tile].iter().enumerate() {
            // SAFETY: by the contract.
            unsafe { address.add(r * stride).cast::<[u8; 64]>().write_unaligned(*row) };
        }
    }

    /// TDPBF16PS.
    pub fn multiply(&mut self, sum: usize, left: usize, right: usize) {
        for m in 0..16 {
            for n in 0..16 {
                let mut total = float(&self.0[sum][m], n);
                for k in 0..16 {
                    total += bf16(&self.0[left][m], 2 * k) * bf16(&self.0[right][k], 2 * n);
                    total += bf16(&self.0[left][m], 2 * k + 1) * bf16(&self.0[right][k], 2 * n + 1);
                }
                self.0[sum][m][4 * n..][..4].copy_from_slice(&total.to_le_bytes());
            }
        }
    }
}
