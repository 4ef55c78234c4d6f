//! Who forked a process.

use std::ops::Deref;
use std::sync::Arc;

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::ExecId;

/// Most ancestors on a record.
pub const ANCESTORS_MAX: usize = 8;

/// An ancestor as records name it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct AncestorView {
    /// Identity.
    pub exec_id: ExecId,
    /// Process id in the initial pid namespace.
    pub pid: u32,
    /// Executable path.
    pub binary: Arc<str>,
}

/// The ancestors of a process, nearest first, with their JSON: it is made once for all records of the process, of which it
/// is a third.
#[derive(Clone, Debug)]
pub struct Ancestors(Arc<(Vec<AncestorView>, Box<RawValue>)>);

impl Ancestors {
    /// These.
    #[must_use]
    pub fn new(ancestors: Vec<AncestorView>) -> Self {
        let json = serde_json::value::to_raw_value(&ancestors).expect("its keys are texts");
        Self(Arc::new((ancestors, json)))
    }
}

impl Deref for Ancestors {
    type Target = [AncestorView];

    fn deref(&self) -> &[AncestorView] {
        &self.0.0
    }
}

impl PartialEq for Ancestors {
    fn eq(&self, other: &Self) -> bool {
        self.0.0 == other.0.0
    }
}

impl Serialize for Ancestors {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.1.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_told_as_a_list() {
        let id = ExecId { boot: 1, pid: 2, start_ticks: 3 };
        let list = vec![AncestorView { exec_id: id, pid: 2, binary: "/bin/a\"b".into() }];
        let ancestors = Ancestors::new(list.clone());
        assert_eq!(*ancestors, *list);
        assert_eq!(serde_json::to_string(&ancestors).unwrap(), serde_json::to_string(&list).unwrap());
        assert_eq!(serde_json::to_value(&ancestors).unwrap(), serde_json::to_value(&list).unwrap());
        assert_eq!(serde_json::to_string(&Ancestors::new(Vec::new())).unwrap(), "[]");
    }
}
