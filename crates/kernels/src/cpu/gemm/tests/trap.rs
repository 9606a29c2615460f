//! Catches tile instructions on a processor without tiles, decodes them from their bytes and does them in memory.
//!
//! Encodings: Intel's manual, volume 2, the pages of LDTILECFG, TILERELEASE, TILEZERO, TILELOADD, TILESTORED, TDPBF16PS.
use super::registers::Registers;
use std::cell::RefCell;
use std::sync::atomic::{AtomicUsize, Ordering};

thread_local! {
    static REGISTERS: RefCell<Option<Registers>> = const { RefCell::new(None) };
}

static CAUGHT: AtomicUsize = AtomicUsize::new(0);

/// From here on what is no instruction to this processor is looked at first.
pub fn install() {
    // SAFETY: the action is whole, and the handler of the kind that SA_SIGINFO asks for.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = on_illegal_instruction as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO;
        libc::sigemptyset(&mut action.sa_mask);
        assert_eq!(libc::sigaction(libc::SIGILL, &action, std::ptr::null_mut()), 0);
    }
}

/// Instructions done so far.
pub fn caught() -> usize {
    CAUGHT.load(Ordering::Relaxed)
}

/// The signal is the faulting instruction's own, so that code around it holds no lock that is wanted here.
extern "C" fn on_illegal_instruction(signal: i32, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: with SA_SIGINFO the third argument is the context of the thread, ours until we return.
    let general = unsafe { &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs };
    let address = general[libc::REG_RIP as usize] as *const u8;
    // SAFETY: the instruction was fetched from there; the longest has 15 bytes, and code goes on after it.
    let bytes = unsafe { std::slice::from_raw_parts(address, 15) };
    match Instruction::decode(bytes, general).filter(|instruction| instruction.run()) {
        Some(instruction) => {
            general[libc::REG_RIP as usize] += instruction.length as i64;
            CAUGHT.fetch_add(1, Ordering::Relaxed);
        }
        // Another's: the default comes when the instruction is tried again.
        // SAFETY: a plain system call.
        None => unsafe {
            libc::signal(signal, libc::SIG_DFL);
        },
    }
}

/// A VEX instruction of the map 0F38 with 128 bits and W = 0.
struct Instruction {
    prefix: u8,
    opcode: u8,
    /// ModRM.reg, ModRM.rm and VEX.vvvv.
    reg: usize,
    rm: usize,
    vvvv: usize,
    memory: Option<Memory>,
    length: usize,
}

struct Memory {
    base: usize,
    index: usize,
}

/// Prefixes as VEX counts them.
const NONE: u8 = 0;
const F3: u8 = 2;
const F2: u8 = 3;

/// Where the context keeps general register `n`.
const GENERAL: [i32; 16] = [
    libc::REG_RAX,
    libc::REG_RCX,
    libc::REG_RDX,
    libc::REG_RBX,
    libc::REG_RSP,
    libc::REG_RBP,
    libc::REG_RSI,
    libc::REG_RDI,
    libc::REG_R8,
    libc::REG_R9,
    libc::REG_R10,
    libc::REG_R11,
    libc::REG_R12,
    libc::REG_R13,
    libc::REG_R14,
    libc::REG_R15,
];

impl Instruction {
    fn decode(bytes: &[u8], general: &[i64]) -> Option<Instruction> {
        let &[0xC4, first, second, opcode, modrm, ref rest @ ..] = bytes else { return None };
        let is_ours = first & 0x1F == 2 && second & 0x84 == 0;
        let extended = |bit: u8| (first >> bit & 1 == 0) as usize * 8;
        let (mode, reg, rm) = (modrm >> 6, (modrm >> 3 & 7) as usize, (modrm & 7) as usize);
        let vvvv = (!(second >> 3) & 0xF) as usize;
        let mut length = 5;
        let memory = (mode != 3).then(|| {
            let value = |n: usize| general[GENERAL[n] as usize] as usize;
            let mut rest = rest.iter();
            let mut next = || {
                length += 1;
                *rest.next().expect("no longer than 15 bytes")
            };
            let (mut base, mut index) = (rm, 0);
            if rm == 4 {
                let sib = next();
                base = (sib & 7) as usize;
                let register = (sib >> 3 & 7) as usize + extended(6);
                index = if register == 4 { 0 } else { value(register) << (sib >> 6) };
            }
            // No base, or one that counts from the instruction: not what the kernel's operands are.
            let is_plain = mode != 0 || base != 5;
            let shift = match mode {
                0 => 0,
                1 => next() as i8 as i32,
                _ => i32::from_le_bytes([next(), next(), next(), next()]),
            };
            is_plain.then(|| Memory { base: value(base + extended(5)).wrapping_add_signed(shift as isize), index })
        });
        let memory = match memory {
            Some(None) => return None,
            memory => memory.flatten(),
        };
        is_ours.then_some(Instruction { prefix: second & 3, opcode, reg, rm, vvvv, memory, length })
    }

    /// Whether it was one of ours, and is done.
    fn run(&self) -> bool {
        REGISTERS.with_borrow_mut(|registers| match (self.opcode, self.prefix, &self.memory, registers) {
            (0x49, NONE, Some(memory), registers) if self.reg == 0 => {
                // SAFETY: LDTILECFG reads 64 bytes there.
                let configuration = unsafe { (memory.base as *const [u8; 64]).read_unaligned() };
                *registers = is_configuration(&configuration).then(Registers::rubbish);
                registers.is_some()
            }
            (0x49, NONE, None, registers) if (self.reg, self.rm) == (0, 0) => registers.take().is_some(),
            (0x49, F2, None, Some(registers)) if self.rm == 0 => {
                registers.zero(self.reg);
                true
            }
            (0x4B, F2, Some(memory), Some(registers)) => {
                // SAFETY: TILELOADD reads those rows.
                unsafe { registers.load(self.reg, memory.base as *const u8, memory.index) };
                true
            }
            (0x4B, F3, Some(memory), Some(registers)) => {
                // SAFETY: TILESTORED writes those rows.
                unsafe { registers.store(self.reg, memory.base as *mut u8, memory.index) };
                true
            }
            (0x5C, F3, None, Some(registers)) => {
                registers.multiply(self.reg, self.rm, self.vvvv);
                true
            }
            _ => false,
        })
    }
}

/// Palette 1, nothing begun, nothing in what is reserved, eight registers of 16 rows of 64 bytes and no others.
fn is_configuration(bytes: &[u8; 64]) -> bool {
    let row_bytes = |tile: usize| u16::from_le_bytes([bytes[16 + 2 * tile], bytes[17 + 2 * tile]]);
    let of_tile = |tile: usize| (row_bytes(tile), bytes[48 + tile]);
    bytes[0] == 1
        && bytes[1..16].iter().all(|&byte| byte == 0)
        && (0..8).all(|tile| of_tile(tile) == (64, 16))
        && (8..16).all(|tile| of_tile(tile) == (0, 0))
}
