//! Files.

mod filter;
mod operations;
mod ring;

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;
use watchfire_tests::Agent;

use crate::actor::{Actor, Interface, args};
use crate::calls::OPENAT;
use crate::stage::{assert_fields, assert_inode, assert_namespaces, event, is_last_rung, skip, with_sensor};

pub(crate) use filter::{inodes, later, other_files, read_only, too_many, wildcards, write_only};
pub(crate) use operations::{compat, failures, native, non_utf8, relative};
pub(crate) use ring::ring;

/// A watched folder, an agent that watches it, and a process that acts in it.
struct Scene {
    agent: Agent,
    actor: Actor,
    folder: PathBuf,
    /// Removes it.
    _folder: TempDir,
    /// Descriptor of the folder in the actor.
    folder_fd: i64,
    /// Files are seen at the end of system calls, and as they are given to io_uring.
    last_rung: bool,
}

/// What is there before a call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    Nothing,
    File,
    /// A file that the actor has open for reading and writing.
    Open,
    Folder,
}

/// Where a call works.
struct Given {
    /// Name in the watched folder.
    name: String,
    path: String,
    /// A second path there, at which nothing is.
    other: String,
    /// The name of that one.
    other_name: String,
    folder: i64,
    file: i64,
}

/// One way to do something to a file.
struct Row {
    name: &'static str,
    before: Before,
    act: fn(&mut Actor, &Given) -> Option<i64>,
    operation: &'static str,
    fields: fn(&Given) -> Value,
}

/// What files are cut to.
const CUT_BYTES: i32 = 3;

/// A temporary folder, by the path that processes see it under.
fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = std::fs::canonicalize(folder.path()).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    (folder, path)
}

/// The path of a file from the root of its filesystem on: what hooks tell that do not know the mount.
fn in_filesystem(path: &Path) -> PathBuf {
    use std::os::unix::fs::MetadataExt as _;
    let device = |path: &Path| std::fs::symlink_metadata(path).unwrap().dev();
    let mount = path.ancestors().take_while(|folder| device(folder) == device(path)).last().unwrap();
    Path::new("/").join(path.strip_prefix(mount).unwrap())
}

impl Scene {
    fn new(interface: Interface) -> Self {
        let (guard, folder) = folder();
        // Extended attributes are told without the mount on some rungs.
        let watched = json!([folder, in_filesystem(&folder)]);
        let sensor = json!({"files": {"read": watched, "write": watched}, "rate": {"eventsPerSecond": 0}});
        let agent = crate::running::ready(with_sensor(&[], &sensor).start());
        let last_rung = is_last_rung(&agent, "file-");
        let mut actor = Actor::new(interface);
        let path = folder.to_string_lossy().into_owned();
        let folder_fd = actor.prepare(OPENAT, args![libc::AT_FDCWD, &path, libc::O_RDONLY]);
        Self { agent, actor, folder, _folder: guard, folder_fd, last_rung }
    }

    fn given(&mut self, name: &str, before: Before) -> Given {
        let path = self.folder.join(name);
        match before {
            Before::Nothing => {}
            Before::Folder => std::fs::create_dir(&path).unwrap(),
            Before::File | Before::Open => {
                std::fs::write(&path, "content").unwrap();
                std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
            }
        }
        let path = path.to_string_lossy().into_owned();
        let file = if before == Before::Open {
            self.actor.prepare(OPENAT, args![libc::AT_FDCWD, &path, libc::O_RDWR])
        } else {
            -1
        };
        let other_name = format!("{name}-other");
        let other = self.folder.join(&other_name).to_string_lossy().into_owned();
        Given { name: name.to_owned(), path, other, other_name, folder: self.folder_fd, file }
    }

    /// Does what a row says, and checks the record.
    fn check(&mut self, row: &Row, test: &str) {
        let given = self.given(row.name, row.before);
        let path = Path::new(&given.path);
        let before = std::fs::symlink_metadata(path).ok().map(|file| {
            use std::os::unix::fs::MetadataExt as _;
            (file.ino(), crate::stage::device(file.dev()), format!("{:o}", file.mode()))
        });
        let Some(result) = (row.act)(&mut self.actor, &given) else {
            return skip(&format!("{test}/{}", row.name), "this kernel or machine has no such call");
        };
        assert!(result >= 0, "{}: {}", row.name, crate::actor::errno(result));
        let record = event(&self.agent, &self.actor, ("file", row.operation), result, |record| {
            let said = record["path"].as_str().unwrap_or_default();
            said == given.path
                || (record["path_in_filesystem"] == true
                    && said == in_filesystem(&self.folder).join(&given.name).to_string_lossy())
        });
        assert_fields(&record, &(row.fields)(&given));
        assert_namespaces(&self.actor, &record);
        for absent in ["host_path", "by_inode"] {
            assert_eq!(record[absent], Value::Null, "{record}");
        }
        // Security hooks are not told the new length of a file, and none is better than a wrong one.
        if row.operation == "truncate" && (self.last_rung || !record["length"].is_null()) {
            assert_eq!(record["length"], CUT_BYTES, "{record}");
        }
        if self.last_rung {
            assert_eq!(record["interface"].as_str(), self.actor.interface.name(), "{record}");
        }
        if record["path_textual"] == true {
            return;
        }
        match before {
            Some((inode, device, mode)) => {
                assert_fields(&record, &json!({"inode": inode, "device": device}));
                // Hooks after the end of a call see what it made of the mode.
                if row.operation != "chmod" || record["result"].is_null() {
                    assert_eq!(record["mode"], mode, "{record}");
                }
            }
            // Made by the call: some hooks stand before that.
            None if record["inode"].is_null() => {}
            None => assert_inode(&record, path),
        }
    }
}
