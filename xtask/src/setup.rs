//! `setup`: finds what is missing and puts it into the cache folder.

mod bpf;

use clap::ValueEnum;

pub(crate) use bpf::BpfToolchain;

/// Arguments of `setup`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Set up these parts alone
    #[arg(value_enum)]
    parts: Vec<Part>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Compiler and linker of the kernel programs
    Bpf,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let parts = if args.parts.is_empty() { Part::value_variants() } else { &args.parts };
    for part in parts {
        match part {
            Part::Bpf => println!("bpf toolchain: {}", BpfToolchain::ready()?.describe()),
        }
    }
    Ok(())
}
