//! Where to: the address of a store, and how to get at it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, Checksum};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{BackoffConfig, ClientOptions, RetryConfig};

use crate::credentials::MountedKeys;
use crate::error::ShipError;
use crate::store::{Access, Store};

/// Time for a connection, and for one request with all its bytes.
const CONNECT_SECONDS: u64 = 10;
const REQUEST_SECONDS: u64 = 120;
/// Repetitions of one request, before the whole segment is repeated later.
const REQUEST_RETRIES: usize = 2;
const REQUEST_RETRY_SECONDS: u64 = 30;

/// The address of a store: `s3://BUCKET[/PREFIX]` or `file:///DIRECTORY`. It has no secrets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Target(Place);

#[derive(Clone, PartialEq, Eq, Debug)]
enum Place {
    S3 { bucket: String, prefix: String },
    Directory(PathBuf),
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = "expected s3://BUCKET[/PREFIX] or file:///DIRECTORY";
        // Never shown: there may be a password in it.
        if text.contains('@') || text.contains('?') || text.contains('#') {
            return Err(format!("{expected}, without user, query or fragment"));
        }
        if let Some(rest) = text.strip_prefix("s3://") {
            let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            let is_bucket = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
            if bucket.is_empty() || !bucket.chars().all(is_bucket) {
                return Err(format!("found `{text}`, {expected}"));
            }
            let prefix = Path::parse(prefix.trim_end_matches('/'))
                .map_err(|error| format!("found `{text}`, {expected}: {error}"))?;
            return Ok(Self(Place::S3 { bucket: bucket.to_owned(), prefix: prefix.to_string() }));
        }
        match text.strip_prefix("file://") {
            Some(path)
                if path.starts_with('/') && path.len() > 1 && !path.split('/').any(|part| part == "..") =>
            {
                Ok(Self(Place::Directory(PathBuf::from(path.trim_end_matches('/')))))
            }
            _ => Err(format!("found `{text}`, {expected}")),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::S3 { bucket, prefix } if prefix.is_empty() => write!(f, "s3://{bucket}"),
            Place::S3 { bucket, prefix } => write!(f, "s3://{bucket}/{prefix}"),
            Place::Directory(path) => write!(f, "file://{}", path.display()),
        }
    }
}

/// How to get at a store. What is not set is taken from the environment, as AWS names its variables.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct StoreOptions {
    /// Address of the server, where it is not AWS.
    pub endpoint: Option<String>,
    /// Its region.
    pub region: Option<String>,
    /// Whether the server may be talked to without TLS.
    pub allow_http: bool,
    /// Folder with the files `access-key-id`, `secret-access-key` and, where there is one, `session-token`.
    pub credentials_dir: Option<PathBuf>,
}

impl Target {
    /// Everything that says which objects they are, for comparison: the same names elsewhere are other objects.
    #[must_use]
    pub fn identity(&self, options: &StoreOptions) -> String {
        match (&self.0, &options.endpoint) {
            (Place::S3 { .. }, Some(endpoint)) => format!("{self} at {endpoint}"),
            _ => self.to_string(),
        }
    }

    /// The store, of which nothing is asked yet. Says what is wrong with the settings.
    pub fn open(&self, options: &StoreOptions) -> Result<Store, ShipError> {
        match &self.0 {
            Place::S3 { bucket, prefix } => s3(bucket, prefix, options),
            Place::Directory(path) => directory(path),
        }
    }
}

/// It has to be there: an empty one made in place of a share that is not mounted would take everything.
fn directory(path: &PathBuf) -> Result<Store, ShipError> {
    if !path.is_dir() {
        return Err(ShipError::Settings(format!("{}: expected a directory that is there", path.display())));
    }
    let files = LocalFileSystem::new_with_prefix(path)
        .map_err(|error| ShipError::Settings(format!("{}: {error}", path.display())))?;
    Ok(Store::new(Arc::new(files), Path::default(), Access::Directory(path.clone())))
}

