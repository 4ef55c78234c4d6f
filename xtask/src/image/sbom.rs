//! A CycloneDX list of what is in the agent's binary: <https://cyclonedx.org/docs/1.6/json/>.

mod packages;

use std::collections::BTreeMap;
use std::env;
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::archive::{EPOCH_VARIABLE, time_of};
use crate::{build, process};
use packages::{Linked, Package};

pub(crate) const MEDIA_TYPE: &str = "application/vnd.cyclonedx+json";

/// What the agent's binary was linked of, in its kernel programs too.
pub(crate) fn of_agent(binary: &[u8], release: bool) -> Result<Vec<u8>> {
    let built = build::packages(release)?;
    let linked = Linked::of_agent(&|id| built.contains(id))?;
    let runtime = [
        ("rust-std", version_of(Command::new("rustc").arg("-V"), 1)?, "Apache-2.0 OR MIT"),
        ("glibc", version_of(Command::new("getconf").arg("GNU_LIBC_VERSION"), 1)?, "LGPL-2.1-or-later"),
    ];
    let text = serde_json::to_vec_pretty(&document(binary, &linked, &runtime)?)?;
    Ok([text, b"\n".to_vec()].concat())
}

/// A word of what a program says.
fn version_of(command: &mut Command, word: usize) -> Result<String> {
    let said = process::read(command)?;
    let version = said.split_whitespace().nth(word);
    version.map(str::to_owned).with_context(|| format!("{} names no version", process::shown(command)))
}

fn document(binary: &[u8], linked: &Linked, runtime: &[(&str, String, &str)]) -> Result<Value> {
    let mut components: Vec<Value> = linked.packages.values().map(component).collect();
    components.extend(runtime.iter().map(|(name, version, license)| {
        let purl = format!("pkg:generic/{name}@{version}");
        json!({
            "type": "library", "bom-ref": purl, "purl": purl, "name": name, "version": version,
            "licenses": [{ "expression": license }],
        })
    }));
    let mut agent = component(&linked.agent);
    agent["type"] = "application".into();
    agent["hashes"] = json!([{ "alg": "SHA-256", "content": hex(&Sha256::digest(binary)) }]);
    let mut dependencies: BTreeMap<&str, Vec<&str>> = linked
        .edges
        .iter()
        .map(|(from, to)| (from.as_str(), to.iter().map(String::as_str).collect()))
        .collect();
    let runtime: Vec<String> =
        runtime.iter().map(|(name, version, _)| format!("pkg:generic/{name}@{version}")).collect();
    dependencies.entry(&linked.agent.purl).or_default().extend(runtime.iter().map(String::as_str));
    let dependencies: Vec<Value> =
        dependencies.iter().map(|(from, to)| json!({ "ref": from, "dependsOn": to })).collect();
    let mut metadata = json!({
        "component": agent,
        "tools": { "components": [{ "type": "application", "name": "cargo xtask image" }] },
    });
    if let Ok(epoch) = env::var(EPOCH_VARIABLE) {
        metadata["timestamp"] = time_of(&epoch)?.into();
    }
    let mut document = json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": metadata,
        "components": components,
        "dependencies": dependencies,
    });
    // The same contents have the same number.
    document["serialNumber"] = serial_number(&serde_json::to_vec(&document)?).into();
    Ok(document)
}

fn component(package: &Package) -> Value {
    let mut component = json!({
        "type": "library",
        "bom-ref": package.purl,
        "purl": package.purl,
        "name": package.name,
        "version": package.version,
        "licenses": [{ "expression": package.license }],
    });
    if let Some(checksum) = &package.checksum {
        component["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
    }
    if let Some(repository) = &package.repository {
        component["externalReferences"] = json!([{ "type": "vcs", "url": repository }]);
    }
    component
}

/// A UUID made of a digest (RFC 9562, version 8).
fn serial_number(text: &[u8]) -> String {
    let mut bytes: [u8; 16] = std::array::from_fn(|at| Sha256::digest(text)[at]);
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let text = hex(&bytes);
    format!("urn:uuid:{}-{}-{}-{}-{}", &text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str) -> Package {
        Package {
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            license: "MIT".to_owned(),
            purl: format!("pkg:cargo/{name}@1.0.0"),
            repository: Some(format!("https://example.com/{name}")),
            checksum: Some("ab".repeat(32)),
        }
    }

    fn linked() -> Linked {
        let [agent, library] = ["watchfire", "library"].map(package);
        Linked {
            edges: [(agent.purl.clone(), [library.purl.clone()].into()), (library.purl.clone(), [].into())]
                .into(),
            packages: [(library.purl.clone(), library)].into(),
            agent,
        }
    }

    #[test]
    fn what_a_reader_of_cyclonedx_requires_is_there() {
        let runtime = [("glibc", "2.36".to_owned(), "LGPL-2.1-or-later")];
        let document = document(b"binary", &linked(), &runtime).unwrap();
        assert_eq!(document["bomFormat"], "CycloneDX");
        assert_eq!(document["specVersion"], "1.6");
        assert_eq!(document["version"], 1);
        let serial = document["serialNumber"].as_str().unwrap().strip_prefix("urn:uuid:").unwrap();
        let lengths: Vec<usize> = serial.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12], "{serial}");
        let agent = &document["metadata"]["component"];
        assert_eq!(agent["type"], "application");
        assert_eq!(agent["hashes"][0]["content"], hex(&Sha256::digest(b"binary")));
        let components = document["components"].as_array().unwrap();
        assert_eq!(components.len(), 2);
        for component in components {
            for field in ["type", "name", "version", "purl", "bom-ref"] {
                assert!(component[field].is_string(), "{field} of {component}");
            }
            assert!(component["licenses"][0]["expression"].is_string(), "{component}");
        }
        // Whatever is referred to is there, and named once.
        let mut names: Vec<&str> =
            components.iter().chain([agent]).map(|one| one["bom-ref"].as_str().unwrap()).collect();
        for dependency in document["dependencies"].as_array().unwrap() {
            let others = dependency["dependsOn"].as_array().unwrap();
            for name in others.iter().chain([&dependency["ref"]]) {
                assert!(names.contains(&name.as_str().unwrap()), "{name}");
            }
        }
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn the_same_contents_have_the_same_number_and_others_have_another() {
        let number = |binary: &[u8]| document(binary, &linked(), &[]).unwrap()["serialNumber"].clone();
        assert_eq!(number(b"one"), number(b"one"));
        assert_ne!(number(b"one"), number(b"other"));
    }
}
