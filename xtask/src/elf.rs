//! Just enough ELF to tell whether a binary asks for a dynamic loader.

use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};

const PT_INTERP: u32 = 3;

/// Fails unless the file is an ELF binary that runs without a loader and without shared libraries.
pub(crate) fn require_static(path: &Path) -> Result<()> {
    let bytes = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
    let names_loader =
        segment_types(&bytes).with_context(|| format!("read {}", path.display()))?.contains(&PT_INTERP);
    if names_loader {
        bail!("{} is not static: it names a dynamic loader", path.display());
    }
    Ok(())
}

/// The types of the program headers of a 64-bit little-endian ELF file (System V ABI, "Program Header").
fn segment_types(bytes: &[u8]) -> Result<Vec<u32>> {
    ensure!(bytes.starts_with(b"\x7fELF\x02\x01"), "not a 64-bit little-endian ELF file");
    let offset = number(bytes, 32, 8)?;
    let entry_bytes = number(bytes, 54, 2)?;
    let entries = number(bytes, 56, 2)?;
    (0..entries)
        .map(|index| {
            let at = entry_bytes.checked_mul(index).and_then(|skip| skip.checked_add(offset));
            let kind = number(bytes, at.context("program header out of range")?, 4)?;
            Ok(u32::try_from(kind)?)
        })
        .collect()
}

fn number(bytes: &[u8], at: usize, width: usize) -> Result<usize> {
    let end = at.checked_add(width).context("offset out of range")?;
    let field = bytes.get(at..end).context("file ends early")?;
    let mut wide = [0; 8];
    wide[..width].copy_from_slice(field);
    Ok(usize::try_from(u64::from_le_bytes(wide))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elf_with_segments(kinds: &[u32]) -> Vec<u8> {
        let mut bytes = b"\x7fELF\x02\x01".to_vec();
        bytes.resize(64, 0);
        bytes[32] = 64;
        bytes[54] = 56;
        bytes[56] = u8::try_from(kinds.len()).unwrap();
        for kind in kinds {
            bytes.extend(kind.to_le_bytes());
            bytes.resize(bytes.len() + 52, 0);
        }
        bytes
    }

    #[test]
    fn segment_types_are_read_in_order() {
        assert_eq!(segment_types(&elf_with_segments(&[1, 3, 2])).unwrap(), [1, 3, 2]);
    }

    #[test]
    fn cut_and_foreign_files_are_errors() {
        assert!(segment_types(b"#!/bin/sh").is_err());
        let whole = elf_with_segments(&[1, 3]);
        for length in 0..65 {
            assert!(segment_types(&whole[..length]).is_err(), "accepted {length} bytes");
        }
    }
}
