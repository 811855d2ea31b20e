use ringrift_config::NodeId;

/// Ways to a node, in the order in which they are tried.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Routes {
    /// Host names or addresses with the link port. Empty: the node only dials out.
    pub direct: Vec<(String, u16)>,
    /// Nodes that probably have a link to it and pass bytes on.
    pub relays: Vec<NodeId>,
}

/// Where nodes are. Asked at each dial, so that a changed address is used at once; must not block.
pub trait AddressBook: Send + Sync + 'static {
    /// The ways to a node; empty [`Routes`] where none is known.
    fn routes(&self, to: &NodeId) -> Routes;
}
