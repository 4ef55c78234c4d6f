//! Going on with the programs of an agent before this one.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use aya::maps::Array;
use aya::programs::links::{FdLink, PinnedLink};

use super::{LINKS, Ledger, PROGRAMS, bpf};
use crate::account::Program;
use crate::attach::{self, Attached, Hook, Programs, Site};
use crate::host::Host;
use crate::kernel::{Kernel, SYSCALLS_PROBE, refuse_sys_exit, with_source};
use crate::links::Link;
use crate::objects::Objects;
use crate::options::Options;
use crate::plan::Plan;
use crate::sensor::StartError;

/// Why a better rung was refused is known to the agent that tried it.
const REFUSED: &str = "refused when the programs were loaded";

/// What is pinned in a folder, by the names of the programs.
struct Pinned {
    folder: PathBuf,
    programs: HashSet<String>,
    links: HashSet<String>,
    used: RefCell<HashSet<&'static str>>,
}

/// Takes over what is pinned in `folder`, or says why that is not all that it was.
pub(crate) fn adopt(plan: &Plan, options: &Options, host: &Host, folder: &Path) -> Result<Kernel, String> {
    let mut objects = Objects::Pinned(folder.to_owned());
    name_agent(&mut objects).map_err(|error| with_source(&error))?;
    let ledger = Ledger::open(&mut objects).map_err(|error| with_source(&error))?;
    let mut pinned = Pinned {
        folder: folder.to_owned(),
        programs: names(&folder.join(PROGRAMS)),
        links: names(&folder.join(LINKS)),
        used: RefCell::default(),
    };
    if ledger.links() != pinned.links.len() {
        return Err(format!("{} of {} links are pinned", pinned.links.len(), ledger.links()));
    }
    let site = plan.site(host);
    let Attached { mut probes, mut programs, mut links, handed_over } =
        attach::attach_all(&mut pinned, &site, options);
    if !handed_over.is_empty() {
        match pinned.link(attach::SYS_EXIT) {
            Ok(link) => {
                programs.push((attach::SYS_EXIT, SYSCALLS_PROBE));
                links.push(Link { program: attach::SYS_EXIT, probe: SYSCALLS_PROBE, link });
            }
            Err(why) => refuse_sys_exit(&mut probes, &why),
        }
    }
    let used: HashSet<String> = pinned.used.borrow().iter().map(|name| (*name).to_owned()).collect();
    if let Some(unused) = pinned.programs.symmetric_difference(&used).next() {
        return Err(format!("the program {unused} is not where it should be"));
    }
    if links.len() != pinned.links.len() {
        return Err("not every link is that of a program".to_owned());
    }
    let open = |(name, probe): (&'static str, &'static str)| {
        let fd = pinned.open(name).map_err(|error| format!("{name}: {error}"))?;
        Ok(Program { name, probe, fd })
    };
    let programs = programs.into_iter().map(open).collect::<Result<_, String>>()?;
    Ok(Kernel { objects, probes, programs, links, rings: plan.rings() })
}

/// Tells pinned programs which process is the agent.
pub(super) fn name_agent(objects: &mut Objects) -> Result<(), StartError> {
    let mut agent: Array<_, u32> = objects.get("AGENT")?;
    agent.set(0, std::process::id(), 0).map_err(|source| StartError::Map("AGENT", source))
}

fn names(folder: &Path) -> HashSet<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

impl Pinned {
    fn open(&self, program: &str) -> std::io::Result<OwnedFd> {
        bpf::open(&self.folder.join(PROGRAMS).join(program))
    }

    fn link(&self, program: &'static str) -> Result<FdLink, String> {
        let link = PinnedLink::from_pin(self.folder.join(LINKS).join(program));
        let link = link.map(FdLink::from).map_err(|error| with_source(&error))?;
        self.used.borrow_mut().insert(program);
        Ok(link)
    }
}

/// A rung has what was attached is there, and all of it: the ladders come out as they did at loading.
impl Programs for Pinned {
    fn attach(&mut self, name: &'static str, hook: Hook, _site: &Site<'_>) -> Result<Option<FdLink>, String> {
        if !self.programs.contains(name) {
            return Err(REFUSED.to_owned());
        }
        if let Hook::SysExit(..) | Hook::Iterate(..) | Hook::IterateMap(..) = hook {
            self.used.borrow_mut().insert(name);
            return Ok(None);
        }
        self.link(name).map(Some)
    }

    fn undo(&mut self, name: &'static str) {
        self.used.borrow_mut().remove(name);
    }
}
