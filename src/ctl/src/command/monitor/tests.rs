use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::{Terminal, backend::TestBackend, style::Color};
use ringrift_api::{ClientError, Liveness, Node, PeerNode, Status};
use tokio::time::Instant;

use super::{
    cluster::{self, NOW, id},
    model::{Action, Model, Sort},
    screen,
};
use crate::command::status::rows;

/// A model that has looked once.
fn model(status: Status) -> (Model, Instant) {
    let (mut model, now) = (Model::new("http://127.0.0.1:8770".to_owned(), Duration::from_secs(10)), Instant::now());
    model.looked(Ok(status), now);
    (model, now)
}

/// What the terminal shows, and whether any cell of it has a colour.
fn drawn(model: &mut Model, now: Instant, size: (u16, u16), colour: bool) -> (String, bool) {
    let mut terminal = Terminal::new(TestBackend::new(size.0, size.1)).unwrap();
    terminal.draw(|frame| screen::draw(frame, model, now, colour)).unwrap();
    let coloured = terminal.backend().buffer().content().iter().any(|c| c.fg != Color::Reset || c.bg != Color::Reset);
    (terminal.backend().to_string(), coloured)
}

fn press(model: &mut Model, code: KeyCode) -> Action {
    model.key(KeyEvent::new(code, KeyModifiers::NONE))
}

/// A cluster of a leader and 41 workers, loaded more the higher their number.
fn large() -> Status {
    let mut status = cluster::healthy();
    status.peers = (1..=41)
        .map(|i| {
            let name = id(&format!("worker-{i:02}"));
            let node = Node { cpu_count: 8, cpu_percent: f64::from(i), ..Node::unknown(name.clone()) };
            (name, PeerNode::new(node, Liveness::Alive, Some(NOW - 1.0), NOW, false))
        })
        .collect();
    status.nodes =
        std::iter::once(status.self_node.clone()).chain(status.peers.values().map(|p| p.node.clone())).collect();
    status
}

/// The node that stands first.
fn first(model: &mut Model) -> String {
    let (text, _) = drawn(model, Instant::now(), (120, 12), false);
    let line = text.lines().nth(4).unwrap().trim_start_matches('"');
    line.split_whitespace().next().unwrap().to_owned()
}

#[test]
fn the_view_fits_every_size() {
    for (name, size) in [("80x24", (80, 24)), ("narrow", (40, 12)), ("wide", (140, 12)), ("tiny", (12, 4))] {
        let (mut model, now) = model(cluster::healthy());
        let (text, _) = drawn(&mut model, now + Duration::from_secs(3), size, false);
        insta::assert_snapshot!(format!("view_{name}"), text);
    }
}

#[test]
fn no_size_is_too_small() {
    for width in 1..30 {
        for height in 1..12 {
            let (mut model, now) = model(large());
            model.looked(Err(ClientError::Refused { url: "http://127.0.0.1:8770/status".to_owned() }), now);
            model.help = width % 2 == 0;
            drawn(&mut model, now, (width, height), true);
        }
    }
}

#[test]
fn a_lost_quorum_and_a_lost_daemon_are_in_sight() {
    let (mut model, now) = model(cluster::leaderless());
    insta::assert_snapshot!("view_leaderless", drawn(&mut model, now, (80, 10), false).0);
    model.looked(Err(ClientError::Refused { url: "http://127.0.0.1:8770/status".to_owned() }), now);
    insta::assert_snapshot!("view_daemon_gone", drawn(&mut model, now + Duration::from_secs(75), (80, 10), false).0);

    let mut never = Model::new("http://127.0.0.1:8770".to_owned(), Duration::from_secs(10));
    insta::assert_snapshot!("view_first_look", drawn(&mut never, now, (80, 6), false).0);
}

#[test]
fn colours_can_be_refused() {
    let (mut model, now) = model(cluster::leaderless());
    assert!(drawn(&mut model, now, (80, 24), true).1);
    assert!(!drawn(&mut model, now, (80, 24), false).1);
}

