//! Device numbers.

use std::fmt;

use serde::Serialize;

/// A device number, as the kernel keeps it: major << 20 | minor (include/linux/kdev_t.h). `8:1` in records.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct Device(pub u32);

/// Major numbers of pseudo terminals (Documentation/admin-guide/devices.txt).
const PTS_MAJORS: std::ops::RangeInclusive<u32> = 136..=143;
/// Minor numbers of one of those majors.
const PTS_MINORS: u32 = 256;
/// Major number of consoles and serial lines.
const TTY_MAJOR: u32 = 4;
/// First minor number of serial lines.
const SERIAL_MINOR: u32 = 64;

impl Device {
    /// From its parts.
    #[must_use]
    pub const fn new(major: u32, minor: u32) -> Self {
        Self(major << 20 | minor & 0xf_ffff)
    }

    /// Major number.
    #[must_use]
    pub const fn major(self) -> u32 {
        self.0 >> 20
    }

    /// Minor number.
    #[must_use]
    pub const fn minor(self) -> u32 {
        self.0 & 0xf_ffff
    }

    /// The name below /dev of a terminal; none for no device.
    #[must_use]
    pub fn terminal_name(self) -> Option<String> {
        let (major, minor) = (self.major(), self.minor());
        Some(match major {
            0 => return None,
            // Kernels of today keep every minor under the first of them.
            _ if PTS_MAJORS.contains(&major) => {
                format!("pts/{}", (major - PTS_MAJORS.start()) * PTS_MINORS + minor)
            }
            TTY_MAJOR if minor < SERIAL_MINOR => format!("tty{minor}"),
            TTY_MAJOR => format!("ttyS{}", minor - SERIAL_MINOR),
            _ => self.to_string(),
        })
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.major(), self.minor())
    }
}

impl Serialize for Device {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminals_have_names() {
        for (major, minor, expected) in [
            (136, 3, Some("pts/3")),
            (137, 1, Some("pts/257")),
            (4, 1, Some("tty1")),
            (4, 64, Some("ttyS0")),
            (204, 64, Some("204:64")),
            (0, 0, None),
        ] {
            assert_eq!(Device::new(major, minor).terminal_name().as_deref(), expected);
        }
    }
}
