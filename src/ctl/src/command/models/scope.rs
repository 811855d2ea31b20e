use clap::Args;
use futures::{StreamExt as _, stream};
use ringrift_api::{Client, ClusterManifest};
use ringrift_config::NodeId;
use serde_json::{Value, json};

use crate::{exit::Exit, failure::Failure};

/// Whose files.
#[derive(Debug, Args)]
pub(crate) struct Scope {
    /// Those of this node, asked through the daemon at --api
    #[arg(long, value_name = "NODE", conflicts_with = "all_nodes")]
    host: Option<NodeId>,

    /// Those of every node that shall have models; without both, those of the node at --api
    #[arg(long)]
    all_nodes: bool,
}

/// How many nodes are asked at once: they do the work, this only waits.
const AT_ONCE: usize = 16;

/// What a node answered, by name; the name is empty for the node at `--api`.
pub(super) type Answers<T> = Vec<(String, Result<T, Failure>)>;

impl Scope {
    /// The nodes that are meant; `None` is the one at `--api`.
    pub(super) async fn nodes(&self, client: &Client) -> Result<Vec<Option<NodeId>>, Failure> {
        if !self.all_nodes {
            return Ok(vec![self.host.clone()]);
        }
        let manifest: ClusterManifest = client.models_manifest().await?;
        let nodes: Vec<_> =
            manifest.nodes.into_iter().filter(|node| node.eligible).map(|node| Some(node.node_id)).collect();
        if nodes.is_empty() {
            return Err(Failure::new(Exit::Failed, "no node is known that shall have models")
                .advise("`ringriftctl nodes list` shows every node."));
        }
        Ok(nodes)
    }
}

/// Asks all nodes, several at once; the answers are in the nodes' order.
pub(super) async fn ask_each<T, F: Future<Output = Result<T, Failure>>>(
    client: &Client,
    nodes: &[Option<NodeId>],
    ask: impl Fn(Client) -> F,
) -> Answers<T> {
    let ask = &ask;
    stream::iter(nodes)
        .map(|node| async move {
            let (name, client) = match node {
                Some(node) => (node.to_string(), client.through(node)),
                None => (String::new(), client.clone()),
            };
            (name, ask(client).await)
        })
        .buffered(AT_ONCE)
        .collect()
        .await
}

/// The worst of them. With one node that failed, its failure is all there is to say.
pub(super) fn worst<T>(answers: &mut Answers<T>) -> Result<Exit, Failure> {
    if let [(_, Err(_))] = answers.as_slice()
        && let Some((_, Err(failure))) = answers.pop()
    {
        return Err(failure);
    }
    Ok(answers.iter().filter_map(|(_, answer)| answer.as_ref().err()).map(|f| f.exit).max().unwrap_or(Exit::Ok))
}

/// A node that could not be asked, for programs.
pub(super) fn unasked(name: &str, failure: &Failure) -> Value {
    json!({ "success": false, "node_id": name, "error": failure.message, "exit": failure.exit.as_str() })
}
