//! The routes of 8770 for old clients.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::{Router, body::Body};
use http::{Request, StatusCode};
use ringrift_models::files;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::rig::{NAME, Rig, node, sample};

async fn get(router: &Router, path: &str) -> (StatusCode, Vec<u8>) {
    let response = router.clone().oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
    let status = response.status();
    (status, axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec())
}

async fn read(router: &Router, path: &str) -> Value {
    let (status, body) = get(router, path).await;
    assert_eq!(status, StatusCode::OK, "{path}: {}", String::from_utf8_lossy(&body));
    serde_json::from_slice(&body).unwrap()
}

#[tokio::test]
async fn old_clients_find_the_keys_that_they_read() {
    let rig = Rig::new();
    let (canonical, other) = (sample(700_000, 1), sample(1000, 2));
    let first = rig.publish(NAME, &canonical);
    let second = rig.publish("experiment.pth", &other);
    let router: Router = files::router(rig.store.clone(), node("alpha"));

    let url = format!("/files/models/{NAME}");
    let file = json!({"type": "models", "path": NAME, "size": 700_000, "url": url});
    let list = read(&router, "/files/list?type=models").await;
    assert_eq!((&list["node_id"], &list["count"]), (&json!("alpha"), &json!(2)));
    assert_eq!(list["files"][0], file);
    assert_eq!(list["files"][1]["path"], "experiment.pth");

    for path in [NAME.to_owned(), format!("models/{NAME}"), format!("models%2F{NAME}")] {
        let mut info = read(&router, &format!("/files/info?type=models&path={path}")).await;
        let modified = info["modified"].take().as_f64().unwrap();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        assert!((now - 120.0..=now).contains(&modified), "{modified}");
        let mut expected = file.clone();
        expected["modified"] = Value::Null;
        expected["sha256"] = json!(first.sha256());
        assert_eq!(info, expected);
    }

    let inventory = read(&router, "/models/inventory").await;
    let mut entry = inventory["models"][0].clone();
    assert!(entry["modified"].take().as_f64().is_some());
    let expected = json!({
        "path": NAME, "type": "canonical", "board_type": "hex8", "num_players": 2, "size_bytes": 700_000,
        "modified": null, "hash": first.sha256(),
    });
    assert_eq!((&entry, &inventory["count"]), (&expected, &json!(2)));
    let entry = &inventory["models"][1];
    assert_eq!((&entry["board_type"], &entry["hash"]), (&Value::Null, &json!(second.sha256())));

    assert_eq!(get(&router, &url).await, (StatusCode::OK, canonical.clone()));
    assert_eq!(get(&router, &format!("/files/models/models/{NAME}")).await.1, canonical);
    let request = Request::get(&url).header("range", "bytes=262143-262144,600000-").body(Body::empty()).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::PARTIAL_CONTENT);
    let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
    assert!(body.windows(100_000).any(|window| window == &canonical[600_000..]));
}

#[tokio::test]
async fn nothing_but_models_is_handed_out() {
    let rig = Rig::new();
    rig.publish(NAME, &sample(10, 1));
    std::fs::write(rig.dir.path().join("secret"), "secret").unwrap();
    let router: Router = files::router(rig.store.clone(), node("alpha"));
    for path in [
        "/files/list?type=games",
        "/files/info?type=models",
        "/files/info?path=../secret&type=models",
        "/files/info?path=models/../../secret",
        "/files/info?path=none.pth",
        "/files/models/../../secret",
        "/files/models/..%2f..%2fsecret",
        "/files/models/models/..%2fsecret",
        "/files/models/%2fetc%2fpasswd",
        "/files/models/none.pth",
    ] {
        let (status, body) = get(&router, path).await;
        assert!(matches!(status.as_u16(), 400 | 404), "{path}: {status}");
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert!(body["error"].is_string(), "{path}: {body}");
    }
}
