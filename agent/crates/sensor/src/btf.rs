//! A reader of the kernel's own type description (Documentation/bpf/btf.rst), as far as field offsets need it.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Where the running kernel shows its types.
pub(crate) const VMLINUX: &str = "/sys/kernel/btf/vmlinux";

/// Where it shows those of its overlay filesystem, where that is a module.
const OVERLAY: &str = "/sys/kernel/btf/overlay";
/// How the functions begin that programs may be attached to; the others are not kept.
const FUNCTIONS: [&str; 6] =
    ["bpf_lsm_", "security_", "__ia32_", "__x64_sys_", "__arm64_sys_", "commit_creds"];

const MAGIC: u16 = 0xeb9f;
const KIND_ARRAY: u32 = 3;
const KIND_STRUCT: u32 = 4;
const KIND_UNION: u32 = 5;
const KIND_ENUM: u32 = 6;
const KIND_FUNC: u32 = 12;
const KIND_FUNC_PROTO: u32 = 13;
const KIND_DATASEC: u32 = 15;
const KIND_ENUM64: u32 = 19;
/// Types that only wrap another: typedef, volatile, const, restrict, type tag.
const KINDS_WRAPPING: [u32; 5] = [8, 9, 10, 11, 18];
const KIND_TYPEDEF: u32 = 8;
const KIND_PTR: u32 = 2;

/// Why BTF could not be read.
#[derive(thiserror::Error, Debug)]
pub(crate) enum BtfError {
    /// The file could not be read: a kernel without `CONFIG_DEBUG_INFO_BTF`, or sysfs not mounted.
    #[error("cannot read the kernel's BTF from {path}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The bytes are no BTF.
    #[error("malformed BTF: {0} at byte {1}")]
    Malformed(&'static str, usize),
}

/// Parsed BTF.
pub(crate) struct Btf {
    bytes: Vec<u8>,
    strings: usize,
    /// Position of each type by its id; id 0 is void.
    types: Vec<usize>,
    structs: HashMap<String, usize>,
    typedefs: HashMap<String, usize>,
    /// Functions that programs may be attached to, with their prototypes.
    functions: HashMap<String, usize>,
    enums: HashMap<String, usize>,
}

/// One type, borrowed.
#[derive(Clone, Copy)]
struct Type {
    at: usize,
    kind: u32,
    entries: usize,
    kind_flag: bool,
    /// Size, or the id of the type referred to.
    size_or_type: u32,
}

impl Btf {
    /// Reads the running kernel's, with the types of its overlay filesystem where that is a module.
    pub(crate) fn of_running_kernel() -> Result<Self, BtfError> {
        let path = Path::new(VMLINUX);
        let bytes = fs::read(path).map_err(|source| BtfError::Read { path: path.to_owned(), source })?;
        match fs::read(OVERLAY).ok().and_then(|module| joined(&bytes, &module)) {
            Some(both) => Self::parse(both),
            None => Self::parse(bytes),
        }
    }

    /// Whether the kernel has a function that programs attach to, out of those that [`FUNCTIONS`] names.
    pub(crate) fn has_function(&self, name: &str) -> bool {
        self.functions.contains_key(name)
    }

    /// Whether the kernel has a tracepoint.
    pub(crate) fn has_tracepoint(&self, name: &str) -> bool {
        self.typedefs.contains_key(&format!("btf_trace_{name}"))
    }

    /// Position of a bit-field or field, bits from the start of the struct.
    pub(crate) fn field_bit(&self, of: &str, name: &str) -> Option<u32> {
        Some(self.member(*self.structs.get(of)?, name)?.0)
    }

    /// Whether an argument of a function is a pointer to a struct of that name.
    pub(crate) fn argument_points_to(&self, function: &str, position: usize, of: &str) -> Option<bool> {
        let id = *self.functions.get(function)?;
        let proto = self.type_at(id)?;
        let argument = (position < proto.entries)
            .then(|| read_u32(&self.bytes, proto.at + 12 + position * 8 + 4).ok())??;
        let pointer = self.type_at(self.unwrap(argument)?)?;
        if pointer.kind != KIND_PTR {
            return Some(false);
        }
        Some(self.unwrap(pointer.size_or_type) == self.structs.get(of).copied())
    }

