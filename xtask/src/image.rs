//! `image`: the static agent as an OCI image, made without an image builder.

pub(crate) mod archive;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::process::Step;
use crate::{build, paths};
use archive::{Contents, Entry, Image};

/// Arguments of `image`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Name and tag that the image is imported under; with a host, since nodes complete other names differently
    #[arg(long, default_value = concat!("localhost/watchfire:", env!("CARGO_PKG_VERSION")))]
    name: String,
    /// Where to write the archive
    #[arg(long)]
    output: Option<PathBuf>,
    /// Use the debug build, which takes less time to make
    #[arg(long)]
    debug: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    build::kernel_programs()?;
    let agent = build::agent(!args.debug)?;
    let _step = Step::new("writing the image");
    let output = args.output.clone().unwrap_or_else(|| paths::target().join("watchfire-image.tar"));
    let image = write(&args.name, &agent, &output)?;
    println!("archive: {}", output.display());
    println!("name:    {}", args.name);
    println!("digest:  {}", image.digest);
    println!("size:    {} bytes", image.bytes.len());
    println!("import:  ctr -n k8s.io image import {}  (or docker load -i …)", output.display());
    Ok(())
}

/// Writes an image of a built agent.
pub(crate) fn write(name: &str, agent: &Path, output: &Path) -> Result<Image> {
    let binary = fs::read(agent).with_context(|| format!("read {}", agent.display()))?;
    let image = archive::image(name, &agent_contents(&binary))?;
    fs::write(output, &image.bytes).with_context(|| format!("write {}", output.display()))?;
    Ok(image)
}

/// The agent, and a name for the user that it runs as.
fn agent_contents(binary: &[u8]) -> Contents {
    let entries = vec![
        Entry::file("etc/passwd", 0o644, b"root:x:0:0:root:/:/sbin/nologin\n"),
        Entry::file("etc/group", 0o644, b"root:x:0:\n"),
        Entry::file("watchfire", 0o755, binary),
    ];
    Contents {
        entrypoint: &["/watchfire"],
        command: &["run"],
        title: "watchfire",
        description: "Node security and network telemetry agent",
        ..Contents::of(entries)
    }
}
