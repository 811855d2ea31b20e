use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use super::{Entry, Mapping};

/// By first address. Mappings do not overlap, so the one with the largest start at or below an address is the only candidate.
static LIVE: RwLock<BTreeMap<usize, Entry>> = RwLock::new(BTreeMap::new());

pub(super) fn enter(mapping: &Arc<Mapping>) {
    let mut live = LIVE.write().unwrap_or_else(PoisonError::into_inner);
    live.insert(mapping.addresses().start, Arc::downgrade(mapping));
}

pub(super) fn leave(mapping: &Mapping) {
    LIVE.write().unwrap_or_else(PoisonError::into_inner).remove(&mapping.addresses().start);
}

/// In which mapping these `length` bytes of memory lie, and at which offset of its file. `None` for any other memory.
pub fn locate(address: *const u8, length: usize) -> Option<(Arc<Mapping>, u64)> {
    let start = address.addr();
    let end = start.checked_add(length)?;
    let live = LIVE.read().unwrap_or_else(PoisonError::into_inner);
    let (_, mapping) = live.range(..=start).next_back()?;
    let mapping = mapping.upgrade()?;
    drop(live);
    let addresses = mapping.addresses();
    (end <= addresses.end).then(|| (mapping, (start - addresses.start) as u64))
}