    /// Indexes the types of a BTF blob.
    pub(crate) fn parse(bytes: Vec<u8>) -> Result<Self, BtfError> {
        let word = |at: usize| read_u32(&bytes, at);
        if bytes.get(..2) != Some(&MAGIC.to_ne_bytes()) {
            return Err(BtfError::Malformed("wrong magic", 0));
        }
        let header = word(4)? as usize;
        let (type_start, type_end) =
            (header + word(8)? as usize, header + word(8)? as usize + word(12)? as usize);
        let strings = header + word(16)? as usize;
        let mut btf = Self {
            types: vec![0],
            structs: HashMap::new(),
            typedefs: HashMap::new(),
            functions: HashMap::new(),
            enums: HashMap::new(),
            strings,
            bytes: Vec::new(),
        };
        let mut named = Vec::new();
        let mut at = type_start;
        while at < type_end {
            let info = word(at + 4)?;
            let (kind, entries) = ((info >> 24) & 0x1f, (info & 0xffff) as usize);
            let id = btf.types.len();
            if matches!(kind, KIND_STRUCT | KIND_UNION | KIND_ENUM | KIND_TYPEDEF | KIND_FUNC) {
                named.push((word(at)?, id, kind));
            }
            btf.types.push(at);
            at += 12 + extra_bytes(kind, entries).ok_or(BtfError::Malformed("unknown kind", at))?;
        }
        btf.bytes = bytes;
        for (name, id, kind) in named {
            let name = btf.string(name);
            if kind == KIND_FUNC {
                if FUNCTIONS.iter().any(|start| name.starts_with(start)) {
                    let proto = btf.type_at(id).map_or(0, |function| function.size_or_type as usize);
                    btf.functions.insert(name, proto);
                }
            } else if !name.is_empty() {
                let index = match kind {
                    KIND_TYPEDEF => &mut btf.typedefs,
                    KIND_ENUM => &mut btf.enums,
                    _ => &mut btf.structs,
                };
                index.entry(name).or_insert(id);
            }
        }
        Ok(btf)
    }

    /// Names and values of an enum.
    pub(crate) fn enum_values(&self, name: &str) -> Option<Vec<(String, u32)>> {
        let of = self.type_at(*self.enums.get(name)?)?;
        // `struct btf_enum`: a name and a value each, behind the type.
        let value = |index: usize| {
            let at = of.at + 12 + index * 8;
            let name = read_u32(&self.bytes, at).ok()?;
            Some((self.string(name), read_u32(&self.bytes, at + 4).ok()?))
        };
        (0..of.entries).map(value).collect()
    }

    /// Byte offset of a field, by struct name and dotted member path; bars separate alternatives. Members of
    /// anonymous structs and unions are found as C finds them.
    pub(crate) fn field_offset(&self, of: &str, path: &str) -> Option<u32> {
        path.split('|').find_map(|path| {
            let mut id = *self.structs.get(of)?;
            let mut bits = 0;
            for name in path.split('.') {
                let (offset, member_type) = self.member(id, name)?;
                bits += offset;
                id = self.unwrap(member_type)?;
            }
            Some(bits / 8)
        })
    }

    /// Number of arguments of a tracepoint's prototype (`btf_trace_NAME`), its context pointer not counted.
    pub(crate) fn tracepoint_args(&self, name: &str) -> Option<usize> {
        let pointer = self.unwrap(*self.typedefs.get(&format!("btf_trace_{name}"))? as u32)?;
        let pointer = self.type_at(pointer)?;
        let proto = self.type_at(self.unwrap(pointer.size_or_type)?)?;
        (pointer.kind == KIND_PTR && proto.kind == KIND_FUNC_PROTO).then(|| proto.entries.saturating_sub(1))
    }

    fn type_at(&self, id: usize) -> Option<Type> {
        let at = *self.types.get(id)?;
        let info = read_u32(&self.bytes, at + 4).ok()?;
        Some(Type {
            at,
            kind: (info >> 24) & 0x1f,
            entries: (info & 0xffff) as usize,
            kind_flag: info >> 31 == 1,
            size_or_type: read_u32(&self.bytes, at + 8).ok()?,
        })
    }

    /// Follows wrappers to the type itself.
    fn unwrap(&self, id: u32) -> Option<usize> {
        let mut id = id as usize;
        // Wrappers nest a few levels at most; a longer chain is a malformed file.
        for _ in 0..16 {
            let ty = self.type_at(id)?;
            if !KINDS_WRAPPING.contains(&ty.kind) {
                return Some(id);
            }
            id = ty.size_or_type as usize;
        }
        None
    }

    /// Bit offset and type of a member.
    fn member(&self, id: usize, name: &str) -> Option<(u32, u32)> {
        let ty = self.type_at(id)?;
        if !matches!(ty.kind, KIND_STRUCT | KIND_UNION) {
            return None;
        }
        (0..ty.entries).find_map(|index| {
            let at = ty.at + 12 + index * 12;
            let word = |offset: usize| read_u32(&self.bytes, at + offset).ok();
            let (member_name, member_type) = (self.string(word(0)?), word(4)?);
            let offset = if ty.kind_flag { word(8)? & 0x00ff_ffff } else { word(8)? };
            if member_name == name {
                return Some((offset, member_type));
            }
            if member_name.is_empty() {
                let (inner, inner_type) = self.member(self.unwrap(member_type)?, name)?;
                return Some((offset + inner, inner_type));
            }
            None
        })
    }

