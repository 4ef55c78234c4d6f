//! An OCI image layout in a tar file (image-spec, "image-layout.md"), which `docker load` reads as well.

use std::env;
use std::io::Write as _;

use anyhow::{Context as _, Result, ensure};
use flate2::{Compression, GzBuilder};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};

const EMPTY_TYPE: &str = "application/vnd.oci.empty.v1+json";
const CONFIG_TYPE: &str = "application/vnd.oci.image.config.v1+json";
const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";
const LAYER_TYPE: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";

/// The same input gives the same bytes: nothing in an image says when it was made, unless the time is told.
const CREATED: &str = "1970-01-01T00:00:00Z";

/// Seconds since 1970 that a build claims as its time: <https://reproducible-builds.org/specs/source-date-epoch/>.
pub(super) const EPOCH_VARIABLE: &str = "SOURCE_DATE_EPOCH";

/// An image archive.
pub(crate) struct Image {
    /// The tar file.
    pub(crate) bytes: Vec<u8>,
    /// The digest of the manifest, which names the image.
    pub(crate) digest: String,
}

/// What is in an image, and what it starts.
pub(crate) struct Contents {
    pub(crate) entries: Vec<Entry>,
    pub(crate) entrypoint: &'static [&'static str],
    pub(crate) command: &'static [&'static str],
    pub(crate) search_path: &'static str,
    pub(crate) title: &'static str,
    pub(crate) description: &'static str,
    /// The commit that it was built from.
    pub(crate) revision: Option<String>,
    /// What is told of it, beside it.
    pub(crate) attached: Option<Attached>,
}

/// A document about an image, which refers to it (image-spec, "manifest.md", `subject`).
pub(crate) struct Attached {
    pub(crate) media_type: &'static str,
    pub(crate) content: Vec<u8>,
}

impl Contents {
    /// These entries, and nothing that starts.
    pub(crate) fn of(entries: Vec<Entry>) -> Self {
        let (title, description) = ("watchfire-test", "Made for tests of Watchfire");
        Self {
            entries,
            entrypoint: &[],
            command: &[],
            search_path: "/",
            title,
            description,
            revision: None,
            attached: None,
        }
    }
}

/// Something in an image's file system, which belongs to root.
pub(crate) struct Entry {
    path: String,
    mode: u32,
    kind: Kind,
}

enum Kind {
    File(Vec<u8>),
    Folder,
    Link(String),
}

impl Entry {
    pub(crate) fn file(path: &str, mode: u32, content: &[u8]) -> Self {
        Self { path: path.to_owned(), mode, kind: Kind::File(content.to_owned()) }
    }

    pub(crate) fn folder(path: &str, mode: u32) -> Self {
        Self { path: path.to_owned(), mode, kind: Kind::Folder }
    }

    pub(crate) fn link(path: &str, target: &str) -> Self {
        Self { path: path.to_owned(), mode: 0o777, kind: Kind::Link(target.to_owned()) }
    }
}

/// Makes an image of one layer.
pub(crate) fn image(name: &str, contents: &Contents) -> Result<Image> {
    let files = layer(&contents.entries)?;
    let compressed = compress(&files)?;
    let config = serde_json::to_vec(&config(contents, &digest(&files))?)?;
    let manifest = serde_json::to_vec(&json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": descriptor(CONFIG_TYPE, &config),
        "layers": [descriptor(LAYER_TYPE, &compressed)],
    }))?;
    let mut manifest_descriptor = descriptor(MANIFEST_TYPE, &manifest);
    manifest_descriptor["annotations"] = json!({
        "io.containerd.image.name": name,
        "org.opencontainers.image.ref.name": tag(name),
    });
    let mut blobs = vec![config.clone(), compressed.clone(), manifest.clone()];
    let mut manifests = vec![manifest_descriptor];
    if let Some(attached) = &contents.attached {
        let artefact = artefact(attached, &manifest)?;
        let mut descriptor = descriptor(MANIFEST_TYPE, &artefact);
        descriptor["artifactType"] = attached.media_type.into();
        manifests.push(descriptor);
        blobs.extend([artefact, EMPTY.to_vec(), attached.content.clone()]);
    }
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": manifests });
    // What `docker load` looks for first.
    let docker = json!([{
        "Config": blob_path(&config), "RepoTags": [name], "Layers": [blob_path(&compressed)],
    }]);
    let mut archive = Builder::new(Vec::new());
    add(&mut archive, "oci-layout", 0o644, br#"{"imageLayoutVersion":"1.0.0"}"#)?;
    add(&mut archive, "index.json", 0o644, &serde_json::to_vec(&index)?)?;
    add(&mut archive, "manifest.json", 0o644, &serde_json::to_vec(&docker)?)?;
    for blob in &blobs {
        add(&mut archive, &blob_path(blob), 0o644, blob)?;
    }
    Ok(Image { bytes: archive.into_inner().context("finish the archive")?, digest: digest(&manifest) })
}

