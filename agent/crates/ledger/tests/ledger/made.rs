//! Records as the agent writes them, with values drawn from few enough that filters meet some.

use watchfire_model::WallTime;

/// 2026-01-01T00:00:00Z
pub(crate) const START_NS: i64 = 1_767_225_600_000_000_000;
/// No record is later than that.
pub(crate) const LATE_NS_MAX: i64 = 3_000_000_000;

/// Numbers that look random and are the same each time (Marsaglia, Xorshift RNGs).
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub(crate) fn of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len() as u64) as usize]
    }
}

/// The line of record `n`, without a newline. Times go forward, with some records late.
pub(crate) fn line(dice: &mut Dice, n: u64) -> String {
    let late = if dice.below(20) == 0 { dice.below(LATE_NS_MAX as u64) as i64 } else { 0 };
    let time = WallTime(START_NS + n as i64 * 1_000_000 - late);
    let binary =
        dice.of(&["/usr/bin/curl", "/usr/sbin/nginx", "/tmp/.x/miner", "/bin/sh", "/usr/bin/postgres"]);
    let (pod, pid) = (dice.below(12), 1000 + dice.below(400));
    let process = format!(
        concat!(
            r#""process":{{"exec_id":"3f2a91bc-{}-{}","pid":{},"binary":"{}","args":["{}","--n","{}"],"cwd":"/srv","#,
            r#""uid":{},"euid":0,"gid":0,"cgroup_id":7301,"namespaces":{{"net":4026532001}},"origin":"observed","#,
            r#""pod":{{"namespace":"{}","name":"web-{}","workload":{{"kind":"Deployment","name":"web"}}}},"#,
            r#""container":{{"id":"4bc7aa{}","name":"app","image":"shop/app:1"}}}}"#
        ),
        pid,
        pid * 77,
        pid,
        binary,
        binary,
        n,
        dice.below(3) * 500,
        dice.of(&["shop", "bank"]),
        pod,
        pod
    );
    let mut line = format!(r#"{{"time":"{time}","boot_ns":{},"node":"node-1","n":{n},"#, n * 1_000_000);
    let port = dice.of(&["5432", "6379", "443", "80"]);
    let ends = format!(
        concat!(
            r#""client":{{"address":"10.0.{}.{}:{}","pod":{{"namespace":"shop","name":"web-{}"}},"kind":"pod"}},"#,
            r#""server":{{"address":"10.1.0.{}:{}","kind":"pod"}}"#
        ),
        dice.below(4),
        dice.below(200),
        30000 + dice.below(2000),
        pod,
        dice.below(250),
        port
    );
    let body = match dice.below(100) {
        0..45 => format!(
            concat!(
                r#""type":"flow","stage":"{}","cookie":{},"protocol":"TCP","community_id":"1:{}=","side":"client",{},{},"#,
                r#""verdict":{{"outcome":"{}"}},"because":"","counters":{{"bytes_sent":{},"bytes_received":{}}}}}"#
            ),
            dice.of(&["open", "close", "failed"]),
            n,
            dice.next(),
            ends,
            process,
            dice.of(&["allowed", "allowed", "denied", "not-covered", "unknown"]),
            dice.below(100_000),
            dice.below(1_000_000)
        ),
        45..60 => format!(
            r#""type":"dns",{ends},"protocol":"UDP",{process},"query":"{}.example","query_type":"A","rcode":"{}"}}"#,
            dice.of(&["www", "db", "evil"]),
            dice.of(&["NOERROR", "NXDOMAIN"])
        ),
        60..80 => format!(
            r#""type":"process","action":"{}",{process},"parent":{{"exec_id":"3f2a91bc-1-12","pid":1,"binary":"/sbin/init"}}}}"#,
            dice.of(&["fork", "exec", "exit"])
        ),
        80..97 => format!(
            r#""type":"file","operation":"open","result":{},"path":"{}","access":["read"],{process}}}"#,
            dice.of(&["0", "-13"]),
            dice.of(&["/etc/shadow", "/etc/passwd", "/root/.ssh/id_ed25519"])
        ),
        97 => format!(
            r#""type":"loss","kind":"file","lost":{},"suppressed":{}}}"#,
            dice.below(9),
            dice.below(9)
        ),
        _ => format!(r#""type":"finding","kind":"policy-violation","severity":"high",{ends},{process}}}"#),
    };
    line.push_str(&body);
    line
}
