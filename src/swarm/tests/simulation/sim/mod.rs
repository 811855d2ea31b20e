//! Nodes, links and time for the planner; shared by the tests and the example `fan_out`.
#![allow(dead_code, unreachable_pub, unused_imports)]

mod case;
mod links;
mod node;
mod outcome;
mod traffic;
mod world;

pub use case::{Case, MIB, cases, chain, slow_chain, star, thousand, twelfth, twelve};
pub use node::{Behaviour, Spec};
pub use outcome::{Outcome, fluid};
pub use world::{Action, World};
