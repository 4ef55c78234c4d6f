//! `image`: the static agent as an OCI image, made without an image builder.

mod archive;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::process::Step;
use crate::{build, paths};

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
    let binary = fs::read(&agent).with_context(|| format!("read {}", agent.display()))?;
    let image = archive::image(&args.name, &binary)?;
    let output = args.output.clone().unwrap_or_else(|| paths::target().join("watchfire-image.tar"));
    fs::write(&output, &image.bytes).with_context(|| format!("write {}", output.display()))?;
    println!("archive: {}", output.display());
    println!("name:    {}", args.name);
    println!("digest:  {}", image.digest);
    println!("size:    {} bytes", image.bytes.len());
    println!("import:  ctr -n k8s.io image import {}  (or docker load -i …)", output.display());
    Ok(())
}
