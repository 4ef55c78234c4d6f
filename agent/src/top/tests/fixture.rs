//! Records of the model, encoded as the agent encodes them, and a screen to look at.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use watchfire_export::Encoder;
use watchfire_model::{
    Dialect, Direction, DnsAnswer, DnsRecord, EndpointView, ExecId, FlowCounters, FlowRecord, FlowStage,
    Judgement, KindCounters, LossRecord, Namespaces, Origin, Packets, PodView, PolicyRef, ProcessAction,
    ProcessOrigin, ProcessRecord, ProcessView, Protocol, Record, RecordBody, RecordKind, RuleDetail, RuleRef,
    Side, SideVerdict, Tier, TlsView, Verdict, WallTime,
};

use crate::top::app::App;
use crate::top::input::After;
use crate::top::theme::Theme;
use crate::top::views;

/// When the agent of the tests was started, wall clock.
pub(super) const START_S: i64 = 1_700_000_000;

pub(super) const fn wall(second: i64) -> WallTime {
    WallTime((START_S + second) * 1_000_000_000)
}

/// An app and a terminal of some size.
pub(super) struct Bench {
    pub(super) app: App,
    terminal: Terminal<TestBackend>,
}

impl Bench {
    pub(super) fn new(width: u16, height: u16) -> Self {
        let terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        let mut bench = Self { app: App::new(Theme::new(true)), terminal };
        bench.app.tick(wall(0).0);
        bench
    }

    /// A record of that second.
    pub(super) fn tell(&mut self, second: i64, body: RecordBody) {
        let boot_ns = (1000 + second).unsigned_abs() * 1_000_000_000;
        let record = Record {
            time: wall(second),
            boot_ns,
            cluster: None,
            node: Arc::from("node-1"),
            enrichment: None,
            body,
        };
        let line = Encoder::new().encode(&record).line;
        self.app.line(std::str::from_utf8(&line).unwrap().trim_end());
    }

    pub(super) fn flow(&mut self, second: i64, record: FlowRecord) {
        self.tell(second, RecordBody::Flow(Box::new(record)));
    }

    pub(super) fn key(&mut self, code: KeyCode) -> After {
        self.app.key(KeyEvent::new(code, KeyModifiers::NONE))
    }

    pub(super) fn keys(&mut self, text: &str) {
        for key in text.chars() {
            self.key(KeyCode::Char(key));
        }
    }

    pub(super) fn resize(&mut self, width: u16, height: u16) {
        self.terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    }

    /// The screen at a second, line by line.
    pub(super) fn screen(&mut self, second: i64) -> Vec<String> {
        self.app.tick(wall(second).0);
        let app = &mut self.app;
        self.terminal.draw(|frame| views::draw(app, frame.area(), frame.buffer_mut())).unwrap();
        let buffer = self.terminal.backend().buffer();
        let line = |y: u16| -> String {
            (0..buffer.area.width).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim_end().to_owned()
        };
        (0..buffer.area.height).map(line).collect()
    }

    /// The rows of the list at a second, without the lines around.
    pub(super) fn rows(&mut self, second: i64) -> Vec<String> {
        let screen = self.screen(second);
        let rows = &screen[3..screen.len() - 1];
        rows.iter().filter(|row| !row.is_empty()).cloned().collect()
    }

    /// The colour of the first cell of a text.
    pub(super) fn colour_of(&mut self, second: i64, text: &str) -> ratatui::style::Color {
        let screen = self.screen(second);
        let (y, line) = screen.iter().enumerate().find(|(_, line)| line.contains(text)).unwrap();
        let x = line.split(text).next().unwrap().chars().count();
        self.terminal.backend().buffer()[(x as u16, y as u16)].fg
    }
}

pub(super) fn process(pid: u32, binary: &str) -> ProcessView {
    ProcessView {
        exec_id: ExecId { boot: 7, pid, start_ticks: 100 },
        pid,
        ns_pid: 0,
        binary: binary.into(),
        args: ["--quiet".to_owned()].into(),
        args_truncated: false,
        cwd: "/srv".into(),
        uid: 1000,
        euid: 1000,
        gid: 1000,
        cgroup_id: 77,
        cgroup: Some(Arc::from("/kubepods.slice/pod1")),
        namespaces: Namespaces::default(),
        origin: ProcessOrigin::Observed,
        pod: None,
        container: None,
        unit: None,
    }
}

pub(super) fn exec(pid: u32, binary: &str, parent: Option<ProcessView>) -> RecordBody {
    RecordBody::Process(Box::new(ProcessRecord {
        action: ProcessAction::Exec,
        process: process(pid, binary),
        parent,
        exit: None,
        clone_flags: None,
        exec: None,
    }))
}

