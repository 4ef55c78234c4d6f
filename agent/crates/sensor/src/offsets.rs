//! Resolving what the kernel programs read.

use agent_common::{KernelField, Offsets, UNKNOWN_OFFSET};

use crate::btf::Btf;

/// Offsets of the running kernel, as the programs take them, and the fields that it lacks.
pub(crate) struct Resolved {
    /// In the order of [`Offsets::FIELDS`].
    pub(crate) values: [u32; Offsets::FIELDS.len()],
    /// What was not found.
    pub(crate) missing: Vec<KernelField>,
}

impl Resolved {
    /// Of a kernel whose types are not known.
    pub(crate) const NOTHING: Self = Self { values: [UNKNOWN_OFFSET; _], missing: Vec::new() };
}

/// Looks every field up.
pub(crate) fn resolve(btf: &Btf) -> Resolved {
    let mut missing = Vec::new();
    let values = Offsets::FIELDS.map(|field| {
        btf.field_offset(field.of, field.path).unwrap_or_else(|| {
            missing.push(field);
            UNKNOWN_OFFSET
        })
    });
    Resolved { values, missing }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_running_kernel_has_every_field() {
        let Ok(btf) = Btf::of_running_kernel() else {
            println!("SKIP the_running_kernel_has_every_field: no BTF at {}", crate::btf::VMLINUX);
            return;
        };
        let resolved = resolve(&btf);
        assert_eq!(resolved.missing, Vec::new());
        assert!(resolved.values.iter().all(|&offset| offset < 1 << 16), "{:?}", resolved.values);
    }
}
