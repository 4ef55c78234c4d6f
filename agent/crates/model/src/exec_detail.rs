//! What records of new program images tell, and others do not repeat.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Serialize;

use crate::Device;

/// What is told of a new image alone.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize)]
pub struct ExecDetail {
    /// Variables of the environment that are to be kept, redacted.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Whether something in the arguments was masked.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub args_redacted: bool,
    /// Whether something in the kept variables was masked.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub env_redacted: bool,
    /// Whether the arguments could not be read.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub args_unreadable: bool,
    /// Whether the environment was cut.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub env_truncated: bool,
    /// Whether the environment could not be read.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub env_unreadable: bool,
    /// Inode number of the executable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub binary_inode: Option<u64>,
    /// Device of its filesystem.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub binary_device: Option<Device>,
    /// Its mode, octal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub binary_mode: Option<String>,
    /// Its owner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub binary_owner: Option<u32>,
    /// Its setuid bit gave the process its owner's rights.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub setuid: bool,
    /// Its setgid bit gave the process its group's rights.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub setgid: bool,
    /// The kernel raised privileges: setuid, setgid or file capabilities.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub secure_exec: bool,
    /// The executable has no name in any folder: memfd_create(2), or it was removed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub fileless: bool,
    /// Whether it lies in the upper layer of an overlay filesystem, so it did not come with the image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drift: Option<bool>,
    /// The script that was asked for; the executable is its interpreter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub script: Option<String>,
    /// The interpreter as the script's first line names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interpreter: Option<String>,
    /// Capabilities that are permitted now and were not before; none where the user is root.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub capabilities_gained: Vec<Cow<'static, str>>,
    /// Controlling terminal, below /dev.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tty: Option<String>,
    /// The executable is a shell, and there is a terminal.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub shell_with_tty: bool,
}
