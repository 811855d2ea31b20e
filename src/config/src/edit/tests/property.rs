//! Any sequence of changes gives a file that a daemon reads to exactly the hosts that were asked for; no comment is lost but with
//! what it belongs to.

use std::{collections::BTreeMap, path::Path};

use proptest::prelude::*;

use super::{
    super::HostsDraft,
    model::{apply, change, start, written},
};
use crate::HostsFile;

proptest! {
    #![proptest_config(ProptestConfig { cases: std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(48), ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_changes_says_what_was_asked_for((mut model, dice) in start(), changes in prop::collection::vec(change(), 1..10)) {
        let (text, mut comments) = written(&model, &dice);
        let mut draft = HostsDraft::parse(text, Path::new("hosts.yaml")).unwrap();
        for change in &changes {
            apply(&mut draft, &mut model, &mut comments, change);
            let (found, expected) = (draft.file().unwrap(), model.read());
            let list = |file: &HostsFile| file.hosts.values().cloned().collect::<Vec<_>>();
            prop_assert_eq!(list(&found), list(&expected), "{:?}\n{}", change, draft.text());
            let voters = |file: &HostsFile| file.voters.clone().unwrap_or_default();
            prop_assert_eq!(voters(&found), voters(&expected), "{:?}\n{}", change, draft.text());
            let preferred: Vec<String> = serde_yaml::from_value::<BTreeMap<String, Option<Vec<String>>>>(found.extra["sync_routing"].clone())
                .unwrap().remove("priority_hosts").flatten().unwrap_or_default();
            prop_assert_eq!(&preferred, &model.preferred);
            for (comment, owner) in &comments {
                prop_assert!(draft.text().contains(comment), "{} of {:?} is lost by {:?}\n{}", comment, owner, change, draft.text());
            }
        }
    }
}
