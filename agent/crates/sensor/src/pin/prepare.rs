//! What the sensor runs on: programs that are pinned already, or new ones.

use std::path::PathBuf;

use super::place::{PinError, Place, Staging};
use super::takeover::Old;
use super::{LINKS, adopt};
use crate::drop_reasons::DropReasons;
use crate::host::{Host, boot_ns};
use crate::kernel::Kernel;
use crate::options::Options;
use crate::plan::Plan;
use crate::sensor::StartError;

/// Programs at their hooks.
pub(crate) struct Prepared {
    pub(crate) kernel: Kernel,
    /// Where they are pinned; none where they end with the agent.
    pub(crate) pinned: Option<Pinned>,
    /// What is to be taken over.
    pub(crate) older: Vec<Old>,
    /// Why this kernel drops packets.
    pub(crate) drop_reasons: DropReasons,
}

/// A folder that programs are pinned in.
pub(crate) struct Pinned {
    place: Place,
    fingerprint: String,
    /// New ones, until everything is known to work.
    staging: Option<Staging>,
}

/// Adopts what is pinned with the same fingerprint; else loads, attaches and pins new programs.
pub(crate) fn prepare(options: &Options, host: &Host) -> Result<Prepared, StartError> {
    let place = options.pin.as_deref().map(Place::open).transpose()?.flatten();
    let plan = Plan::new(options);
    let drop_reasons = plan.drop_reasons();
    let Some(place) = place else {
        let kernel = Kernel::load(&plan, options, host)?;
        return Ok(Prepared { kernel, pinned: None, older: Vec::new(), drop_reasons });
    };
    let fingerprint = plan.fingerprint(options, host);
    let folder = place.folder(&fingerprint);
    if folder.exists() {
        match adopt(&plan, options, host, &folder) {
            Ok(kernel) => {
                tracing::info!(folder = %folder.display(), "pinned programs go on");
                let older = place.others(&fingerprint)?;
                let pinned = Some(Pinned { place, fingerprint, staging: None });
                return Ok(Prepared { kernel, pinned, older, drop_reasons });
            }
            Err(why) => {
                tracing::error!(folder = %folder.display(), why, "pinned programs were tampered with");
                place.set_aside(&fingerprint, boot_ns())?;
            }
        }
    }
    let older = place.others(&fingerprint)?;
    older.iter().for_each(Old::set_agent);
    let mut kernel = Kernel::load(&plan, options, host)?;
    let staging = Staging::pin(&place, &fingerprint, &mut kernel)?;
    let pinned = Some(Pinned { place, fingerprint, staging: Some(staging) });
    Ok(Prepared { kernel, pinned, older, drop_reasons })
}

impl Pinned {
    /// Whether the programs are those of an agent before this one.
    pub(crate) const fn is_adopted(&self) -> bool {
        self.staging.is_none()
    }

    /// Where the programs are pinned at the end of the start.
    pub(crate) fn folder(&self) -> PathBuf {
        self.place.folder(&self.fingerprint)
    }

    /// Where the links are.
    pub(crate) fn links(&self) -> PathBuf {
        self.folder().join(LINKS)
    }

    /// Everything works: from now on the next agent adopts it.
    pub(crate) fn finish(&mut self) -> Result<(), PinError> {
        match self.staging.take() {
            Some(staging) => staging.finish(&self.place, &self.fingerprint),
            None => Ok(()),
        }
    }
}
