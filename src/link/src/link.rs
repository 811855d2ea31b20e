/// A stream's place on its link.
#[derive(Debug)]
pub(crate) struct Lease;

impl Lease {
    pub(crate) fn close_reason(&self) -> Option<String> {
        None
    }
}