/// `shop/NAME` is a pod, anything else an address of the world.
pub(super) fn end(name: &str, address: &str) -> EndpointView {
    let address: SocketAddr = address.parse().unwrap();
    let pod = name.strip_prefix("shop/").map(|name| PodView::named("shop", name));
    let kind = if pod.is_some() { "pod" } else { "world" };
    EndpointView {
        address,
        pod,
        kind,
        detail: None,
        api_server: false,
        names: Vec::new(),
        service: None,
        backend: None,
    }
}

pub(super) fn tcp(sent: u64, received: u64) -> Option<FlowCounters> {
    let packets = Packets::Segments {
        segments_sent: 10,
        segments_received: 9,
        retransmits: 3,
        srtt_us: 1200,
        min_rtt_us: 340,
    };
    Some(FlowCounters { bytes_sent: sent, bytes_received: received, packets })
}

/// An open flow that nothing was sent over, from `shop/frontend` to `shop/db`, opened at second 0.
pub(super) fn flow(cookie: u64) -> FlowRecord {
    FlowRecord {
        stage: FlowStage::Open,
        cookie,
        protocol: Protocol::Tcp,
        icmp: None,
        community_id: "1:abc=".to_owned(),
        side: Side::Client,
        direction_guessed: false,
        client: end("shop/frontend", &format!("10.0.0.1:{}", 40_000 + cookie % 20_000)),
        server: end("shop/db", "10.0.0.2:5432"),
        process: Some(process(4000 + cookie as u32, "/usr/bin/curl")),
        process_unknown: None,
        netns: 1,
        origin: Origin::Observed,
        opened: wall(0),
        verdict: allowed(),
        because: "NetworkPolicy/shop/api-to-db ingress[0]".to_owned(),
        judgement: Judgement::default(),
        close_reason: None,
        duration_ns: None,
        handshake_us: Some(950),
        counters: None,
        tls: None,
        plaintext: false,
        drop: None,
    }
}

pub(super) fn policy(name: &str) -> Arc<PolicyRef> {
    Arc::new(PolicyRef { kind: "NetworkPolicy", namespace: "shop".to_owned(), name: name.to_owned() })
}

fn allowed() -> Verdict {
    let rule = RuleRef {
        dialect: Dialect::K8s,
        tier: Tier::Normal,
        direction: Direction::Ingress,
        policy: policy("api-to-db"),
        rule: 0,
        peer: Some(1),
        port: None,
        detail: RuleDetail::default(),
    };
    Verdict::combine(SideVerdict::NotCovered, SideVerdict::Allow { rule })
}

pub(super) fn denied() -> (Verdict, String) {
    let ingress = SideVerdict::DenyDefault { isolating: Arc::from([policy("default-deny")]) };
    let verdict = Verdict::combine(SideVerdict::NotCovered, ingress);
    let because = verdict.because();
    (verdict, because)
}

pub(super) fn tls() -> Option<Arc<TlsView>> {
    Some(Arc::new(TlsView {
        sni: Some("db.shop.example".to_owned()),
        alpn: vec!["h2".to_owned()],
        versions: vec![Cow::Borrowed("TLS 1.3")],
        ja4: Some("t13d1516h2_8daaf6152771_b186095e22b6".to_owned()),
        truncated: false,
    }))
}

pub(super) fn dns(query: &str, address: &str) -> RecordBody {
    RecordBody::Dns(Box::new(DnsRecord {
        client: end("shop/frontend", "10.0.0.1:51000"),
        server: end("world", "10.96.0.10:53"),
        protocol: Protocol::Udp,
        process: Some(process(4001, "/usr/bin/curl")),
        process_unknown: None,
        netns: 1,
        id: 7,
        query: query.to_owned(),
        query_type: Cow::Borrowed("A"),
        rcode: Some(Cow::Borrowed("NOERROR")),
        answers: vec![DnsAnswer {
            name: query.to_owned(),
            record_type: Cow::Borrowed("A"),
            ttl: 30,
            data: Some(address.to_owned()),
        }],
        latency_us: Some(2500),
        truncated: false,
    }))
}

pub(super) fn loss(kind: RecordKind, cgroup: &str, lost: u64, suppressed: u64) -> RecordBody {
    RecordBody::Loss(Box::new(LossRecord {
        kind,
        cgroup_id: Some(77),
        cgroup: Some(Arc::from(cgroup)),
        pod: None,
        lost,
        suppressed,
        first: wall(1),
        last: wall(2),
        counters: KindCounters::default(),
    }))
}
