//! What a real firewall throws away, against its own count.

use super::wire::{End, SERVER, Wire};
use crate::running::agent;

/// Datagrams that do not arrive.
const DATAGRAMS: u64 = 40;
const PORT: u16 = 7090;

pub(crate) fn drops() {
    let agent = agent();
    let wire = Wire::new();
    wire.run(
        End::Server,
        &format!(
            "nft add table inet wall; \
             nft add chain inet wall input '{{ type filter hook input priority 0; }}'; \
             nft add rule inet wall input udp dport {PORT} counter drop"
        ),
    );
    wire.peer(End::Client, &format!("pour {SERVER}:{PORT} {DATAGRAMS}")).finish();
    let rules = wire.run(End::Server, "nft list table inet wall");
    assert!(rules.contains(&format!("counter packets {DATAGRAMS} ")), "all were dropped: {rules}");
    let server = format!("{SERVER}:{PORT}");
    let is_it = |record: &serde_json::Value| {
        wire.has(record) && record["stage"] == "dropped" && record["server"]["address"] == server
    };
    // The first of them at once, all of them when no more come.
    let all = agent.record("as many drops as the firewall counts", |record| {
        is_it(record) && record["drop"]["packets"] == DATAGRAMS
    });
    assert_eq!(
        (&all["drop"]["reason"], &all["protocol"]),
        (&"NETFILTER_DROP".into(), &"UDP".into()),
        "{all}"
    );
    let records = agent.records();
    let told = records.iter().filter(|record| is_it(record)).count();
    assert_eq!(told, 2, "the first packet, and the total: not one record a packet");
}
