use ringrift_blob::Digest;

use crate::{io::Output, peer::Peer, track::Track};

const STAGES: u64 = 64;

/// The slots of a node, and whose turn it is.
#[derive(Debug, Default)]
pub(crate) struct Uploads {
    turn: u64,
}

impl Uploads {
    /// Fills free slots: each goes to the peer with the fewest, and among those to the one that waited longest; of its requests to the
    /// rarest chunk, which does the most good.
    pub(crate) fn serve(
        &mut self,
        peers: &mut [Peer],
        slots: usize,
        track: impl Fn(&Digest) -> Option<usize>,
        tracks: &[Option<Track>],
        out: &mut Vec<Output>,
    ) {
        let mut busy: usize = peers.iter().map(|peer| peer.active.len()).sum();
        while busy < slots {
            let progress = |peer: &Peer| {
                let (sha256, _) = peer.queue.front()?;
                let at = track(sha256)?;
                let map = peer.maps[at].as_ref()?;
                Some(u64::from(map.count()) * STAGES / u64::from(map.len()))
            };
            let next = peers
                .iter_mut()
                .filter(|peer| !peer.queue.is_empty())
                .min_by_key(|peer| (peer.active.len(), progress(peer), peer.turn));
            let Some(peer) = next else { return };
            let copies = |(sha256, chunk): &(Digest, u32)| {
                track(sha256).and_then(|at| tracks[at].as_ref()).map_or(0, |track| track.copies[*chunk as usize])
            };
            let rarest = (0..peer.queue.len()).min_by_key(|at| copies(&peer.queue[*at]));
            let Some((sha256, chunk)) = rarest.and_then(|at| peer.queue.remove(at)) else { return };
            self.turn += 1;
            peer.turn = self.turn;
            peer.active.push((sha256, chunk));
            busy += 1;
            out.push(Output::Serve { peer: peer.id.clone(), sha256, chunk });
        }
    }
}
