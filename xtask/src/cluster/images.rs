//! Images of the node, made here: there is no registry to pull from.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::plan;
use super::tools;
use crate::image::archive::{Contents, Entry, image};
use crate::packages::BUSYBOX;
use crate::{process, setup};

/// What holds a pod's namespaces.
pub(super) const PAUSE: &str = "localhost/watchfire-cluster/pause:1";
/// A busybox, under all its names, for workloads of tests.
pub(super) const WORKLOAD: &str = "localhost/watchfire-cluster/busybox:1";

const BUSYBOX_PATH: &str = "/bin/busybox";

/// Makes and imports both.
pub(super) fn create() -> Result<()> {
    let path = setup::tool_binary(&BUSYBOX)?;
    let busybox = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
    let applets = process::read(Command::new(&path).arg("--list"))?;
    let program = || Entry::file("bin/busybox", 0o755, &busybox);
    // It ends by SIGKILL alone, as process 1 of its namespace; containerd sends that one.
    let pause =
        Contents { entrypoint: &[BUSYBOX_PATH, "sleep", "2147483647"], ..Contents::of(vec![program()]) };
    let mut entries = vec![
        program(),
        Entry::file(
            "etc/passwd",
            0o644,
            b"root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n",
        ),
        Entry::file("etc/group", 0o644, b"root:x:0:\nnogroup:x:65534:\n"),
        Entry::folder("tmp", 0o1777),
        Entry::folder("usr/bin", 0o755),
    ];
    entries.extend(
        applets
            .lines()
            .filter(|name| *name != "busybox")
            .map(|name| Entry::link(&format!("bin/{name}"), BUSYBOX_PATH)),
    );
    let workload = Contents { command: &["/bin/sh"], search_path: "/bin:/usr/bin", ..Contents::of(entries) };
    for (name, contents) in [(PAUSE, pause), (WORKLOAD, workload)] {
        let file = plan::file("image.tar");
        let archive = image(name, &contents)?;
        fs::write(&file, archive.bytes).with_context(|| format!("write {}", file.display()))?;
        load(&file)?;
        fs::remove_file(&file).with_context(|| format!("remove {}", file.display()))?;
    }
    Ok(())
}

/// Imports an archive, and returns the names of its images.
pub(super) fn load(archive: &Path) -> Result<Vec<String>> {
    let said = tools::ctr(&["images", "import", &archive.display().to_string()])?;
    // `unpacking localhost/watchfire:0.1.0 (sha256:…)...done`
    let names = said.lines().filter_map(|line| line.strip_prefix("unpacking ")?.split(' ').next());
    Ok(names.map(str::to_owned).collect())
}
