use ringrift_blob::{ChunkSet, Digest};

/// A blob that this node wants or has.
#[derive(Debug)]
pub(crate) struct Track {
    pub(crate) sha256: Digest,
    /// When it was wanted, in the order of wants.
    pub(crate) age: u64,
    /// All of it was here from the start.
    seed: bool,
    pub(crate) have: ChunkSet,
    /// Missing, and asked of nobody.
    pub(crate) open: ChunkSet,
    /// How many peers have each chunk.
    pub(crate) copies: Vec<u16>,
    /// Handed out by this node, or about to be.
    given: ChunkSet,
    /// Chunks that no peer has and that were not handed out.
    fresh: u32,
    /// Chunks that were asked of a second peer.
    pub(crate) repeated: u32,
}

impl Track {
    pub(crate) fn new(sha256: Digest, have: ChunkSet, age: u64) -> Self {
        let len = have.len();
        let mut open = ChunkSet::new(len);
        open.extend(have.iter_missing());
        Self {
            seed: have.is_full(),
            sha256,
            age,
            have,
            open,
            copies: vec![0; len as usize],
            given: ChunkSet::new(len),
            fresh: len,
            repeated: 0,
        }
    }

    pub(crate) fn len(&self) -> u32 {
        self.have.len()
    }

    pub(crate) fn missing(&self) -> u32 {
        self.len() - self.have.count()
    }

    /// One peer more has a chunk.
    pub(crate) fn gained(&mut self, chunk: u32) {
        let copies = &mut self.copies[chunk as usize];
        *copies += 1;
        if *copies == 1 && !self.given.contains(chunk) {
            self.fresh -= 1;
        }
    }

    /// One peer less has it. When nobody has it, it must be handed out anew.
    pub(crate) fn lost(&mut self, chunk: u32) {
        let copies = &mut self.copies[chunk as usize];
        *copies -= 1;
        if *copies == 0 {
            self.given.remove(chunk);
            self.fresh += 1;
        }
    }

    /// It is about to be handed out.
    pub(crate) fn give(&mut self, chunk: u32) {
        if self.given.insert(chunk) && self.copies[chunk as usize] == 0 {
            self.fresh -= 1;
        }
    }

    /// It was not handed out after all.
    pub(crate) fn keep(&mut self, chunk: u32) {
        if self.copies[chunk as usize] == 0 && self.given.remove(chunk) {
            self.fresh += 1;
        }
    }

    /// Whether a chunk should wait, because it was handed out and others were not: the first copy of each chunk is worth more than
    /// the second of one, which the receiver of the first can make. Only for who had all from the start: who fetched it was not told
    /// by those who had a chunk before.
    pub(crate) fn repeats(&self, chunk: u32) -> bool {
        self.fresh > 0 && self.seed && self.given.contains(chunk)
    }
}
