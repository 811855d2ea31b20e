//! What reads bytes from outside, for coverage-guided tests (`tests/fuzz`). Each function takes any bytes and panics if the crate does
//! what it must not.

use ringrift_job::{Classes, Params};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    AllPeer, ClaimRequest, ClusterManifest, ComponentReport, CordonRequest, DistributeRequest, ErrorBody, Event,
    EventPage, GcRequest, LimitsRequest, ModelChanged, PromoteRequest, RemoveRequest, RollbackRequest, Status,
    StopRequest, SubmitRequest, TransferRequest, VerifyRequest, WorkAdd, WorkAddBatch, WorkChange, client::sse::Parser,
};

/// The body of a request, as each of the types that routes read, and the job that it asks for.
pub fn request(bytes: &[u8]) {
    taken::<ClaimRequest>(bytes);
    taken::<ComponentReport>(bytes);
    taken::<CordonRequest>(bytes);
    taken::<DistributeRequest>(bytes);
    taken::<GcRequest>(bytes);
    taken::<LimitsRequest>(bytes);
    taken::<PromoteRequest>(bytes);
    taken::<RemoveRequest>(bytes);
    taken::<RollbackRequest>(bytes);
    taken::<StopRequest>(bytes);
    taken::<TransferRequest>(bytes);
    taken::<VerifyRequest>(bytes);
    taken::<WorkAddBatch>(bytes);
    taken::<WorkChange>(bytes);
    if let Some(request) = taken::<SubmitRequest>(bytes) {
        values(&request.job_type, request.params);
        values(&request.job_type, request.others);
        let _ = request.limits.check();
    }
    if let Some(work) = taken::<WorkAdd>(bytes) {
        values(&work.work_type, work.config);
    }
}

/// An answer, as a client reads it from another node.
pub fn answer(bytes: &[u8]) {
    taken::<AllPeer>(bytes);
    taken::<ClusterManifest>(bytes);
    taken::<ErrorBody>(bytes);
    taken::<EventPage>(bytes);
    taken::<ModelChanged>(bytes);
    taken::<Status>(bytes);
}

/// A stream of events: what comes out does not depend on how it is cut.
pub fn stream(bytes: &[u8]) {
    let (mut whole, mut cut) = (Parser::default(), Parser::default());
    let (mut at_once, mut one_by_one) = (Vec::new(), Vec::new());
    let first = whole.push(bytes, &mut at_once);
    let second = bytes.iter().try_for_each(|byte| cut.push(&[*byte], &mut one_by_one));
    assert_eq!((first, &at_once), (second, &one_by_one));
    for message in at_once {
        taken::<Event>(message.data.as_bytes());
    }
}

/// What a class makes of values that somebody sends: they are checked and completed, once.
fn values(class: &str, given: impl IntoIterator<Item = (String, ringrift_job::ParamValue)>) {
    let classes = Classes::new([]).expect("the built-in classes make sense");
    let Some(class) = classes.get(class) else { return };
    let given: Params = given.into_iter().collect();
    if let Ok(params) = class.params(&given) {
        assert_eq!(class.params(&params).as_ref(), Ok(&params), "what is complete stays as it is");
        let _ = class.game(&params);
    }
}

fn taken<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let value = serde_json::from_slice::<T>(bytes).ok()?;
    let again = serde_json::to_vec(&value).expect("what was decoded can be encoded");
    assert!(serde_json::from_slice::<T>(&again).is_ok(), "what one node passes on another one takes");
    Some(value)
}

#[cfg(test)]
#[path = "../../../tests/fuzz/corpus.rs"]
mod corpus;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorCode;

    fn event() -> Event {
        let details = [("disk".to_owned(), 7.into())].into_iter().collect();
        let message = "a node is dead".to_owned();
        Event { seq: 7, kind: "NODE_DEAD".into(), node_id: "gpu-1".parse().ok(), message, timestamp: 1.5, details }
    }

    #[test]
    fn no_body_of_the_corpus_upsets_the_api() {
        let seeds = [
            (
                "submit",
                r#"{"job_type":"selfplay","priority":60,"depends_on":["a-1"],"timeout_seconds":60,"node_id":"gpu-1","limits":{"memory_max":"4G"},"board_type":"hex8","num_players":2,"total_games":100}"#,
            ),
            (
                "work",
                r#"{"work_type":"selfplay","priority":50,"config":{"board_type":"hex8","num_players":3},"timeout_seconds":60.5,"depends_on":[]}"#,
            ),
            ("batch", r#"{"items":[{"work_type":"training","config":{}}]}"#),
            ("promote", r#"{"name":"a.pth","elo":1500.5,"force":true}"#),
            (
                "roll_back",
                r#"{"name":"a.pth","sha256":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}"#,
            ),
            ("transfer", r#"{"to":"gpu-1"}"#),
            ("cordon", r#"{"reason":"disk"}"#),
        ];
        corpus::replay("api_request", request, &seeds.map(|(name, text)| (name, text.into())));
    }

    #[test]
    fn no_answer_of_the_corpus_upsets_a_client() {
        let error = ErrorBody::new(ErrorCode::NoLeader, "nobody leads").with_success_false();
        let page = EventPage { success: true, events: vec![event()], last_seq: 7, first_seq: 1, leader_id: None };
        let seeds =
            [("no_leader", serde_json::to_vec(&error).unwrap()), ("events", serde_json::to_vec(&page).unwrap())];
        corpus::replay("api_answer", answer, &seeds);
    }

    #[test]
    fn no_stream_of_the_corpus_upsets_a_client() {
        let event = serde_json::to_string(&event()).unwrap();
        let events = format!("id: 7\nevent: E\ndata: {event}\n\n: still here\n\nid: 8\r\ndata: a\rdata: b\r\n\r\n");
        let seeds = [("events", events.into()), ("marked", "\u{feff}data\n\ndata: x\nretry: 5\n\n".into())];
        corpus::replay("api_stream", stream, &seeds);
    }
}