    fn string(&self, offset: u32) -> String {
        let bytes = self.bytes.get(self.strings + offset as usize..).unwrap_or_default();
        let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
        String::from_utf8_lossy(&bytes[..end]).into_owned()
    }
}

/// The types of the kernel and of a module as one blob: a module's ids and string offsets go on where the kernel's end.
fn joined(kernel: &[u8], module: &[u8]) -> Option<Vec<u8>> {
    const HEADER_BYTES: usize = 24;
    let sections = |bytes: &[u8]| {
        let word = |at| read_u32(bytes, at).ok().map(|word| word as usize);
        let header = word(4)?;
        let section = |offset, length| {
            let start: usize = header + offset;
            Some(bytes.get(start..start.checked_add(length)?)?.to_vec())
        };
        Some((section(word(8)?, word(12)?)?, section(word(16)?, word(20)?)?))
    };
    let ((kernel_types, kernel_strings), (types, strings)) = (sections(kernel)?, sections(module)?);
    let (types, strings) = ([kernel_types, types].concat(), [kernel_strings, strings].concat());
    let mut joined = kernel.get(..4)?.to_vec();
    for word in [HEADER_BYTES, 0, types.len(), types.len(), strings.len()] {
        joined.extend(u32::try_from(word).ok()?.to_ne_bytes());
    }
    joined.extend(types);
    joined.extend(strings);
    Some(joined)
}

/// Bytes that follow the 12 common ones.
const fn extra_bytes(kind: u32, entries: usize) -> Option<usize> {
    Some(match kind {
        1 | 14 | 17 => 4,
        KIND_ARRAY => 12,
        KIND_STRUCT | KIND_UNION | KIND_DATASEC | KIND_ENUM64 => entries * 12,
        KIND_ENUM | KIND_FUNC_PROTO => entries * 8,
        2 | 7..=12 | 16 | 18 => 0,
        _ => return None,
    })
}

fn read_u32(bytes: &[u8], at: usize) -> Result<u32, BtfError> {
    let word = bytes.get(at..at + 4).and_then(|word| word.try_into().ok());
    word.map(u32::from_ne_bytes).ok_or(BtfError::Malformed("truncated", at))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A blob with `struct outer { int a; struct { int b; const struct inner c; }; }` and `struct inner { int d; int e; }`.
    fn sample() -> Vec<u8> {
        let strings = b"\0int\0outer\0a\0b\0c\0inner\0d\0e\0";
        let name = |text: &str| {
            let mut needle = vec![0];
            needle.extend(text.bytes().chain([0]));
            strings.windows(needle.len()).position(|window| window == needle).unwrap() as u32 + 1
        };
        let info = |kind: u32, entries: u32| kind << 24 | entries;
        let types: Vec<u32> = [
            vec![name("int"), info(1, 0), 4, 32],                                  // 1
            vec![name("inner"), info(4, 2), 8, name("d"), 1, 0, name("e"), 1, 32], // 2
            vec![0, info(10, 0), 2],                                               // 3: const inner
            vec![0, info(4, 2), 12, name("b"), 1, 0, name("c"), 3, 32],            // 4: anonymous
            vec![name("outer"), info(4, 2), 16, name("a"), 1, 0, 0, 4, 32],        // 5
        ]
        .concat();
        let mut blob = MAGIC.to_ne_bytes().to_vec();
        blob.extend([1, 0]);
        for word in [24, 0, types.len() as u32 * 4, types.len() as u32 * 4, strings.len() as u32] {
            blob.extend(u32::to_ne_bytes(word));
        }
        blob.extend(types.iter().flat_map(|word| word.to_ne_bytes()));
        blob.extend(strings);
        blob
    }

    #[test]
    fn finds_fields_through_anonymous_members_and_wrappers() {
        let btf = Btf::parse(sample()).unwrap();
        for (of, path, expected) in [
            ("outer", "a", Some(0)),
            ("outer", "b", Some(4)),
            ("outer", "c.e", Some(12)),
            ("outer", "gone|b", Some(4)),
            ("outer", "gone", None),
            ("gone", "a", None),
            ("outer", "a.b", None),
        ] {
            assert_eq!(btf.field_offset(of, path), expected, "{of}.{path}");
        }
    }

    #[test]
    fn damaged_blobs_are_errors() {
        assert!(Btf::parse(Vec::new()).is_err());
        let whole = sample();
        for cut in 0..whole.len() {
            if let Ok(btf) = Btf::parse(whole[..cut].to_vec()) {
                assert!(btf.field_offset("outer", "nothing").is_none());
            }
        }
    }
}
