//! Whether the clock counts instructions: a program of a known number of them must take that long.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use serde::Serialize;

use crate::cpu_clock;

/// How often the loop of two instructions goes round in the long program.
const ROUNDS: u32 = 50_000_000;
const INSTRUCTIONS_IN_A_ROUND: u64 = 2;
/// What may be there besides: interrupts of the kernel's timer.
const MOST_OFF: f64 = 0.01;
/// Where the program lies in memory.
const BASE: u64 = 0x40_0000;
const HEADERS_BYTES: u64 = 64 + 56;

/// What a program of a known length has measured as.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct Calibration {
    pub(crate) instructions: u64,
    /// By the clock that work is measured with.
    pub(crate) measured: u64,
}

impl Calibration {
    /// Fails where the clock counts something else.
    pub(crate) fn measure() -> Result<Self> {
        if !cfg!(target_arch = "x86_64") {
            bail!("no program of a known number of instructions is written for this processor");
        }
        let folder = tempfile::tempdir().context("make a temporary folder")?;
        let took = |rounds: u32| -> Result<u64> {
            let path = folder.path().join(rounds.to_string());
            write_program(&path, rounds)?;
            let before = cpu_clock::own_and_childrens_ns()?;
            let status = Command::new(&path).status().with_context(|| format!("start {}", path.display()))?;
            ensure!(status.success(), "the program that calibrates ended with {status}");
            Ok(cpu_clock::own_and_childrens_ns()? - before)
        };
        // Starting and ending takes the same of both; the first start of all takes longer.
        took(1)?;
        let calibration = Self {
            instructions: u64::from(ROUNDS - 1) * INSTRUCTIONS_IN_A_ROUND,
            measured: took(ROUNDS)?.saturating_sub(took(1)?),
        };
        ensure!(
            calibration.off().abs() <= MOST_OFF,
            "the clock does not count instructions: {} of them measured as {}",
            calibration.instructions,
            calibration.measured
        );
        Ok(calibration)
    }

    /// By how much, of the whole, it measured as more.
    pub(crate) fn off(self) -> f64 {
        self.measured as f64 / self.instructions as f64 - 1.0
    }
}

fn write_program(path: &Path, rounds: u32) -> Result<()> {
    fs::write(path, program(rounds))
        .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(0o755)))
        .with_context(|| format!("write {}", path.display()))
}

/// An executable that counts down and ends with 0 (System V ABI, "ELF Header" and "Program Header"; x86-64).
fn program(rounds: u32) -> Vec<u8> {
    let mut code = vec![0xb9]; // mov ecx, rounds
    code.extend(rounds.to_le_bytes());
    code.extend([0xff, 0xc9]); // dec ecx
    code.extend([0x75, 0xfc]); // jnz to it
    code.extend([0x31, 0xff]); // xor edi, edi
    code.extend([0xb8, 60, 0, 0, 0]); // mov eax, the number of exit(2)
    code.extend([0x0f, 0x05]); // syscall
    let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
    bytes.resize(16, 0);
    let half = |bytes: &mut Vec<u8>, value: u16| bytes.extend(value.to_le_bytes());
    let word = |bytes: &mut Vec<u8>, value: u32| bytes.extend(value.to_le_bytes());
    let long = |bytes: &mut Vec<u8>, value: u64| bytes.extend(value.to_le_bytes());
    half(&mut bytes, 2); // executable
    half(&mut bytes, 62); // x86-64
    word(&mut bytes, 1);
    long(&mut bytes, BASE + HEADERS_BYTES); // entry
    long(&mut bytes, 64); // program headers
    long(&mut bytes, 0); // no sections
    word(&mut bytes, 0);
    for value in [64, 56, 1, 0, 0, 0] {
        half(&mut bytes, value);
    }
    let length = HEADERS_BYTES + code.len() as u64;
    word(&mut bytes, 1); // to be loaded
    word(&mut bytes, 5); // readable and executable
    for value in [0, BASE, BASE, length, length, 0x1000] {
        long(&mut bytes, value);
    }
    bytes.extend(code);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn the_program_runs_and_ends() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("program");
        write_program(&path, 1000).unwrap();
        assert!(Command::new(&path).status().unwrap().success());
    }

    #[test]
    fn how_far_off() {
        let calibration = Calibration { instructions: 1000, measured: 1004 };
        assert!((calibration.off() - 0.004).abs() < 1e-9);
    }
}
