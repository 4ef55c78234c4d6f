//! An OCI image layout in a tar file (image-spec, "image-layout.md"), which `docker load` reads as well.

use std::io::Write as _;

use anyhow::{Context as _, Result};
use flate2::{Compression, GzBuilder};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tar::{Builder, Header};

const CONFIG_TYPE: &str = "application/vnd.oci.image.config.v1+json";
const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";
const LAYER_TYPE: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";

/// The same input gives the same bytes: nothing in an image says when it was made.
const CREATED: &str = "1970-01-01T00:00:00Z";

/// An image archive.
pub(super) struct Image {
    /// The tar file.
    pub(super) bytes: Vec<u8>,
    /// The digest of the manifest, which names the image.
    pub(super) digest: String,
}

/// Makes an image with one binary in it.
pub(super) fn image(name: &str, binary: &[u8]) -> Result<Image> {
    let files = layer(binary)?;
    let compressed = compress(&files)?;
    let config = serde_json::to_vec(&config(&digest(&files)))?;
    let manifest = serde_json::to_vec(&json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": descriptor(CONFIG_TYPE, &config),
        "layers": [descriptor(LAYER_TYPE, &compressed)],
    }))?;
    let mut manifest_descriptor = descriptor(MANIFEST_TYPE, &manifest);
    let tag = name.rsplit_once(':').map_or("latest", |(_, tag)| tag);
    manifest_descriptor["annotations"] = json!({
        "io.containerd.image.name": name,
        "org.opencontainers.image.ref.name": tag,
    });
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [manifest_descriptor] });
    // What `docker load` looks for first.
    let docker = json!([{
        "Config": blob_path(&config), "RepoTags": [name], "Layers": [blob_path(&compressed)],
    }]);
    let mut archive = Builder::new(Vec::new());
    add(&mut archive, "oci-layout", 0o644, br#"{"imageLayoutVersion":"1.0.0"}"#)?;
    add(&mut archive, "index.json", 0o644, &serde_json::to_vec(&index)?)?;
    add(&mut archive, "manifest.json", 0o644, &serde_json::to_vec(&docker)?)?;
    for blob in [&config, &compressed, &manifest] {
        add(&mut archive, &blob_path(blob), 0o644, blob)?;
    }
    Ok(Image { bytes: archive.into_inner().context("finish the archive")?, digest: digest(&manifest) })
}

/// The image's files: the agent, and a name for the user that it runs as.
fn layer(binary: &[u8]) -> Result<Vec<u8>> {
    let mut layer = Builder::new(Vec::new());
    add(&mut layer, "etc/passwd", 0o644, b"root:x:0:0:root:/:/sbin/nologin\n")?;
    add(&mut layer, "etc/group", 0o644, b"root:x:0:\n")?;
    add(&mut layer, "watchfire", 0o755, binary)?;
    layer.into_inner().context("finish the layer")
}

fn config(layer_digest: &str) -> Value {
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    json!({
        "created": CREATED,
        "architecture": architecture,
        "os": "linux",
        "config": {
            "Entrypoint": ["/watchfire"],
            "Cmd": ["run"],
            "Env": ["PATH=/"],
            "User": "0:0",
            "WorkingDir": "/",
            "Labels": {
                "org.opencontainers.image.title": "watchfire",
                "org.opencontainers.image.description": "Node security and network telemetry agent",
                "org.opencontainers.image.version": env!("CARGO_PKG_VERSION"),
                "org.opencontainers.image.licenses": "Apache-2.0",
            },
        },
        "rootfs": { "type": "layers", "diff_ids": [layer_digest] },
        "history": [{ "created": CREATED, "created_by": "cargo xtask image" }],
    })
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
    let mut header = Header::new_ustar();
    header.set_size(u64::try_from(content.len())?);
    header.set_mode(mode);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    archive.append_data(&mut header, path, content).with_context(|| format!("add {path} to the archive"))
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

    #[test]
    fn an_image_is_read_back_by_following_its_digests() {
        let image = image("localhost/watchfire:1.2", b"binary").unwrap();
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
        assert_eq!(unpack(&layer)["watchfire"], (0o755, b"binary".to_vec()));
        let docker = parse(&files["manifest.json"].1);
        assert!(files.contains_key(docker[0]["Layers"][0].as_str().unwrap()));
    }

    #[test]
    fn the_same_binary_gives_the_same_image() {
        let make = || image("localhost/watchfire:1.2", b"binary").unwrap();
        assert_eq!(make().bytes, make().bytes);
    }
}
