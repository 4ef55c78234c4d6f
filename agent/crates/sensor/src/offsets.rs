//! Resolving what the kernel programs read.

use agent_common::{Offsets, UNKNOWN_OFFSET};

use crate::btf::Btf;

/// Offsets of the running kernel, as the programs take them, and the fields that it lacks.
pub(crate) struct Resolved {
    /// In the order of [`Offsets::FIELDS`].
    pub(crate) values: [u32; Offsets::FIELDS.len()],
    /// `struct.field` of what was not found.
    pub(crate) missing: Vec<String>,
}

/// Fields without which a program still works, only knowing less.
const OPTIONAL: [&str; 4] = ["sk_err", "__sk_common.skc_flags", "__sk_common.skc_net.net", "sk"];

pub(crate) fn resolve(btf: &Btf) -> Resolved {
    let mut missing = Vec::new();
    let values = Offsets::FIELDS.map(|field| {
        btf.field_offset(field.of, field.path).unwrap_or_else(|| {
            missing.push(format!("{}.{}", field.of, field.path));
            UNKNOWN_OFFSET
        })
    });
    Resolved { values, missing }
}

impl Resolved {
    /// The missing fields that programs cannot do without.
    pub(crate) fn missing_required(&self) -> impl Iterator<Item = &str> {
        self.missing.iter().map(String::as_str).filter(|name| {
            !OPTIONAL.iter().any(|optional| name.split_once('.').is_some_and(|(_, path)| path == *optional))
        })
    }
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
        assert_eq!(resolved.missing, Vec::<String>::new());
        assert!(resolved.values.iter().all(|&offset| offset < 1 << 16), "{:?}", resolved.values);
    }
}
