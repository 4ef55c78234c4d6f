//! Image builders, where there are any: each takes the archive as it is, so that the digest stays the same.

use std::path::Path;
use std::process::Command;

use anyhow::Result;
use clap::ValueEnum;

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

    /// Brings an archive into its store.
    pub(super) fn load(self, archive: &Path) -> Result<()> {
        process::run_quietly(&mut self.command(archive))
    }

    fn command(self, archive: &Path) -> Command {
        let mut command = Command::new(self.program());
        match self {
            Self::Docker | Self::Podman => command.args(["load", "--input"]).arg(archive),
            // It has no `load`; the archive's own name is that of docker's format, which it holds as well.
            Self::Buildah => command.arg("pull").arg(format!("docker-archive:{}", archive.display())),
        };
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_builder_is_asked_in_its_own_words() {
        let shown = |builder: Builder| process::shown(&builder.command(Path::new("/t/image.tar")));
        assert_eq!(shown(Builder::Docker), "docker load --input /t/image.tar");
        assert_eq!(shown(Builder::Podman), "podman load --input /t/image.tar");
        assert_eq!(shown(Builder::Buildah), "buildah pull docker-archive:/t/image.tar");
    }
}
