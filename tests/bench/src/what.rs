//! What can be named on the command line: a workload or a trial.

use clap::ValueEnum as _;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::network;
use crate::profile::{Profile, Unit};
use crate::trial::Trial;
use crate::workload::Workload;

/// Something that is measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum What {
    Workload(Workload),
    Trial(Trial),
}

impl What {
    fn all() -> impl Iterator<Item = Self> {
        Workload::ALL.into_iter().map(Self::Workload).chain(Trial::ALL.into_iter().map(Self::Trial))
    }

    /// Its name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Workload(workload) => workload.name(),
            Self::Trial(trial) => trial.name(),
        }
    }

    /// Why it cannot be measured here.
    pub(crate) fn obstacle(self, profile: Profile) -> Option<&'static str> {
        match (self, profile.unit()) {
            (Self::Trial(_), Unit::Instruction) => {
                Some("it is about rates in time on two processors, and the emulator has one and no time")
            }
            (Self::Workload(workload), _) if workload.service().is_some() && !network::is_possible() => {
                Some("it needs ip(8) of the package iproute2")
            }
            _ => None,
        }
    }
}

/// Reads a name; help shows what each is.
pub(crate) fn parser() -> impl TypedValueParser<Value = What> {
    let values = Workload::value_variants().iter().filter_map(clap::ValueEnum::to_possible_value);
    let trials = Trial::value_variants().iter().filter_map(clap::ValueEnum::to_possible_value);
    PossibleValuesParser::new(values.chain(trials))
        .map(|name| What::all().find(|what| what.name() == name).expect("every name is of something"))
}
