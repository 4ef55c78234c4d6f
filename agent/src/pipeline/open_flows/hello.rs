//! What was seen of the opening of TLS in a flow.

use std::hash::Hash;
use std::sync::Arc;

use watchfire_model::TlsView;

use super::super::interned::Salient;

/// What was seen of the opening of TLS.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Hello {
    /// Nobody looked: the flow is not in the table.
    Unknown,
    /// Nothing so far.
    NotSeen,
    /// Something that begins like it.
    Unreadable,
    /// This.
    Seen(Arc<TlsView>),
}

impl Hello {
    pub(crate) fn view(&self) -> Option<Arc<TlsView>> {
        match self {
            Self::Seen(view) => Some(Arc::clone(view)),
            Self::Unknown | Self::NotSeen | Self::Unreadable => None,
        }
    }
}

impl Salient for TlsView {
    fn salient(&self) -> impl Hash {
        (&self.sni, &self.ja4)
    }
}
