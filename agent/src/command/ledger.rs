//! `watchfire ledger`: check it, take evidence out of it or out of an object store, or say what it holds.

mod fetch;

use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

use anyhow::{Context as _, Result};
use watchfire_ledger::{
    ALIASES, BundleQuery, FIELDS, Families, Fault, Filter, Head, Intact, PublicKey, Verdict, export, verify,
    verify_after,
};

use super::events::{PlaceArgs, filter_of, refuse_damaged};
use super::flows::printable;
use crate::build_info::VERSION;
use crate::config::LEDGER_DIR;

/// Arguments of `ledger`.
#[derive(clap::Args, Debug)]
pub(crate) struct LedgerArgs {
    #[command(subcommand)]
    command: LedgerCommand,
}

#[derive(clap::Subcommand, Debug)]
enum LedgerCommand {
    /// Say whether everything is as it was written, or name the first frame or file that is not
    Verify(VerifyArgs),
    /// Take what matches out of the ledger, as a folder that verifies wherever it is
    Export(ExportArgs),
    /// Take the history of a node out of the object store that it was shipped to, as such a folder
    Fetch(fetch::FetchArgs),
    /// Name the fields of filters
    Fields,
}

#[derive(clap::Args, Debug)]
struct VerifyArgs {
    /// The ledger, or a bundle
    #[arg(long, alias = "ledger", env = "WATCHFIRE_LEDGER", value_name = "DIR", default_value = LEDGER_DIR)]
    dir: PathBuf,
    /// File with the node's public key as it is known elsewhere. Without it the one in the directory is believed
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// A frame's number and hash as they were published, by log or metric. May be given several times
    #[arg(long = "head", value_name = "FRAME:HASH")]
    heads: Vec<HeadArg>,
    /// A frame up to which everything was intact before: only the segments from there on are read
    #[arg(long, value_name = "FRAME:HASH")]
    after: Option<HeadArg>,
}

#[derive(clap::Args, Debug)]
struct ExportArgs {
    /// Only what meets this; `watchfire ledger fields` names the fields
    #[arg(value_name = "FILTER")]
    expression: Vec<String>,
    #[command(flatten)]
    place: PlaceArgs,
    /// Only records of this pod, and of flows that it had
    #[arg(long, value_name = "NAMESPACE/NAME")]
    pod: Option<String>,
    /// File with the node's private key, which signs the bundle, where it is not in the ledger's directory
    #[arg(long, value_name = "FILE")]
    sign_key: Option<PathBuf>,
    /// The folder to make
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
}

/// A head on the command line.
#[derive(Clone, Copy, Debug)]
struct HeadArg(Head);

impl FromStr for HeadArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let head = text.split_once(':').and_then(|(sequence, hash)| {
            Some(Head { sequence: sequence.parse().ok()?, hash: hash.to_ascii_lowercase().parse().ok()? })
        });
        head.map(Self)
            .ok_or_else(|| "expected the number of a frame, a colon and 64 hexadecimal digits".to_owned())
    }
}

pub(crate) fn run(args: &LedgerArgs) -> Result<ExitCode> {
    match &args.command {
        LedgerCommand::Verify(args) => check(args),
        LedgerCommand::Export(args) => take(args),
        LedgerCommand::Fetch(args) => fetch::run(args),
        LedgerCommand::Fields => {
            for field in FIELDS {
                println!(
                    "{:<20} {:<9} {}",
                    field.name,
                    format!("{:?}", field.kind).to_lowercase(),
                    field.help
                );
            }
            for alias in ALIASES {
                println!("{:<20} {:<9} {}: any of {}", alias.name, "", alias.help, alias.fields.join(", "));
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn check(args: &VerifyArgs) -> Result<ExitCode> {
    let key = args.key.as_deref().map(PublicKey::read).transpose().context("--key")?;
    let heads: Vec<Head> = args.heads.iter().map(|HeadArg(head)| *head).collect();
    let verdict = match args.after {
        Some(HeadArg(after)) => verify_after(&args.dir, key, &heads, after),
        None => verify(&args.dir, key, &heads),
    };
    match verdict? {
        Verdict::Intact(intact) => {
            say_intact(&intact);
            Ok(ExitCode::SUCCESS)
        }
        Verdict::Broken(Fault { segment, frame, path, why }) => {
            let place = match (segment, frame) {
                (Some(segment), Some(frame)) => format!("segment {segment}, frame {frame}: "),
                (Some(segment), None) => format!("segment {segment}: "),
                (None, Some(frame)) => format!("frame {frame}: "),
                (None, None) => String::new(),
            };
            println!("NOT INTACT  {place}{}: {}", path.display(), printable(&why));
            Ok(ExitCode::FAILURE)
        }
    }
}

fn say_intact(intact: &Intact) {
    let Intact {
        segments,
        frames,
        records,
        thinned_frames,
        first_frame,
        head,
        signed_frame,
        unsigned_frames,
        lost,
        notes,
    } = intact;
    println!("intact  {records} records in {frames} frames; {segments} sealed segments");
    if let Some(head) = head {
        println!("frames  {first_frame} to {}, head {}", head.sequence, head.hash);
    }
    if *thinned_frames > 0 {
        println!(
            "        {thinned_frames} frames have lost records to retention: chained and signed, not computed again"
        );
    }
    if head.is_some() && *signed_frame > 0 {
        println!("signed  to frame {signed_frame}");
    }
    if *unsigned_frames > 0 {
        println!("        the last {unsigned_frames} are chained, not signed");
    }
    if *lost > 0 {
        println!("lost    {lost} records, as loss records in segments say");
    }
    for note in notes {
        println!("note    {}", printable(note));
    }
}

fn take(args: &ExportArgs) -> Result<ExitCode> {
    let mut filter = filter_of(&args.expression, Families::ALL)?;
    if let Some(pod) = &args.pod {
        let quoted = pod.replace('\\', "\\\\").replace('"', "\\\"");
        let of_pod = Filter::parse(&format!("pod = \"{quoted}\"")).context("--pod")?;
        filter = filter.and(of_pod);
    }
    let search = args.place.query(Families::ALL, filter)?;
    let query = BundleQuery { search, agent_version: VERSION.to_owned(), key: args.sign_key.clone() };
    let bundle = export(&args.place.dir, &args.output, &query)
        .with_context(|| format!("cannot make {}", args.output.display()))?;
    let bytes: u64 = bundle.files.values().map(|file| file.bytes).sum();
    println!(
        "{}: {} records; {} segments and the log around them, {bytes} bytes; `watchfire ledger verify --dir {}` checks it",
        args.output.display(),
        bundle.records,
        bundle.segments,
        args.output.display()
    );
    if !bundle.signed {
        println!("not signed: the node's private key is not here; `--sign-key` names it");
    }
    refuse_damaged(&bundle.damaged)?;
    Ok(ExitCode::SUCCESS)
}
