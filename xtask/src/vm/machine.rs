//! A VM under construction: a kernel, and a first file system with everything that it is to run.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::boot::{self, Clock, Share};
use super::initramfs::Initramfs;
use crate::packages::{self, Kernel};
use crate::setup::{self, KernelFiles};
use crate::{paths, process};

/// Programs of this machine that tests in VMs use where they are there: busybox's own know less.
const TESTS_PROGRAMS: [&str; 2] = ["tc", "ss"];
/// The same for the benchmark.
const BENCH_PROGRAMS: [&str; 1] = ["ip"];

/// A kernel with everything that it is to run.
pub(crate) struct Machine {
    pub(crate) kernel: KernelFiles,
    clock: Clock,
    parameters: &'static str,
    initramfs: PathBuf,
    log: PathBuf,
}

impl Machine {
    /// Puts it together. `files` are by the path that each has in the VM, the job is a script for its shell, and the agent
    /// is /watchfire there.
    pub(crate) fn prepare(
        kernel: Kernel,
        clock: Clock,
        agent: &Path,
        files: &[(String, &Path)],
        job: &str,
    ) -> Result<Self> {
        let kernel_files = setup::kernel(kernel)?;
        setup::tool(&packages::QEMU)?;
        let read = |path: &Path| fs::read(path).with_context(|| format!("read {}", path.display()));
        let mut archive = Initramfs::default();
        archive.file("init", include_bytes!("init.sh"));
        archive.file("busybox", &read(&setup::tool_binary(&packages::BUSYBOX)?)?);
        let programs: &[&str] = match clock {
            Clock::Time => &TESTS_PROGRAMS,
            Clock::Instructions => &BENCH_PROGRAMS,
        };
        for (path, file) in host_programs(programs)? {
            archive.file(&path, &read(&file)?);
        }
        archive.file("watchfire", &read(agent)?);
        archive.file("job", job.as_bytes());
        for (place, file) in files {
            archive.file(place, &read(file)?);
        }
        for (index, module) in modules(&kernel_files.modules)?.iter().enumerate() {
            // Numbered, since they load in the order of their names.
            let name = module.file_name().unwrap_or_default().to_string_lossy();
            archive.file(&format!("modules/{index:02}-{name}"), &read(module)?);
        }
        let folder = paths::target().join("vm");
        fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
        // Named after this process too: two runs at once must not change each other's files.
        let name = format!("{}-{}", kernel.name, std::process::id());
        let initramfs = folder.join(format!("{name}.cpio"));
        fs::write(&initramfs, archive.finish()).with_context(|| format!("write {}", initramfs.display()))?;
        Ok(Self {
            kernel: kernel_files,
            clock,
            parameters: kernel.parameters,
            initramfs,
            log: folder.join(format!("{name}.log")),
        })
    }

    /// Runs it to its end; says with which code the job ended.
    pub(crate) fn boot(&self, share: Share, show: impl FnMut(&str)) -> Result<i32> {
        boot::boot(share, &self.kernel, self.clock, self.parameters, &self.initramfs, &self.log, show)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // It is large, and made again for every boot; the log stays.
        let _ = fs::remove_file(&self.initramfs);
    }
}

/// Programs with the libraries that they are linked with, by where they have to lie.
fn host_programs(names: &[&str]) -> Result<BTreeMap<String, PathBuf>> {
    let mut files = BTreeMap::new();
    for name in names {
        let Some(program) = process::which(name) else { continue };
        let output = Command::new("ldd").arg(&program).output().context("start ldd")?;
        // `libmnl.so.0 => /lib/…/libmnl.so.0 (0x…)`, `/lib64/ld-linux-x86-64.so.2 (0x…)`
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            let library = line.split_whitespace().find_map(|word| word.strip_prefix('/'));
            files.extend(library.map(|library| (library.to_owned(), Path::new("/").join(library))));
        }
        files.insert(format!("bin/{name}"), program);
    }
    Ok(files)
}

/// The files of the modules that this kernel does not have built in, in loading order.
fn modules(root: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![root.join("kernel")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| format!("list {}", folder.display()))? {
            let path = entry?.path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    // `bridge.ko`, `bridge.ko.xz`
    let name =
        |path: &Path| path.file_name().and_then(|name| name.to_str()?.split('.').next().map(str::to_owned));
    let find = |module: &str| files.iter().find(|path| name(path).as_deref() == Some(module)).cloned();
    Ok(packages::KERNEL_MODULES.iter().filter_map(|module| find(module)).collect())
}