fn s3(bucket: &str, prefix: &str, options: &StoreOptions) -> Result<Store, ShipError> {
    let StoreOptions { endpoint, region, allow_http, credentials_dir } = options;
    let client = ClientOptions::new()
        .with_connect_timeout(Duration::from_secs(CONNECT_SECONDS))
        .with_timeout(Duration::from_secs(REQUEST_SECONDS))
        .with_allow_http(*allow_http);
    let retry = RetryConfig {
        backoff: BackoffConfig::default(),
        max_retries: REQUEST_RETRIES,
        retry_timeout: Duration::from_secs(REQUEST_RETRY_SECONDS),
    };
    let mut builder = AmazonS3Builder::from_env()
        .with_client_options(client)
        .with_allow_http(*allow_http)
        .with_retry(retry)
        // The server compares it with what arrived.
        .with_checksum_algorithm(Checksum::SHA256)
        .with_bucket_name(bucket);
    if let Some(region) = region {
        builder = builder.with_region(region);
    }
    if let Some(endpoint) = endpoint {
        let is_http = endpoint.starts_with("http://");
        if endpoint.contains('@') || !(is_http || endpoint.starts_with("https://")) {
            return Err(ShipError::Settings(
                "endpoint: expected https://HOST[:PORT], without a user".to_owned(),
            ));
        }
        if is_http && !allow_http {
            let why = format!("endpoint: {endpoint} is not encrypted; allowHttp permits that in a lab");
            return Err(ShipError::Settings(why));
        }
        builder = builder.with_endpoint(endpoint);
    }
    if let Some(dir) = credentials_dir {
        let keys = MountedKeys(dir.clone());
        keys.read().map_err(|why| ShipError::Settings(format!("credentials: {why}")))?;
        builder = builder.with_credentials(Arc::new(keys));
    }
    let store = builder.build().map_err(|error| ShipError::Settings(error.to_string()))?;
    let prefix = Path::parse(prefix).map_err(|error| ShipError::Settings(error.to_string()))?;
    Ok(Store::new(Arc::new(store), prefix, Access::Remote))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_shown() {
        for (text, shown) in [
            ("s3://bucket", "s3://bucket"),
            ("s3://bucket/a/b/", "s3://bucket/a/b"),
            ("file:///var/lib/x/", "file:///var/lib/x"),
        ] {
            assert_eq!(text.parse::<Target>().unwrap().to_string(), shown);
        }
        for wrong in [
            "",
            "s3://",
            "s3:///x",
            "bucket",
            "file://x",
            "file:///",
            "file:///a/../b",
            "http://h/b",
            "s3://b/../c",
        ] {
            let error = wrong.parse::<Target>().unwrap_err();
            assert!(error.contains("expected s3://BUCKET"), "{wrong}: {error}");
        }
        let error = "s3://id:hush@bucket".parse::<Target>().unwrap_err();
        assert!(!error.contains("hush"), "{error}");
    }

    #[test]
    fn wrong_settings_are_said_before_anything_is_asked() {
        let target: Target = "s3://bucket".parse().unwrap();
        let why = |options: StoreOptions| target.open(&options).unwrap_err().to_string();
        let endpoint =
            |text: &str| StoreOptions { endpoint: Some(text.to_owned()), ..StoreOptions::default() };
        assert!(why(endpoint("http://localhost:1")).contains("allowHttp"));
        assert!(why(endpoint("localhost:1")).contains("expected https://HOST"));
        assert!(!why(endpoint("https://id:hush@host")).contains("hush"));
        let dir = tempfile::tempdir().unwrap();
        let without =
            StoreOptions { credentials_dir: Some(dir.path().to_owned()), ..StoreOptions::default() };
        assert!(why(without).contains("access-key-id"));
        let target: Target = format!("file://{}/none", dir.path().display()).parse().unwrap();
        assert!(target.open(&StoreOptions::default()).unwrap_err().to_string().contains("that is there"));
    }
}
