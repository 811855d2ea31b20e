//! `GET /swarm`: from a request to a stream between two nodes.

use std::{
    io::{Read as _, Write as _},
    time::Duration,
};

use http::Method;
use ringrift_models::{JoinError, Signer, SigningKey, join};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::rig::{self, NAME, PATIENCE, Rig, Setup, eventually, node, sample, signer};

#[tokio::test]
async fn two_nodes_get_one_stream_and_mapped_bytes_leave_through_it() {
    let mut setup = Setup::default();
    // The stream must not be judged by the pace of downloads: it may be silent for hours.
    setup.limits.head = Duration::from_millis(50);
    let rig = setup.start();
    let bytes = sample(6_000_000, 1);
    let object = rig.publish(NAME, &bytes);
    let socket = TcpStream::connect(rig.address).await.unwrap();
    let mut dialled = join(socket, &signer("alpha"), &node("server")).await.unwrap();
    eventually("the server's end is handed over", || !rig.heard.joined.lock().unwrap().is_empty());
    let (from, mut accepted) = rig.heard.joined.lock().unwrap().pop().unwrap();
    assert_eq!((from, rig.handle.connections()), (node("alpha"), 1));
    // Longer than a head may take: the time no longer counts.
    tokio::time::sleep(Duration::from_millis(100)).await;

    // Both ways at once; the accepting end writes out of the mapping, the dialling end too.
    let (there, back) = (object.slice(0..6_000_000), object.slice(1..5_000_000));
    let (mut from_there, mut from_back) = (vec![0; there.len()], vec![0; back.len()]);
    let (mut dialled_read, mut dialled_write) = tokio::io::split(&mut dialled);
    let (mut accepted_read, mut accepted_write) = tokio::io::split(&mut accepted);
    let all = async {
        tokio::try_join!(
            async { accepted_write.write_all(&there).await },
            async { dialled_write.write_all(&back).await },
            async { dialled_read.read_exact(&mut from_there).await.map(drop) },
            async { accepted_read.read_exact(&mut from_back).await.map(drop) },
        )
    };
    tokio::time::timeout(PATIENCE, all).await.unwrap().unwrap();
    assert!(from_there == bytes && from_back == bytes[1..5_000_000]);

    drop(accepted);
    eventually("the connection is given back", || rig.handle.connections() == 0);
    assert_eq!(dialled.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test]
async fn who_is_not_of_the_cluster_does_not_join_and_says_why() {
    let rig = Rig::new();
    let connect = || async { TcpStream::connect(rig.address).await.unwrap() };
    let stranger = Signer::new(node("mallory"), SigningKey::derive(b"another secret"));
    let error = join(connect().await, &stranger, &node("server")).await.unwrap_err().to_string();
    assert!(error.contains("node server answered 401") && error.contains("mallory is wrong"), "{error}");
    let error = join(connect().await, &signer("alpha"), &node("other")).await.unwrap_err().to_string();
    assert!(error.contains("node alpha signed for other, this is server"), "{error}");
    assert!(rig.heard.joined.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_answer_without_proof_is_a_strangers() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let impostor = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut request = [0; 1024];
        let read = socket.read(&mut request).await.unwrap();
        // It may say what it likes, the request's own MAC for example.
        let request = String::from_utf8_lossy(&request[..read]).into_owned();
        let mac = request.split("mac=").nth(1).unwrap().get(..64).unwrap();
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: ringrift-swarm/1\r\n\
             Authentication-Info: mac={mac}\r\n\r\n"
        );
        socket.write_all(answer.as_bytes()).await.unwrap();
        let _ = socket.read(&mut [0]).await;
    });
    let socket = TcpStream::connect(address).await.unwrap();
    let error = join(socket, &signer("alpha"), &node("server")).await.unwrap_err();
    assert!(matches!(&error, JoinError::Stranger(node) if node.as_str() == "server"), "{error}");
    impostor.await.unwrap();
}

#[test]
fn bytes_that_come_with_the_request_are_not_lost() {
    let rig = Rig::new();
    let authorization = signer("alpha").sign_now(&node("server"), &Method::GET, "/swarm");
    let mut socket = std::net::TcpStream::connect(rig.address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(
        socket,
        "GET /swarm HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: ringrift-swarm/1\r\n\
         Authorization: {}\r\n\r\nearly",
        authorization.to_str().unwrap()
    )
    .unwrap();
    let answer = rig::answer(&mut socket, "GET").unwrap();
    assert_eq!((answer.status, answer.header("upgrade")), (101, Some("ringrift-swarm/1")));
    eventually("the server's end is handed over", || !rig.heard.joined.lock().unwrap().is_empty());
    let (_, mut stream) = rig.heard.joined.lock().unwrap().pop().unwrap();
    socket.write_all(b" and late").unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut read = [0; 14];
    runtime.block_on(async {
        stream.read_exact(&mut read).await.unwrap();
        stream.write_all(b"answer").await.unwrap();
    });
    assert_eq!(&read, b"early and late");
    let mut answer = [0; 6];
    socket.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"answer");
}
