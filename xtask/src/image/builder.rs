//! Image builders, where there are any: each takes the archive as it is, so that the image is the same everywhere.

use std::path::Path;
use std::process::Command;

use anyhow::Result;
use clap::ValueEnum;

use super::archive::tag;
use crate::process;

/// A program with a store of images.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(super) enum Builder {
    Docker,
    Podman,
    Buildah,
}

impl Builder {
    /// Those of which the program is installed.
    pub(super) fn present() -> impl Iterator<Item = Self> {
        Self::value_variants().iter().copied().filter(|builder| process::which(builder.program()).is_some())
    }

    /// Its name on the command line.
    pub(super) fn program(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Podman => "podman",
            Self::Buildah => "buildah",
        }
    }

    /// Brings the image of this name into its store.
    pub(super) fn load(self, archive: &Path, name: &str) -> Result<()> {
        process::run_quietly(&mut self.command(archive, name))
    }

    fn command(self, archive: &Path, name: &str) -> Command {
        let mut command = Command::new(self.program());
        match self {
            Self::Docker => command.args(["load", "--input"]).arg(archive),
            // By its tag, since the list of what is in it has a manifest as well. The digest stays as it is.
            Self::Podman | Self::Buildah => {
                command.arg("pull").arg(format!("oci-archive:{}:{}", archive.display(), tag(name)))
            }
        };
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_builder_is_asked_in_its_own_words() {
        let shown = |builder: Builder| {
            process::shown(&builder.command(Path::new("/t/image.tar"), "localhost/watchfire:1.2"))
        };
        assert_eq!(shown(Builder::Docker), "docker load --input /t/image.tar");
        assert_eq!(shown(Builder::Podman), "podman pull oci-archive:/t/image.tar:1.2");
        assert_eq!(shown(Builder::Buildah), "buildah pull oci-archive:/t/image.tar:1.2");
    }
}
