//! `watchfire ledger fetch`: a node's history out of the object store, as a bundle.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, anyhow, bail};
use tokio::runtime::Builder;
use watchfire_api::moment;
use watchfire_ledger::LedgerId;
use watchfire_model::WallTime;
use watchfire_ship::{FetchQuery, Fetched, StoreOptions, Target, fetch};

use crate::build_info::VERSION;
use crate::command::flows::printable;

/// Arguments of `ledger fetch`.
#[derive(clap::Args, Debug)]
pub(super) struct FetchArgs {
    /// The store: s3://BUCKET[/PREFIX] or file:///DIR. Keys for S3 come from the environment, as AWS names its variables
    #[arg(value_name = "URL")]
    url: Target,
    /// The folder to make
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// The cluster, where the store has several
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    /// The node, where the store has several
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
    /// The ledger, where the node had several
    #[arg(long, value_name = "ID")]
    id: Option<LedgerId>,
    /// Not older: an RFC 3339 time, or how long ago, such as 5m
    #[arg(long, value_name = "TIME", value_parser = moment::parse, allow_hyphen_values = true)]
    since: Option<WallTime>,
    /// Not newer: an RFC 3339 time, or how long ago, such as 5m
    #[arg(long, value_name = "TIME", value_parser = moment::parse, allow_hyphen_values = true)]
    until: Option<WallTime>,
    /// Address of the S3 server, where it is not AWS
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// Its region
    #[arg(long, value_name = "NAME")]
    region: Option<String>,
    /// Talk to the server without TLS, in a lab
    #[arg(long)]
    allow_http: bool,
    /// Folder with the files access-key-id, secret-access-key and, where there is one, session-token
    #[arg(long, value_name = "DIR")]
    credentials_dir: Option<PathBuf>,
}

pub(super) fn run(args: &FetchArgs) -> Result<ExitCode> {
    if let (Some(since), Some(until)) = (args.since, args.until)
        && since > until
    {
        bail!("--since {since} is after --until {until}");
    }
    let options = StoreOptions {
        endpoint: args.endpoint.clone(),
        region: args.region.clone(),
        allow_http: args.allow_http,
        credentials_dir: args.credentials_dir.clone(),
    };
    let query = FetchQuery {
        cluster: args.cluster.clone(),
        node: args.node.clone(),
        ledger: args.id,
        since: args.since,
        until: args.until,
        agent_version: VERSION.to_owned(),
    };
    let runtime = Builder::new_current_thread().enable_all().build().context("cannot start a thread")?;
    let store = args.url.open(&options)?;
    let fetched = runtime.block_on(fetch(&store, &query, &args.output));
    let Fetched { source, bundle, faults, named } =
        fetched.map_err(|error| anyhow!("{}", printable(&error.chain())))?;
    let bytes: u64 = bundle.files.values().map(|file| file.bytes).sum();
    let output = args.output.display();
    println!(
        "{output}: {} records of node {} in cluster {}; {} segments, {bytes} bytes; `watchfire ledger verify --dir {output}` checks it",
        bundle.records,
        printable(&source.node),
        printable(&source.cluster),
        bundle.segments,
    );
    for fault in &named {
        println!("fault   {}", printable(fault));
    }
    if faults > named.len() as u64 {
        println!("        {} more", faults - named.len() as u64);
    }
    Ok(if faults == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
