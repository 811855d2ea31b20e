use super::*;

const NOW: SystemTime = UNIX_EPOCH;

fn now() -> SystemTime {
    NOW + Duration::from_hours(500_000)
}

fn id(text: &str) -> NodeId {
    text.parse().unwrap()
}

fn signer() -> Signer {
    Signer::new(id("alpha"), SigningKey::derive(&[7; 32]))
}

fn verifier() -> Verifier {
    Verifier::new(id("beta"), vec![SigningKey::derive(&[7; 32])])
}

fn signed(nonce: u128) -> String {
    signer().sign(&id("beta"), &Method::GET, "/models/a.pth?x=1", now(), nonce).to_str().unwrap().to_owned()
}

#[test]
fn a_signature_counts_for_its_request_alone() {
    let get = |text: &str, method: &Method, path: &str| verifier().verify(text, method, path, now());
    let text = signed(1);
    assert_eq!(get(&text, &Method::GET, "/models/a.pth?x=1").unwrap().node, id("alpha"));
    let wrong = Err(SignatureError::Wrong(id("alpha")));
    assert_eq!(get(&text, &Method::HEAD, "/models/a.pth?x=1"), wrong);
    assert_eq!(get(&text, &Method::GET, "/models/a.pth?x=2"), wrong);
    assert_eq!(get(&text, &Method::GET, "/models/a.pth"), wrong);
    assert_eq!(get(&text.replace("time=18", "time=17"), &Method::GET, "/models/a.pth?x=1"), wrong);
    assert_eq!(get(&text.replace("to=beta", "to=gamma"), &Method::GET, "/models/a.pth?x=1"), wrong);
    let other = get(&text.replace("node=alpha", "node=omega"), &Method::GET, "/models/a.pth?x=1");
    assert_eq!(other, Err(SignatureError::Wrong(id("omega"))));
}

#[test]
fn any_key_of_a_change_of_tokens_counts_and_no_other() {
    let (new, old, other) = ([1; 32], [7; 32], [9; 32]);
    let verify = |secrets: &[[u8; 32]]| {
        let keys = secrets.iter().map(|secret| SigningKey::derive(secret)).collect();
        Verifier::new(id("beta"), keys).verify(&signed(1), &Method::GET, "/models/a.pth?x=1", now())
    };
    assert!(verify(&[new, old]).is_ok());
    assert_eq!(verify(&[new, other]), Err(SignatureError::Wrong(id("alpha"))));
    assert_eq!(verify(&[]), Err(SignatureError::Wrong(id("alpha"))));
}

#[test]
fn clocks_may_differ_by_five_minutes_either_way() {
    let text = signed(1);
    let at = |at: SystemTime| verifier().verify(&text, &Method::GET, "/models/a.pth?x=1", at).map(|_| ());
    for offset in [Duration::ZERO, Duration::from_secs(1), TOLERANCE] {
        assert_eq!((at(now() + offset), at(now() - offset)), (Ok(()), Ok(())), "{offset:?}");
    }
    let error = at(now() + Duration::from_secs(301)).unwrap_err().to_string();
    assert_eq!(error, "the clock of node alpha is 301 s behind: at most 300 s are allowed");
    let error = at(now() - Duration::from_secs(400)).unwrap_err().to_string();
    assert_eq!(error, "the clock of node alpha is 400 s ahead: at most 300 s are allowed");
}

#[test]
fn a_request_is_taken_once_as_long_as_its_time_is_accepted() {
    let verifier = verifier();
    let verify = |text: &str, at| verifier.verify(text, &Method::GET, "/models/a.pth?x=1", at).map(|_| ());
    // Signed with a clock that is ahead: it stays acceptable for ten minutes.
    let early = now() - TOLERANCE;
    assert_eq!(verify(&signed(1), early), Ok(()));
    for seconds in (0..=600).step_by(20) {
        let at = early + Duration::from_secs(seconds);
        assert_eq!(verify(&signed(1), at), Err(SignatureError::Replayed(id("alpha"))), "after {seconds} s");
        assert_eq!(verify(&signed(1000 + u128::from(seconds)), at), Ok(()));
    }
    let gone = verify(&signed(1), early + Duration::from_secs(601));
    assert!(matches!(gone, Err(SignatureError::Clock { .. })), "{gone:?}");
}

#[test]
fn a_signature_for_another_node_is_refused_by_name() {
    let text = signer().sign(&id("gamma"), &Method::GET, "/", now(), 1);
    let error = verifier().verify(text.to_str().unwrap(), &Method::GET, "/", now()).unwrap_err();
    assert_eq!(error.to_string(), "node alpha signed for gamma, this is beta");
}

#[test]
fn the_proof_comes_from_a_key_holder_that_saw_the_request() {
    let (signer, path) = (signer(), "/swarm");
    let sent = signer.sign(&id("beta"), &Method::GET, path, now(), 5);
    let proof = verifier().verify(sent.to_str().unwrap(), &Method::GET, path, now()).unwrap().proof;
    assert!(signer.is_proof(&proof, &Method::GET, path, &sent));
    let other = signer.sign(&id("beta"), &Method::GET, path, now(), 6);
    assert!(!signer.is_proof(&proof, &Method::GET, path, &other));
    let stranger = Signer::new(id("alpha"), SigningKey::derive(&[8; 32]));
    assert!(!stranger.is_proof(&proof, &Method::GET, path, &sent));
    // The request's own MAC is no proof.
    let echo = format!("mac={}", sent.to_str().unwrap().rsplit_once("mac=").unwrap().1);
    assert!(!signer.is_proof(&echo.try_into().unwrap(), &Method::GET, path, &sent));
}

#[test]
fn what_is_not_written_as_it_must_be_says_where() {
    let good = signed(1);
    for (text, why) in [
        (String::new(), "parameters are missing"),
        ("Bearer x".into(), "the scheme"),
        (SCHEME.into(), "parameters are missing"),
        (format!("{SCHEME} node"), "no value"),
        (format!("{good}, mac=00"), "twice"),
        (format!("{good}, more=1"), "unknown"),
        (good.replace("alpha", "../x"), "`node`"),
        (good.replace("beta", ""), "`to`"),
        (good.replace("time=1", "time=-1"), "`time`"),
        (good.replace("nonce=0", "nonce=+"), "`nonce`"),
        (good.replace("nonce=00", "nonce="), "`nonce`"),
        (good[..good.len() - 1].to_owned(), "`mac`"),
        ("x".repeat(10_000), "too long"),
    ] {
        let error = verifier().verify(&text, &Method::GET, "/", now()).unwrap_err();
        assert!(matches!(error, SignatureError::Malformed(_)) && error.to_string().contains(why), "{text}: {error}");
    }
    assert!(verifier().verify(&good.to_uppercase(), &Method::GET, "/", now()).is_err());
}

#[test]
fn no_text_shows_the_key() {
    assert_eq!(format!("{:?}", SigningKey::derive(b"secret")), "SigningKey(hidden)");
    assert_ne!(SigningKey::derive(b"secret").0, SigningKey::derive(b"secreT").0);
}
