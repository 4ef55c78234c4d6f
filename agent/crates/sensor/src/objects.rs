//! Where the maps are: in an object that was loaded, or pinned by an agent before this one.

use std::path::{Path, PathBuf};

use aya::Ebpf;
use aya::maps::{Map, MapData, MapError};

use crate::pin::MAPS;
use crate::sensor::StartError;

/// Maps by name.
pub(crate) enum Objects {
    /// Of an object that this agent loaded.
    Loaded(Box<Ebpf>),
    /// Of a folder of a BPF filesystem.
    Pinned(PathBuf),
}

impl Objects {
    /// A map, in any of its forms.
    pub(crate) fn take(&mut self, name: &'static str) -> Result<Map, StartError> {
        match self {
            Self::Loaded(ebpf) => ebpf.take_map(name).ok_or(StartError::NoMap(name)),
            Self::Pinned(folder) => open(folder, name).map_err(|source| StartError::Map(name, source)),
        }
    }

    /// A map of a certain form.
    pub(crate) fn get<M: TryFrom<Map, Error = MapError>>(
        &mut self,
        name: &'static str,
    ) -> Result<M, StartError> {
        M::try_from(self.take(name)?).map_err(|source| StartError::Map(name, source))
    }
}

fn open(folder: &Path, name: &str) -> Result<Map, MapError> {
    Map::from_map_data(MapData::from_pin(folder.join(MAPS).join(name))?)
}