#[test]
fn the_keys_scroll_and_the_last_page_stays_full() {
    let (mut model, now) = model(large());
    press(&mut model, KeyCode::Char('n'));
    let shown = |model: &mut Model| {
        let (text, _) = drawn(model, now, (100, 15), false);
        let names: Vec<String> = text
            .lines()
            .filter_map(|l| l.trim_start_matches('"').split_whitespace().next())
            .map(str::to_owned)
            .collect();
        (names[4].clone(), names[names.len() - 2].clone(), model.top)
    };
    let expected = |a: &str, b: &str, top| (a.to_owned(), b.to_owned(), top);
    // 15 lines: 3 of summary, 1 of titles, 1 of keys, 10 of nodes.
    assert_eq!(shown(&mut model), expected("alpha", "worker-09", 0));
    press(&mut model, KeyCode::Down);
    assert_eq!(shown(&mut model), expected("worker-01", "worker-10", 1));
    press(&mut model, KeyCode::PageDown);
    assert_eq!(shown(&mut model), expected("worker-11", "worker-20", 11));
    press(&mut model, KeyCode::End);
    assert_eq!(shown(&mut model), expected("worker-32", "worker-41", 32));
    press(&mut model, KeyCode::Down);
    assert_eq!(shown(&mut model), expected("worker-32", "worker-41", 32));
    press(&mut model, KeyCode::Up);
    assert_eq!(shown(&mut model), expected("worker-31", "worker-40", 31));
    press(&mut model, KeyCode::Home);
    press(&mut model, KeyCode::PageUp);
    assert_eq!(shown(&mut model), expected("alpha", "worker-09", 0));
}

#[test]
fn the_keys_sort() {
    for (key, forwards, backwards) in [
        // What is wrong comes first.
        ('s', "gamma", "alpha"),
        ('n', "alpha", "gpu-node-4"),
        ('c', "gpu-node-3", "gpu-node-4"),
        ('m', "gpu-node-3", "gpu-node-4"),
        ('d', "gpu-node-3", "gpu-node-4"),
        ('j', "gpu-node-3", "gamma"),
        ('l', "gpu-node-4", "alpha"),
    ] {
        let (mut model, _) = model(cluster::healthy());
        press(&mut model, KeyCode::Char(key));
        assert_eq!(first(&mut model), forwards, "{key}");
        press(&mut model, KeyCode::Char('r'));
        assert_eq!(first(&mut model), backwards, "{key} reversed");
    }
}

#[test]
fn every_order_has_every_node_once() {
    let status = large();
    for sort in Sort::ALL {
        let (mut model, _) = model(status.clone());
        model.sort = sort;
        let mut names: Vec<_> = model.sort(rows(&status)).iter().map(|r| r.node.node_id.clone()).collect();
        names.sort();
        assert_eq!(names, rows(&status).iter().map(|r| r.node.node_id.clone()).collect::<Vec<_>>(), "{sort:?}");
    }
}

#[test]
fn help_covers_the_view_until_the_next_key() {
    let (mut model, now) = model(cluster::healthy());
    assert_eq!(press(&mut model, KeyCode::Char('?')), Action::None);
    insta::assert_snapshot!("view_help", drawn(&mut model, now, (60, 18), false).0);
    // A key that would sort only closes it.
    press(&mut model, KeyCode::Char('c'));
    assert!(!model.help && model.sort == Sort::State);
}

#[test]
fn q_and_control_c_quit_and_blank_looks_now() {
    let (mut model, _) = model(cluster::healthy());
    assert_eq!(press(&mut model, KeyCode::Char('q')), Action::Quit);
    assert_eq!(press(&mut model, KeyCode::Esc), Action::Quit);
    assert_eq!(press(&mut model, KeyCode::Char(' ')), Action::LookNow);
    assert_eq!(press(&mut model, KeyCode::Char('x')), Action::None);
    let control = |c| KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL);
    assert_eq!(model.key(control('c')), Action::Quit);
    assert_eq!(model.key(control('q')), Action::None);
    press(&mut model, KeyCode::Char('?'));
    assert_eq!(press(&mut model, KeyCode::Char('q')), Action::Quit);
}
