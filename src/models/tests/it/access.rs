//! Who gets in, by route and by what they show.

use http::Method;
use ringrift_models::Caller;

use crate::rig::{NAME, Rig, SECRET, Setup, form, node, sample, signer};

/// What a request shows.
fn shown(what: &str, method: &Method, path: &str) -> Vec<(&'static str, String)> {
    let authorization = |value: String| vec![("Authorization", value)];
    let to = node("server");
    match what {
        "nothing" => vec![],
        "token" => authorization(format!("Bearer {SECRET}")),
        "old header" => vec![("X-RingRift-Auth", SECRET.to_owned())],
        "wrong token" => authorization("Bearer 0000000000000000000000000000000000".into()),
        "signature" => authorization(signer("alpha").sign_now(&to, method, path).to_str().unwrap().to_owned()),
        "signature for another path" => {
            authorization(signer("alpha").sign_now(&to, method, "/other").to_str().unwrap().to_owned())
        }
        "signature for another node" => {
            authorization(signer("alpha").sign_now(&node("other"), method, path).to_str().unwrap().to_owned())
        }
        _ => unreachable!("{what}"),
    }
}

fn ask(rig: &Rig, what: &str, method: &Method, path: &str) -> (u16, String) {
    let headers = shown(what, method, path);
    let mut headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, &value[..])).collect();
    let (kind, body) = form(&[("file", Some("new.pth"), "", b"bytes")]);
    let body = if *method == Method::POST { body } else { Vec::new() };
    headers.push(("Content-Type", &kind));
    let answer = rig.ask(method.as_str(), path, &headers, &body);
    let reason = if answer.status == 401 && *method != Method::HEAD {
        let json = answer.json();
        assert_eq!((&json["error"], &json["error_code"]), (&"unauthorized".into(), &"UNAUTHORIZED".into()));
        assert_eq!(answer.header("www-authenticate"), Some("Bearer, RingRift-HMAC-SHA256"));
        json["details"]["reason"].as_str().unwrap().to_owned()
    } else {
        String::new()
    };
    (answer.status, reason)
}

#[test]
fn each_route_asks_for_what_it_needs() {
    let name = format!("/models/{NAME}");
    let sha256 = ringrift_blob::Digest::of(b"bytes");
    let (upload, promised) = ("/models/upload".to_owned(), format!("/models/upload?sha256={sha256}"));
    // Settings, the address is the cluster's, what is shown, and then: read, upload, upload with a promised digest, swarm.
    for (reads, uploads, own, what, expected) in [
        (false, false, true, "nothing", [401, 401, 401, 401]),
        (false, false, true, "token", [200, 200, 200, 401]),
        (false, false, true, "old header", [200, 200, 200, 401]),
        (false, false, true, "wrong token", [401, 401, 401, 401]),
        // A signature does not cover a body; the digest in the address does.
        (false, false, true, "signature", [200, 400, 200, 426]),
        (false, false, true, "signature for another path", [401, 401, 401, 401]),
        (false, false, true, "signature for another node", [401, 401, 401, 401]),
        (true, false, true, "nothing", [200, 401, 401, 401]),
        (false, true, true, "nothing", [401, 200, 200, 401]),
        (true, true, false, "nothing", [401, 401, 401, 401]),
        (true, true, true, "wrong token", [401, 401, 401, 401]),
        (true, true, false, "token", [200, 200, 200, 401]),
    ] {
        let own: fn(std::net::IpAddr) -> bool = if own { |_| true } else { |_| false };
        let rig = Setup { open_reads: reads, open_uploads: uploads, own, ..Setup::default() }.start();
        rig.publish(NAME, &sample(10, 1));
        let found = [
            ask(&rig, what, &Method::GET, &name).0,
            ask(&rig, what, &Method::POST, &upload).0,
            ask(&rig, what, &Method::POST, &promised).0,
            ask(&rig, what, &Method::GET, "/swarm").0,
        ];
        assert_eq!(found, expected, "reads {reads}, uploads {uploads}, {what}");
        let head = ask(&rig, what, &Method::HEAD, &format!("/models/by-digest/{sha256}")).0;
        assert_eq!(head == 401, expected[0] == 401, "a HEAD says no more than a GET");
    }
}

#[test]
fn a_refusal_names_the_node_and_the_reason() {
    let rig = Rig::new();
    let path = format!("/models/{NAME}");
    for (what, reason) in [
        ("nothing", "no token"),
        ("wrong token", "the token is not the cluster's"),
        ("signature for another node", "node alpha signed for other, this is server"),
        (
            "signature for another path",
            "the signature in the name of node alpha is wrong: does it have the same cluster token?",
        ),
    ] {
        assert_eq!(ask(&rig, what, &Method::GET, &path), (401, reason.to_owned()), "{what}");
    }
    let sign = || signer("alpha").sign_now(&node("server"), &Method::GET, &path);
    let authorization = sign();
    let again = [("Authorization", authorization.to_str().unwrap())];
    assert_eq!(rig.get(&path, &again).status, 404);
    let answer = rig.get(&path, &again);
    assert_eq!(answer.status, 401);
    assert_eq!(answer.json()["details"]["reason"], "node alpha sent this very request before");
}

#[test]
fn without_a_token_everybody_may_and_the_upload_says_who() {
    let rig = Setup { tokens: false, ..Setup::default() }.start();
    assert_eq!(ask(&rig, "nothing", &Method::POST, "/models/upload").0, 200);
    assert_eq!(ask(&rig, "nothing", &Method::GET, "/models/new.pth").0, 200);
    let uploads = rig.heard.uploads.lock().unwrap();
    assert_eq!(uploads[0].2, Caller::Anybody);
}
