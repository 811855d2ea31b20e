use std::time::Duration;

use rand::{RngExt, rngs::SmallRng};

use crate::{config::Order, peer::Peer, track::Track};

/// Chunks that are compared for one request: enough for twelve models at once, and a limit on the time that a huge blob costs.
const MAX_COMPARED: u32 = 8192;

/// Chunks of a blob that may be asked of two peers, besides one of a hundred.
const MAX_REPEATED: u32 = 2;

/// What to ask of a peer next: among the chunks that it has and that nobody was asked for, the one that the fewest peers have; which
/// of equally rare ones is left to the dice, so that neighbours ask for different ones.
pub(crate) fn rarest(
    peer: &Peer,
    tracks: &[Option<Track>],
    wanted: &[usize],
    order: Order,
    rng: &mut SmallRng,
) -> Option<(usize, u32)> {
    let mut best: Option<(u32, usize, u32)> = None;
    for &at in wanted {
        let (Some(track), Some(map)) = (&tracks[at], &peer.maps[at]) else { continue };
        if track.open.is_empty() {
            continue;
        }
        let (open, has) = (track.open.words(), map.words());
        let start = rng.random_range(0..open.len());
        let salt: u32 = rng.random();
        let mut compared = 0;
        for step in 0..open.len() {
            let word = if start + step < open.len() { start + step } else { start + step - open.len() };
            let mut candidates = open[word] & has[word];
            compared += candidates.count_ones();
            while candidates != 0 {
                let chunk = word as u32 * 64 + candidates.trailing_zeros();
                candidates &= candidates - 1;
                let dice = (chunk ^ salt).wrapping_mul(0x9e37_79b1) >> 16;
                let key = u32::from(track.copies[chunk as usize]) << 16 | dice;
                if best.is_none_or(|(least, ..)| key < least) && !peer.refused.contains(&(at, chunk)) {
                    best = Some((key, at, chunk));
                }
            }
            if compared > MAX_COMPARED {
                break;
            }
        }
        if best.is_some() && order != Order::Rarest {
            break;
        }
    }
    best.map(|(_, track, chunk)| (track, chunk))
}

/// What to ask of a peer although another was asked, when nothing else is left: the chunk whose answer is expected last, if this
/// peer would be far sooner. Copies that come twice cost what they gain, so their number is limited.
pub(crate) fn overtaken(at: usize, peers: &[Peer], tracks: &[Option<Track>], now: Duration) -> Option<(usize, u32)> {
    let sooner = now + peers[at].pace.expected() * 2;
    let slow = peers.iter().enumerate().filter(|(other, _)| *other != at);
    let asks = slow.flat_map(|(_, peer)| peer.asks.iter().map(|ask| (ask.at + peer.pace.expected(), ask)));
    asks.filter(|(expected, ask)| {
        let track = tracks[ask.track].as_ref();
        *expected > sooner
            && track.is_some_and(|track| track.open.is_empty() && track.repeated < MAX_REPEATED + track.len() / 100)
            && peers[at].has(ask.track, ask.chunk)
            && !peers[at].refused.contains(&(ask.track, ask.chunk))
            && !peers[at].asks.iter().any(|own| (own.track, own.chunk) == (ask.track, ask.chunk))
    })
    .max_by_key(|(expected, _)| *expected)
    .map(|(_, ask)| (ask.track, ask.chunk))
}