/// The tag in an image's name.
pub(super) fn tag(name: &str) -> &str {
    // What follows a port is no tag.
    name.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')).map_or("latest", |(_, tag)| tag)
}

/// The configuration of what is no image.
const EMPTY: &[u8] = b"{}";

fn artefact(attached: &Attached, manifest: &[u8]) -> Result<Vec<u8>> {
    Ok(serde_json::to_vec(&json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "artifactType": attached.media_type,
        "config": descriptor(EMPTY_TYPE, EMPTY),
        "layers": [descriptor(attached.media_type, &attached.content)],
        "subject": descriptor(MANIFEST_TYPE, manifest),
    }))?)
}

/// When an image says that it was made.
fn created() -> Result<String> {
    env::var(EPOCH_VARIABLE).map_or_else(|_| Ok(CREATED.to_owned()), |epoch| time_of(&epoch))
}

/// A number of seconds since 1970 as RFC 3339 has it.
pub(super) fn time_of(epoch: &str) -> Result<String> {
    let wrong = || format!("{EPOCH_VARIABLE}={epoch}: expected a number of seconds since 1970");
    let seconds: u64 = epoch.parse().with_context(wrong)?;
    let (days, left) = (seconds / 86_400, seconds % 86_400);
    // Days of a calendar whose years begin in March, in eras of 400 years.
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + u64::from(month < 3);
    ensure!(year <= 9999, wrong());
    let (hour, minute, second) = (left / 3600, left / 60 % 60, left % 60);
    Ok(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"))
}

fn layer(entries: &[Entry]) -> Result<Vec<u8>> {
    let mut layer = Builder::new(Vec::new());
    for Entry { path, mode, kind } in entries {
        match kind {
            Kind::File(content) => add(&mut layer, path, *mode, content)?,
            Kind::Folder => {
                let mut header = header(*mode, 0);
                header.set_entry_type(EntryType::Directory);
                layer.append_data(&mut header, path, std::io::empty()).context("add a folder")?;
            }
            Kind::Link(target) => {
                let mut header = header(*mode, 0);
                header.set_entry_type(EntryType::Symlink);
                layer.append_link(&mut header, path, target).context("add a link")?;
            }
        }
    }
    layer.into_inner().context("finish the layer")
}

fn config(contents: &Contents, layer_digest: &str) -> Result<Value> {
    let created = created()?;
    let mut labels = json!({
        "org.opencontainers.image.title": contents.title,
        "org.opencontainers.image.description": contents.description,
        "org.opencontainers.image.version": env!("CARGO_PKG_VERSION"),
        "org.opencontainers.image.licenses": "Apache-2.0",
    });
    if let Some(revision) = &contents.revision {
        labels["org.opencontainers.image.revision"] = revision.as_str().into();
    }
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    Ok(json!({
        "created": created,
        "architecture": architecture,
        "os": "linux",
        "config": {
            "Entrypoint": contents.entrypoint,
            "Cmd": contents.command,
            "Env": [format!("PATH={}", contents.search_path)],
            "User": "0:0",
            "WorkingDir": "/",
            "Labels": labels,
        },
        "rootfs": { "type": "layers", "diff_ids": [layer_digest] },
        "history": [{ "created": created, "created_by": "cargo xtask image" }],
    }))
}

fn descriptor(media_type: &str, blob: &[u8]) -> Value {
    json!({ "mediaType": media_type, "digest": digest(blob), "size": blob.len() })
}

fn digest(blob: &[u8]) -> String {
    format!("sha256:{}", hex(blob))
}

fn blob_path(blob: &[u8]) -> String {
    format!("blobs/sha256/{}", hex(blob))
}

fn hex(blob: &[u8]) -> String {
    Sha256::digest(blob).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn compress(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = GzBuilder::new().mtime(0).write(Vec::new(), Compression::fast());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).context("compress the layer")
}

fn add(archive: &mut Builder<Vec<u8>>, path: &str, mode: u32, content: &[u8]) -> Result<()> {
    let mut header = header(mode, u64::try_from(content.len())?);
    archive.append_data(&mut header, path, content).with_context(|| format!("add {path} to the archive"))
}

fn header(mode: u32, size: u64) -> Header {
    let mut header = Header::new_ustar();
    header.set_size(size);
    header.set_mode(mode);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Read as _;

    use super::*;

    fn unpack(bytes: &[u8]) -> BTreeMap<String, (u32, Vec<u8>)> {
        let mut archive = tar::Archive::new(bytes);
        let files = archive.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            (entry.path().unwrap().display().to_string(), (entry.header().mode().unwrap(), content))
        });
        files.collect()
    }

    fn contents() -> Contents {
        let entries = vec![
            Entry::folder("tmp", 0o1777),
            Entry::file("watchfire", 0o755, b"binary"),
            Entry::link("agent", "/watchfire"),
        ];
        Contents { entrypoint: &["/watchfire"], ..Contents::of(entries) }
    }

    #[test]
    fn an_image_is_read_back_by_following_its_digests() {
        let image = image("localhost/watchfire:1.2", &contents()).unwrap();
        let files = unpack(&image.bytes);
        let parse = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap();
        let blob = |descriptor: &Value| {
            let digest = descriptor["digest"].as_str().unwrap().trim_start_matches("sha256:");
            let content = &files[&format!("blobs/sha256/{digest}")].1;
            assert_eq!(digest, hex(content));
            assert_eq!(descriptor["size"], content.len());
            content.clone()
        };
        let index = parse(&files["index.json"].1);
        assert_eq!(index["manifests"][0]["digest"], image.digest.as_str());
        assert_eq!(
            index["manifests"][0]["annotations"]["io.containerd.image.name"],
            "localhost/watchfire:1.2"
        );
        let manifest = parse(&blob(&index["manifests"][0]));
        let config = parse(&blob(&manifest["config"]));
        assert_eq!(config["config"]["Entrypoint"][0], "/watchfire");
        let mut layer = Vec::new();
        flate2::read::GzDecoder::new(blob(&manifest["layers"][0]).as_slice())
            .read_to_end(&mut layer)
            .unwrap();
        assert_eq!(config["rootfs"]["diff_ids"][0], digest(&layer).as_str());
        let layer_files = unpack(&layer);
        assert_eq!(layer_files["watchfire"], (0o755, b"binary".to_vec()));
        assert_eq!(layer_files["tmp"].0, 0o1777);
        assert!(layer_files.contains_key("agent"));
        let docker = parse(&files["manifest.json"].1);
        assert!(files.contains_key(docker[0]["Layers"][0].as_str().unwrap()));
    }

    #[test]
    fn a_document_about_an_image_refers_to_it_and_is_no_image_itself() {
        let content = br#"{"bomFormat":"CycloneDX"}"#.to_vec();
        let attached =
            Some(Attached { media_type: "application/vnd.cyclonedx+json", content: content.clone() });
        let image = image("localhost/watchfire:1.2", &Contents { attached, ..contents() }).unwrap();
        let files = unpack(&image.bytes);
        let blob = |digest: &Value| {
            let name = digest.as_str().unwrap().replace(':', "/");
            files[&format!("blobs/{name}")].1.clone()
        };
        let parse = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap();
        let index = parse(&files["index.json"].1);
        let [_, artefact] = &index["manifests"].as_array().unwrap()[..] else { panic!("{index}") };
        assert_eq!(artefact["annotations"], Value::Null, "what has no name is not imported as an image");
        let artefact = parse(&blob(&artefact["digest"]));
        assert_eq!(artefact["subject"]["digest"], image.digest.as_str());
        assert_eq!(artefact["artifactType"], "application/vnd.cyclonedx+json");
        assert_eq!(blob(&artefact["layers"][0]["digest"]), content);
        assert_eq!(blob(&artefact["config"]["digest"]), b"{}");
    }

    #[test]
    fn a_time_is_that_of_the_seconds_since_1970() {
        // As date(1) has them: date -u -d @N +%FT%TZ
        for (epoch, expected) in [
            ("0", "1970-01-01T00:00:00Z"),
            ("951782400", "2000-02-29T00:00:00Z"),
            ("1709251199", "2024-02-29T23:59:59Z"),
            ("1798761599", "2026-12-31T23:59:59Z"),
        ] {
            assert_eq!(time_of(epoch).unwrap(), expected);
        }
        for wrong in ["", "yesterday", "-1", "999999999999999"] {
            assert!(time_of(wrong).unwrap_err().to_string().contains(EPOCH_VARIABLE), "{wrong}");
        }
    }

    #[test]
    fn the_same_binary_gives_the_same_image() {
        let make = || image("localhost/watchfire:1.2", &contents()).unwrap();
        assert_eq!(make().bytes, make().bytes);
    }
}
