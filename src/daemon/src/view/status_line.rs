use std::fmt::Write as _;

use ringrift_gpu::State;

use super::{Picture, holding::Holding, status::voter_health};

/// One line for `systemctl status`: leader, peers, quorum, models, and what is not as it should be.
pub(crate) fn status_line(picture: &Picture) -> String {
    let leadership = &picture.leadership;
    let role = leadership.part.as_str();
    let leader = match &leadership.leader {
        Some(leader) if *leader == picture.node => "leading".to_owned(),
        Some(leader) => format!("{role}, leader {leader}"),
        None => format!("{role}, NO LEADER"),
    };
    let (mut alive, mut total) = (0, 0);
    for member in picture.others() {
        total += 1;
        alive += usize::from(member.state.is_present());
    }
    let voters = voter_health(picture);
    let mut line = format!(
        "{leader} (term {}); {alive} of {total} peers alive; {} of {} voters alive",
        leadership.term, voters.voters_alive, voters.voters_total
    );
    if !voters.quorum_ok {
        line.push_str(", QUORUM LOST");
    }
    let models = Holding::of(picture, &picture.node);
    // Writing into a string cannot fail.
    if !models.trouble.is_empty() {
        let _ = write!(line, "; NO PART IN MODELS: {}", models.trouble);
    } else if models.promoted > 0 {
        let _ = write!(line, "; {}", models.count());
    }
    if !models.no_space.is_empty() {
        let _ = write!(line, ", NO ROOM FOR {}", models.no_space.len());
    }
    match picture.gpus.state {
        State::Vanished | State::Hung | State::Failed | State::NoPermission => {
            let _ = write!(line, "; NO USE OF THE GPUS: {}", picture.gpus.sentence);
        }
        State::Working if !picture.gpus.sentence.is_empty() => {
            let _ = write!(line, "; {}", picture.gpus.sentence);
        }
        State::Working | State::Unknown | State::Off | State::NoLibrary | State::NoDriver | State::NoGpu => {}
    }
    for node in picture.conflicts().keys() {
        let _ = write!(line, "; TWO MACHINES RUN AS {node}");
    }
    if let Some(waiting) = &picture.waiting {
        let _ = write!(line, "; {waiting}");
    }
    if let Some(refused) = &picture.reload_refused {
        let _ = write!(line, "; the last reload was REFUSED: {refused}");
    }
    line
}
