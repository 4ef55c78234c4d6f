//! `image`: the static agent as an OCI image, made without an image builder.

pub(crate) mod archive;
mod builder;
mod sbom;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::process::{self, Step};
use crate::{build, cargo, paths};
use archive::{Attached, Contents, Entry, Image};
use builder::Builder;

/// Arguments of `image`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Name and tag that the image is imported under; with a host, since nodes complete other names differently
    #[arg(long, default_value = concat!("localhost/watchfire:", env!("CARGO_PKG_VERSION")))]
    name: String,
    /// Where to write the archive; the list of what is in it goes beside it
    #[arg(long)]
    output: Option<PathBuf>,
    /// Use the debug build, which takes less time to make
    #[arg(long)]
    debug: bool,
    /// Bring the image into this builder's store as well, from which it can be pushed
    #[arg(long, value_enum)]
    load: Option<Builder>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    build::kernel_programs()?;
    let agent = build::agent(!args.debug)?;
    let _step = Step::new("writing the image");
    let output = args.output.clone().unwrap_or_else(|| paths::target().join("watchfire-image.tar"));
    let binary = fs::read(&agent).with_context(|| format!("read {}", agent.display()))?;
    let list = sbom::of_agent(&binary, !args.debug)?;
    let list_file = output.with_extension("cdx.json");
    fs::write(&list_file, &list).with_context(|| format!("write {}", list_file.display()))?;
    let image = written(&args.name, &binary, list, &output)?;
    println!("archive: {}", output.display());
    println!("sbom:    {} (in the archive too)", list_file.display());
    println!("name:    {}", args.name);
    println!("digest:  {}", image.digest);
    println!("size:    {} bytes; the binary {} bytes, before compression", image.bytes.len(), binary.len());
    if let Some(builder) = args.load {
        builder.load(&output, &args.name)?;
        println!("loaded:  {} has {}", builder.program(), args.name);
    } else {
        println!("import:  ctr -n k8s.io image import {}", output.display());
        for builder in Builder::present() {
            println!("     or: cargo xtask image --load {}", builder.program());
        }
    }
    Ok(())
}

/// Writes an image of the debug build, as tests take it.
pub(crate) fn write(name: &str, agent: &Path, output: &Path) -> Result<Image> {
    let binary = fs::read(agent).with_context(|| format!("read {}", agent.display()))?;
    let list = sbom::of_agent(&binary, false)?;
    written(name, &binary, list, output)
}

/// Writes an image of an agent, with the list of what is in it.
fn written(name: &str, binary: &[u8], list: Vec<u8>, output: &Path) -> Result<Image> {
    let image = archive::image(name, &agent_contents(binary, list))?;
    fs::write(output, &image.bytes).with_context(|| format!("write {}", output.display()))?;
    Ok(image)
}

/// The agent, and a name for the user that it runs as: no shell, and no library.
fn agent_contents(binary: &[u8], list: Vec<u8>) -> Contents {
    let entries = vec![
        Entry::file("etc/passwd", 0o644, b"root:x:0:0:root:/:/sbin/nologin\n"),
        Entry::file("etc/group", 0o644, b"root:x:0:\n"),
        Entry::file("watchfire", 0o755, binary),
    ];
    // Outside of a checkout there is none.
    let revision = process::read(cargo::git().args(["rev-parse", "HEAD"])).ok();
    Contents {
        entrypoint: &["/watchfire"],
        command: &["run"],
        title: "watchfire",
        description: "Node security and network telemetry agent",
        revision: revision.map(|text| text.trim().to_owned()),
        attached: Some(Attached { media_type: sbom::MEDIA_TYPE, content: list }),
        ..Contents::of(entries)
    }
}
