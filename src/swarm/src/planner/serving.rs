use ringrift_blob::{ChunkSet, Digest};
use ringrift_config::NodeId;

use super::Planner;
use crate::io::Output;

/// What peers ask of this node.
impl Planner {
    pub(super) fn asked(&mut self, peer: &NodeId, sha256: Digest, chunk: u32, out: &mut Vec<Output>) {
        let refuse = |busy| Output::Refuse { peer: peer.clone(), sha256, chunk, busy };
        let Ok(at) = self.peer(peer) else { return out.push(refuse(false)) };
        let track = self.places.get(&sha256).and_then(|place| self.tracks[*place].as_mut());
        let Some(track) = track.filter(|track| track.have.contains(chunk)) else { return out.push(refuse(false)) };
        let queued: usize = self.peers.iter().map(|peer| peer.queue.len()).sum();
        let active: usize = self.peers.iter().map(|peer| peer.active.len()).sum();
        if active + queued >= self.config.upload_slots && track.repeats(chunk) {
            return out.push(refuse(false));
        }
        let request = (sha256, chunk);
        if self.peers[at].queue.contains(&request) || self.peers[at].active.contains(&request) {
            return;
        }
        if queued >= self.config.upload_queue {
            return out.push(refuse(true));
        }
        track.give(chunk);
        self.peers[at].queue.push_back(request);
        self.serve(out);
    }

    pub(super) fn sent(&mut self, peer: &NodeId, sha256: Digest, chunk: u32, out: &mut Vec<Output>) {
        if let Ok(at) = self.peer(peer) {
            let peer = &mut self.peers[at];
            if let Some(done) = peer.active.iter().position(|one| *one == (sha256, chunk)) {
                peer.active.swap_remove(done);
            }
            // It will not say so itself: this node has the chunk.
            if let Some(place) = self.places.get(&sha256)
                && let Some(track) = &mut self.tracks[*place]
                && peer.maps[*place].get_or_insert_with(|| ChunkSet::new(track.len())).insert(chunk)
            {
                track.gained(chunk);
            }
        }
        self.serve(out);
    }

    pub(super) fn cancelled(&mut self, peer: &NodeId, sha256: Digest, chunk: u32) {
        let Ok(at) = self.peer(peer) else { return };
        let queue = &mut self.peers[at].queue;
        if let Some(waiting) = queue.iter().position(|one| *one == (sha256, chunk)) {
            queue.remove(waiting);
            self.keep(&sha256, chunk);
        }
    }

    pub(super) fn keep(&mut self, sha256: &Digest, chunk: u32) {
        if let Some(track) = self.places.get(sha256).and_then(|place| self.tracks[*place].as_mut()) {
            track.keep(chunk);
        }
    }

    pub(super) fn serve(&mut self, out: &mut Vec<Output>) {
        let place = |sha256: &Digest| self.places.get(sha256).copied();
        self.uploads.serve(&mut self.peers, self.config.upload_slots, place, &self.tracks, out);
    }
}
