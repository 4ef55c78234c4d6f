//! Where a kind stands in the API.

use watchfire_inventory::ResourceKind;

/// Most objects of a page of a list. What client-go asks for.
pub const PAGE_OBJECTS: u32 = 500;

const JSON: &str = "application/json";
const METADATA_LIST: &str =
    "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json";
const METADATA: &str = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io,application/json";

/// How old a list may be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Age {
    /// Whatever the API server has at hand, which costs it least.
    Any,
    /// Not older than a version that was seen before: the API servers of a cluster are not equally up to date, and what
    /// was told must not be taken back.
    NotBefore(String),
    /// The newest.
    Newest,
}

/// A kind in one of its versions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Resource {
    pub(crate) kind: ResourceKind,
    pub(crate) version: &'static str,
}

impl Resource {
    pub(crate) fn first(kind: ResourceKind) -> Self {
        Self { kind, version: kind.versions()[0] }
    }

    /// The kind in the version after this one.
    pub(crate) fn next(self) -> Option<Self> {
        let mut versions =
            self.kind.versions().iter().skip_while(|version| **version != self.version).skip(1);
        versions.next().map(|version| Self { version, ..self })
    }

    pub(crate) fn api_version(self) -> String {
        self.kind.api_version(self.version)
    }

    /// As access rules name it.
    pub(crate) fn rule_name(self) -> String {
        match self.kind.group() {
            "" => self.kind.plural().to_owned(),
            group => format!("{}.{group}", self.kind.plural()),
        }
    }

    pub(crate) fn list_path(self, age: &Age, go_on: &str) -> String {
        let collection = self.collection();
        match (go_on, age) {
            ("", Age::Any) => format!("{collection}?limit={PAGE_OBJECTS}&resourceVersion=0"),
            // With a limit older API servers would go past their cache to the store.
            ("", Age::NotBefore(version)) => format!("{collection}?resourceVersion={}", Escaped(version)),
            ("", Age::Newest) => format!("{collection}?limit={PAGE_OBJECTS}"),
            (go_on, _) => format!("{collection}?limit={PAGE_OBJECTS}&continue={}", Escaped(go_on)),
        }
    }

    pub(crate) fn watch_path(self, from: &str, seconds: u32) -> String {
        let collection = self.collection();
        let from = Escaped(from);
        format!(
            "{collection}?watch=1&allowWatchBookmarks=true&resourceVersion={from}&timeoutSeconds={seconds}"
        )
    }

    pub(crate) const fn accepts_list(self) -> &'static str {
        if self.is_metadata_enough() { METADATA_LIST } else { JSON }
    }

    pub(crate) const fn accepts_watch(self) -> &'static str {
        if self.is_metadata_enough() { METADATA } else { JSON }
    }

    const fn is_metadata_enough(self) -> bool {
        matches!(self.kind, ResourceKind::Namespace)
    }

    fn collection(self) -> String {
        let root = if self.kind.group().is_empty() { "/api" } else { "/apis" };
        format!("{root}/{}/{}", self.api_version(), self.kind.plural())
    }
}

/// A value in a query (RFC 3986).
struct Escaped<'a>(&'a str);

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for byte in self.0.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                    write!(f, "{}", char::from(byte))?;
                }
                _ => write!(f, "%{byte:02X}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let pods = Resource::first(ResourceKind::Pod);
        assert_eq!(pods.list_path(&Age::Any, ""), "/api/v1/pods?limit=500&resourceVersion=0");
        assert_eq!(pods.list_path(&Age::Any, "a/b=&"), "/api/v1/pods?limit=500&continue=a%2Fb%3D%26");
        let groups = Resource::first(ResourceKind::CiliumCidrGroup);
        let age = Age::NotBefore("7".to_owned());
        assert_eq!(groups.list_path(&age, ""), "/apis/cilium.io/v2/ciliumcidrgroups?resourceVersion=7");
        let older = groups.next().unwrap();
        assert_eq!(older.list_path(&Age::Newest, ""), "/apis/cilium.io/v2alpha1/ciliumcidrgroups?limit=500");
        assert_eq!(older.next(), None);
        assert_eq!(older.rule_name(), "ciliumcidrgroups.cilium.io");
        assert_eq!(
            pods.watch_path("12", 300),
            "/api/v1/pods?watch=1&allowWatchBookmarks=true&resourceVersion=12&timeoutSeconds=300"
        );
    }
}
