//! The kubelet in the place of the API.

use watchfire_inventory::ResourceKind::Pod;
use watchfire_inventory::Source;
use watchfire_kubernetes::{Access, KubeletSettings, Kubernetes, Settings};

use crate::server::{Reply, Server, list, named, status};
use crate::source::{Running, quick};

fn at(port: u16) -> KubeletSettings {
    let url = format!("http://127.0.0.1:{port}");
    KubeletSettings { url, token: None, authority: None, accept_any_certificate: false }
}

#[tokio::test]
async fn it_stands_in_until_the_api_has_told() {
    let (server, kubelet) = (Server::start().await, Server::start().await);
    server.on_list("/api/v1/pods", Reply::Text(403, status(403, "no")));
    let hold = {
        let (sender, channel) = http_body_util::channel::Channel::new(8);
        server.on_list("/api/v1/pods", Reply::Stream(channel));
        sender
    };
    kubelet.on_list("/pods", Reply::Text(401, "Unauthorized".to_owned()));
    kubelet.on_list("/pods", Reply::Text(200, "{\"kind\":\"PodList\",\"met".to_owned()));
    kubelet.on_list("/pods", Reply::Text(200, list("", &[named("a", ""), "{}".to_owned()])));
    kubelet.on_list("/pods", Reply::Text(200, list("", &[named("b", "")])));
    let mut running = Running::start_with(server.port, quick(), Some(at(kubelet.port)), 64).await;
    running.expect_from(Source::Kubelet, Pod, &["begin", "apply a", "end", "begin", "apply b", "end"]).await;
    let known = running.state.snapshot().kubelet.unwrap();
    assert!(known.is_asked);
    assert_eq!((known.errors, known.malformed), (2, 1));
    // The API tells its pods: what kubelet told is taken back.
    let mut hold = hold;
    hold.send_data(list("9", &[named("c", "1")]).into()).await.unwrap();
    drop(hold);
    running.expect(Pod, &["begin", "apply c", "end"]).await;
    while running.state.snapshot().kubelet.unwrap().is_asked {
        running.pass(quick().kubelet_interval).await;
    }
    let asked = kubelet.requests("/pods").len();
    running.pass(20 * quick().kubelet_interval).await;
    assert_eq!(kubelet.requests("/pods").len(), asked, "it is left alone from then on");
    running.stop().await;
}

#[tokio::test]
async fn it_is_enough_without_an_api() {
    let kubelet = Server::start().await;
    kubelet.on_list("/pods", Reply::Text(200, list("", &[named("a", "")])));
    let settings = Settings { access: Access::Off, kubelet: Some(at(kubelet.port)), timing: quick() };
    let source = Kubernetes::find(&settings).await.unwrap();
    assert_eq!(source.about(), Err("it is not to be asked"));
    let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
    let run = tokio::spawn(source.run(sender, std::future::pending()));
    let batch = receiver.recv().await.unwrap();
    assert_eq!((batch.source, batch.changes.len()), (Source::Kubelet, 3));
    // Nobody receives any more: it ends by itself.
    drop(receiver);
    run.await.unwrap();
}
