//! Old clients.

use std::io::Cursor;

use ringrift_api::{Client, ClientError, Sent, Upload};

use crate::{
    bed::{HEX, digest, give_everybody, noise},
    cluster::{Cluster, TOKEN},
};

#[tokio::test(flavor = "multi_thread")]
async fn old_clients_read_and_upload_without_a_token_only_where_that_is_open() {
    let mut cluster = Cluster::new(3, 0).unhurried();
    cluster.nodes[0].extra = vec!["--compat-open-reads".into()];
    cluster.nodes[1].extra = vec!["--compat-open-uploads".into()];
    cluster.start();
    cluster.formed().await;
    let bytes = noise(90, 600_000);
    let sha256 = give_everybody(&cluster, 2, &bytes).await;
    let paths = [
        "/files/list?type=models".to_owned(),
        format!("/files/info?path=models/{HEX}&type=models"),
        format!("/files/models/{HEX}"),
        "/models/inventory".to_owned(),
    ];
    for (i, expected) in [(0, 200), (1, 401), (2, 401)] {
        for path in &paths {
            assert_eq!(cluster.raw(i, false, "GET", path, b"").await.0, expected, "n{} {path}", i + 1);
            assert_eq!(cluster.raw(i, true, "GET", path, b"").await.0, 200, "n{} {path} with the token", i + 1);
        }
        let server = cluster.client(i).at_port(8767);
        for path in [format!("/models/{HEX}"), format!("/models/by-digest/{sha256}")] {
            let answer = server.get_bytes(&path).await;
            match expected {
                200 => assert_eq!(digest(&answer.unwrap()), sha256, "n{} {path}", i + 1),
                _ => assert!(matches!(answer, Err(ClientError::Unauthorized { .. })), "n{} {path}", i + 1),
            }
        }
    }
    // A name of its own: an upload under the name of the model would be set back.
    let sent = noise(91, 400_000);
    for (i, open) in [(0, false), (1, true), (2, false)] {
        for token in [None, Some(TOKEN.to_owned())] {
            let (name, allowed) = ("experiment.pth".parse().unwrap(), open || token.is_some());
            let server = Client::new(&cluster.url(i), token).unwrap().at_port(8767);
            let upload = Upload { name, size: sent.len() as u64, sha256: digest(&sent) };
            let stored = server.upload_model(&upload, Cursor::new(sent.clone()), &Sent::default()).await;
            assert_eq!(stored.is_ok(), allowed, "n{}: {stored:?}", i + 1);
            assert_eq!(stored.is_err(), matches!(stored, Err(ClientError::Unauthorized { .. })), "{stored:?}");
        }
    }
    // Neither opens what changes the cluster.
    for i in 0..3 {
        let body = format!(r#"{{"name":"{HEX}","sha256":"{sha256}"}}"#);
        assert_eq!(cluster.raw(i, false, "POST", "/api/models/promote", body.as_bytes()).await.0, 401);
    }
}
