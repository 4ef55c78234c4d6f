//! `setup`: finds what is missing and puts it into the cache folder.

mod bpf;
mod definitions;
mod k6;
mod kernels;
mod kubeconform;
mod kubernetes;
mod oracle;
mod peers;
mod stores;
mod tools;

use clap::ValueEnum;

pub(crate) use bpf::BpfToolchain;
pub(crate) use definitions::definitions;
pub(crate) use k6::k6;
pub(crate) use kernels::{KernelFiles, kernel};
pub(crate) use kubeconform::kubeconform;
pub(crate) use kubernetes::Kubernetes;
pub(crate) use oracle::oracle;
pub(crate) use peers::peers;
pub(crate) use stores::stores;
pub(crate) use tools::{tool, tool_binary, tool_libraries, tools};

use crate::{cluster, packages};

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
    /// Programs that the lab starts
    Lab,
    /// Programs of a Kubernetes node
    Cluster,
    /// Cilium's policy engine, with which ours is compared
    Oracle,
    /// Emulator and kernels of the VM tests
    Vm,
    /// Real servers, clients and captures of the privileged tests
    Tests,
    /// Programs by others that the agent is measured beside
    Peers,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let parts = if args.parts.is_empty() { Part::value_variants() } else { &args.parts };
    for part in parts {
        match part {
            Part::Bpf => println!("bpf toolchain: {}", BpfToolchain::ready()?.describe()),
            Part::Lab => {
                for wanted in [packages::IP, packages::BUSYBOX, packages::REDIS_SERVER, packages::REDIS_CLI] {
                    println!("{}: {}", wanted.program, tool(&wanted)?.display());
                }
            }
            Part::Cluster => match cluster::setup() {
                Ok(lines) => lines.iter().for_each(|line| println!("{line}")),
                // Its tests are skipped, and nothing else needs it.
                Err(error) if args.parts.is_empty() => println!("cluster: SKIPPED: {error:#}"),
                Err(error) => return Err(error),
            },
            Part::Oracle => match oracle() {
                Ok(program) => println!("oracle: {}", program.display()),
                // As above.
                Err(error) if args.parts.is_empty() => println!("oracle: SKIPPED: {error:#}"),
                Err(error) => return Err(error),
            },
            Part::Tests => {
                let found = tools(&packages::TEST_TOOLS);
                for (wanted, found) in packages::TEST_TOOLS.iter().zip(found) {
                    println!("{}: {}", wanted.program, found?.display());
                }
                for found in stores() {
                    match found {
                        Ok(folder) => println!("{}", folder.display()),
                        // Its tests are skipped, and nothing else needs it.
                        Err(error) if args.parts.is_empty() => println!("tests: SKIPPED: {error:#}"),
                        Err(error) => return Err(error),
                    }
                }
            }
            Part::Peers => {
                for (name, found) in peers() {
                    match found {
                        Ok(folder) => println!("{name}: {}", folder.display()),
                        // The benchmark leaves it out, and nothing else needs it.
                        Err(error) => println!("{name}: SKIPPED: {error:#}"),
                    }
                }
            }
            Part::Vm => {
                println!("{}: {}", packages::QEMU.program, tool(&packages::QEMU)?.display());
                for wanted in packages::KERNELS.into_iter().filter(|kernel| kernel.is_supported) {
                    println!("kernel {}: {}", wanted.name, kernel(wanted)?.version);
                }
            }
        }
    }
    Ok(())
}
