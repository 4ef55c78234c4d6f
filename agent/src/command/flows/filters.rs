//! The filters on the command line. Their order matters, since `--not` is for the one that comes next.

use clap::builder::ValueParser;
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Command};
use watchfire_export::{Ends, FlowField, FlowTerm};

const NOT: &str = "not";
const HEADING: &str = "Filters (values of one are alternatives, different ones must all match)";

/// What the filters ask for.
#[derive(Clone, Default, Debug)]
pub(super) struct FilterArgs {
    pub(super) terms: Vec<FlowTerm>,
}

impl clap::Args for FilterArgs {
    fn augment_args(command: Command) -> Command {
        let not = Arg::new(NOT)
            .long(NOT)
            .help("Leave out what the next filter matches, and only that one")
            .help_heading(HEADING)
            .action(ArgAction::Append)
            .num_args(0)
            .default_missing_value("true");
        let filters = FlowField::ALL.map(|field| {
            let arg = Arg::new(field.as_str())
                .long(field.as_str())
                .help(help(field))
                .help_heading(HEADING)
                .value_name(value_name(field))
                .action(ArgAction::Append)
                // For an error that names the flag.
                .allow_negative_numbers(matches!(field, FlowField::Port(_)))
                .value_parser(parser(field));
            if field == FlowField::Namespace(Ends::Either) { arg.short('n') } else { arg }
        });
        command.arg(not).args(filters)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl clap::FromArgMatches for FilterArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut given: Vec<(usize, Option<&FlowTerm>)> = Vec::new();
        given.extend(matches.indices_of(NOT).into_iter().flatten().map(|at| (at, None)));
        for field in FlowField::ALL {
            let at = matches.indices_of(field.as_str()).into_iter().flatten();
            let terms = matches.get_many::<FlowTerm>(field.as_str()).into_iter().flatten();
            given.extend(at.zip(terms.map(Some)));
        }
        given.sort_by_key(|(at, _)| *at);
        let mut terms = Vec::new();
        let mut negated = false;
        for (_, term) in given {
            match term {
                None if negated => return Err(error("--not: another --not follows it, and no filter")),
                None => negated = true,
                Some(term) => terms.push(term.clone().with_negation(std::mem::take(&mut negated))),
            }
        }
        if negated { Err(error("--not: no filter follows it")) } else { Ok(Self { terms }) }
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn error(message: &str) -> clap::Error {
    clap::Error::raw(ErrorKind::ValueValidation, format!("{message}\n"))
}

fn parser(field: FlowField) -> ValueParser {
    ValueParser::new(move |text: &str| FlowTerm::new(field, text, false))
}

const fn value_name(field: FlowField) -> &'static str {
    match field {
        FlowField::Pod(_) | FlowField::Service(_) => "[NAMESPACE/]NAME",
        FlowField::Namespace(_) => "NAMESPACE",
        FlowField::Ip(_) => "IP|CIDR",
        FlowField::Port(_) => "PORT",
        FlowField::Fqdn(_) => "PATTERN",
        FlowField::Protocol => "PROTOCOL",
        FlowField::Verdict => "VERDICT",
        FlowField::Process => "TEXT|PID",
        FlowField::Stage => "STAGE",
        FlowField::Reason => "REASON",
    }
}

fn help(field: FlowField) -> String {
    let of = |ends, what: &str| match ends {
        Ends::Either => format!("{what} at either end"),
        Ends::Client => format!("{what} that opened the flow or asked"),
        Ends::Server => format!("{what} that was called or asked"),
    };
    match field {
        FlowField::Pod(ends) => of(ends, "Pod, by the beginning of its name,"),
        FlowField::Namespace(ends) => of(ends, "Namespace of a pod or service"),
        FlowField::Service(ends) => of(ends, "Service, by the beginning of its name,"),
        FlowField::Ip(ends) => of(ends, "Address, or that of a service's backend,"),
        FlowField::Port(ends) => of(ends, "Port, or that of a service's backend,"),
        FlowField::Fqdn(Ends::Client) => "DNS name of the end that opened the flow or asked".to_owned(),
        FlowField::Fqdn(ends) => {
            format!("{}; a name asked of DNS, or in TLS; * for any characters", of(ends, "DNS name"))
        }
        FlowField::Protocol => "tcp, udp, icmp, icmpv6, sctp, dns, tls or an IANA number".to_owned(),
        FlowField::Verdict => "allowed, denied, not-covered or unknown".to_owned(),
        FlowField::Process => "Part of path or command line of the process, or its id".to_owned(),
        FlowField::Stage => "open, close, failed, found, update or dropped".to_owned(),
        FlowField::Reason => {
            "Why it ended (refused), was dropped (NO_SOCKET), or how DNS answered (NXDOMAIN)".to_owned()
        }
    }
}
